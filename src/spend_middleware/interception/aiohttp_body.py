"""Bodies of aiohttp, watched where its parser feeds them to a response's reader: decoded, in time, before any caller."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

from spend_middleware.guard import Guard
from spend_middleware.interception.attempt import Attempt, abandon
from spend_middleware.interception.exchange import NONE_ADDED, Outcome
from spend_middleware.interception.streams import strain_of

_answering = Guard("adding headers to an answer of aiohttp")
_watching = Guard("watching a body of aiohttp")


def watch(response: Any, reader: Any, attempt: Attempt) -> None:
    """Have an attempt see what is fed to the reader of a response, and what has been already."""
    body = Body(response, attempt)
    if response._body is not None:
        # A function given as `raise_for_status` has read it.
        attempt.exchange.feed(response._body)
    else:
        early = b"".join(getattr(reader, "_buffer", ()))
        seen = body.fed(early) if early else b""
        if reader.is_eof():
            seen += body.held()
        if seen != early:
            _refill(reader, seen)
    if reader.is_eof():
        body.ended(Outcome.COMPLETE)
    elif (error := reader.exception()) is not None:
        body.broken(error)
    else:
        _bodies.setdefault(id(reader), []).append(body)
        if type(reader) not in _kinds:
            reader.__class__ = _watched_class(type(reader))


def _refill(reader: Any, content: bytes) -> None:
    """Put other bytes in the place of those that nobody has read yet."""
    reader._buffer = deque([content] if content else [])
    reader._size = reader.total_bytes = len(content)
    splits = reader._http_chunk_splits
    if splits is not None:
        # A list or a deque, by version.
        splits.clear()
        splits.extend([len(content)] if content else [])


def add(response: Any, added: Mapping[bytes, bytes]) -> None:
    """Give a response further headers. Its old ones stay as they are: somebody may be going through them."""
    told = {name.decode("latin-1"): value.decode("latin-1") for name, value in added.items()}
    headers = {name: value for name, value in told.items() if name not in response.headers}
    if headers:
        from multidict import CIMultiDict, CIMultiDictProxy

        found = CIMultiDict(response.headers)
        found.extend(headers)
        response._headers = CIMultiDictProxy(found)
        response._cache.pop("headers", None)


class Body:
    """What one attempt sees of a body."""

    __slots__ = ("_response", "_strain", "attempt")

    def __init__(self, response: Any, attempt: Attempt) -> None:
        # The reader, which the response holds, is the key under which this is kept.
        self._response = weakref.ref(response)
        self._strain = strain_of(attempt.exchange)
        self.attempt = attempt

    def fed(self, chunk: bytes) -> bytes:
        """See a chunk, and return what of it is the caller's."""
        self.attempt.exchange.feed(chunk)
        return chunk if self._strain is None else self._strain(chunk)

    def held(self) -> bytes:
        """Return what the filter holds back at the end."""
        return b"" if self._strain is None else self._strain(b"")

    def ended(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Record the attempt; the response, if it is still there, says what it cost."""
        added = self.attempt.finish(outcome, error)
        if added is not NONE_ADDED and (response := self._response()) is not None:
            with _answering:
                add(response, added())

    def broken(self, error: BaseException) -> None:
        """The body broke off, or the caller has closed the response: aiohttp says both with an exception."""
        if type(error).__name__ != "ClientConnectionError":
            self.attempt.cut(error)
            return
        now = sys.exception()
        if isinstance(now, TimeoutError):
            self.attempt.cut(now)
        else:
            self.ended(Outcome.ABORTED, now if isinstance(now, asyncio.CancelledError) else None)


_bodies: dict[int, list[Body]] = {}
"""Who sees the body of a reader, by its identity: a reader has slots, and none for us."""


_watched: dict[type, type] = {}
_kinds: set[type] = set()


def _watched_class(kind: Any) -> type:
    """Make a class of readers that show what they are fed, and are themselves again when that has ended."""
    if kind in _watched:
        return _watched[kind]

    def feed_data(self: Any, chunk: bytes, *rest: Any) -> Any:
        with _watching:
            for body in _bodies.get(id(self), ()):
                if chunk:
                    chunk = body.fed(chunk)
        return kind.feed_data(self, chunk, *rest)

    def leave(self: Any) -> list[Body]:
        self.__class__ = kind
        return _bodies.pop(id(self), [])

    def feed_eof(self: Any) -> None:
        bodies = leave(self)
        with _watching:
            held = b""
            for body in bodies:
                held = (body.fed(held) if held else b"") + body.held()
            if held:
                kind.feed_data(self, held)
        for body in bodies:
            body.ended(Outcome.COMPLETE)
        kind.feed_eof(self)

    def set_exception(self: Any, error: BaseException, *cause: Any) -> None:
        for body in leave(self):
            with _watching:
                body.broken(error)
        kind.set_exception(self, error, *cause)

    def __del__(self: Any) -> None:  # noqa: N807
        for body in _bodies.pop(id(self), ()):
            abandon(body.attempt)

    methods = (feed_data, feed_eof, set_exception, __del__)
    made = type(kind.__name__, (kind,), {"__slots__": (), **{method.__name__: method for method in methods}})
    _watched[kind] = made
    _kinds.add(made)
    return made
