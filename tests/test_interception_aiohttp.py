"""Calls over aiohttp: seen once, whole, with how they ended, and answered as without us."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import io
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from multidict import CIMultiDict

from spend_middleware import Spend
from spend_middleware.guard import faults
from spend_middleware.interception.attempt import settle
from spend_middleware.interception.clients import instrument, uninstrument, wrap_transport
from spend_middleware.interception.exchange import Exchange, Outcome
from standin import Standin
from wire_ways import CALL_ID, COST, Watcher, refusal

pytestmark = pytest.mark.anyio

SAID = "Spend is what was used."
ASK: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "é"}]}
EVENTS = tuple(b'data: {"n":%d}\n\n' % number for number in range(5))


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as found:
        yield found


@pytest.fixture
def standin(running: Standin) -> Standin:
    running.received.clear()
    running.encoding, running.cut_after, running.faults = "", None, []
    return running


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    found = Watcher()
    instrument(found)
    before = sum(faults.values())
    yield found
    uninstrument(found)
    assert sum(faults.values()) == before


See = Callable[[Watcher], Watcher]


@pytest.fixture
def see() -> Iterator[See]:
    """Has a watcher see all calls, until the test ends at the latest."""
    watchers: list[Watcher] = []

    def add(watcher: Watcher) -> Watcher:
        watchers.append(watcher)
        instrument(watcher)
        return watcher

    yield add
    for watcher in watchers:
        uninstrument(watcher)


# -- an upstream that is told what to send and when


@dataclass
class Upstream:
    """A server that sends a head, then chunks, each as soon as the one before was let go.

    Args:
        chunks: The body.
        headers: Further headers of the answer.
        status: The status line's.
        ends: Whether the body is ended; otherwise the connection waits, or breaks off.
        breaks: Whether the connection breaks off after the chunks.
        silent: Whether no byte is answered.
        at_once: Whether head and body leave in one piece.
    """

    chunks: Sequence[bytes] = EVENTS
    headers: Sequence[str] = ("content-type: text/event-stream",)
    status: str = "200 OK"
    ends: bool = True
    breaks: bool = False
    silent: bool = False
    at_once: bool = False
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                self.bodies.append(await self._body(head.lower(), reader))
                if not self.silent:
                    await self._send(writer)
                if self.breaks or not self.ends or self.silent:
                    break
            if not self.breaks:
                await reader.read()
        writer.close()

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if b"transfer-encoding: chunked" in head:
            found = b""
            while size := int(await reader.readline(), 16):
                found += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
            return found
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await reader.readexactly(int(length or 0))

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        if self.status.startswith("204"):
            writer.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            return
        head = "\r\n".join((f"HTTP/1.1 {self.status}", *self.headers, "transfer-encoding: chunked", "", ""))
        pieces = [head.encode(), *(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in self.chunks)]
        if self.ends:
            pieces.append(b"0\r\n\r\n")
        for piece in [b"".join(pieces)] if self.at_once else pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        try:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield f"{self.url}/v1/chat/completions"
        finally:
            server.close()


# -- the ways to read

Read = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]


async def whole(response: aiohttp.ClientResponse) -> bytes:
    return await response.read()


async def text(response: aiohttp.ClientResponse) -> bytes:
    return (await response.text()).encode()


async def content(response: aiohttp.ClientResponse) -> bytes:
    return await response.content.read()


async def in_sevens(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk in response.content.iter_chunked(7)])


async def as_it_comes(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk in response.content.iter_any()])


async def as_it_was_sent(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk, _ in response.content.iter_chunks()])


async def by_line(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([line async for line in response.content])


async def line_by_line(response: aiohttp.ClientResponse) -> bytes:
    found = b""
    while not response.content.at_eof():
        found += await response.content.readline()
    return found


async def from_the_buffer(response: aiohttp.ClientResponse) -> bytes:
    await response.content.wait_eof()
    return response.content.read_nowait()


async def exactly(response: aiohttp.ClientResponse) -> bytes:
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await response.content.readexactly(1 << 20)
    return caught.value.partial


READS: tuple[Read, ...] = (
    whole,
    text,
    content,
    in_sevens,
    as_it_comes,
    as_it_was_sent,
    by_line,
    line_by_line,
    from_the_buffer,
    exactly,
)


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("at_once", [False, True], ids=["piece by piece", "at once"])
async def test_a_body_is_seen_whole_however_it_is_read(read: Read, at_once: bool, watcher: Watcher) -> None:
    async with (
        Upstream(at_once=at_once)() as url,
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK) as response,
    ):
        assert response.headers[CALL_ID[0]] == CALL_ID[1]
        assert await read(response) == b"".join(EVENTS)
        (exchange,) = watcher.done
        assert response.headers[COST[0]] == COST[1]
        assert response.content.__class__ is aiohttp.StreamReader
    assert (exchange.outcome, exchange.error, exchange.status) == (Outcome.COMPLETE, None, 200)
    assert exchange.content() == b"".join(EVENTS)
    assert exchange.whole
    assert exchange.first_byte is not None


@pytest.mark.parametrize("coding", ["gzip", "deflate", ""])
@pytest.mark.parametrize("decodes", [True, False], ids=["decoded", "as it is"])
async def test_an_encoded_body_is_read_for_the_row_and_left_alone(
    coding: str, decodes: bool, watcher: Watcher
) -> None:
    plain = b"".join(EVENTS) * 9000
    deflate = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    wire = deflate.compress(plain) + deflate.flush() if coding else plain
    upstream = Upstream([wire[:99], wire[99:]], [f"content-encoding: {coding}"] if coding else [])
    async with (
        upstream() as url,
        aiohttp.ClientSession(auto_decompress=decodes) as session,
        session.post(url, json=ASK) as response,
    ):
        assert await response.read() == (plain if decodes else wire)
        assert response.headers.get("content-encoding", "") == coding
    (exchange,) = watcher.done
    assert (exchange.content(), exchange.whole) == (plain, True)


async def test_headers_of_the_answer_stay_and_are_not_changed_under_a_reader(watcher: Watcher) -> None:
    upstream = Upstream(headers=["Set-Cookie: a=1", "X-Odd: 1", "set-cookie: b=2"])
    async with upstream() as url, aiohttp.ClientSession() as session, session.post(url, json=ASK) as response:
        reading = iter(response.headers.items())
        found = [next(reading)]
        await response.read()
        found += reading
        sent = [
            ("Set-Cookie", "a=1"),
            ("X-Odd", "1"),
            ("set-cookie", "b=2"),
            ("transfer-encoding", "chunked"),
        ]
        assert [(name.lower(), value) for name, value in found] == [
            *((name.lower(), value) for name, value in sent),
            CALL_ID,
        ]
        assert [(name.decode(), value.decode()) for name, value in response.raw_headers] == sent
        assert response.headers.getall("set-cookie") == ["a=1", "b=2"]
        assert response.cookies["b"].value == "2"


async def test_a_header_of_a_litellm_proxy_stays(watcher: Watcher) -> None:
    upstream = Upstream(headers=["x-litellm-call-id: theirs"])
    async with upstream() as url, aiohttp.ClientSession() as session, session.post(url, json=ASK) as response:
        await response.read()
        assert response.headers.getall(CALL_ID[0]) == ["theirs"]


# -- how it ends


async def leave(response: aiohttp.ClientResponse) -> None:
    await response.content.readline()


async def release(response: aiohttp.ClientResponse) -> None:
    response.release()


async def close(response: aiohttp.ClientResponse) -> None:
    response.close()
    response.close()


@pytest.mark.parametrize("go", [leave, release, close], ids=lambda go: go.__name__)
async def test_a_body_that_is_left_early_is_recorded_with_what_came(
    go: Callable[[aiohttp.ClientResponse], Awaitable[None]], watcher: Watcher
) -> None:
    async with (
        Upstream(ends=False)() as url,
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK) as response,
    ):
        await response.content.readexactly(len(b"".join(EVENTS[:2])))
        assert watcher.done == []
        await go(response)
    (exchange,) = watcher.done
    assert (exchange.outcome, exchange.error) == (Outcome.ABORTED, None)
    assert exchange.content().startswith(b"".join(EVENTS[:2]))


async def test_a_stream_left_at_its_end_marker_is_complete(watcher: Watcher) -> None:
    upstream = Upstream([*EVENTS, b"data: [DONE]\n\n"], ends=False)
    async with upstream() as url, aiohttp.ClientSession() as session, session.post(url, json=ASK) as response:
        async for line in response.content:
            if line == b"data: [DONE]\n":
                break
    assert [exchange.outcome for exchange in watcher.done] == [Outcome.COMPLETE]


# aiohttp itself warns of it.
@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
async def test_an_answer_that_nobody_reads_or_closes_is_recorded(watcher: Watcher) -> None:
    async with Upstream(ends=False)() as url, aiohttp.ClientSession() as session:
        await (await session.post(url, json=ASK)).content.readline()
        assert watcher.done == []
    for _ in range(9):
        # aiohttp keeps such a response for as long as its connection is there.
        await asyncio.sleep(0)
    gc.collect()
    settle()
    assert [exchange.outcome for exchange in watcher.done] == [Outcome.ABORTED]
    assert watcher.done[0].content().startswith(EVENTS[0])


async def divide(call: Any) -> None:
    async with call as response:
        await response.content.readline()
        raise ZeroDivisionError


async def test_an_exception_of_the_callers_own_is_no_error_of_the_call(watcher: Watcher) -> None:
    async with Upstream(ends=False)() as url, aiohttp.ClientSession() as session:
        with pytest.raises(ZeroDivisionError):
            await divide(session.post(url, json=ASK))
    assert [(exchange.outcome, exchange.error) for exchange in watcher.done] == [(Outcome.ABORTED, None)]


@pytest.mark.parametrize("read", [whole, by_line], ids=lambda read: read.__name__)
async def test_a_cancelled_read_is_recorded(read: Read, watcher: Watcher) -> None:
    async with Upstream(ends=False)() as url, aiohttp.ClientSession() as session:
        reading = asyncio.Event()

        async def call() -> None:
            async with session.post(url, json=ASK) as response:
                reading.set()
                await read(response)

        task = asyncio.create_task(call())
        await reading.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(exchange.outcome, exchange.error) for exchange in watcher.done] == [
        (Outcome.ABORTED, "CancelledError")
    ]


async def test_a_read_that_is_cancelled_and_taken_up_again_goes_on(watcher: Watcher) -> None:
    async with (
        Upstream(EVENTS[:2], ends=False)() as url,
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK) as response,
    ):
        await response.content.readexactly(len(b"".join(EVENTS[:2])))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.01)
        assert watcher.done == []
    assert [exchange.outcome for exchange in watcher.done] == [Outcome.ABORTED]


async def test_a_call_cancelled_before_its_answer_is_recorded(watcher: Watcher) -> None:
    upstream = Upstream(silent=True)
    async with upstream() as url, aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.post(url, json=ASK), 0.05)
    assert [(exchange.outcome, exchange.error) for exchange in watcher.done] == [
        (Outcome.ABORTED, "CancelledError")
    ]


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_broken_upstream_is_raised_and_recorded(coding: str, watcher: Watcher) -> None:
    deflate = zlib.compressobj(wbits=31)
    plain = b"".join(EVENTS)
    wire = deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH) if coding else plain
    headers = [f"content-encoding: {coding}"] if coding else []
    async with (
        Upstream([wire], headers, ends=False, breaks=True)() as url,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.post(url, json=ASK) as response:
                await response.read()
    (exchange,) = watcher.done
    assert (exchange.outcome, exchange.error) == (Outcome.BROKEN, "ClientPayloadError")
    assert exchange.content() == plain


async def test_nobody_at_home_is_raised_and_recorded(watcher: Watcher) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post("http://127.0.0.1:9/v1/chat/completions", json=ASK)
    assert [(exchange.outcome, exchange.error) for exchange in watcher.done] == [
        (Outcome.NO_ANSWER, "ClientConnectorError")
    ]


@pytest.mark.parametrize("silent", [True, False], ids=["before the answer", "in the body"])
@pytest.mark.parametrize("limit", ["total", "sock_read"])
async def test_a_timeout_is_raised_and_recorded(silent: bool, limit: str, watcher: Watcher) -> None:
    timeout = aiohttp.ClientTimeout(**{limit: 0.05})
    async with (
        Upstream(silent=silent, ends=False)() as url,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        with pytest.raises(TimeoutError) as caught:
            async with session.post(url, json=ASK) as response:
                await response.read()
    (exchange,) = watcher.done
    assert exchange.outcome is (Outcome.NO_ANSWER if silent else Outcome.BROKEN)
    assert exchange.error == type(caught.value).__name__


@pytest.mark.parametrize("judge", ["true", "function", "session"])
async def test_an_answer_that_raises_for_its_status_is_recorded_with_it(judge: str, watcher: Watcher) -> None:
    async def read(response: aiohttp.ClientResponse) -> None:
        assert await response.text()
        response.raise_for_status()

    upstream = Upstream([b'{"error":{}}'], ["content-type: application/json"], "429 Too Many Requests")
    options: dict[str, Any] = (
        {} if judge == "session" else {"raise_for_status": True if judge == "true" else read}
    )
    async with upstream() as url, aiohttp.ClientSession(raise_for_status=judge == "session") as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await session.post(url, json=ASK, **options)
    (exchange,) = watcher.done
    assert (exchange.status, exchange.error) == (429, "ClientResponseError")
    assert exchange.headers["content-type"] == "application/json"


async def test_a_body_that_a_judge_of_the_status_has_read_is_seen(watcher: Watcher) -> None:
    async def read(response: aiohttp.ClientResponse) -> None:
        await response.read()

    async with (
        Upstream()() as url,
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK, raise_for_status=read) as response,
    ):
        assert await response.read() == b"".join(EVENTS)
    assert [exchange.content() for exchange in watcher.done] == [b"".join(EVENTS)]


async def test_an_answer_without_a_body_is_complete(watcher: Watcher) -> None:
    async with (
        Upstream((), status="204 No Content")() as url,
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK) as response,
    ):
        assert await response.read() == b""
    assert [(exchange.outcome, exchange.content()) for exchange in watcher.done] == [(Outcome.COMPLETE, b"")]


async def test_a_redirect_is_folded_and_a_retry_is_not(standin: Standin, watcher: Watcher) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{standin.url}/elsewhere/v1/chat/completions", json=ASK) as response:
            assert (await response.json())["choices"][0]["message"]["content"] == SAID
        standin.faults = [500]
        for _ in range(2):
            async with session.post(f"{standin.url}/v1/chat/completions", json=ASK) as response:
                await response.read()
    assert [exchange.status for exchange in watcher.done] == [200, 500, 200]


# -- what leaves


async def chunks() -> AsyncIterator[bytes]:
    yield b'{"model":'
    yield b'"m"}'


def form() -> aiohttp.FormData:
    found = aiohttp.FormData({"model": "whisper-1"})
    found.add_field("file", io.BytesIO(b"RIFF"), filename="a.wav")
    return found


BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    "json": lambda: {"json": ASK},
    "json with its own content type": lambda: {"json": ASK, "headers": {"Content-Type": "application/x"}},
    "bytes": lambda: {"data": b' {"odd" :\n1}'},
    "bytearray": lambda: {"data": bytearray(b'{"odd":1}')},
    "text": lambda: {"data": '{"odd" : "é"}'},
    "payload": lambda: {"data": aiohttp.BytesPayload(b'{"odd":1}', content_type="application/json")},
    "stream": lambda: {"data": chunks()},
    "file": lambda: {"data": io.BytesIO(b'{"odd":1}')},
    "fields": lambda: {"data": {"model": "m", "n": "1"}},
    "nothing": dict,
    "odd headers": lambda: {"data": b"{}", "headers": CIMultiDict([("X-Odd", "1"), ("x-odd", "é")])},
    "query": lambda: {"json": ASK, "params": {"api-version": "1 2"}},
    "compressed": lambda: {"json": ASK, "compress": "deflate"},
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_request_with_nothing_of_ours_leaves_as_without_us(name: str, see: See) -> None:
    upstream, watcher = Upstream(), Watcher()
    async with upstream() as url, aiohttp.ClientSession(headers={"X-Own": "1"}) as session:
        for watched in (False, True):
            if watched:
                see(watcher)
            async with session.post(url, **BODIES[name]()) as response:
                await response.read()
    uninstrument(watcher)
    assert upstream.heads[0] == upstream.heads[1]
    assert upstream.bodies[0] == upstream.bodies[1]
    (exchange,) = watcher.done
    readable = name not in {"stream", "file", "fields", "nothing"}
    plain = zlib.decompress(upstream.bodies[0]) if name == "compressed" else upstream.bodies[0]
    assert exchange.request_body == (plain if readable else None)
    assert exchange.request_headers["x-own"] == "1"
    assert str(exchange.address).startswith(url)


async def test_the_model_of_an_upload_is_read_and_its_file_is_not(watcher: Watcher) -> None:
    upstream = Upstream()
    async with upstream() as url, aiohttp.ClientSession() as session:
        for fields in (form(), {"model": "whisper-1", "file": io.BytesIO(b"RIFF")}):
            async with session.post(url, data=fields) as response:
                await response.read()
    assert [exchange.request_form for exchange in watcher.done] == [{"model": "whisper-1"}] * 2
    assert all(b"RIFF" in body for body in upstream.bodies)


@pytest.mark.parametrize("name", ["json", "bytes", "text", "payload", "stream", "compressed"])
async def test_what_is_ours_is_taken_out(name: str, see: See) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.new_body = b'{"new":"\xc3\xa9"}' if exchange.request_body else None
        exchange.drop_headers = ["x-litellm-tags"]

    upstream, bare, watcher = Upstream(), Upstream(), Watcher(opens)
    for server in (bare, upstream):
        async with server() as url, aiohttp.ClientSession(headers={"X-LiteLLM-Tags": "b"}) as session:
            options = BODIES[name]()
            options["headers"] = {**options.get("headers", {}), "x-litellm-tags": "a", "X-Own": "1"}
            if server is upstream:
                see(watcher)
            async with session.post(url, **options) as response:
                await response.read()
    uninstrument(watcher)
    (body,) = upstream.bodies
    if name == "compressed":
        body = zlib.decompress(body)
    assert body == (b'{"model":"m"}' if name == "stream" else b'{"new":"\xc3\xa9"}')
    before, after = (head_lines(server) for server in (bare, upstream))
    assert after == [line for line in before if not line.startswith(b"x-litellm-tags")]


def head_lines(upstream: Upstream) -> list[bytes]:
    """The head of the only request, without what differs from server to server and from body to body."""
    (head,) = upstream.heads
    return sorted(
        line.lower()
        for line in head.split(b"\r\n")
        if not line.lower().startswith((b"host:", b"content-length:"))
    )


class Swallow:
    """A filter that takes the third event out, and holds back what is no whole event."""

    def __init__(self) -> None:
        self.rest = b""

    def __call__(self, chunk: bytes) -> bytes:
        if not chunk:
            return self.rest
        *events, self.rest = (self.rest + chunk).split(b"\n\n")
        return b"".join(event + b"\n\n" for event in events if b'"n":2' not in event)


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("at_once", [False, True], ids=["piece by piece", "at once"])
async def test_a_filter_takes_out_of_a_stream_what_only_we_asked_for(
    read: Read, at_once: bool, see: See
) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.filter = Swallow()

    watcher = Watcher(opens)
    see(watcher)
    upstream = Upstream([*EVENTS, b"tail"], at_once=at_once)
    async with upstream() as url, aiohttp.ClientSession() as session, session.post(url, json=ASK) as response:
        assert await read(response) == b"".join((*EVENTS[:2], *EVENTS[3:], b"tail"))
    uninstrument(watcher)
    assert [exchange.content() for exchange in watcher.done] == [b"".join((*EVENTS, b"tail"))]


async def test_what_is_to_be_filtered_and_is_not_decoded_must_come_readable(see: See) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.filter = Swallow()

    watcher, upstream = Watcher(opens), Upstream()
    see(watcher)
    async with upstream() as url, aiohttp.ClientSession(auto_decompress=False) as session:
        for headers in ({}, {"Accept-Encoding": "gzip", "X-Own": "1"}):
            async with session.post(url, json=ASK, headers=headers) as response:
                await response.read()
    uninstrument(watcher)
    assert all(b"accept-encoding: identity\r\n" in head.lower() for head in upstream.heads)
    assert b"X-Own: 1" in upstream.heads[1]


async def test_a_refusal_answers_in_place_of_the_provider(see: See) -> None:
    def opens(exchange: Exchange) -> None:
        exchange.answer = refusal()

    watcher, upstream = Watcher(opens), Upstream()
    see(watcher)
    async with upstream() as url, aiohttp.ClientSession() as session:
        async with session.post(url, json=ASK) as response:
            assert (response.status, response.ok, response.method) == (422, False, "POST")
            assert str(response.url) == url
            assert await response.json() == {"error": {"message": "budget"}}
            assert response.headers[COST[0]] == COST[1]
        async with session.post(url, json=ASK) as response:
            assert await response.content.read() == b'{"error":{"message":"budget"}}'
        with pytest.raises(aiohttp.ClientResponseError, match="422"):
            await session.post(url, json=ASK, raise_for_status=True)
    uninstrument(watcher)
    assert upstream.heads == []
    assert [exchange.outcome for exchange in watcher.done] == [Outcome.COMPLETE] * 3


# -- hooking in


async def test_it_leaves_no_trace_and_sees_sessions_that_exist(see: See) -> None:
    before = aiohttp.ClientSession._request
    watcher, other = Watcher(), Watcher()
    async with Upstream()() as url, aiohttp.ClientSession() as session:

        async def call() -> None:
            async with session.post(url, json=ASK) as response:
                await response.read()

        for found in (watcher, watcher, other):
            see(found)
        # google-genai asks which options there are.
        assert inspect.signature(aiohttp.ClientSession._request) == inspect.signature(before)
        await call()
        uninstrument(other)
        await call()
        uninstrument(watcher)
        assert aiohttp.ClientSession._request is before
        await call()
    assert (len(watcher.done), len(other.done)) == (2, 1)


async def test_a_tool_that_has_wrapped_ours_stays(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    ours = aiohttp.ClientSession._request

    @functools.wraps(ours)
    async def theirs(self: Any, *args: Any, **options: Any) -> Any:
        told.append(args[0])
        return await ours(self, *args, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", theirs)
    instrument(watcher)
    async with Upstream()() as url, aiohttp.ClientSession() as session:
        await (await session.post(url, json=ASK)).read()
        uninstrument(watcher)
        assert aiohttp.ClientSession._request is theirs
        await (await session.post(url, json=ASK)).read()
    assert (told, len(watcher.done)) == (["POST", "POST"], 1)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", ours)


async def test_other_traffic_is_only_asked_about(standin: Standin, see: See) -> None:
    class Deaf(Watcher):
        asked: list[tuple[str, str, str]] = []  # noqa: RUF012

        def recognise(self, method: str, host: str, path: str) -> None:
            self.asked.append((method, host, path))

    watcher = Deaf()
    see(watcher)
    async with aiohttp.ClientSession(f"{standin.url}/") as session:
        async with session.get("plain", params={"a": "1"}) as response:
            assert type(response.content) is aiohttp.StreamReader
            assert await response.text() == "plain"
        for wrong in ("http://[", "nothing://x/"):
            with pytest.raises(aiohttp.ClientError):
                await session.get(wrong)
    uninstrument(watcher)
    assert watcher.asked[0] == ("GET", f"127.0.0.1:{standin.port}", "/plain")
    assert (watcher.open, watcher.done) == ([], [])


async def test_a_fault_of_ours_is_not_the_callers(see: See) -> None:
    class Faulty(Watcher):
        def finished(self, exchange: Exchange) -> Any:
            raise KeyError("ours")

    watcher = Faulty()
    see(watcher)
    async with (
        Upstream()() as url,
        aiohttp.ClientSession() as session,
        session.post(url, json=ASK) as response,
    ):
        assert await response.read() == b"".join(EVENTS)
    uninstrument(watcher)


async def test_an_answer_of_an_unknown_make_is_recorded_without_its_body(see: See) -> None:
    class Wrapped:
        def __init__(self, reader: aiohttp.StreamReader) -> None:
            self.exception = reader.exception
            self.set_exception = reader.set_exception

    class Odd(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> Any:
            await super().start(connection)
            self.content = Wrapped(self.content)  # type: ignore[assignment]
            return self

    watcher = see(Watcher())
    async with (
        Upstream()() as url,
        aiohttp.ClientSession(response_class=Odd) as session,
        session.post(url, json=ASK) as response,
    ):
        assert response.status == 200
    assert [exchange.outcome for exchange in watcher.done] == [Outcome.NO_ANSWER]


@pytest.mark.parametrize("way", ["instrument", "transport", "both"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_httpx_over_aiohttp_is_recorded_once(
    standin: Standin, way: str, stream: bool, see: See
) -> None:
    watcher = Watcher()
    http: Any = openai.DefaultAioHttpClient()
    if way != "instrument":
        http = httpx2.AsyncClient(transport=wrap_transport(http._transport, watcher), follow_redirects=True)
    if way != "transport":
        see(watcher)
    body = {**ASK, "stream": stream}
    async with openai.AsyncOpenAI(api_key="k", base_url=standin.base("openai"), http_client=http) as client:
        await client.chat.completions.create(**body)
        # A redirect is another request to aiohttp.
        again = await http.post(f"{standin.url}/elsewhere/v1/chat/completions", json=ASK)
        assert again.status_code == 200
    gc.collect()
    settle()
    uninstrument(watcher)
    # A transport sees each hop of a redirect.
    assert len(watcher.done) == (3 if way == "transport" else 2)


async def test_a_call_made_while_another_is_on_its_way_is_seen(standin: Standin, watcher: Watcher) -> None:
    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{standin.url}/v1/chat/completions", json=ASK) as response,
        ):
            body = await response.read()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(proxy)) as client:
        assert (await client.post("http://api.proxy.test/v1/chat/completions", json=ASK)).status_code == 200
    assert sorted(str(exchange.address).split("/")[2] for exchange in watcher.done) == [
        f"127.0.0.1:{standin.port}",
        "api.proxy.test",
    ]


def test_without_aiohttp_all_else_is_seen() -> None:
    script = """
import sys
sys.modules["aiohttp"] = None
from spend_middleware.interception.clients import instrument, uninstrument
instrument(watcher := object())
uninstrument(watcher)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# -- google-genai's own async client

# aiohttp warns those who make a subclass of its session, as google-genai does.
quietly = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


def gemini(standin: Standin) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=standin.base("gemini")))


@quietly
@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_google_genai_over_aiohttp_is_seen(
    stream: bool, encoding: str, standin: Standin, watcher: Watcher
) -> None:
    standin.encoding = encoding
    client = gemini(standin).aio
    if stream:
        parts = await client.models.generate_content_stream(model="gemini-2.5-flash", contents="x")
        assert "".join([part.text or "" async for part in parts]) == SAID
    else:
        answer = await client.models.generate_content(model="gemini-2.5-flash", contents="x")
        assert answer.text == SAID
        headers = answer.sdk_http_response.headers if answer.sdk_http_response else None
        assert headers
        assert headers[CALL_ID[0]] == CALL_ID[1]
    await client.aclose()
    (exchange,) = watcher.done
    (received,) = standin.received
    assert (exchange.outcome, exchange.error, exchange.status) == (Outcome.COMPLETE, None, 200)
    assert exchange.whole
    assert exchange.request_body == received.raw
    assert exchange.content().rstrip().endswith(b"}")


@quietly
async def test_google_genai_over_aiohttp_is_a_priced_row(standin: Standin, tmp_path: Path, see: See) -> None:
    with Spend(f"sqlite:///{tmp_path}/spend.db") as spend:
        spend.instrument()
        client = gemini(standin).aio
        with spend.tag("feature:gemini", end_user="palantir"):
            await client.models.generate_content(model="gemini-2.5-flash", contents="x")
            async for _ in await client.models.generate_content_stream(
                model="gemini-2.5-flash", contents="x"
            ):
                pass
        await client.aclose()
        assert spend.flush()
    with sqlite3.connect(tmp_path / "spend.db") as database:
        rows = database.execute(
            "SELECT provider, model, status, stream, total_tokens, end_user, usage_source, pricing_status"
            " FROM spend_logs ORDER BY id"
        ).fetchall()
        same = database.execute("SELECT count(DISTINCT spend) FROM spend_logs WHERE spend > 0").fetchone()
    database.close()
    row = ("custom_gemini", "gemini-2.5-flash", "success", 30, "palantir", "reported", "priced")
    assert [(*found[:3], *found[4:]) for found in rows] == [row, row]
    assert [bool(found[3]) for found in rows] == [False, True]
    assert same == (1,)
