"""Our fields taken out of a request, where its provider would refuse them or they are nobody's but ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from spend_middleware.wire.reading import Route
from spend_middleware.wire.request import FIELDS, NO_FIELDS, OURS_IN_BODY, USER_ALONE, CallFields
from spend_middleware.wire.written import parts_of, with_parts

_OURS_IN_METADATA = ("tags", "spend_logs_metadata")
# https://docs.anthropic.com/en/api/messages#body-metadata : names, mail addresses and phone numbers are refused.
_IDENTIFYING = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d\s().-]{7,}")
_SIGNED_HEADERS = re.compile(r"SignedHeaders=([^,\s]+)")


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
) -> Mapping[str, Any] | None:
    """Return a request body without what is ours and what its provider refuses; None when nothing is to change.

    Args:
        content: The parsed body.
        route: Where it goes; `route.accepts` says which of our fields may stay.
        headers: The request's headers; a body under an AWS signature cannot be changed.
    """
    accepts, parts = route.accepts, parts_of(content)
    ours_in_it = FIELDS.intersection(parts)
    if not ours_in_it or (ours_in_it == USER_ALONE and "user" in accepts):
        return None
    if "litellm" in accepts or is_signed(headers):
        return None
    user_leaves = "user" in parts and "user" not in accepts
    ours = [name for name in OURS_IN_BODY if name in parts]
    if isinstance(content.get("tags"), list):
        ours.append("tags")
    metadata = content.get("metadata")
    kept = _kept_metadata(metadata, accepts)
    if not user_leaves and not ours and kept is metadata:
        return None
    if user_leaves:
        ours.append("user")
        if "metadata.user_id" in accepts:
            kept = _with_user_id(kept, content["user"])
    changed = {name: value for name, value in parts.items() if name not in ours}
    if kept:
        changed["metadata"] = kept
    elif kept is not metadata:
        changed.pop("metadata", None)
    return with_parts(content, changed)


def is_signed(headers: Mapping[str, str] | None) -> bool:
    """Tell whether a request goes out under an AWS signature, which its body is part of."""
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
    known = {} if metadata is None else metadata
    if not isinstance(known, dict):
        return metadata  # for its provider to judge
    if "user_id" in known or isinstance(user, bool) or not isinstance(user, str | int):
        return metadata
    name = str(user).strip()
    if not name or len(name) > 256 or _IDENTIFYING.fullmatch(name):
        return metadata
    return {**known, "user_id": name}
