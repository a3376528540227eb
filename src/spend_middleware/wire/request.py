"""Our fields in a request: what they say of who it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType
from msgspec import json as msgjson
from pydantic_core import from_json

from spend_middleware.wire.reading import Route
from spend_middleware.wire.values import mapping

OURS_IN_BODY = ("litellm_metadata", "litellm_session_id", "litellm_trace_id", "litellm_call_id")
USER_ALONE = frozenset(("user",))
FIELDS = frozenset(("metadata", "user", "safety_identifier", "tags", *OURS_IN_BODY))
_SESSION_HEADERS = ("x-litellm-trace-id", "x-litellm-session-id")
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{8,200}")
_SESSION_IN_USER_ID = re.compile(r"_session_([A-Za-z0-9_-]{8,200})$")


class CallFields(Struct, gc=False):
    """What a request says of who it is for, as it was said: nothing is cleaned or bounded yet.

    Args:
        tags: Tags in the order met: body, headers, LiteLLM's own fields.
        end_user: The customer, a string or a number.
        metadata: LiteLLM's `spend_logs_metadata`.
        call_id: The id that the caller gave the call.
        says_user_alone: Whether nothing but the customer was looked for, as there is nothing else.
    """

    tags: Sequence[Any] = ()
    end_user: Any = None
    metadata: Mapping[str, Any] = {}
    session_id: str | None = None
    agent_id: str | None = None
    call_id: str | None = None
    says_user_alone: bool = False


NO_FIELDS = CallFields()
_NOTHING: Mapping[str, Any] = {}

_Word = Annotated[str, Meta(min_length=1, max_length=512)]


class UsualRequest(Struct, gc=False):
    """What is read of a request body that names its customer at most, as most do.

    The rest of it, the prompt too, is skipped and never made an object. A body that says anything else of ours is not
    of this kind.
    """

    model: _Word | None = None
    user: _Word | UnsetType = UNSET
    service_tier: _Word | None = None
    metadata: UnsetType = UNSET
    tags: UnsetType = UNSET
    safety_identifier: UnsetType = UNSET
    litellm_metadata: UnsetType = UNSET
    litellm_session_id: UnsetType = UNSET
    litellm_trace_id: UnsetType = UNSET
    litellm_call_id: UnsetType = UNSET


_usual = msgjson.Decoder(UsualRequest).decode


def usual_request(body: bytes | None, headers: Mapping[str, str]) -> UsualRequest | None:
    """Return what a request of the usual kind says; None where its body or its headers say anything else of ours.

    Args:
        body: The body, if it is JSON.
        headers: By name in lower case.
    """
    if not body or _may_be_ours(headers):
        return None
    try:
        return _usual(body)
    except (MsgspecError, ValueError, RecursionError):
        return None


def usual_in(content: Mapping[str, Any]) -> UsualRequest | None:
    """Return what a request whose fields of ours are known already asks for, if it says so in the usual types."""
    model, tier = content.get("model"), content.get("service_tier")
    return UsualRequest(model=model, service_tier=tier) if _is_word(model) and _is_word(tier) else None


def _is_word(value: Any) -> bool:
    return value is None or (isinstance(value, str) and 0 < len(value) <= 512)


def fields_of_usual(asked: UsualRequest) -> CallFields:
    """Return what a request of the usual kind says; the same as `fields_of` of its body."""
    user = asked.user
    if user is UNSET:
        return NO_FIELDS
    return CallFields(end_user=_first_name(user), says_user_alone=True)


def leaves_as_it_is(asked: UsualRequest, route: Route) -> bool:
    """Tell whether a request of the usual kind holds nothing that its provider would refuse."""
    return asked.user is UNSET or "user" in route.accepts


def _may_be_ours(headers: Mapping[str, str]) -> bool:
    named = "\n".join(headers)
    return "x-litellm-" in named or "-session-id" in named


def fields_of(
    content: Mapping[str, Any] | None,
    headers: Mapping[str, str],
    route: Route,  # noqa: ARG001  # every provider's body says it alike so far; callers pass what they have
) -> CallFields:
    """Return what the body and the headers (names in lower case) of a request say, in LiteLLM's order.

    The order is that of https://docs.litellm.ai/docs/proxy/cost_tracking and of the proxy's own code.
    """
    body = content or {}
    if not _may_be_ours(headers):
        headers = _NOTHING
        said = FIELDS.intersection(body)
        if not said:
            return NO_FIELDS
        if said == USER_ALONE:
            return CallFields(end_user=_first_name(body["user"]), says_user_alone=True)
    metadata = _object_in(body.get("metadata"))
    theirs = _object_in(body.get("litellm_metadata"))
    return CallFields(
        tags=_tags(body, metadata, theirs, headers),
        end_user=_end_user(body, metadata, theirs, headers),
        metadata=_spend_logs_metadata(metadata, theirs, headers),
        session_id=_session_id(body, metadata, headers),
        agent_id=headers.get("x-litellm-agent-id"),
        call_id=headers.get("x-litellm-call-id"),
    )


def _object_in(value: Any) -> Mapping[str, Any]:
    """Return an object, also one that is written as JSON text, as forms do."""
    if value is None:
        return _NOTHING
    if isinstance(value, str) and value[:1] == "{" and len(value) < 65536:
        try:
            return mapping(from_json(value))
        except ValueError:
            return {}
    return mapping(value)


def _tags(
    body: Mapping[str, Any],
    metadata: Mapping[str, Any],
    theirs: Mapping[str, Any],
    headers: Mapping[str, str],
) -> list[Any]:
    tags: list[Any] = []
    header = headers.get("x-litellm-tags")
    for value in (metadata.get("tags"), header and header.split(","), theirs.get("tags"), body.get("tags")):
        if isinstance(value, list):
            tags += value
        elif isinstance(value, str) and value:
            tags.append(value)
    return tags


def _end_user(
    body: Mapping[str, Any],
    metadata: Mapping[str, Any],
    theirs: Mapping[str, Any],
    headers: Mapping[str, str],
) -> Any:
    candidates = (
        headers.get("x-litellm-customer-id"),
        headers.get("x-litellm-end-user-id"),
        body.get("user"),
        theirs.get("user"),
        metadata.get("user_id"),
        body.get("safety_identifier"),
    )
    return _first_name(*candidates)


def _first_name(*candidates: Any) -> Any:
    """Return the first value that is a text or a number, and so can name somebody."""
    for value in candidates:
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _spend_logs_metadata(
    metadata: Mapping[str, Any], theirs: Mapping[str, Any], headers: Mapping[str, str]
) -> Mapping[str, Any]:
    # LiteLLM: the header takes the place of the body's.
    header = headers.get("x-litellm-spend-logs-metadata")
    if header:
        said = _object_in(header)
        if said:
            return said
    return _object_in(metadata.get("spend_logs_metadata")) or _object_in(theirs.get("spend_logs_metadata"))


def _session_id(
    body: Mapping[str, Any], metadata: Mapping[str, Any], headers: Mapping[str, str]
) -> str | None:
    for name in _SESSION_HEADERS:
        if headers.get(name):
            return headers[name]
    for name in headers:
        # Coding agents name their sessions so: x-<vendor>-session-id.
        if name.endswith("-session-id") and name.startswith("x-") and _SESSION_ID.fullmatch(headers[name]):
            return headers[name]
    user_id = metadata.get("user_id")
    if isinstance(user_id, str):
        found = _SESSION_IN_USER_ID.search(user_id)
        if found:
            return found[1]
    session = body.get("litellm_session_id")
    return session if isinstance(session, str) and session else None
