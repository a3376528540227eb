"""Bytes of a server-sent event stream as events; the end is searched first, because usage stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from spend_middleware.wire.values import json_object

_TAIL = 16384
_STARTS = (b"data:", b"event:", b":", b"id:", b"retry:")


class Event(NamedTuple):
    """One event: its name, empty when the stream gives none, and its data lines joined."""

    name: str
    data: bytes


def looks_like_events(content_type: str, body: bytes) -> bool:
    """Return whether a body is an event stream, by its type or, where that is missing, by how it begins."""
    return "event-stream" in content_type or body.lstrip()[:6].startswith(_STARTS)


def events(body: bytes) -> Iterator[Event]:
    """Yield every event; line ends may be CRLF, LF or CR, and the last event needs no blank line after it."""
    name = ""
    lines: list[bytes] = []
    for line in body.splitlines():
        if not line:
            if lines:
                yield Event(name, b"\n".join(lines))
            name, lines = "", []
        elif line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
    if lines:
        yield Event(name, b"\n".join(lines))


def objects(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON object of every event that holds one, in order."""
    for event in events(body):
        value = json_object(event.data)
        if value is not None:
            yield value


def first_object(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of the first event that holds one."""
    # The first event may be long, as those are that repeat the whole request.
    for size in (2048, 65536):
        found = next(objects(body[:size]), None)
        if found is not None:
            return found
    return next(objects(body), {})


def objects_holding(body: bytes, *spellings: bytes) -> Iterator[dict[str, Any]]:
    """Yield, the latest first, the objects of the events that hold a marker; no other is parsed.

    Args:
        body: The whole stream, or a part of it.
        spellings: One marker in each spelling that providers use, such as `"usage":{` and `"usage": {`; the first
            that is there counts, because one stream has one spelling.
    """
    end = len(body)
    marker, at = _last_of(spellings, body)
    while at >= 0:
        start = max(body.rfind(b"\n", 0, at), body.rfind(b"\r", max(at - 4096, 0), at)) + 1
        stop = body.find(b"\n", at, end)
        line = body[start : stop if stop >= 0 else end].strip()
        value = json_object(line[5:]) if line.startswith(b"data:") else None
        if value is None:
            start, value = _event_around(body, at)
        if value is not None:
            yield value
        end = start
        at = body.rfind(marker, 0, end)


def _last_of(spellings: Sequence[bytes], body: bytes) -> tuple[bytes, int]:
    """Return a marker as a stream spells it, and where it stands last; most stand at the end, which is searched first."""
    for start in (len(body) - _TAIL, 0) if len(body) > _TAIL else (0,):
        for marker in spellings:
            at = body.rfind(marker, start)
            if at >= 0:
                return marker, at
    return b"", -1


def error_in(body: bytes) -> Mapping[str, Any] | None:
    """Return the event that says that the stream failed; it ends a stream, so that only the end is searched."""
    for event in objects_holding(body[-_TAIL:], b'"error"'):
        if event.get("error") or event.get("type") == "error":
            return event
    return None


def _event_around(body: bytes, at: int) -> tuple[int, dict[str, Any] | None]:
    """Return where the event at a position starts, and its object, for data that spans several lines."""
    start = max(body.rfind(b"\n\n", 0, at), body.rfind(b"\r\n\r\n", 0, at), 0)
    stops = [found for found in (body.find(b"\n\n", at), body.find(b"\r\n\r\n", at)) if found >= 0]
    event = next(events(body[start : min(stops, default=len(body))]), None)
    return start, json_object(event.data) if event else None
