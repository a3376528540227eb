"""Who calls: the credential of a request, checked before anything else is done."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request

from spend_middleware.api.addresses import Address, client_address, within
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.house import House
from spend_middleware.api.rights import PROXY_ADMIN, PROXY_ADMIN_VIEWER, authorise, masked, role_of
from spend_middleware.api.routing import Permission
from spend_middleware.api.threads import in_thread
from spend_middleware.attribution import presented_key, says_bearer
from spend_middleware.store.key_record import KeyRecord
from spend_middleware.store.report_values import EVERYTHING, Scope

MASTER_USER = "default_user_id"
"""The user that LiteLLM names where the master key itself acts."""

_PATIENCE = 1.0
"""Seconds that an answer waits for the calls recorded before it, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who presented a valid credential, and what of the ledger that caller may see.

    Args:
        key_hash: sha256 hex of the presented key.
        role: LiteLLM's role; the master key has proxy_admin, a key without a user none.
        scope: What reports may show on this route.
        address: Where the request comes from, behind trusted proxies.
    """

    key_hash: str
    role: str | None
    scope: Scope
    master: bool = False
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    record: KeyRecord | None = None
    address: Address | None = None

    @property
    def sees_all(self) -> bool:
        """True for administrators and their viewers."""
        return self.master or self.role in (PROXY_ADMIN, PROXY_ADMIN_VIEWER)

    @property
    def is_admin(self) -> bool:
        """True for those who may change what belongs to others."""
        return self.master or self.role == PROXY_ADMIN


def key_hash(key: str) -> str:
    """Return the form that a key is stored and reported in: sha256 hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def hash_of(key_or_hash: str) -> str:
    """Return the hash of a raw `sk-` key; everything else is taken for a hash already."""
    return key_hash(key_or_hash) if key_or_hash.startswith("sk-") else key_or_hash


def key_of(headers: Mapping[str, str]) -> str | None:
    """Return the credential of a request; an Authorization header of another scheme than Bearer is refused."""
    authorization = headers.get("authorization", "").strip()
    if authorization and not headers.get("x-litellm-api-key") and not says_bearer(authorization):
        raise ProxyError(
            401,
            "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.",
            "auth_error",
        )
    return presented_key(headers)


class Gate:
    """Lets a request through to its route, or raises the refusal that LiteLLM would answer."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, request: Request, permission: Permission) -> None:
        """Check the request and leave its `Caller` in `request.state.caller`."""
        if permission is Permission.PUBLIC:
            return
        if not self._house.master_key:
            raise ProxyError(
                401,
                "Authentication Error, this service has no master key, so its routes are closed. "
                "Set SPEND_MASTER_KEY (or LITELLM_MASTER_KEY), or pass master_key to Spend.",
                "auth_error",
            )
        if permission is Permission.DOCS:
            return
        path: str = request.scope["route"].path
        # Addresses and keys are in the database: one visit to a thread for both.
        request.state.caller = await in_thread(self._let_in, request, path, permission)

    def _let_in(self, request: Request, path: str, permission: Permission) -> Caller:
        caller = self.admit(request, path, permission)
        # What was recorded before the question counts in the answer: the writer may be a batch behind.
        if request.method == "GET" and self._house.store.pending():
            self._house.store.flush(_PATIENCE)
        return caller

    def admit(self, request: Request, path: str, permission: Permission) -> Caller:
        """Return the caller of a request, or raise; blocks on the database."""
        address = self._check_address(request)
        key = key_of(request.headers)
        if not key:
            raise ProxyError(401, "Authentication Error, No api key passed in.", "auth_error")
        hashed = key_hash(key)
        if hmac.compare_digest(hashed, key_hash(self._house.master_key or "")):
            return Caller(
                key_hash=hashed,
                role=PROXY_ADMIN,
                scope=EVERYTHING,
                master=True,
                user_id=MASTER_USER,
                address=address,
            )
        record = self._valid_record(key, hashed)
        scope = authorise(record, path, permission)
        return Caller(
            key_hash=hashed,
            role=role_of(record),
            scope=scope,
            user_id=record.user_id,
            team_id=record.team_id,
            organization_id=record.organization_id,
            record=record,
            address=address,
        )

    def _check_address(self, request: Request) -> Address | None:
        address = client_address(
            request.client.host if request.client else None,
            request.headers.get("x-forwarded-for"),
            self._house.settings.trusted_proxies,
        )
        allowed = self._house.directory.allowed_ips()
        if allowed and not within(address, allowed):
            raise ProxyError(403, f"Access forbidden: IP address {address} not allowed.", "auth_error")
        return address

    def _valid_record(self, key: str, hashed: str) -> KeyRecord:
        if not key.startswith("sk-"):
            raise ProxyError(
                401,
                f"LiteLLM Virtual Key expected. Received={masked(key)}, expected to start with 'sk-'.",
                "auth_error",
            )
        record = self._house.directory.find_key(hashed)
        if record is None:
            raise ProxyError(
                401,
                "Authentication Error, Invalid proxy server token passed. "
                f"Received API Key = {masked(key)}, Key Hash (Token) ={hashed}. "
                "Unable to find token in the key table.",
                "token_not_found_in_db",
                "key",
            )
        _check_standing(record, key)
        return record


def _check_standing(record: KeyRecord, key: str) -> None:
    if record.blocked:
        raise ProxyError(
            401,
            "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
            "auth_error",
        )
    if record.team_blocked:
        raise ProxyError(
            401,
            f"Authentication Error, Team={record.team_id} is blocked. Update via `/team/unblock` "
            "if you're an admin.",
            "auth_error",
        )
    now = time.time()
    if record.expires_at is not None and record.expires_at <= now:
        raise ProxyError(
            401,
            f"Authentication Error - Expired Key. Key Expiry time {_moment(record.expires_at)} "
            f"and current time {_moment(now)}",
            "expired_key",
            masked(key),
        )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
