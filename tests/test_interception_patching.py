"""`instrument` and `uninstrument`: once, for clients that exist already, beside other tools, and without a trace."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Self

import httpx
import httpx2
import pytest

from spend_middleware.interception.clients import instrument, uninstrument, wrap_transport
from wire_ways import ASKED, URL, Upstream, Watcher

CLIENTS: tuple[Any, ...] = (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    found = Watcher()
    yield found
    uninstrument(found)


def call(client: Any) -> None:
    client.post(URL, content=ASKED)


def test_it_leaves_no_trace(watcher: Watcher) -> None:
    before = [client.send for client in CLIENTS]
    instrument(watcher)
    assert all(client.send is not send for client, send in zip(CLIENTS, before, strict=True))
    uninstrument(watcher)
    assert [client.send for client in CLIENTS] == before
    uninstrument(watcher)
    assert [client.send for client in CLIENTS] == before


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_twice_is_once_and_a_client_that_exists_is_seen(library: Any, watcher: Watcher) -> None:
    with library.Client(transport=Upstream(library).transport(False)) as client:
        instrument(watcher)
        instrument(watcher)
        call(client)
        assert len(watcher.done) == 1
        uninstrument(watcher)
        call(client)
    assert len(watcher.done) == 1


def test_the_last_observer_turns_out_the_light(watcher: Watcher) -> None:
    other, before = Watcher(), httpx.Client.send
    instrument(watcher)
    instrument(other)
    uninstrument(other)
    assert httpx.Client.send is not before
    with httpx.Client(transport=Upstream(httpx).transport(False)) as client:
        call(client)
    assert (len(watcher.done), len(other.done)) == (1, 0)
    uninstrument(watcher)
    assert httpx.Client.send is before


def patched_by_another(told: list[str], name: str, wrapping: bool) -> None:
    original = httpx.Client.send

    def send(self: Any, request: Any, **options: Any) -> Any:
        told.append(name)
        return original(self, request, **options)

    httpx.Client.send = functools.wraps(original)(send) if wrapping else send  # type: ignore[method-assign]


@pytest.mark.parametrize("wrapping", [True, False], ids=["with __wrapped__", "without"])
def test_another_tool_may_patch_before_between_and_after(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch, wrapping: bool
) -> None:
    monkeypatch.setattr(httpx.Client, "send", httpx.Client.send)
    told: list[str] = []
    patched_by_another(told, "before", wrapping)
    instrument(watcher)
    patched_by_another(told, "after", wrapping)
    theirs = httpx.Client.send
    instrument(watcher)
    with httpx.Client(transport=Upstream(httpx).transport(False)) as client:
        call(client)
        assert (told, len(watcher.done)) == (["after", "before"], 1)
        uninstrument(watcher)
        # Ours stays below theirs, and only passes on.
        assert httpx.Client.send is theirs
        call(client)
        assert (len(told), len(watcher.done)) == (4, 1)
        instrument(watcher)
        call(client)
        assert (len(told), len(watcher.done)) == (6, 2)


def test_another_tool_that_unpatches_what_was_before_us_is_survived(watcher: Watcher) -> None:
    bare = httpx.Client.send
    instrument(watcher)
    httpx.Client.send = bare  # type: ignore[method-assign]
    instrument(watcher)
    with httpx.Client(transport=Upstream(httpx).transport(False)) as client:
        call(client)
    assert len(watcher.done) == 1
    uninstrument(watcher)
    assert httpx.Client.send is bare


def test_a_subclass_that_sends_itself_is_seen_once(watcher: Watcher) -> None:
    class Mine(httpx2.Client):
        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            return super().send(request, **options)

    instrument(watcher)
    with Mine(transport=Upstream(httpx2).transport(False)) as client:
        call(client)
    assert len(watcher.done) == 1


def test_the_proxies_and_mounts_of_a_client_stay(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    instrument(watcher)
    upstream = Upstream(httpx2)
    with httpx2.Client(mounts={"https://api.openai.com": upstream.transport(False)}) as client:
        call(client)
        assert len(upstream.seen) == 1
        with pytest.raises(httpx2.ConnectError):
            client.post("https://api.elsewhere.test/v1/chat/completions", content=ASKED)
    assert [exchange.error for exchange in watcher.done] == [None, "ConnectError"]


def test_many_threads_instrument_and_call_at_once() -> None:
    before = httpx2.Client.send
    watchers = [Watcher() for _ in range(8)]

    def work(watcher: Watcher) -> None:
        for _ in range(20):
            instrument(watcher)
            with httpx2.Client(transport=Upstream(httpx2).transport(False)) as client:
                call(client)
            uninstrument(watcher)

    threads = [threading.Thread(target=work, args=(watcher,)) for watcher in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(watcher.done) >= 20 for watcher in watchers)
    assert httpx2.Client.send is before


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_transport_is_of_the_same_library_and_kind(library: Any, asynchronous: bool) -> None:
    inner = Upstream(library).transport(asynchronous)
    wrapped = wrap_transport(inner, Watcher())
    assert isinstance(wrapped, library.BaseTransport) is not asynchronous
    assert isinstance(wrapped, library.AsyncBaseTransport) is asynchronous
    other = httpx2 if library is httpx else httpx
    assert not isinstance(wrapped, (other.BaseTransport, other.AsyncBaseTransport))
    assert wrapped.pool == "the inner transport's own"
    assert not hasattr(wrapped, "nothing_like_this")


def test_a_transport_hands_on_opening_and_closing() -> None:
    told: list[str] = []

    class Inner(httpx2.BaseTransport):
        def __enter__(self) -> Self:
            told.append("enter")
            return self

        def __exit__(self, *exc: object) -> None:
            told.append("exit")

        def close(self) -> None:
            told.append("close")

    wrapped = wrap_transport(Inner(), Watcher())
    with httpx2.Client(transport=wrapped):
        pass
    wrapped.close()
    assert told == ["enter", "exit", "close"]


def test_what_is_no_transport_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="dict is no transport of httpx or httpx2"):
        wrap_transport({}, Watcher())


ALIASED = """
import httpx2
httpx2.alias_httpx()
import httpx
assert httpx is httpx2
from spend_middleware.interception.clients import instrument, uninstrument
import wire_ways
watcher, before = wire_ways.Watcher(), httpx2.Client.send
instrument(watcher)
with httpx.Client(transport=wire_ways.Upstream(httpx).transport(False)) as client:
    client.post(wire_ways.URL, content=wire_ways.ASKED)
assert len(watcher.done) == 1, watcher.done
uninstrument(watcher)
assert httpx2.Client.send is before
"""

ONE_MISSING = """
import sys
sys.modules["{missing}"] = None
import {present} as library
from spend_middleware.interception.clients import instrument
import wire_ways
watcher = wire_ways.Watcher()
instrument(watcher)
with library.Client(transport=wire_ways.Upstream(library).transport(False)) as client:
    client.post(wire_ways.URL, content=wire_ways.ASKED)
assert len(watcher.done) == 1, watcher.done
"""

LATE = """
import sys
from spend_middleware.interception import clients
assert not {"httpx", "httpx2"} & set(sys.modules)
"""


@pytest.mark.parametrize(
    "program",
    [
        ALIASED,
        ONE_MISSING.format(missing="httpx", present="httpx2"),
        ONE_MISSING.format(missing="httpx2", present="httpx"),
        LATE,
    ],
    ids=["httpx is httpx2", "without httpx", "without httpx2", "imported when first needed"],
)
def test_either_library_may_be_missing_or_be_the_other(program: str) -> None:
    tests = str(__import__("pathlib").Path(__file__).parent)
    program = f"import sys; sys.path.insert(0, {tests!r})\n{program}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
