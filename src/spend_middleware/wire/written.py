"""Request bodies read as they were written, and written again with nothing touched that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import MsgspecError, Raw
from msgspec import json as msgjson
from pydantic_core import to_json

from spend_middleware.wire.values import Written, json_object

_parts = msgjson.Decoder(dict[str, Raw]).decode
_compact = msgjson.Encoder().encode
_STARTS = b"{ \n\r\t"


def read_object(body: bytes | None) -> Mapping[str, Any] | None:
    """Return a body that is a JSON object, None for all others.

    One that is none by the letter of the standard, such as one with half of a surrogate pair, is parsed as a whole.
    """
    if not body or body[:1] not in _STARTS:
        return None
    try:
        return Written(_parts(body))
    except (MsgspecError, ValueError, RecursionError):
        return json_object(body)


def with_parts(content: Mapping[str, Any], parts: dict[str, Any]) -> Mapping[str, Any]:
    """Return an object of the kind of another one that has these parts."""
    return Written(parts) if isinstance(content, Written) else parts


def parts_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an object holds; what nobody has asked for yet as it is written."""
    return content.parts if isinstance(content, Written) else content


def encode(content: Mapping[str, Any]) -> bytes:
    """Return an object as JSON bytes; what nobody has asked for as it was written."""
    if isinstance(content, Written):
        return _compact(content.parts)
    try:
        return to_json(content)
    except ValueError:
        # A lone surrogate has no UTF-8 form; escaped, it goes out as it came in.
        return json.dumps(content, separators=(",", ":")).encode()
