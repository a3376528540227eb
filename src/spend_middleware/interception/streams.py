"""Bodies on their way to the caller: watched as they pass, or read ahead and put back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

from spend_middleware.guard import Guard
from spend_middleware.interception.attempt import Attempt, ReadAhead, abandon
from spend_middleware.interception.exchange import Exchange, Outcome

_filtering = Guard("filtering a stream")


class Around:
    """A stream around another one; whatever is not ours is asked of the inner one (httpx2 asks for `elapsed`)."""

    _source: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_source":
            raise AttributeError(name)
        return getattr(self._source, name)


class Tee(Around):
    """Each chunk is kept by reference and handed on.

    The source is iterated once. A second iteration goes on where the first one stopped: the async openai client
    reads to `[DONE]`, then drains the rest through a new iterator.
    """

    def __init__(self, source: Any, attempt: Attempt) -> None:
        self._source = source
        self._attempt = attempt
        self._iterator: Any = None

    def __del__(self) -> None:
        attempt = self.__dict__.get("_attempt")
        if attempt is not None:
            abandon(attempt)


def strain_of(exchange: Exchange) -> Callable[[bytes], bytes] | None:
    """Give the filter of an exchange, made safe; none for an encoded body, whose bytes it could not read."""
    wanted = exchange.filter
    if wanted is None or "content-encoding" in exchange.headers:
        return None

    def safe(chunk: bytes) -> bytes:
        with _filtering:
            return wanted(chunk)
        return chunk

    return safe


class SyncTee(Tee):
    """A tee for sync clients."""

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._attempt.exchange
        strain = strain_of(exchange)
        kept = exchange.keep()
        append, room, first = kept.head.append, kept.room, exchange.first_byte is None
        try:
            if self._iterator is None:
                self._iterator = iter(self._source)
            for chunk in self._iterator:
                if first:
                    first = False
                    exchange.first_byte = time.time()
                room -= len(chunk)
                if room >= 0:
                    append(chunk)
                else:
                    kept.overflow(chunk)
                if strain is None:
                    yield chunk
                elif passed := strain(chunk):
                    yield passed
        except GeneratorExit:
            # The caller stopped here; it may come back, or close.
            raise
        except BaseException as error:
            self._attempt.cut(error)
            raise
        finally:
            kept.room = min(kept.room, room)
        if strain is not None and (held := strain(b"")):
            yield held
        self._attempt.finish(Outcome.COMPLETE)

    def close(self) -> None:
        """Close the source; a body that was not read to its end is recorded as it is."""
        try:
            self._source.close()
        finally:
            self._attempt.finish(Outcome.ABORTED)


class AsyncTee(Tee):
    """A tee for async clients."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._attempt.exchange
        strain = strain_of(exchange)
        kept = exchange.keep()
        append, room, first = kept.head.append, kept.room, exchange.first_byte is None
        try:
            if self._iterator is None:
                self._iterator = aiter(self._source)
            async for chunk in self._iterator:
                if first:
                    first = False
                    exchange.first_byte = time.time()
                room -= len(chunk)
                if room >= 0:
                    append(chunk)
                else:
                    kept.overflow(chunk)
                if strain is None:
                    yield chunk
                elif passed := strain(chunk):
                    yield passed
        except GeneratorExit:
            # The caller stopped here; it may come back, or close.
            raise
        except BaseException as error:
            self._attempt.cut(error)
            raise
        finally:
            kept.room = min(kept.room, room)
        if strain is not None and (held := strain(b"")):
            yield held
        self._attempt.finish(Outcome.COMPLETE)

    async def aclose(self) -> None:
        """Close the source; a body that was not read to its end is recorded as it is."""
        try:
            await self._source.aclose()
        finally:
            self._attempt.finish(Outcome.ABORTED)


def read_ahead(stream: Any, limit: int) -> ReadAhead:
    """Read a body up to the limit."""
    read = ReadAhead()
    try:
        iterator = iter(stream)
        for chunk in iterator:
            read.chunks.append(chunk)
            limit -= len(chunk)
            if limit < 0:
                read.rest = iterator
                break
    except Exception as error:
        read.error = error
    return read


async def aread_ahead(stream: Any, limit: int) -> ReadAhead:
    """Read a body up to the limit."""
    read = ReadAhead()
    try:
        iterator = aiter(stream)
        async for chunk in iterator:
            read.chunks.append(chunk)
            limit -= len(chunk)
            if limit < 0:
                read.rest = iterator
                break
    except Exception as error:
        read.error = error
    return read


class Replay(Around):
    """A body that was read ahead: the same chunks, the same error at the same place, the same close."""

    def __init__(self, source: Any, read: ReadAhead) -> None:
        self._source = source
        self._read = read


class SyncReplay(Replay):
    """A replay for sync clients."""

    def __iter__(self) -> Iterator[bytes]:
        read = self._read
        return iter(read.chunks) if read.rest is None and read.error is None else self._broken()

    def _broken(self) -> Iterator[bytes]:
        yield from self._read.chunks
        if self._read.rest is not None:
            yield from self._read.rest
        if self._read.error is not None:
            raise self._read.error

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class Given:
    """Chunks that are here already, as an async iterator.

    No generator: asyncio keeps a weak reference to each of those, which costs more than the iteration.
    """

    __slots__ = ("_next",)

    def __init__(self, chunks: list[bytes]) -> None:
        self._next = iter(chunks).__next__

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return self._next()
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """End the iteration, as a generator's would."""
        self._next = iter(()).__next__


class AsyncReplay(Replay):
    """A replay for async clients."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        read = self._read
        return Given(read.chunks) if read.rest is None and read.error is None else self._broken()

    async def _broken(self) -> AsyncIterator[bytes]:
        for chunk in self._read.chunks:
            yield chunk
        if self._read.rest is not None:
            async for chunk in self._read.rest:
                yield chunk
        if self._read.error is not None:
            raise self._read.error

    async def aclose(self) -> None:
        """Close the source."""
        await self._source.aclose()
