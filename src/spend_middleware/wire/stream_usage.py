"""Usage asked for at the end of a stream, and what comes only because of that kept from the caller."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from spend_middleware.wire.reading import Route
from spend_middleware.wire.rewriting import is_signed
from spend_middleware.wire.values import json_object
from spend_middleware.wire.written import parts_of, with_parts

_EVENT_END = re.compile(rb"\r?\n\r?\n")
# In a string the quotes would have backslashes before them.
_NO_USAGE = re.compile(rb',\s*"usage":\s*null(?=\s*[,}])')


def want_stream_usage(
    content: Mapping[str, Any], route: Route, headers: Mapping[str, str] | None = None
) -> Mapping[str, Any] | None:
    """Return a request body that asks for usage at the end of its stream; None where that is not safe or not needed.

    https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
    """
    if not route.usage_on_request or content.get("stream") is not True or is_signed(headers):
        return None
    options = content.get("stream_options")
    if options is not None and not isinstance(options, dict):
        return None
    if options and "include_usage" in options:
        return None
    asking = {**parts_of(content), "stream_options": {**(options or {}), "include_usage": True}}
    return with_parts(content, asking)


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
    value = json_object(data[5:])
    return value is not None and value.get("choices") == [] and isinstance(value.get("usage"), dict)
