"""Our fields in a request: what they say, and how they are taken out where the provider would refuse them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType
from msgspec import json as msgjson
from pydantic_core import from_json, to_json

from spend_middleware.wire.reading import Route
from spend_middleware.wire.values import mapping

_OURS_IN_METADATA = ("tags", "spend_logs_metadata")
_OURS_IN_BODY = ("litellm_metadata", "litellm_session_id", "litellm_trace_id", "litellm_call_id")
_USER_ALONE = frozenset(("user",))
_FIELDS = frozenset(("metadata", "user", "safety_identifier", "tags", *_OURS_IN_BODY))
_SESSION_HEADERS = ("x-litellm-trace-id", "x-litellm-session-id")
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{8,200}")
_SESSION_IN_USER_ID = re.compile(r"_session_([A-Za-z0-9_-]{8,200})$")
# https://docs.anthropic.com/en/api/messages#body-metadata : names, mail addresses and phone numbers are refused.
_IDENTIFYING = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d\s().-]{7,}")
_SIGNED_HEADERS = re.compile(r"SignedHeaders=([^,\s]+)")
_EVENT_END = re.compile(rb"\r?\n\r?\n")
# In a string the quotes would have backslashes before them.
_NO_USAGE = re.compile(rb',\s*"usage":\s*null(?=\s*[,}])')


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
        said = _FIELDS.intersection(body)
        if not said:
            return NO_FIELDS
        if said == _USER_ALONE:
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


def all_stays(fields: CallFields, route: Route) -> bool:
    """Tell whether a body holds nothing that is ours or that its provider would refuse, by what was read of it."""
    return fields is NO_FIELDS or (fields.says_user_alone and "user" in route.accepts)


def headers_to_drop(headers: Mapping[str, str], route: Route) -> tuple[str, ...]:
    """Return the names of our request headers, which only a LiteLLM proxy is to see.

    A header that the request's signature covers stays, because without it the signature is wrong.
    """
    if "x-litellm-" not in "\n".join(headers) or "litellm" in route.accepts:
        return ()
    names = [name for name in headers if name.startswith("x-litellm-")]
    signed = _SIGNED_HEADERS.search(headers.get("authorization", ""))
    kept = signed[1].lower().split(";") if signed else ()
    return tuple(name for name in names if name not in kept)


def without_our_fields(
    content: Mapping[str, Any], route: Route, headers: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Return a request body without what is ours and what its provider refuses; None when nothing is to change.

    Args:
        content: The parsed body.
        route: Where it goes; `route.accepts` says which of our fields may stay.
        headers: The request's headers; a body under an AWS signature cannot be changed.
    """
    accepts = route.accepts
    ours_in_it = _FIELDS.intersection(content)
    if not ours_in_it or (ours_in_it == _USER_ALONE and "user" in accepts):
        return None
    if "litellm" in accepts or _is_signed(headers):
        return None
    user_leaves = "user" in content and "user" not in accepts
    ours = [name for name in _OURS_IN_BODY if name in content]
    if isinstance(content.get("tags"), list):
        ours.append("tags")
    metadata = content.get("metadata")
    kept = _kept_metadata(metadata, accepts)
    if not user_leaves and not ours and kept is metadata:
        return None
    changed = {name: value for name, value in content.items() if name not in ours}
    if user_leaves:
        user = changed.pop("user")
        if "metadata.user_id" in accepts:
            kept = _with_user_id(kept, user)
    if kept:
        changed["metadata"] = kept
    elif kept is not metadata:
        changed.pop("metadata", None)
    return changed


def _is_signed(headers: Mapping[str, str] | None) -> bool:
    return headers is not None and headers.get("authorization", "").startswith("AWS4-")


def _kept_metadata(metadata: Any, accepts: frozenset[str]) -> Any:
    """Return what may stay of a body's metadata: the very same object when all of it may."""
    if not isinstance(metadata, dict):
        return metadata
    if "metadata" in accepts:
        if not any(name in metadata for name in _OURS_IN_METADATA):
            return metadata
        return {name: value for name, value in metadata.items() if name not in _OURS_IN_METADATA}
    if "metadata.user_id" not in accepts:
        return {} if any(name in metadata for name in (*_OURS_IN_METADATA, "user_id")) else metadata
    if not any(name in metadata for name in _OURS_IN_METADATA):
        return metadata  # what else stands there is for its provider to judge
    return {"user_id": metadata["user_id"]} if "user_id" in metadata else {}


def _with_user_id(metadata: Any, user: Any) -> Any:
    """Return Anthropic's metadata with the user in it, unless it has one or the name says who somebody is."""
    known = metadata if isinstance(metadata, dict) else {}
    if "user_id" in known or isinstance(user, bool) or not isinstance(user, str | int):
        return metadata
    name = str(user).strip()
    if not name or len(name) > 256 or _IDENTIFYING.fullmatch(name):
        return metadata
    return {**known, "user_id": name}


def want_stream_usage(
    content: Mapping[str, Any], route: Route, headers: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Return a request body that asks for usage at the end of its stream; None where that is not safe or not needed.

    https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
    """
    if not route.usage_on_request or content.get("stream") is not True or _is_signed(headers):
        return None
    options = content.get("stream_options")
    if options is not None and not isinstance(options, dict):
        return None
    if options and "include_usage" in options:
        return None
    return {**content, "stream_options": {**(options or {}), "include_usage": True}}


def usage_chunk_filter() -> Callable[[bytes], bytes]:
    """Return a filter for one stream that takes out what came only because we asked for usage.

    That is the last chunk, and `"usage": null` in all others.

    It is given the stream's chunks in order and gives on whole events; an empty chunk asks for what is left.
    """
    held = b""

    def strain(chunk: bytes) -> bytes:
        nonlocal held
        text = held + chunk
        if not chunk:
            held = b""
            return b"" if _is_usage_chunk(text) else text
        end = max((found.end() for found in _EVENT_END.finditer(text)), default=0)
        held = text[end:]
        whole = text[:end]
        if b'"choices"' not in whole or b'"usage"' not in whole:
            return whole
        events = _events_of(whole)
        return b"".join(_NO_USAGE.sub(b"", event, 1) for event in events if not _is_usage_chunk(event))

    return strain


def _events_of(text: bytes) -> list[bytes]:
    out, start = [], 0
    for found in _EVENT_END.finditer(text):
        out.append(text[start : found.end()])
        start = found.end()
    return out


def _is_usage_chunk(event: bytes) -> bool:
    """Return whether an event has a usage and no choices, as the chunk that was asked for has."""
    data = event.strip()
    if not data.startswith(b"data:") or b'"usage"' not in data:
        return False
    try:
        value = from_json(data[5:])
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)


def encode(content: Mapping[str, Any]) -> bytes:
    """Return a changed request body as JSON bytes."""
    try:
        return to_json(content)
    except ValueError:
        # A lone surrogate has no UTF-8 form; escaped, it goes out as it came in.
        return json.dumps(content, separators=(",", ":")).encode()
