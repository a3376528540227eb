"""Who a call is for: the scopes that surround it, and the merging, cleaning and bounding of what they say."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from spend_middleware.call import NOBODY, Attribution
from spend_middleware.guard import say_once
from spend_middleware.ids import new_call_id
from spend_middleware.tally import Tally

MAX_NAME = 512
"""Characters kept of an end user, user, team or session id; the rest is cut."""

MAX_METADATA = 8192
"""Bytes of JSON kept of `metadata`; beyond that the largest values are dropped, by name order of arrival."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")
_HEX_DIGEST = re.compile("[0-9a-f]{64}")
_BEARER = re.compile(r"\s*bearer(?:\s+|$)", re.IGNORECASE)
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)")

CREDENTIAL_HEADERS = (
    "x-litellm-api-key",
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
)
"""Where a key is looked for, in this order (LiteLLM's six forms)."""


class Scope:
    """One surrounding block: an inbound request or a `spend.tag(...)`, with what it says and what was spent in it."""

    __slots__ = ("attribution", "opened", "parent", "request_id", "tally")

    def __init__(
        self, attribution: Attribution, parent: Scope | None = None, request_id: str | None = None
    ) -> None:
        self.attribution = attribution
        self.tally: Tally = Tally(parent.tally if parent is not None else None)
        self.request_id: str | None = request_id or (parent.request_id if parent is not None else None)
        self.parent = parent
        self.opened = 0

    def open(self) -> None:
        """Note, here and in every enclosing scope, that a call goes out."""
        scope: Scope | None = self
        while scope is not None:
            scope.opened += 1
            scope = scope.parent


current_scope: ContextVar[Scope | None] = ContextVar("spend_scope", default=None)


def inbound_scope(attribution: Attribution) -> Scope:
    """Return the scope of an inbound request, with an id of its own under which its calls are found."""
    return Scope(attribution, request_id=attribution.session_id or new_call_id())


@lru_cache(maxsize=4096)
def hash_key(secret: str) -> str:
    """Return the sha256 hex of a credential; a hash passes through, so that either form may be given."""
    if _HEX_DIGEST.fullmatch(secret):
        return secret
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def presented_key(headers: Mapping[str, str]) -> str | None:
    """Return the credential that headers (names in lower case) carry, without its scheme; None when there is none."""
    for name in CREDENTIAL_HEADERS:
        if name in headers:
            secret = _secret_in(headers[name])
            if secret:
                return secret
    return None


@lru_cache(maxsize=1024)
def _secret_in(value: str) -> str:
    signed = _SIGNED.match(value)
    return signed.group(1) if signed else _BEARER.sub("", value, count=1).strip()


def says_bearer(authorization: str) -> bool:
    """Say whether an Authorization header has the scheme that keys come with."""
    return _BEARER.match(authorization) is not None


def clean(text: str, limit: int = MAX_NAME) -> str:
    """Return a text without control characters and surrogates, stripped and cut to a length."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text.strip()
    # Cut before the scan, so that a megabyte from a client costs no more than a line.
    return _UNSAFE.sub(" ", text[: limit * 4]).strip()[:limit].strip()


def clean_name(value: object, limit: int = MAX_NAME) -> str | None:
    """Return an id as clean text; numbers become text, other types and blanks become None."""
    if isinstance(value, str):
        return clean(value, limit) or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def clean_tags(values: Iterable[object], max_tags: int = 64, max_length: int = 256) -> tuple[str, ...]:
    """Return tags stripped, de-duplicated, in the order met, at most `max_tags` of at most `max_length` characters.

    Numbers become text, objects and lists their JSON text; None and blanks are dropped; what is beyond the bounds is
    cut (a long tag) or dropped (further tags), and the log says so once.
    """
    seen: dict[str, None] = {}
    lost = False
    for value in values:
        tag = _tag_text(value, max_length)
        if not tag:
            lost = lost or not isinstance(value, str)
        elif len(seen) >= max_tags and tag not in seen:
            lost = True
            break
        else:
            seen[tag] = None
            lost = lost or (len(tag) == max_length < len(value if isinstance(value, str) else str(value)))
    if lost:
        say_once(f"Tags were cut or left out: a call keeps {max_tags} texts of {max_length} characters.")
    return tuple(seen)


def _tag_text(value: object, limit: int) -> str:
    if isinstance(value, str):
        return clean(value, limit)
    if value is None:
        return ""
    try:
        return clean(json.dumps(value, separators=(",", ":"), default=str)[: limit * 4], limit)
    except (TypeError, ValueError, RecursionError):
        return ""


def clean_metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return key/value pairs that are JSON, clean and no larger than `MAX_METADATA` in all; the log says once that more came."""
    kept: dict[str, Any] = {}
    room = MAX_METADATA
    for key, value in values.items():
        name = clean(str(key), 128)
        try:
            text = json.dumps(value, separators=(",", ":"), default=str)
        except (TypeError, ValueError, RecursionError):
            continue
        if len(text) + len(name) > room:
            say_once(f"Metadata was left out: a call keeps {MAX_METADATA} characters of it.")
        elif name:
            room -= len(text) + len(name)
            kept[name] = _clean_json(json.loads(text))
    return kept


def _clean_json(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSAFE.sub(" ", value)
    if isinstance(value, list):
        return [_clean_json(item) for item in value]
    if isinstance(value, dict):
        return {_UNSAFE.sub(" ", key): _clean_json(item) for key, item in value.items()}
    return value


def merge(first: Attribution, then: Attribution, *, max_tags: int = 64) -> Attribution:
    """Return what two say together: `first` wins field by field; tags and metadata are joined."""
    if then is NOBODY:
        return first
    if first is NOBODY:
        return then
    tags, more, metadata, beside = first.tags, then.tags, first.metadata, then.metadata
    # Field by field and not in a loop: it is done for each call of a request.
    return Attribution(
        tags=tuple(dict.fromkeys(tags + more))[:max_tags] if tags and more else tags or more,
        end_user=first.end_user or then.end_user,
        user_id=first.user_id or then.user_id,
        team_id=first.team_id or then.team_id,
        organization_id=first.organization_id or then.organization_id,
        key_hash=first.key_hash or then.key_hash,
        key_alias=first.key_alias or then.key_alias,
        session_id=first.session_id or then.session_id,
        trace_id=first.trace_id or then.trace_id,
        agent_id=first.agent_id or then.agent_id,
        ip_address=first.ip_address or then.ip_address,
        user_agent=first.user_agent or then.user_agent,
        metadata={**beside, **metadata} if metadata and beside else metadata or beside,
    )
