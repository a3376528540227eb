"""Traps that hosts and SDKs set, each met once by somebody: what happens there to calls, headers and rows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import groq
import httpx
import httpx2
import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from hosts import MESSAGES, SERVICES, Calls
from spend_middleware import Spend, SpendMiddleware
from spend_middleware.interception.exchange import Answer
from spend_middleware.recorder import Gate
from spend_middleware.settings import Settings
from standin import Standin
from wire_ways import refusal

URL = "https://api.openai.com/v1/chat/completions"
ASKED = {"model": "gpt-4o-mini", "messages": []}
CHAT = {
    "id": "c-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [],
    "usage": {"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 22},
}


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as found:
        yield found


@pytest.fixture
def providers(running: Standin) -> Iterator[Standin]:
    running.received.clear()
    yield running
    running.faults = []


@pytest.fixture
def spend(tmp_path: Path, running: Standin) -> Iterator[Spend]:
    here = running.url.removeprefix("http://")
    with Spend(
        f"sqlite:///{tmp_path}/spend.db",
        batch_seconds=0.01,
        trust_client_headers=True,
        providers={f"{here}/groq": "groq"},
    ) as made:
        yield made


def rows(spend: Spend) -> list[Any]:
    """Return the rows, oldest first."""
    assert spend.flush()
    with closing(sqlite3.connect(spend.settings.database_url.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute("SELECT * FROM spend_logs ORDER BY id")]
    return [SimpleNamespace(**row, tags=json.loads(row["request_tags"])) for row in found]


def client_of(spend: Spend, answer: Any = CHAT, status: int = 200, **more: Any) -> httpx2.Client:
    upstream = httpx2.MockTransport(lambda request: httpx2.Response(status, json=answer, **more))
    return httpx2.Client(transport=spend.transport(upstream))


def ask(client: httpx2.Client) -> None:
    client.post(URL, json=ASKED)


# -- scopes, threads and servers


def test_calls_of_a_websocket_have_its_callers_tags_and_its_messages_pass(
    spend: Spend, providers: Standin
) -> None:
    calls = Calls(providers.base("openai"))

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await calls.asynchronous()
        await socket.send_text(await socket.receive_text())
        await calls.close()
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/talk", talk)])
    app.add_middleware(SpendMiddleware, spend=spend)
    headers = {"x-litellm-tags": "voice", "x-litellm-end-user-id": "palantir"}
    with TestClient(app) as client, client.websocket_connect("/talk", headers=headers) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
    (row,) = rows(spend)
    assert (row.tags, row.end_user) == (["voice"], "palantir")


def test_the_500_of_an_unhandled_exception_has_no_header_but_its_calls_are_rows(
    spend: Spend, providers: Standin
) -> None:
    calls = Calls(providers.base("openai"))

    def fail(request: Request) -> Response:
        calls.sync()
        raise RuntimeError("the service's own")

    app = Starlette(routes=[Route("/", fail)])
    app.add_middleware(SpendMiddleware, spend=spend)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/", headers={"x-litellm-tags": "failing"})
    assert answer.status_code == 500
    assert not [name for name in answer.headers if name.startswith("x-litellm")]
    assert [row.tags for row in rows(spend)] == [["failing"]]


def in_a_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def in_a_pool(call: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


def in_an_executor(call: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, call)

    asyncio.run(main())


def in_a_copied_context(call: Callable[[], None]) -> None:
    context = copy_context()
    in_a_thread(lambda: context.run(call))


@pytest.mark.parametrize(
    ("run", "tags"),
    [(in_a_thread, []), (in_a_pool, []), (in_an_executor, []), (in_a_copied_context, ["job"])],
)
def test_a_call_from_a_thread_without_context_is_recorded_without_a_payer(
    spend: Spend, run: Callable[[Callable[[], None]], None], tags: list[str]
) -> None:
    with client_of(spend) as client, spend.tag("job") as tally:
        run(lambda: ask(client))
    (row,) = rows(spend)
    assert (row.tags, row.spend) == (tags, 8_700_000)
    assert len(tally.calls) == len(tags)


@pytest.mark.anyio
@pytest.mark.parametrize("framework", SERVICES)
async def test_without_a_lifespan_nothing_has_to_be_started(
    framework: str, tmp_path: Path, providers: Standin
) -> None:
    spend = Spend(f"sqlite:///{tmp_path}/spend.db", batch_seconds=0.01)
    calls = Calls(providers.base("openai"))
    app = SERVICES[framework](spend, calls)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://s.test") as client:
        assert (await client.get("/async")).headers["x-litellm-response-cost"] == "0.0000087"
    assert len(await asyncio.to_thread(rows, spend)) == 1
    await calls.close()
    await spend.aclose()


def test_where_no_telemetry_is_set_up_its_sdk_is_not_even_imported() -> None:
    program = """
        import sys
        import httpx2
        from spend_middleware import Spend
        with Spend("sqlite://") as spend:
            answer = httpx2.MockTransport(lambda request: httpx2.Response(200, json={}))
            with httpx2.Client(transport=spend.transport(answer)) as client:
                client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o"})
        print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# -- SDKs that try again


def openai_chat(providers: Standin) -> None:
    with openai.OpenAI(api_key="k", base_url=providers.base("openai")) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)


def anthropic_chat(providers: Standin) -> None:
    with anthropic.Anthropic(api_key="k", base_url=providers.base("anthropic")) as client:
        client.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=MESSAGES)


def groq_chat(providers: Standin) -> None:
    with groq.Groq(api_key="k", base_url=providers.base("groq")) as client:
        client.chat.completions.create(model="llama-3.3-70b-versatile", messages=MESSAGES)


SDKS = [openai_chat, anthropic_chat, groq_chat]


@pytest.mark.parametrize("call", SDKS)
def test_each_attempt_is_a_row_that_says_its_number_and_those_that_failed_cost_nothing(
    spend: Spend, providers: Standin, call: Callable[[Standin], None]
) -> None:
    spend.instrument()
    providers.faults = [500, 503]
    with spend.tag("job") as tally:
        call(providers)
    found = rows(spend)
    assert [(row.attempt, row.status, row.status_code) for row in found] == [
        (0, "failure", 500),
        (1, "failure", 503),
        (2, "success", 200),
    ]
    assert [row.spend == 0 for row in found] == [True, True, False]
    assert tally.cost == Decimal(found[2].spend or 0).scaleb(-12)


class Refusing(Spend):
    """A spend that lets no call out."""

    answer = refusal()

    def _gate(self) -> Gate:
        return lambda attribution, route, content: self.answer


@pytest.mark.parametrize(("status", "tries"), [(422, 1), (400, 1), (429, 3)])
@pytest.mark.parametrize("call", SDKS)
def test_a_refusal_answers_and_is_tried_again_only_where_its_status_asks_for_it(
    tmp_path: Path, providers: Standin, call: Callable[[Standin], None], status: int, tries: int
) -> None:
    with Refusing(f"sqlite:///{tmp_path}/spend.db", batch_seconds=0.01) as spend:
        soon = [*refusal().headers, ("retry-after-ms", "1")]
        spend.answer = Answer(status, soon, refusal().body)
        spend.instrument()
        refused = (openai.APIStatusError, anthropic.APIStatusError, groq.APIStatusError)
        with pytest.raises(refused, match="budget") as raised:
            call(providers)
        found = rows(spend)
    assert getattr(raised.value, "status_code", None) == status
    assert providers.received == [], "nothing went out"
    assert [(row.status_code, row.spend) for row in found] == [(status, 0)] * tries


# -- answers that are not what they seem

GROQ = "https://api.groq.com/openai/v1/chat/completions"
AZURE = "https://x.openai.azure.com/openai/deployments/mine/chat/completions?api-version=2025-01-01"


def test_an_error_event_inside_a_200_stream_is_a_failure_of_the_call(spend: Spend) -> None:
    chunk = 'data: {"id":"c","model":"llama-3.3-70b-versatile","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    error = 'event: error\ndata: {"error":{"message":"private words","type":"server_error"}}\n\n'
    upstream = httpx2.MockTransport(
        lambda request: httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, text=chunk + error
        )
    )
    with httpx2.Client(transport=spend.transport(upstream)) as client:
        asked = {"model": "llama-3.3-70b-versatile", "messages": [], "stream": True}
        with client.stream("POST", GROQ, json=asked) as answer:
            assert answer.read().decode() == chunk + error
    (row,) = rows(spend)
    assert (row.status, row.error_type, row.status_code) == ("failure", "server_error", 200)
    assert (row.usage_source, row.completion_tokens) == ("estimated", 1), "what was said before may be billed"
    assert "private" not in repr(row)


def test_an_error_event_in_place_of_an_answer_costs_nothing(spend: Spend) -> None:
    error = 'event: error\ndata: {"error":{"message":"private words","type":"server_error"}}\n\n'
    upstream = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=error)
    )
    with httpx2.Client(transport=spend.transport(upstream)) as client:
        asked = {"model": "llama-3.3-70b-versatile", "messages": [], "stream": True}
        assert client.post(GROQ, json=asked).text == error
    (row,) = rows(spend)
    assert (row.status, row.error_type, row.spend, row.usage_source) == ("failure", "server_error", 0, "none")


def test_a_prompt_that_azure_filters_out_is_a_failure_that_costs_nothing(spend: Spend) -> None:
    filtered = {"error": {"code": "content_filter", "message": "private words", "status": 400}}
    with client_of(spend, filtered, 400) as client:
        assert client.post(AZURE, json={"messages": []}).status_code == 400
    (row,) = rows(spend)
    assert (row.provider, row.status, row.error_type) == ("azure", "failure", "content_filter")
    assert (row.spend, row.total_tokens) == (0, 0)


def test_an_answer_that_azure_filtered_is_a_row_though_it_has_no_usage(spend: Spend) -> None:
    cut = {**CHAT, "choices": [{"index": 0, "finish_reason": "content_filter", "message": {}}], "usage": None}
    with client_of(spend, cut) as client:
        client.post(AZURE, json={"messages": []})
    (row,) = rows(spend)
    assert (row.status, row.finish_reason) == ("success", "content_filter")
    assert row.usage_source != "reported"


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda library: str(library.__name__))
def test_a_stream_is_handed_on_as_a_stream_of_its_own_library(spend: Spend, library: Any) -> None:
    def answer(request: Any) -> Any:
        return library.Response(
            200, headers={"content-type": "text/event-stream"}, content=iter([b"data: 1\n\n"])
        )

    with (
        library.Client(transport=spend.transport(library.MockTransport(answer))) as client,
        client.stream("POST", URL, json={**ASKED, "stream": True}) as response,
    ):
        assert type(response.stream).__mro__[-2].__module__.startswith(library.__name__)
        assert isinstance(response.stream, library.SyncByteStream)
        assert response.read() == b"data: 1\n\n"


@pytest.mark.parametrize("at", ["instrument", "transport"])
def test_a_second_spend_on_the_same_database_records_no_call_twice(spend: Spend, at: str) -> None:
    # What a notebook's cell makes when it is run again.
    upstream = httpx2.MockTransport(lambda request: httpx2.Response(200, json=CHAT))
    spend.instrument()
    with Spend(spend.settings.database_url, batch_seconds=0.01) as again:
        if at == "instrument":
            again.instrument()
        transport = upstream if at == "instrument" else again.transport(upstream)
        with httpx2.Client(transport=transport) as client, again.tag("job") as tally:
            ask(client)
        assert again.flush()
        assert (len(rows(spend)), len(tally.calls)) == (1, 1)
    with httpx2.Client(transport=upstream) as client:
        ask(client)
    assert len(rows(spend)) == 2, "the first sees again when the second is closed"
    spend.uninstrument()


def test_two_databases_have_each_their_own_row_of_a_call(spend: Spend, tmp_path: Path) -> None:
    upstream = httpx2.MockTransport(lambda request: httpx2.Response(200, json=CHAT))
    with Spend(f"sqlite:///{tmp_path}/other.db", batch_seconds=0.01) as other:
        spend.instrument()
        other.instrument()
        with httpx2.Client(transport=upstream) as client, other.tag("job") as tally:
            ask(client)
        assert (len(rows(spend)), len(rows(other))) == (1, 1)
        assert (len(tally.calls), tally.cost) == (1, Decimal("0.0000087"))
    spend.uninstrument()
    assert [Settings(database_url=url).books for url in ("sqlite://", "sqlite:///:memory:")] == [None, None]
