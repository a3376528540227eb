"""The routes of virtual keys: made, shown, changed, blocked and deleted."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import CHANGED_BY, TheDirectory, actor
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import key_rows, new_key, standing_word
from spend_middleware.api.key_rules import check_bounds, check_owner, is_own, wanted_of
from spend_middleware.api.refusals import (
    AUTH,
    HANDLED,
    NO_SUCH_KEY,
    detailed,
    forbid,
    refusing,
    refusing_aliases,
)
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Name, Part, filled, usd
from spend_middleware.api.schemas_key_rows import (
    DeletedKeys,
    GenerateKeyResponse,
    KeyBlocked,
    KeyHealthResponse,
    KeyInfo,
    KeyInfoRow,
    KeyReset,
    KeyRow,
    KeyUpdated,
)
from spend_middleware.api.schemas_keys import (
    BlockKeyRequest,
    GenerateKeyRequest,
    KeyRequest,
    ResetSpendRequest,
    UpdateKeyRequest,
)
from spend_middleware.store import directory_keys
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_keys import hash_of
from spend_middleware.store.entities import SpendKey
from spend_middleware.store.report_values import By

routes = Routes("key management")

# After a change LiteLLM shows a key's own columns only.
NO_RELATIONS: Mapping[str, Any] = {"litellm_budget_table": None}

_HASH = re.compile("[0-9a-fA-F]{64}")


@routes.post(
    "/key/generate",
    permission=Permission.OWN_KEYS,
    response_model=GenerateKeyResponse,
    dependencies=CHANGED_BY,
)
def generate_key_fn(directory: TheDirectory, caller: TheCaller, data: GenerateKeyRequest) -> Response:
    """Make a key; the answer is the only place where it is ever shown."""
    wanted = wanted_of(data.given())
    check_bounds(caller, wanted)
    if not caller.is_admin:
        wanted.setdefault("user_id", caller.user_id)
    return _generated(directory, caller, data, wanted)


@routes.post(
    "/key/service-account/generate",
    permission=Permission.OWN_KEYS,
    response_model=GenerateKeyResponse,
    dependencies=CHANGED_BY,
)
def generate_service_account_key_fn(
    directory: TheDirectory, caller: TheCaller, data: GenerateKeyRequest
) -> Response:
    """Make a key that belongs to a team and to no user."""
    wanted = {name: value for name, value in wanted_of(data.given()).items() if name != "user_id"}
    if not wanted.get("team_id"):
        raise HANDLED(400, "team_id is required for service account keys. Pass the team_id of the team.")
    check_bounds(caller, wanted)
    said = dict(wanted.get("metadata") or {})
    wanted["metadata"] = {"service_account_id": data.key_alias or str(uuid.uuid4()), **said}
    return _generated(directory, caller, data, wanted)


@routes.get("/key/info", permission=Permission.ANY_KEY, response_model=KeyInfo)
def info_key_fn(
    directory: TheDirectory,
    caller: TheCaller,
    key: Annotated[Part | None, Query(description="A key or its hash; the caller's own when absent.")] = None,
) -> Response:
    """Tell all about a key but its secret."""
    with refusing(missing=NO_SUCH_KEY), directory.read() as desk:
        found = directory_keys.get(desk, hash_of(key) if key else caller.key_hash)
    if not (caller.sees_all or is_own(caller, found)):
        forbid("You are not allowed to access this key's info. It belongs to somebody else.", HANDLED)
    row = key_rows(directory, [found], KeyInfoRow, status=standing_word(found, directory.now()))[0]
    return answer({"key": key or caller.key_hash, "info": row})


@routes.post(
    "/key/update", permission=Permission.OWN_KEYS, response_model=KeyUpdated, dependencies=CHANGED_BY
)
def update_key_fn(directory: TheDirectory, caller: TheCaller, data: UpdateKeyRequest) -> Response:
    """Change the fields of a key that are given; a new max_budget counts at once."""
    changed = changed_key(directory, caller, data)
    return answer(
        key_rows(directory, [changed], KeyUpdated, key=data.key or changed.token, **NO_RELATIONS)[0]
    )


@routes.post(
    "/key/delete", permission=Permission.OWN_KEYS, response_model=DeletedKeys, dependencies=CHANGED_BY
)
def delete_key_fn(directory: TheDirectory, caller: TheCaller, data: KeyRequest) -> Response:
    """Delete keys; the calls that were made with them stay in the ledger."""
    with directory.write(actor(caller)) as desk:
        if data.keys:
            found = {
                key.token: key for key in directory_keys.by_tokens(desk, [hash_of(key) for key in data.keys])
            }
            deleted = [name for name in data.keys if hash_of(name) in found]
        else:
            aliases = data.key_aliases or []
            found = {key.key_alias or "": key for key in directory_keys.by_aliases(desk, aliases)}
            deleted = [name for name in aliases if name in found]
        if not found:
            raise HANDLED(404, "No keys found")
        for key in found.values():
            check_owner(caller, key)
        directory_keys.delete(desk, list(found.values()))
    return answer({"deleted_keys": list(dict.fromkeys(deleted))})


@routes.post("/key/block", permission=Permission.ADMIN, response_model=KeyBlocked, dependencies=CHANGED_BY)
def block_key(directory: TheDirectory, caller: TheCaller, data: BlockKeyRequest) -> Response:
    """Block a key: every worker refuses it within a second."""
    key = _blocked(directory, caller, data.key, True)
    return answer(key_rows(directory, [key], KeyBlocked, **NO_RELATIONS)[0])


@routes.post("/key/unblock", permission=Permission.ADMIN, response_model=KeyRow, dependencies=CHANGED_BY)
def unblock_key(directory: TheDirectory, caller: TheCaller, data: BlockKeyRequest) -> Response:
    """Accept a blocked key again."""
    key = _blocked(directory, caller, data.key, False)
    return answer(key_rows(directory, [key], **NO_RELATIONS)[0])


@routes.post(
    "/key/{key}/reset_spend", permission=Permission.ADMIN, response_model=KeyReset, dependencies=CHANGED_BY
)
def reset_key_spend_fn(
    directory: TheDirectory, caller: TheCaller, key: Name, data: ResetSpendRequest
) -> Response:
    """Set what counts against a key; the ledger and the key's total stay."""
    token = hash_of(key)
    with refusing(detailed), directory.read() as desk:
        found = directory_keys.get(desk, token)
    previous = directory.accounts.of(By.KEY, {token: found})[token].spend
    if not 0 <= data.reset_to <= previous:
        raise detailed(400, f"reset_to must be between 0 and the current spend, {previous.normalize():f}.")
    with refusing(detailed), directory.write(actor(caller)) as desk:
        found = directory_keys.reset_spend(desk, token, data.reset_to)
    row = key_rows(directory, [found])[0]
    shown = {"key_hash": token, "spend": usd(data.reset_to), "previous_spend": usd(previous)}
    return answer(filled(KeyReset, shown, row))


@routes.post("/key/health", permission=Permission.ANY_KEY, response_model=KeyHealthResponse)
def key_health() -> Response:
    """Say that the caller's key works."""
    return answer({"key": "healthy", "logging_callbacks": None})


def changed_key(directory: Directory, caller: Caller, data: UpdateKeyRequest) -> SpendKey:
    """Change one key as asked, or refuse."""
    given = data.given()
    given.pop("key", None)
    with (
        refusing(AUTH, missing=NO_SUCH_KEY),
        refusing_aliases(),
        directory.write(actor(caller)) as desk,
    ):
        found = (
            directory_keys.get(desk, hash_of(data.key)) if data.key else _named(desk, data.key_alias or "")
        )
        check_owner(caller, found, AUTH)
        wanted = wanted_of(given, found.key_metadata, AUTH)
        check_bounds(caller, wanted, AUTH)
        return directory_keys.change(desk, found.token, wanted)


def _named(desk: Desk, alias: str) -> SpendKey:
    found = directory_keys.by_aliases(desk, [alias])
    if not found:
        raise ProxyError(
            404, f"Key not found. No key with key_alias='{alias}'.", "not_found_error", "key_alias"
        )
    return found[0]


def _generated(
    directory: Directory, caller: Caller, data: GenerateKeyRequest, wanted: Mapping[str, Any]
) -> Response:
    with refusing(), refusing_aliases(), directory.write(actor(caller)) as desk:
        key, secret = directory_keys.generate(desk, wanted, data.key)
    return answer(new_key(directory, key, secret, data.duration))


def _blocked(directory: Directory, caller: Caller, key: str, blocked: bool) -> SpendKey:
    if not key.startswith("sk-") and not _HASH.fullmatch(key):
        raise ProxyError(
            400, "Invalid key format. Expected an sk- key or its hash.", "bad_request_error", "key"
        )
    with refusing(missing=NO_SUCH_KEY), directory.write(actor(caller)) as desk:
        return directory_keys.block(desk, hash_of(key), blocked)
