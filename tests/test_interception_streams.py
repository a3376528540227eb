"""Bodies that end otherwise than well: left, cancelled, broken, forgotten; and bodies that are filtered."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from spend_middleware.interception.attempt import settle
from spend_middleware.interception.exchange import Exchange, Outcome
from wire_ways import CALL_ID, COST, SSE, Watcher, Way, ways

pytestmark = pytest.mark.anyio

EVENTS = [b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n", b": rest\n\n"]


@pytest.fixture(params=ways(), ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def ends(watcher: Watcher) -> list[tuple[Outcome | None, str | None, bytes]]:
    return [(exchange.outcome, exchange.error, exchange.content()) for exchange in watcher.done]


@pytest.mark.parametrize(
    ("read", "outcome"),
    [(0, Outcome.ABORTED), (1, Outcome.ABORTED), (3, Outcome.COMPLETE), (4, Outcome.COMPLETE)],
    ids=["unread", "left early", "left at the end marker", "read to the end"],
)
async def test_a_stream_is_recorded_when_it_is_closed(way: Way, read: int, outcome: Outcome) -> None:
    upstream, watcher = way.upstream(chunks=EVENTS, headers=SSE), Watcher()
    async with way.client(upstream, watcher) as client:
        response = await way.send(client, stream=True)
        chunks = way.raw(response)
        got = [await anext(chunks) for _ in range(read)]
        await way.close(response)
        await way.close(response)
        assert ends(watcher) == [(outcome, None, b"".join(got))]
        await chunks.aclose()  # type: ignore[attr-defined]
    assert upstream.closed == 1
    assert upstream.given == read
    assert len(watcher.done) == 1


async def test_a_second_iteration_goes_on_where_the_first_one_stopped(way: Way) -> None:
    """The async openai client reads to [DONE], then drains what is left through `response.stream`."""
    upstream, watcher = way.upstream(chunks=EVENTS, headers=SSE), Watcher()
    async with way.client(upstream, watcher) as client:
        response = await way.send(client, stream=True)
        first = way.raw(response)
        got = [await anext(first) for _ in range(3)]
        if way.asynchronous:
            rest = [chunk async for chunk in response.stream]
            again = [chunk async for chunk in response.stream]
        else:
            rest, again = list(response.stream), list(response.stream)
        await first.aclose()  # type: ignore[attr-defined]
        await way.close(response)
    assert (got, rest, again) == (EVENTS[:3], EVENTS[3:], [])
    assert upstream.given == len(EVENTS)
    assert ends(watcher) == [(Outcome.COMPLETE, None, b"".join(EVENTS))]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_body_that_breaks_off_raises_the_same_error(way: Way, stream: bool) -> None:
    error = way.library.ReadError("gone")
    for headers in (SSE, [("content-type", "application/json")]):
        upstream, watcher = way.upstream(chunks=EVENTS[:2], headers=headers, breaks=error), Watcher()
        got = []
        async with way.client(upstream, watcher) as client:
            with pytest.raises(way.library.ReadError) as raised:  # noqa: PT012
                response = await way.send(client, stream=stream)
                try:
                    async for chunk in way.raw(response):
                        got.append(chunk)  # noqa: PERF401
                finally:
                    await way.close(response)
        assert raised.value is error
        assert upstream.closed == 1
        (exchange,) = watcher.done
        assert (exchange.outcome, exchange.error, exchange.status) == (Outcome.BROKEN, "ReadError", 200)
        if stream:
            assert got == EVENTS[:2]
            assert exchange.content() == b"".join(got)


@pytest.mark.parametrize("kind", ["ConnectError", "ConnectTimeout", "ReadTimeout", "RemoteProtocolError"])
async def test_a_call_without_an_answer_is_recorded_and_its_error_passes(way: Way, kind: str) -> None:
    error = getattr(way.library, kind)("no")
    watcher = Watcher()
    async with way.client(way.upstream(refuses=error), watcher) as client:
        with pytest.raises(type(error)) as raised:
            await way.send(client)
    assert raised.value is error
    assert raised.value.__context__ is None
    (exchange,) = watcher.done
    assert (exchange.outcome, exchange.error, exchange.status) == (Outcome.NO_ANSWER, kind, None)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_exit_passes_at_once(way: Way, kind: type[BaseException]) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(chunks=EVENTS, headers=SSE, breaks=kind()), watcher) as client:
        response = await way.send(client, stream=True)
        caught: BaseException | None = None
        try:
            async for _ in way.raw(response):
                pass
        except BaseException as error:
            caught = error
    assert type(caught) is kind
    assert [(exchange.outcome, exchange.error) for exchange in watcher.done] == [
        (Outcome.ABORTED, kind.__name__)
    ]


async def test_a_stream_that_nobody_closes_is_recorded_once_it_is_gone(way: Way) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(chunks=EVENTS, headers=SSE), watcher) as client:
        response = await way.send(client, stream=True)
        chunks = way.raw(response)
        assert await anext(chunks) == EVENTS[0]
        del chunks, response
        # An event loop closes collected generators in tasks of its own, one a layer.
        for _ in range(8):
            gc.collect()
            await anyio.lowlevel.checkpoint()
        settle()
    assert ends(watcher) == [(Outcome.ABORTED, None, EVENTS[0])]


class Slow:
    """A transport whose answer, or body, never comes."""

    def __init__(self, library: Any, headers: Any, answers: bool) -> None:
        self.library, self.headers, self.answers, self.closed = library, headers, answers, 0
        self.waiting = anyio.Event()

    def transport(self) -> Any:
        slow, library = self, self.library

        class Body(library.AsyncByteStream):  # type: ignore[misc, name-defined]
            async def __aiter__(self) -> AsyncIterator[bytes]:
                yield EVENTS[0]
                slow.waiting.set()
                await anyio.sleep_forever()

            async def aclose(self) -> None:
                slow.closed += 1

        class Transport(library.AsyncBaseTransport):  # type: ignore[misc, name-defined]
            async def handle_async_request(self, request: Any) -> Any:
                if not slow.answers:
                    slow.waiting.set()
                    await anyio.sleep_forever()
                return library.Response(200, headers=slow.headers, stream=Body())

        return Transport()


@pytest.mark.parametrize("answers", [False, True], ids=["before the answer", "in the body"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("way", [way for way in ways() if way.asynchronous], ids=str)
async def test_a_cancelled_call_is_recorded_and_closed(way: Way, stream: bool, answers: bool) -> None:
    kind = "text/event-stream" if stream else "application/json"
    slow, watcher = Slow(way.library, [("content-type", kind)], answers), Watcher()

    async def call(client: Any) -> None:
        response = await way.send(client, stream=stream)
        try:
            async for _ in way.raw(response):
                pass
        finally:
            with anyio.CancelScope(shield=True):
                await way.close(response)

    async with way.client(slow.transport(), watcher) as client, anyio.create_task_group() as group:
        group.start_soon(call, client)
        await slow.waiting.wait()
        group.cancel_scope.cancel()
    (exchange,) = watcher.done
    assert (exchange.outcome, exchange.error) == (Outcome.ABORTED, "CancelledError")
    assert exchange.status == (200 if answers else None)
    assert slow.closed == (1 if answers else 0)


class Swallow:
    """A filter that holds one event back and takes out those that say so."""

    def __init__(self) -> None:
        self.held = b""

    def __call__(self, chunk: bytes) -> bytes:
        if not chunk:
            out, self.held = self.held, b""
            return out
        *events, self.held = (self.held + chunk).split(b"\n\n")
        return b"".join(event + b"\n\n" for event in events if b"ours" not in event)


@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_a_filter_takes_out_of_a_stream_what_only_we_asked_for(way: Way, size: int) -> None:
    body = b"data: 1\n\ndata: ours\n\ndata: [DONE]\n\ndata: tail"

    def opens(exchange: Exchange) -> None:
        exchange.filter = Swallow()

    watcher = Watcher(opens)
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    upstream = way.upstream(chunks=chunks, headers=SSE)
    async with way.client(upstream, watcher) as client:
        response = await way.send(client, stream=True, headers={"accept-encoding": "gzip, br"})
        got = [chunk async for chunk in way.raw(response)]
    assert b"".join(got) == b"data: 1\n\ndata: [DONE]\n\ndata: tail"
    assert b"" not in got
    assert [exchange.content() for exchange in watcher.done] == [body]
    # What is to be filtered must come readable.
    assert [value for name, value in upstream.seen[0][0] if name.lower() == b"accept-encoding"] == [
        b"identity"
    ]


async def test_a_faulty_filter_lets_everything_through(way: Way) -> None:
    def fault(chunk: bytes) -> bytes:
        raise ValueError(chunk)

    def opens(exchange: Exchange) -> None:
        exchange.filter = fault

    async with way.client(way.upstream(chunks=EVENTS, headers=SSE), Watcher(opens)) as client:
        response = await way.send(client, stream=True)
        assert [chunk async for chunk in way.raw(response)] == EVENTS


async def test_a_long_json_body_is_not_read_ahead_beyond_the_limit(way: Way) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.max_body_bytes = 10

    chunks = [b"0123456789" for _ in range(5)]
    upstream, watcher = way.upstream(chunks=chunks), Watcher(opens)
    async with way.client(upstream, watcher) as client:
        response = await way.send(client, stream=True)
        assert upstream.given <= 2
        got = [chunk async for chunk in way.raw(response)]
    assert got == chunks
    (exchange,) = watcher.done
    assert exchange.content() != b"".join(chunks)
    assert (exchange.outcome, exchange.whole) == (Outcome.COMPLETE, False)


@pytest.mark.parametrize("way", [way for way in ways() if way.at == "transport"], ids=str)
async def test_a_transport_adds_the_cost_for_a_caller_who_streams_json(way: Way) -> None:
    """A transport is not told whether its caller streams; JSON is read whole by everybody."""
    watcher = Watcher()
    chunks = [b'{"usage"', b":{}}"]
    async with way.client(way.upstream(chunks=chunks), watcher) as client:
        response = await way.send(client, stream=True)
        assert response.headers[COST[0]] == COST[1]
        assert [chunk async for chunk in way.raw(response)] == chunks


@pytest.mark.parametrize("way", [way for way in ways() if way.at == "transport"], ids=str)
async def test_a_streamed_json_array_is_not_read_ahead(way: Way) -> None:
    url = "https://api.google.test/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    upstream = way.upstream(chunks=[b"[{}", b",{}", b"]"])
    async with way.client(upstream, Watcher()) as client:
        response = await way.send(client, stream=True, url=url)
        assert upstream.given == 0
        assert COST[0] not in response.headers
        assert response.headers[CALL_ID[0]] == CALL_ID[1]
        await way.close(response)
