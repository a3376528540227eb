"""Calls whose provider sent no usage: counted and marked, or left unpriced with a reason; streams that end early."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import anyio
import httpx
import httpx2
import openai
import pytest

from spend_middleware import Spend
from standin import Standin, answers
from traces import exporter_of_spans

ASKED = {
    "model": "gpt-4o",
    "stream": True,
    "messages": [{"role": "user", "content": "Hey, how's it going?"}],
}
OPENAI = "https://api.openai.com/v1/chat/completions"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
# "Spend is what was used." in o200k_base, and the prompt as one message.
WORDS, PROMPT = 6, 14


@pytest.fixture
def new_spend(tmp_path: Path) -> Iterator[Callable[..., Spend]]:
    made: list[Spend] = []

    def make(**knobs: Any) -> Spend:
        made.append(Spend(f"sqlite:///{tmp_path}/spend.db", batch_seconds=0.01, **knobs))
        return made[-1]

    yield make
    for spend in made:
        spend.uninstrument()
        spend.close()


@pytest.fixture
def spend(new_spend: Callable[..., Spend]) -> Spend:
    return new_spend()


def rows(spend: Spend) -> list[dict[str, Any]]:
    assert spend.flush()
    with sqlite3.connect(spend.settings.database_url.removeprefix("sqlite:///")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM spend_logs ORDER BY id")]


# -- one exchange, through each library, sync and async


class Way:
    """A client of one library, sync or async, over a transport that answers with given chunks."""

    def __init__(self, library: Any, asynchronous: bool) -> None:
        self.library = library
        self.asynchronous = asynchronous

    def answer(self, chunks: list[bytes], broken: bool, sent: list[Any]) -> Any:
        library = self.library

        class Stream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc, name-defined]
            def __iter__(self) -> Iterator[bytes]:
                yield from chunks
                if broken:
                    raise library.ReadError("the upstream is gone")

            async def __aiter__(self) -> AsyncIterator[bytes]:
                for chunk in self:
                    yield chunk

        def respond(request: Any) -> Any:
            sent.append(request)
            whole = chunks[0].startswith(b"{")
            kind = {"content-type": "application/json" if whole else "text/event-stream"}
            return library.Response(200, headers=kind, stream=Stream())

        return library.MockTransport(respond)

    def read(
        self,
        spend: Spend,
        chunks: list[bytes],
        *,
        url: str = OPENAI,
        asked: Any = ASKED,
        headers: dict[str, str] | None = None,
        leave_after: int | None = None,
        broken: bool = False,
        sent: list[Any] | None = None,
    ) -> bytes:
        """Send one request and return what the caller got of the stream, until it left."""
        transport = spend.transport(self.answer(chunks, broken, [] if sent is None else sent))
        body = {"content": asked} if isinstance(asked, bytes) else {"json": asked}
        more = {**body, "headers": headers}
        if self.asynchronous:
            return anyio.run(self._read_async, transport, url, more, leave_after)
        seen: list[bytes] = []
        with self.library.Client(transport=transport) as client, client.stream("POST", url, **more) as got:
            for chunk in got.iter_raw():
                seen.append(chunk)
                if len(seen) == leave_after:
                    break
        return b"".join(seen)

    async def _read_async(self, transport: Any, url: str, more: Any, leave_after: int | None) -> bytes:
        seen: list[bytes] = []
        async with (
            self.library.AsyncClient(transport=transport) as client,
            client.stream("POST", url, **more) as got,
        ):
            async for chunk in got.aiter_raw():
                seen.append(chunk)
                if len(seen) == leave_after:
                    break
        return b"".join(seen)


@pytest.fixture(
    params=[(httpx, False), (httpx, True), (httpx2, False), (httpx2, True)],
    ids=lambda way: f"{way[0].__name__} {'async' if way[1] else 'sync'}",
)
def way(request: pytest.FixtureRequest) -> Way:
    return Way(*request.param)


def chat_chunks(body: dict[str, Any] = ASKED) -> list[bytes]:
    return list(answers.chat_stream(body, iter(answers.WORDS)))


def message_chunks() -> list[bytes]:
    return list(answers.message_stream({"model": "claude-sonnet-4-5"}, iter(answers.WORDS)))


# -- no usage at all


def test_a_stream_without_usage_is_counted_and_says_so(spend: Spend, way: Way) -> None:
    exporter = exporter_of_spans()
    exporter.clear()
    with spend.tag("estimates") as tally:
        seen = way.read(spend, chat_chunks())
    assert seen == b"".join(chat_chunks())
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (PROMPT, WORDS)
    assert (row["usage_source"], row["status"], row["pricing_status"]) == ("estimated", "success", "priced")
    assert row["usage_note"] == "estimated by vocabulary; hidden reasoning, if any, is not in it"
    cost = Decimal("0.0000025") * PROMPT + Decimal("0.00001") * WORDS
    assert Decimal(row["spend"]).scaleb(-12) == cost
    assert (tally.cost, len(tally.calls)) == (cost, 1)
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["gen_ai.usage.input_tokens"] == PROMPT
    assert span.attributes["gen_ai.usage.output_tokens"] == WORDS


def test_a_whole_answer_without_usage_is_counted_too(spend: Spend, way: Way) -> None:
    answer = {**answers.chat(ASKED, "Spend is what was used."), "usage": None}
    way.read(spend, [json.dumps(answer).encode()], asked={**ASKED, "stream": False})
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (
        PROMPT,
        WORDS,
        "estimated",
    )


def test_without_estimates_the_row_is_unpriced_with_a_reason(
    new_spend: Callable[..., Spend], way: Way
) -> None:
    spend = new_spend(estimate_missing_usage=False)
    with spend.tag() as tally:
        way.read(spend, chat_chunks())
    (row,) = rows(spend)
    assert (row["usage_source"], row["spend"], row["pricing_status"]) == ("none", None, "unpriced")
    assert row["unpriced_reason"] == "no usage was reported"
    assert (tally.cost, tally.unpriced) == (Decimal(0), 1)


def test_a_prompt_that_cannot_be_read_is_not_taken_for_an_empty_one(spend: Spend, way: Way) -> None:
    asked = json.dumps(ASKED).encode().replace(b"Hey", b"Hey\xff")
    assert way.read(spend, chat_chunks(), asked=asked) == b"".join(chat_chunks())
    (row,) = rows(spend)
    assert (row["model"], row["usage_source"], row["spend"]) == ("gpt-4o", "none", None)
    assert row["unpriced_reason"] == "no usage was reported"


def test_an_estimate_of_an_unknown_model_keeps_its_tokens_and_has_no_price(spend: Spend, way: Way) -> None:
    asked = {**ASKED, "model": "gpt-99"}
    way.read(spend, chat_chunks(asked), asked=asked)
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"], row["spend"]) == (PROMPT, WORDS, None)
    assert "gpt-99" in row["unpriced_reason"]


def test_a_provider_that_reports_zero_is_not_estimated(spend: Spend, way: Way) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    last = answers.sse(
        None, {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": usage}
    )
    way.read(spend, [*chat_chunks()[:-1], last, b"data: [DONE]\n\n"])
    (row,) = rows(spend)
    assert (row["usage_source"], row["total_tokens"], row["spend"]) == ("reported", 0, 0)


# -- streams that end early


def test_a_caller_who_leaves_openai_early_is_charged_by_estimate(spend: Spend, way: Way) -> None:
    chunks = chat_chunks()
    assert way.read(spend, chunks, leave_after=3) == b"".join(chunks[:3])
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (PROMPT, 2)
    assert (row["usage_source"], row["status"]) == ("estimated", "aborted")
    assert row["spend"] > 0


def test_of_an_anthropic_stream_left_early_the_input_is_as_reported(spend: Spend, way: Way) -> None:
    way.read(spend, message_chunks(), url=ANTHROPIC, leave_after=5)
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["cache_read_input_tokens"]) == (20, 4)
    assert row["completion_tokens"] == 3
    assert (row["usage_source"], row["status"]) == ("estimated", "aborted")
    assert row["usage_note"] == "output estimated by vocabulary: the stream broke off"
    # 16 fresh tokens, 4 from the cache, 3 out.
    assert row["spend"] == 16 * 3_000_000 + 4 * 300_000 + 3 * 15_000_000


def test_a_response_left_early_is_counted_from_its_input_and_its_deltas(spend: Spend, way: Way) -> None:
    asked = {"model": "gpt-4o", "input": "Hey, how's it going?", "stream": True}
    chunks = list(answers.response_stream(asked, iter(answers.WORDS)))
    way.read(spend, chunks, url="https://api.openai.com/v1/responses", asked=asked, leave_after=3)
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (PROMPT, 2, "estimated")


def test_what_an_upstream_sent_before_it_broke_is_charged(spend: Spend, way: Way) -> None:
    with pytest.raises(way.library.ReadError, match="the upstream is gone"):
        way.read(spend, chat_chunks()[:4], broken=True)
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (PROMPT, 3)
    assert (row["usage_source"], row["status"], row["error_type"]) == ("estimated", "failure", "ReadError")


def test_an_anthropic_stream_that_broke_keeps_what_was_reported(spend: Spend, way: Way) -> None:
    with pytest.raises(way.library.ReadError):
        way.read(spend, message_chunks()[:4], url=ANTHROPIC, broken=True)
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["usage_source"], row["status"]) == (20, "estimated", "failure")


@pytest.mark.anyio
@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_cancelled_task_leaves_its_row_and_its_cancellation(spend: Spend, library: Any) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    class Stream(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in chat_chunks()[:3]:
                yield chunk
            reached.set()
            await never.wait()

    transport = library.MockTransport(
        lambda request: library.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())
    )

    async def listen() -> None:
        async with (
            library.AsyncClient(transport=spend.transport(transport)) as client,
            client.stream("POST", OPENAI, json=ASKED) as answer,
        ):
            async for _ in answer.aiter_raw():
                pass

    task = asyncio.create_task(listen())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = await asyncio.to_thread(rows, spend)
    assert (row["completion_tokens"], row["usage_source"], row["status"]) == (2, "estimated", "aborted")


# -- asking for usage


REPORTED = {"usage_source": "reported", "prompt_tokens": 20, "completion_tokens": 10}


def test_asked_for_usage_the_provider_reports_it_and_the_caller_sees_no_difference(
    new_spend: Callable[..., Spend], way: Way
) -> None:
    spend = new_spend(include_stream_usage=True)
    asking = {**ASKED, "stream_options": {"include_usage": True}}
    sent: list[Any] = []
    seen = way.read(spend, chat_chunks(asking), sent=sent)
    assert seen == b"".join(chat_chunks())
    assert json.loads(sent[0].content) == asking
    (row,) = rows(spend)
    assert {name: row[name] for name in REPORTED} == REPORTED


@pytest.mark.parametrize("size", [1, 13, 100])
def test_the_chunk_that_came_on_our_account_is_taken_out_however_it_arrives(
    new_spend: Callable[..., Spend], way: Way, size: int
) -> None:
    spend = new_spend(include_stream_usage=True)
    whole = b"".join(chat_chunks({**ASKED, "stream_options": {"include_usage": True}}))
    seen = way.read(spend, [whole[at : at + size] for at in range(0, len(whole), size)])
    assert seen == b"".join(chat_chunks())
    (row,) = rows(spend)
    assert {name: row[name] for name in REPORTED} == REPORTED


def test_an_upstream_that_takes_no_notice_is_estimated(new_spend: Callable[..., Spend], way: Way) -> None:
    spend = new_spend(include_stream_usage=True)
    assert way.read(spend, chat_chunks()) == b"".join(chat_chunks())
    (row,) = rows(spend)
    assert (row["usage_source"], row["completion_tokens"]) == ("estimated", WORDS)


AWS = {
    "authorization": "AWS4-HMAC-SHA256 Credential=k/20261101/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0"
}
TAGGED = {**ASKED, "metadata": {"tags": ["a"]}}
UNTOUCHED: list[tuple[str, str, Any, dict[str, str]]] = [
    ("the caller wants it", OPENAI, {**ASKED, "stream_options": {"include_usage": True}}, {}),
    ("the caller does not", OPENAI, {**ASKED, "stream_options": {"include_usage": False}}, {}),
    ("no stream", OPENAI, {**ASKED, "stream": False}, {}),
    (
        "Responses has no such field",
        "https://api.openai.com/v1/responses",
        {"input": "Hi", "stream": True},
        {},
    ),
    ("Anthropic refuses it", ANTHROPIC, ASKED, {}),
    ("Mistral refuses it", "https://api.mistral.ai/v1/chat/completions", ASKED, {}),
    ("Cohere refuses it", "https://api.cohere.com/v2/chat", ASKED, {}),
    ("a signed body", "https://llm.example.org/v1/chat/completions", ASKED, AWS),
    ("a signed body with tags", "https://llm.example.org/v1/chat/completions", TAGGED, AWS),
    (
        "a signed Converse call with tags",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-pro-v1%3A0/converse",
        {"messages": [], "metadata": {"tags": ["a"]}},
        AWS,
    ),
]


@pytest.mark.parametrize(
    ("url", "asked", "headers"), [case[1:] for case in UNTOUCHED], ids=[case[0] for case in UNTOUCHED]
)
def test_where_it_is_not_safe_to_ask_the_request_leaves_byte_for_byte(
    new_spend: Callable[..., Spend], way: Way, url: str, asked: Any, headers: dict[str, str]
) -> None:
    spend = new_spend(include_stream_usage=True)
    body = json.dumps(asked, indent=1).encode()
    sent: list[Any] = []
    chunks = chat_chunks(asked)
    assert way.read(spend, chunks, url=url, asked=body, headers=headers, sent=sent) == b"".join(chunks)
    assert sent[0].content == body
    assert len(rows(spend)) == 1


def test_the_tags_of_a_signed_request_count_though_they_stay(spend: Spend, way: Way) -> None:
    way.read(
        spend, chat_chunks(), url="https://llm.example.org/v1/chat/completions", asked=TAGGED, headers=AWS
    )
    (row,) = rows(spend)
    assert json.loads(row["request_tags"]) == ["a"]


# -- the real SDK, against a server


@pytest.fixture(scope="module")
def providers() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


def test_the_openai_sdk_streams_as_ever_and_its_row_has_the_reported_usage(
    new_spend: Callable[..., Spend], providers: Standin
) -> None:
    spend = new_spend(include_stream_usage=True).instrument()
    with openai.OpenAI(api_key="k", base_url=f"{providers.url}/v1") as client:
        asked: Any = {key: value for key, value in ASKED.items() if key != "stream"}
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == providers.text
    assert all(chunk.usage is None and "usage" not in chunk.model_fields_set for chunk in chunks)
    assert providers.received[-1].body["stream_options"] == {"include_usage": True}
    (row,) = rows(spend)
    assert {name: row[name] for name in REPORTED} == REPORTED


def test_the_async_openai_sdk_does_so_too(new_spend: Callable[..., Spend], providers: Standin) -> None:
    spend = new_spend(include_stream_usage=True).instrument()

    async def listen() -> list[Any]:
        asked: Any = ASKED
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{providers.url}/v1") as client:
            return [chunk async for chunk in await client.chat.completions.create(**asked)]

    chunks = anyio.run(listen)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == providers.text
    (row,) = rows(spend)
    assert {name: row[name] for name in REPORTED} == REPORTED


SERVED = [
    ("openai", "/openai/v1", "gpt-4o", "reported"),
    ("azure", "/azure/openai/v1", "gpt-4o", "reported"),
    ("mistral", "/mistral/v1", "mistral-large-latest", "estimated"),
    ("groq", "/groq/openai/v1", "llama-3.3-70b-versatile", "estimated"),
]


@pytest.mark.parametrize(("provider", "path", "model", "source"), SERVED)
def test_no_provider_refuses_a_request_of_which_usage_may_be_asked(
    new_spend: Callable[..., Spend], providers: Standin, provider: str, path: str, model: str, source: str
) -> None:
    host = providers.url.removeprefix("http://")
    spend = new_spend(include_stream_usage=True, providers={f"{host}/{provider}": provider})
    with httpx2.Client(transport=spend.transport(httpx2.HTTPTransport())) as client:
        answer = client.post(f"{providers.url}{path}/chat/completions", json={**ASKED, "model": model})
    assert answer.status_code == 200, answer.text
    (row,) = rows(spend)
    assert (row["provider"], row["usage_source"]) == (provider, source)
    assert row["spend"] > 0


def test_an_sdk_that_leaves_its_stream_is_charged_for_what_came(
    new_spend: Callable[..., Spend], providers: Standin
) -> None:
    spend = new_spend().instrument()
    asked: Any = ASKED
    with (
        openai.OpenAI(api_key="k", base_url=providers.base("openai")) as client,
        client.chat.completions.create(**asked) as stream,
    ):
        next(iter(stream))
    (row,) = rows(spend)
    assert row["usage_source"] == "estimated"
    assert row["prompt_tokens"] == PROMPT


def test_the_anthropic_sdk_may_leave_its_stream_too(new_spend: Callable[..., Spend]) -> None:
    spend = new_spend().instrument()
    asked: Any = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": ASKED["messages"]}
    # So many words that the last ones cannot have arrived with the first.
    with (
        Standin(words=5000) as providers,
        anthropic.Anthropic(api_key="k", base_url=providers.base("anthropic")) as client,
        client.messages.stream(**asked) as stream,
    ):
        assert next(iter(stream.text_stream)) == "Spend"
    (row,) = rows(spend)
    assert (row["usage_source"], row["prompt_tokens"], row["status"]) == ("estimated", 20, "aborted")
    assert row["completion_tokens"] >= 1


def test_a_server_that_breaks_off_is_charged_for_what_came(new_spend: Callable[..., Spend]) -> None:
    spend = new_spend().instrument()
    asked: Any = ASKED
    with (
        Standin(cut_after=3) as broken,
        openai.OpenAI(api_key="k", base_url=broken.base("openai"), max_retries=0) as client,
        client.chat.completions.create(**asked) as stream,
        pytest.raises(openai.APIConnectionError),
    ):
        list(stream)
    (row,) = rows(spend)
    assert (row["usage_source"], row["status"], row["completion_tokens"]) == ("estimated", "failure", 2)


# -- a process that is killed while tokens are still to be counted

KILLED = """
    import os, signal, sys
    import httpx2
    from spend_middleware import Spend
    from spend_middleware.interception.clients import wrap_transport
    from spend_middleware.recorder import Recorder
    from spend_middleware.store.running import RunningSpend
    from spend_middleware.telemetry import Telemetry
    sys.path.insert(0, "tests")
    from standin import answers

    class Later:
        def submit(self, work):
            if sys.argv[2] == "after":
                work()
            return True

    spend = Spend(sys.argv[1])
    spend.start()
    running = RunningSpend(spend.store.held)
    recorder = Recorder(spend.settings, spend.store, lambda: spend.prices, Telemetry(False), Later(), running)
    asked = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hey, how's it going?"}]}
    body = b"".join(answers.chat_stream(asked, iter(answers.WORDS)))
    answer = lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    client = httpx2.Client(transport=wrap_transport(httpx2.MockTransport(answer), recorder))
    client.post("https://api.openai.com/v1/chat/completions", json=asked)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("when", "source", "tokens", "cost"),
    [("before", "none", 0, None), ("after", "estimated", PROMPT + WORDS, 95_000_000)],
)
def test_a_process_killed_around_its_estimate_leaves_exactly_one_row(
    new_spend: Callable[..., Spend], tmp_path: Path, when: str, source: str, tokens: int, cost: int | None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), f"sqlite:///{tmp_path}/spend.db", when],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == -9, done.stderr
    spend = new_spend()
    spend.start()
    (row,) = rows(spend)
    assert (row["usage_source"], row["total_tokens"], row["spend"]) == (source, tokens, cost)
    assert row["status"] == "success"
