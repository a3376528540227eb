"""The eight ways in which a call can be seen: {httpx, httpx2} x {sync, async} x {instrument, transport}."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from spend_middleware.interception.clients import instrument, uninstrument, wrap_transport
from spend_middleware.interception.exchange import Added, Answer, Exchange

URL = "https://api.openai.com/v1/chat/completions"
JSON = [("content-type", "application/json"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
SSE = [("content-type", "text/event-stream"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
ASKED = b'{"model":"gpt-4o", "messages":[]}'
COST = ("x-litellm-response-cost", "0.00123")
CALL_ID = ("x-litellm-call-id", "call-1")


@dataclass
class Watcher:
    """An observer that keeps what it sees; `opens` is what it does to each exchange before it goes out."""

    opens: Callable[[Exchange], None] = lambda exchange: None
    open: list[Exchange] = field(default_factory=list)
    done: list[Exchange] = field(default_factory=list)

    def recognise(self, method: str, host: str, path: str) -> object | None:
        return "a route" if method == "POST" and host.startswith(("api.", "127.")) else None

    def opened(self, exchange: Exchange) -> None:
        self.open.append(exchange)
        self.opens(exchange)

    def answered(self, exchange: Exchange) -> Added:
        return added(CALL_ID)

    def finished(self, exchange: Exchange) -> Added:
        self.done.append(exchange)
        return added(CALL_ID, COST)


def added(*headers: tuple[str, str]) -> Added:
    """Return headers as an observer gives them."""
    made = {name.encode(): value.encode() for name, value in headers}
    return lambda: made


@dataclass
class Upstream:
    """What stands behind the client: canned answers, one a request, the last one again and again.

    Args:
        chunks: The body.
        breaks: Raised after the chunks, in place of the body's end.
        refuses: Raised in place of an answer.
    """

    library: Any
    chunks: Sequence[bytes] = (b"{}",)
    headers: Sequence[tuple[str, str]] = tuple(JSON)
    status: int = 200
    breaks: BaseException | None = None
    refuses: BaseException | None = None
    then: Upstream | None = None
    seen: list[tuple[list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    given: int = 0
    closed: int = 0

    def transport(self, asynchronous: bool) -> Any:
        upstream, library = self, self.library

        class Sync(library.BaseTransport):  # type: ignore[misc, name-defined]
            pool = "the inner transport's own"

            def handle_request(self, request: Any) -> Any:
                return upstream.answer(request, request.read())

        class Async(library.AsyncBaseTransport):  # type: ignore[misc, name-defined]
            pool = "the inner transport's own"

            async def handle_async_request(self, request: Any) -> Any:
                return upstream.answer(request, await request.aread())

        return Async() if asynchronous else Sync()

    def answer(self, request: Any, content: bytes) -> Any:
        self.seen.append((request.headers.raw, content))
        now = self if self.then is None or len(self.seen) == 1 else self.then
        if now.refuses is not None:
            raise now.refuses
        return self.library.Response(now.status, headers=now.headers, stream=now._stream(self))

    def _stream(self, counts: Upstream) -> Any:
        now, library = self, self.library

        class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc, name-defined]
            def __iter__(self) -> Iterator[bytes]:
                for chunk in now.chunks:
                    counts.given += 1
                    yield chunk
                if now.breaks is not None:
                    raise now.breaks

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for chunk in now.chunks:
                    counts.given += 1
                    yield chunk
                if now.breaks is not None:
                    raise now.breaks

            def close(self) -> None:
                counts.closed += 1

            async def aclose(self) -> None:
                counts.closed += 1

        return Body()


@dataclass(frozen=True)
class Way:
    """One of the eight ways, with sync clients spoken to as if they were async, so that a test is written once."""

    library: Any
    asynchronous: bool
    at: str

    def __str__(self) -> str:
        return f"{self.library.__name__}-{'async' if self.asynchronous else 'sync'}-{self.at}"

    def upstream(self, **what: Any) -> Upstream:
        return Upstream(self.library, **what)

    @asynccontextmanager
    async def client(
        self, upstream: Upstream | Any, *watchers: Watcher, **options: Any
    ) -> AsyncIterator[Any]:
        """Give a client whose calls the watchers see."""
        inner = upstream.transport(self.asynchronous) if isinstance(upstream, Upstream) else upstream
        if self.at == "transport":
            for watcher in watchers:
                inner = wrap_transport(inner, watcher)
        else:
            for watcher in watchers:
                instrument(watcher)
        try:
            if self.asynchronous:
                async with self.library.AsyncClient(transport=inner, **options) as client:
                    yield client
            else:
                with self.library.Client(transport=inner, **options) as client:
                    yield client
        finally:
            for watcher in watchers:
                uninstrument(watcher)

    async def send(
        self, client: Any, stream: bool = False, content: Any = ASKED, url: str = URL, **more: Any
    ) -> Any:
        request = client.build_request("POST", url, content=content, **more)
        return await self.done(client.send(request, stream=stream))

    async def done(self, result: Any) -> Any:
        return await result if self.asynchronous else result

    async def raw(self, response: Any) -> AsyncIterator[bytes]:
        if self.asynchronous:
            async for chunk in response.aiter_raw():
                yield chunk
        else:
            for chunk in response.iter_raw():
                yield chunk

    async def close(self, response: Any) -> None:
        await self.done(response.aclose() if self.asynchronous else response.close())


def ways() -> list[Way]:
    libraries = [importlib.import_module(name) for name in ("httpx", "httpx2")]
    return [Way(*parts) for parts in itertools.product(libraries, (False, True), ("instrument", "transport"))]


def refusal(status: int = 422) -> Answer:
    return Answer(status, [("content-type", "application/json")], b'{"error":{"message":"budget"}}')
