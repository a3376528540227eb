"""What leaves: byte for byte what the caller wrote, unless something of ours is in it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.interception.clients import wrap_transport
from spend_middleware.interception.exchange import Exchange
from spend_middleware.interception.heads import decode_headers
from wire_ways import ASKED, Watcher, Way, ways

pytestmark = pytest.mark.anyio

ODD = [("X-Odd-Case", "1"), ("x-twice", "a"), ("x-twice", "b"), ("x-latin", "caf\xe9".encode("latin-1"))]


@pytest.fixture(params=ways(), ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def changes(body: bytes | None = None, *headers: str) -> Watcher:
    def opens(exchange: Exchange) -> None:
        exchange.new_body = body
        exchange.drop_headers = headers

    return Watcher(opens)


def sizes(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for name, value in headers if name.lower() == b"content-length"]


async def test_a_request_with_nothing_of_ours_leaves_as_it_was_written(way: Way) -> None:
    bare, watched = way.upstream(), way.upstream()
    for upstream, watchers in ((bare, ()), (watched, (Watcher(),))):
        async with way.client(upstream, *watchers) as client:
            await way.send(client, content=b' {"odd" :\n1}', headers=ODD)
    assert watched.seen == bare.seen


@pytest.mark.parametrize("body", [b'{"model":"gpt-4o"}', b"{}" * 500, b""])
async def test_a_new_body_has_its_own_length_and_nothing_else_changes(way: Way, body: bytes) -> None:
    upstream = way.upstream()
    async with way.client(upstream, changes(body)) as client:
        request = client.build_request("POST", "https://api.openai.com/v1/x", content=ASKED, headers=ODD)
        await way.done(client.send(request))
    ((headers, content),) = upstream.seen
    assert content == body
    assert sizes(headers) == [b"%d" % len(body)]
    same = [pair for pair in headers if pair[0].lower() != b"content-length"]
    assert same == [pair for pair in request.headers.raw if pair[0].lower() != b"content-length"]
    # The caller's own request is as it was: sent again, it is read again.
    assert request.content == ASKED


async def test_a_json_request_can_be_changed(way: Way) -> None:
    upstream = way.upstream()
    async with way.client(upstream, changes(b'{"a":1}')) as client:
        response = await way.done(client.post("https://api.openai.com/v1/x", json={"a": 1, "metadata": {}}))
    assert response.status_code == 200
    assert upstream.seen[0][1] == b'{"a":1}'


async def test_headers_of_ours_are_taken_out_in_any_case_of_letters(way: Way) -> None:
    upstream = way.upstream()
    headers = [("X-LiteLLM-Tags", "a"), ("x-litellm-tags", "b"), ("x-keep", "c")]
    async with way.client(upstream, changes(None, "x-litellm-tags")) as client:
        await way.send(client, headers=headers)
    ((sent, content),) = upstream.seen
    names = [name.lower() for name, _ in sent]
    assert b"x-litellm-tags" not in names
    assert b"x-keep" in names
    assert (content, sizes(sent)) == (ASKED, [b"%d" % len(ASKED)])


async def test_headers_can_be_taken_out_of_an_upload_without_reading_it(way: Way) -> None:
    upstream, watcher = way.upstream(), changes(None, "x-litellm-tags")
    async with way.client(upstream, watcher) as client:
        await way.send(client, content=parts(way), headers={"x-litellm-tags": "a"})
    ((sent, content),) = upstream.seen
    assert content == b'{"a":1}'
    assert b"x-litellm-tags" not in [name.lower() for name, _ in sent]


def parts(way: Way) -> Any:
    async def later() -> AsyncIterator[bytes]:
        yield b'{"a"'
        yield b":1}"

    def now() -> Iterator[bytes]:
        yield b'{"a"'
        yield b":1}"

    return later() if way.asynchronous else now()


async def test_a_streamed_body_is_never_read(way: Way) -> None:
    upstream, watcher = way.upstream(), Watcher()
    async with way.client(upstream, watcher) as client:
        await way.send(client, content=parts(way))
    assert upstream.seen[0][1] == b'{"a":1}'
    assert [exchange.request_body for exchange in watcher.done] == [None]


async def test_an_upload_gives_its_fields_and_never_its_file(way: Way) -> None:
    class Watched(io.BytesIO):
        reads: list[str]

        def read(self, *size: int | None) -> bytes:
            self.reads.append("read")
            return super().read(*size)

    sound = Watched(b"RIFF" * 1000)
    sound.reads = []
    seen_at_opening: list[list[str]] = []
    watcher = Watcher(lambda exchange: seen_at_opening.append(list(sound.reads)))
    async with way.client(way.upstream(), watcher) as client:
        await way.send(
            client, content=None, data={"model": "whisper-1", "prompt": "x" * 5000}, files={"file": sound}
        )
    (exchange,) = watcher.done
    assert exchange.request_body is None
    assert exchange.request_form == {"model": "whisper-1"}
    assert seen_at_opening == [[]]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"", b"plain text", b"a=1&b=2"])
async def test_a_body_that_is_no_json_is_not_kept(way: Way, content: bytes) -> None:
    upstream, watcher = way.upstream(), Watcher()
    async with way.client(upstream, watcher) as client:
        await way.send(client, content=content)
    assert upstream.seen[0][1] == content
    assert [exchange.request_body for exchange in watcher.done] == [None]


async def test_the_head_of_a_request_is_read_as_it_leaves(way: Way) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(), watcher) as client:
        await way.send(client, headers=ODD, url="https://api.openai.com/v1/a%2Fb?key=k")
    (exchange,) = watcher.done
    assert (exchange.method, str(exchange.address)) == ("POST", "https://api.openai.com/v1/a%2Fb?key=k")
    assert exchange.request_headers["x-odd-case"] == "1"
    assert exchange.request_headers["x-twice"] == "a, b"
    assert exchange.request_headers["x-latin"] == "caf\xe9"


async def test_a_path_is_recognised_as_it_is_on_the_wire(way: Way) -> None:
    asked: list[tuple[str, str, str]] = []

    class Asked(Watcher):
        def recognise(self, method: str, host: str, path: str) -> object | None:
            asked.append((method, host, path))
            return None

    async with way.client(way.upstream(), Asked()) as client:
        await way.send(client, url="https://Bedrock.test:8443/model/arn%3Aaws%2Fx/converse?q=1")
    assert asked == [("POST", "bedrock.test:8443", "/model/arn%3Aaws%2Fx/converse")]


async def test_one_request_sent_again_or_twice_at_once_is_recorded_each_time(way: Way) -> None:
    watcher = Watcher()
    async with way.client(way.upstream(), watcher) as client:
        request = client.build_request("POST", "https://api.openai.com/v1/x", content=ASKED)
        first = await way.done(client.send(request))
        await way.done(client.send(first.request))
        if way.asynchronous:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(client.send, request)
    assert len(watcher.done) == (5 if way.asynchronous else 2)


@pytest.mark.parametrize("outer", ["instrument", "transport"])
@pytest.mark.parametrize("inner", ["one transport", "both"])
@pytest.mark.parametrize("way", [way for way in ways() if way.at == "transport"], ids=str)
async def test_a_call_that_meets_several_hooks_is_recorded_once(way: Way, outer: str, inner: str) -> None:
    watcher = Watcher()
    transport = wrap_transport(way.upstream().transport(way.asynchronous), watcher)
    if inner == "both":
        transport = wrap_transport(transport, watcher)
    again = Way(way.library, way.asynchronous, outer)
    async with again.client(transport, watcher) as client:
        await way.send(client)
        response = await way.send(client, stream=True)
        await way.close(response)
    assert len(watcher.done) == 2


NAMES = st.sampled_from(
    [b"Authorization", b"x-one", b"X-Two", b"Content-Type", b"accept", b"x-one\naccept", b"\n"]
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=4)), max_size=6), st.sampled_from([httpx, httpx2]))
def test_every_header_is_read_as_it_stands_whatever_it_is_called(
    headers: list[tuple[bytes, bytes]], library: Any
) -> None:
    expected: dict[str, str] = {}
    for raw, value in headers:
        name = raw.lower().decode()
        if name != "accept":
            text = value.decode("latin-1")
            expected[name] = f"{expected[name]}, {text}" if name in expected else text
    assert decode_headers(library.Headers(headers)) == expected
