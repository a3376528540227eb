"""Whole and streamed answers pass as they are, and are recorded once."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from spend_middleware.interception.exchange import Exchange, Outcome
from wire_ways import ASKED, CALL_ID, COST, JSON, SSE, Watcher, Way, refusal, ways

pytestmark = pytest.mark.anyio

EVENTS = [b"data: {}\r\n\r\n" * 3, b": comment\n\n", b'data: {"usage":{}}\n\n', b"data: [DONE]\n\n"]
BODY = b"".join(EVENTS)


def cut(body: bytes, how: str) -> list[bytes]:
    if how == "1 byte":
        return [body[i : i + 1] for i in range(len(body))]
    if how == "at random":
        dice, chunks = random.Random(7), []
        while body:
            size = dice.choice([1, 2, 3, 7, 40])
            chunks.append(body[:size])
            body = body[size:]
        return chunks
    return EVENTS if how == "event" else [body]


@pytest.fixture(params=ways(), ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("how", ["whole", "event", "1 byte", "at random"])
async def test_a_stream_passes_byte_for_byte_and_is_kept_decoded(way: Way, how: str, encoding: str) -> None:
    codings: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
    }
    coded = codings[encoding](BODY)
    chunks = cut(coded, "1 byte" if encoding and how == "event" else how)
    headers = [*SSE, ("content-encoding", encoding)] if encoding else SSE
    upstream, watcher = way.upstream(chunks=chunks, headers=headers), Watcher()
    async with way.client(upstream, watcher) as client:
        response = await way.send(client, stream=True)
        got = [chunk async for chunk in way.raw(response)]
        await way.close(response)
    assert got == chunks
    (exchange,) = watcher.done
    assert (exchange.outcome, exchange.content(), exchange.whole) == (Outcome.COMPLETE, BODY, True)
    assert exchange.first_byte is not None
    assert exchange.ended is not None
    assert upstream.closed == 1


async def test_a_whole_answer_carries_its_cost_and_all_its_own_headers(way: Way) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(chunks=[b'{"usage"', b":{}}"]), watcher) as client:
        response = await way.send(client)
    assert response.content == b'{"usage":{}}'
    assert [pair for pair in response.headers.multi_items() if pair[0] != "content-type"] == [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        CALL_ID,
        COST,
    ]
    (exchange,) = watcher.done
    assert (exchange.status, exchange.content(), exchange.outcome) == (200, b'{"usage":{}}', Outcome.COMPLETE)
    assert exchange.request_body == ASKED
    assert "set-cookie" not in exchange.headers
    assert response.elapsed.total_seconds() >= 0
    assert response.is_closed


async def test_a_streamed_answer_says_the_call_before_its_cost_is_known(way: Way) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(chunks=EVENTS, headers=SSE), watcher) as client:
        response = await way.send(client, stream=True)
        assert response.headers.get(CALL_ID[0]) == CALL_ID[1]
        assert COST[0] not in response.headers
        assert watcher.done == []
        await way.close(response)
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert len(watcher.done) == 1


async def test_a_header_of_a_proxy_upstream_stays(way: Way) -> None:
    upstream = way.upstream(headers=[*JSON, (COST[0], "0.5")])
    async with way.client(upstream, Watcher()) as client:
        response = await way.send(client)
    assert response.headers.get_list(COST[0]) == ["0.5"]


async def test_other_traffic_is_left_alone(way: Way) -> None:
    upstream, watcher = way.upstream(), Watcher()

    class Untouchable:
        def __iter__(self) -> Any:
            raise AssertionError("read")

    async with way.client(upstream, watcher) as client:
        response = await way.send(client, url="https://example.org/v1/chat/completions")
        assert COST[0] not in response.headers
        assert "spend" not in response.request.extensions
    assert watcher.open == []


async def test_a_response_that_is_read_already_is_recorded(way: Way) -> None:
    """Mocks, caches: wrapping the stream of such a response would see nothing."""
    for stream in (False, True):
        watcher = Watcher()
        mock = way.library.MockTransport(
            lambda request: way.library.Response(200, json={"usage": {}}, headers={"x-cache": "hit"})
        )
        async with way.client(mock, watcher) as client:
            response = await way.send(client, stream=stream)
            assert response.json() == {"usage": {}}
            assert response.headers[COST[0]] == COST[1]
            await way.close(response)
        assert [exchange.content() for exchange in watcher.done] == [b'{"usage":{}}']


async def test_a_response_that_a_hook_has_read_is_recorded(way: Way) -> None:
    def hook(response: Any) -> None:
        response.read()

    async def ahook(response: Any) -> None:
        await response.aread()

    watcher = Watcher()
    hooks = {"response": [ahook if way.asynchronous else hook]}
    async with way.client(way.upstream(chunks=EVENTS, headers=SSE), watcher, event_hooks=hooks) as client:
        response = await way.send(client, stream=True)
        await way.close(response)
    assert [exchange.content() for exchange in watcher.done] == [BODY]


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_an_error_is_an_answer_like_any_other(way: Way, status: int) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(status=status, chunks=[b'{"error":{}}']), watcher) as client:
        response = await way.send(client)
    assert (response.status_code, response.content) == (status, b'{"error":{}}')
    assert [exchange.status for exchange in watcher.done] == [status]


async def test_a_redirect_is_followed_with_body_and_headers(way: Way) -> None:
    upstream = way.upstream(
        status=307, headers=[("location", "https://api.openai.com/v1/there")], chunks=[b""]
    )
    upstream.then = way.upstream(chunks=[b'{"usage":{}}'])
    watcher = Watcher()
    async with way.client(upstream, watcher, follow_redirects=True) as client:
        response = await way.send(client)
    assert [content for _, content in upstream.seen] == [ASKED, ASKED]
    assert response.headers[COST[0]] == COST[1]
    # A client sees its call; a transport sees each hop.
    assert [exchange.status for exchange in watcher.done] == ([200] if way.at == "instrument" else [307, 200])


async def test_an_auth_flow_sees_its_responses(way: Way) -> None:
    class Twice(way.library.Auth):  # type: ignore[misc, name-defined]
        requires_response_body = True

        def auth_flow(self, request: Any) -> Any:
            response = yield request
            assert response.content == b"{}"
            request.headers["x-second"] = "yes"
            yield request

    upstream, watcher = way.upstream(), Watcher()
    async with way.client(upstream, watcher, auth=Twice()) as client:
        await way.send(client)
    assert [(b"x-second", b"yes") in headers for headers, _ in upstream.seen] == [False, True]
    assert len(watcher.done) == (1 if way.at == "instrument" else 2)


async def test_a_long_body_keeps_its_two_ends(way: Way) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.max_body_bytes = 1000

    watcher = Watcher(opens)
    chunks = [b"%03d," % number for number in range(1000)]
    async with way.client(way.upstream(chunks=chunks), watcher) as client:
        response = await way.send(client, stream=True)
        got = [chunk async for chunk in way.raw(response)]
    assert got == chunks
    (exchange,) = watcher.done
    kept = exchange.content()
    assert kept.startswith(b"000,001,")
    assert kept.endswith(b"998,999,")
    assert len(kept) <= 1004
    assert not exchange.whole


async def test_a_made_answer_goes_to_the_caller_and_nothing_goes_out(way: Way) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.answer = refusal()

    for stream in (False, True):
        upstream, watcher = way.upstream(), Watcher(opens)
        async with way.client(upstream, watcher) as client:
            response = await way.send(client, stream=stream)
            assert isinstance(response, way.library.Response)
            assert response.status_code == 422
            await way.done(response.aread() if way.asynchronous else response.read())
            assert response.json() == {"error": {"message": "budget"}}
            assert response.request.url == "https://api.openai.com/v1/chat/completions"
            assert response.elapsed.total_seconds() >= 0
        assert upstream.seen == []
        assert [exchange.status for exchange in watcher.done] == [422]


async def test_two_observers_see_each_call_once(way: Way) -> None:
    first, second = Watcher(), Watcher()
    async with way.client(way.upstream(chunks=EVENTS, headers=SSE), first, second) as client:
        response = await way.send(client, stream=True)
        assert b"".join([chunk async for chunk in way.raw(response)]) == BODY
    assert [[exchange.content() for exchange in watcher.done] for watcher in (first, second)] == [
        [BODY],
        [BODY],
    ]


async def test_a_fault_of_an_observer_changes_nothing(way: Way) -> None:
    class Faulty(Watcher):
        def answered(self, exchange: Exchange) -> Any:
            raise ValueError("answered")

        def finished(self, exchange: Exchange) -> Any:
            raise ValueError("finished")

    for stream, headers in ((False, JSON), (True, SSE)):
        async with way.client(way.upstream(chunks=EVENTS, headers=headers), Faulty()) as client:
            response = await way.send(client, stream=stream)
            await way.done(response.aread() if way.asynchronous else response.read())
            assert response.content == BODY


@pytest.mark.parametrize("at", ["recognise", "opened"])
async def test_a_fault_before_the_call_leaves_it_unmetered(way: Way, at: str) -> None:
    def fault(*args: object) -> Any:
        raise RuntimeError(at)

    watcher = Watcher()
    setattr(watcher, at, fault)
    async with way.client(way.upstream(), watcher) as client:
        response = await way.send(client)
    assert response.content == b"{}"
    assert watcher.done == []
