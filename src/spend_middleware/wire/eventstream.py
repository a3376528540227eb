"""Frames of `application/vnd.amazon.eventstream`, taken apart without I/O."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

from spend_middleware.wire.values import mapping, parsed

# AWS, "Amazon Transcribe, Event stream encoding" and smithy.io "Amazon Event Stream Specification": a frame is
# total length (4), headers length (4), CRC32 of these eight bytes (4), headers, body, CRC32 of all before it (4).
_PRELUDE = 12
_TAIL = 4
_SMALLEST = _PRELUDE + _TAIL
_LARGEST = 24 * 1024 * 1024

# The header value types of the specification with a fixed length: true, false, byte, short, int, long, time, uuid.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7

# Bedrock API reference, "PayloadPart": {"bytes": base64}, with a member of padding before or behind it.
_WRAPPED = re.compile(rb'\{\s*(?:"p"\s*:\s*"\w*"\s*,\s*)?"bytes"\s*:\s*"([A-Za-z0-9+/=]*)"')


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: its string headers (such as `:event-type`) and its body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The event's type, or the type of the exception that it carries."""
        headers = self.headers
        return (
            headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or ""
        )

    @property
    def failed(self) -> bool:
        """Whether the frame carries an error instead of an event."""
        return self.headers.get(":message-type") in ("exception", "error")

    def inner(self) -> bytes:
        """Return the text of the event, taken out of its base64 `bytes` member where it is wrapped in one."""
        wrapped = _WRAPPED.match(self.body)
        if wrapped is None:
            return self.body
        try:
            return base64.b64decode(wrapped[1])
        except (binascii.Error, ValueError):
            return self.body

    def content(self) -> Mapping[str, Any]:
        """Return the JSON object of the event."""
        return mapping(parsed(self.inner()))


@dataclass(slots=True)
class Frames:
    """The frames of a body, and what was wrong with it: iterate first, then ask.

    Attributes:
        corrupt: Frames left out because a checksum or a length in them does not hold.
        truncated: Whether the body ends inside a frame.
    """

    body: bytes
    corrupt: int = 0
    truncated: bool = False

    def __iter__(self) -> Iterator[Frame]:
        """Yield every sound frame, in order; after damage, go on at the next sound one."""
        view, at, end = memoryview(self.body), 0, len(self.body)
        while at < end:
            size = _frame_size(view, at)
            if size is not None and at + size <= end:
                frame = _frame(view[at : at + size])
                if frame is not None:
                    yield frame
                    at += size
                    continue
            following = _next_frame(self.body, view, at + 1)
            # Nothing sound to the end: the body just broke off, when this frame has a sound start or hardly any.
            self.truncated = following == end and (end - at < _PRELUDE or (size or 0) > end - at)
            self.corrupt += not self.truncated
            at = following

    def note(self) -> str | None:
        """Return what was wrong with the frames, None when nothing was."""
        return f"{self.corrupt} corrupt event-stream frames left out" if self.corrupt else None


def _frame_size(body: memoryview, at: int) -> int | None:
    """Return the length of the frame that starts here, None when no sound prelude does."""
    if at + _PRELUDE > len(body):
        return None
    total = int.from_bytes(body[at : at + 4])
    headers = int.from_bytes(body[at + 4 : at + 8])
    if not _SMALLEST <= total <= _LARGEST or headers > total - _SMALLEST:
        return None
    if crc32(body[at : at + 8]) != int.from_bytes(body[at + 8 : at + 12]):
        return None
    return total


def _next_frame(body: bytes, view: memoryview, at: int) -> int:
    """Return where the next frame starts whose prelude is sound, so that one damaged frame loses no other."""
    # A frame shorter than 16 MiB starts with a zero byte; its checksum tells it from other zeros.
    at = body.find(0, at)
    while at != -1:
        size = _frame_size(view, at)
        if size is not None and at + size <= len(body):
            return at
        at = body.find(0, at + 1)
    return len(body)


def _frame(raw: memoryview) -> Frame | None:
    if crc32(raw[:-_TAIL]) != int.from_bytes(raw[-_TAIL:]):
        return None
    start = _PRELUDE + int.from_bytes(raw[4:8])
    headers = _headers(bytes(raw[_PRELUDE:start]))
    return None if headers is None else Frame(headers, bytes(raw[start:-_TAIL]))


@lru_cache(maxsize=256)
def _headers(raw: bytes) -> Mapping[str, str] | None:
    """Return the string headers; None when they do not add up. The frames of a stream share a few sets of them."""
    out: dict[str, str] = {}
    at = 0
    while at < len(raw):
        value_at = at + 2 + raw[at]
        if value_at > len(raw):
            return None
        name, kind = raw[at + 1 : value_at - 1], raw[value_at - 1]
        if kind in (_BYTES, _STRING):
            size = int.from_bytes(raw[value_at : value_at + 2])
            at = value_at + 2 + size
        elif kind in _FIXED:
            at = value_at + _FIXED[kind]
        else:
            return None
        if at > len(raw):
            return None
        if kind == _STRING:
            out[name.decode(errors="replace")] = raw[value_at + 2 : at].decode(errors="replace")
    return out
