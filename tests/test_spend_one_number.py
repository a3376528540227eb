"""One call has one cost, to the last digit: header, row, charge lines, span, tally and route agree, now and later."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from starlette.testclient import TestClient

from aws_frames import frame_of
from spend_middleware import Spend, Usage, response_cost
from spend_middleware.call import Call, Charge, UsageSource, to_pico
from spend_middleware.metering import BATCH, REGION, price
from spend_middleware.pricing.book import PriceBook
from spend_middleware.record import call_of
from spend_middleware.store.facts import decode, encode_call
from spend_middleware.store.records import COLUMNS
from standin import answers
from traces import exporter_of_spans

KEY = "sk-the-master-key-0001"
SSE = {"content-type": "text/event-stream"}
AWS = {"content-type": "application/vnd.amazon.eventstream"}


def charges_of(text: str) -> tuple[Charge, ...]:
    """Return the charge lines of a stored row."""
    return tuple(
        Charge(meter, Decimal(quantity), Decimal(price), Decimal(amount))
        for meter, quantity, price, amount in json.loads(text)
    )


class Counts(NamedTuple):
    """What a call used, in disjoint counts."""

    fresh: int
    cached: int
    written: int
    written_1h: int
    answer: int
    reasoning: int
    tools: int
    tier: str


counts_of_calls = st.builds(
    Counts,
    fresh=st.integers(0, 500_000),
    cached=st.integers(0, 300_000),
    written=st.integers(0, 100_000),
    written_1h=st.integers(0, 100_000),
    answer=st.integers(0, 100_000),
    reasoning=st.integers(0, 50_000),
    tools=st.integers(0, 3),
    tier=st.sampled_from(["default", "flex", "priority"]),
)


class Spoken(NamedTuple):
    """One answer in a vendor's format, whole and as a stream."""

    url: str
    stream_url: str
    asked: dict[str, Any]
    whole: dict[str, Any]
    stream: bytes
    headers: dict[str, str]


def chat(counts: Counts) -> Spoken:
    asked = {"model": "gpt-5.4", "messages": [], "stream_options": {"include_usage": True}}
    given = counts.fresh + counts.cached
    said = counts.answer + counts.reasoning
    usage = {
        "prompt_tokens": given,
        "completion_tokens": said,
        "total_tokens": given + said,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }
    whole = {**answers.chat(asked, "Fine."), "usage": usage, "service_tier": counts.tier}
    chunk = {"object": "chat.completion.chunk", "model": "gpt-5.4", "service_tier": counts.tier}
    last = answers.sse(None, {**chunk, "choices": [], "usage": usage})
    first = answers.sse(
        None, {**chunk, "choices": [{"index": 0, "delta": {"content": "Fine."}}], "usage": None}
    )
    url = "https://api.openai.com/v1/chat/completions"
    return Spoken(url, url, asked, whole, first + last + b"data: [DONE]\n\n", SSE)


def responses(counts: Counts) -> Spoken:
    asked = {"model": "gpt-5-mini", "input": "Hi"}
    search = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
    usage = {
        "input_tokens": counts.fresh + counts.cached,
        "input_tokens_details": {"cached_tokens": counts.cached},
        "output_tokens": counts.answer + counts.reasoning,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
    }
    whole = answers.response(asked, "Fine.")
    searches = [{**search, "id": f"ws_{number}"} for number in range(counts.tools)]
    whole |= {"usage": usage, "service_tier": counts.tier, "output": [*searches, *whole["output"]]}
    done = {"type": "response.completed", "sequence_number": 1, "response": whole}
    url = "https://api.openai.com/v1/responses"
    return Spoken(url, url, asked, whole, answers.sse("response.completed", done), SSE)


def message(counts: Counts) -> Spoken:
    asked = {"model": "claude-opus-4-6", "max_tokens": 9, "messages": []}
    tools = {"web_search_requests": counts.tools}
    said = counts.answer + counts.reasoning
    start = {
        "input_tokens": counts.fresh,
        "cache_read_input_tokens": counts.cached,
        "cache_creation_input_tokens": counts.written + counts.written_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.written,
            "ephemeral_1h_input_tokens": counts.written_1h,
        },
        "service_tier": "standard",
        "inference_geo": "us" if counts.tier == "priority" else "global",
    }
    usage = {**start, "output_tokens": said, "server_tool_use": tools}
    whole = {**answers.message(asked, "Fine."), "usage": usage}
    empty = {**whole, "content": [], "stop_reason": None, "usage": {**start, "output_tokens": 1}}
    last = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": said, "server_tool_use": tools},
    }
    stream = answers.sse("message_start", {"type": "message_start", "message": empty})
    stream += answers.sse("message_delta", last) + answers.sse("message_stop", {"type": "message_stop"})
    url = "https://api.anthropic.com/v1/messages"
    return Spoken(url, url, asked, whole, stream, SSE)


def generated(counts: Counts) -> Spoken:
    given = counts.fresh + counts.cached
    usage = {
        "promptTokenCount": given,
        "cachedContentTokenCount": counts.cached,
        "candidatesTokenCount": counts.answer,
        "thoughtsTokenCount": counts.reasoning,
        "totalTokenCount": given + counts.answer + counts.reasoning,
    }
    whole = {**answers.generated({}, "Fine.", model="gemini-2.5-pro"), "usageMetadata": usage}
    early = {**whole, "usageMetadata": {"promptTokenCount": given, "totalTokenCount": given}}
    stream = answers.sse(None, early, "\r\n") + answers.sse(None, whole, "\r\n")
    base = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:"
    more = f"{base}streamGenerateContent?alt=sse"
    return Spoken(f"{base}generateContent", more, {"contents": []}, whole, stream, SSE)


BEDROCK_MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def converse(counts: Counts) -> Spoken:
    written = counts.written + counts.written_1h
    usage = {
        "inputTokens": counts.fresh,
        "cacheReadInputTokens": counts.cached,
        "cacheWriteInputTokens": written,
        "outputTokens": counts.answer,
        "totalTokens": counts.fresh + counts.cached + written + counts.answer,
    }
    output = {"message": {"role": "assistant", "content": [{"text": "Fine."}]}}
    whole = {"output": output, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 5}}
    stream = frame_of("contentBlockDelta", {"delta": {"text": "Fine."}, "contentBlockIndex": 0})
    stream += frame_of("messageStop", {"stopReason": "end_turn"}) + frame_of("metadata", {"usage": usage})
    base = (
        f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{BEDROCK_MODEL.replace(':', '%3A')}/converse"
    )
    return Spoken(base, f"{base}-stream", {"messages": []}, whole, stream, AWS)


FORMATS: list[Callable[[Counts], Spoken]] = [chat, responses, message, generated, converse]


@pytest.fixture(scope="module")
def spend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spend]:
    exporter_of_spans()
    folder = tmp_path_factory.mktemp("one-number")
    with Spend(f"sqlite:///{folder}/spend.db", master_key=KEY, batch_seconds=0.001) as made:
        yield made


@pytest.fixture(scope="module")
def http(spend: Spend) -> TestClient:
    return TestClient(spend.app, headers={"authorization": f"Bearer {KEY}"})


class Seen(NamedTuple):
    """Where the cost of one call was to be seen."""

    row: dict[str, Any]
    header: str | None
    tally: Decimal
    span: float


def send(spend: Spend, url: str, asked: Any, body: bytes, headers: dict[str, str]) -> Seen:
    answer = httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(body))
    transport = spend.transport(httpx2.MockTransport(lambda request: answer))
    exporter_of_spans().clear()
    with spend.tag() as tally, httpx2.Client(transport=transport) as client:
        got = client.post(url, json=asked)
    assert spend.flush()
    (span,) = exporter_of_spans().get_finished_spans()
    assert span.attributes is not None
    shown: Any = span.attributes["gen_ai.usage.cost"]
    row = row_with(spend, got.headers["x-litellm-call-id"])
    return Seen(row, got.headers.get("x-litellm-response-cost"), tally.cost, shown)


def row_with(spend: Spend, call_id: str) -> dict[str, Any]:
    path = spend.settings.database_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("SELECT * FROM spend_logs WHERE id = ?", (call_id,)).fetchone())


@pytest.mark.parametrize("spoken", FORMATS, ids=lambda spoken: spoken.__name__)
@settings(max_examples=20, deadline=None)
@given(counts=counts_of_calls)
def test_a_call_costs_the_same_wherever_it_is_seen(
    spend: Spend, http: TestClient, spoken: Callable[[Counts], Spoken], counts: Counts
) -> None:
    said = spoken(counts)
    json_headers = {"content-type": "application/json"}
    whole = send(spend, said.url, said.asked, json.dumps(said.whole).encode(), json_headers)
    streamed = send(spend, said.stream_url, {**said.asked, "stream": True}, said.stream, said.headers)
    pico: int = whole.row["spend"]
    cost = Decimal(pico).scaleb(-12)

    assert whole.header is not None
    assert Decimal(whole.header) == cost
    for seen in (whole, streamed):
        assert seen.row["spend"] == pico
        assert seen.row["usage_source"] == "reported"
        assert to_pico(sum((line.amount for line in charges_of(seen.row["charges"])), Decimal(0))) == pico
        assert all(line.quantity * line.unit_price == line.amount for line in charges_of(seen.row["charges"]))
        assert seen.tally == cost
        assert seen.span == float(cost)
        assert to_pico(price(call_of(seen.row), spend.prices).amount or Decimal(0)) == pico
    assert whole.row["charges"] == streamed.row["charges"]
    assert (whole.row["usage"], streamed.row["stream"]) == (streamed.row["usage"], 1)

    answered = {"model": BEDROCK_MODEL, **said.whole} if spoken is converse else said.whole
    calculated = http.post("/spend/calculate", json={"completion_response": answered})
    assert calculated.json() == {"cost": float(cost)}
    assert response_cost(answered) == cost


def test_repricing_by_an_unchanged_book_changes_nothing(spend: Spend) -> None:
    for spoken in FORMATS:
        said = spoken(Counts(7, 5, 3, 2, 11, 13, 1, "flex"))
        send(
            spend, said.url, said.asked, json.dumps(said.whole).encode(), {"content-type": "application/json"}
        )
    found = spend.reprice(dry_run=False, why="nothing has changed")
    assert found.examined >= len(FORMATS)
    assert (found.changed, found.priced, found.unpriced, found.made) == (0, 0, 0, 0)
    assert found.before_pico == found.after_pico


def test_the_results_of_a_batch_cost_half_and_do_so_when_repriced(spend: Spend, tmp_path: Path) -> None:
    usage = {"input_tokens": 1000, "cache_read_input_tokens": 0, "output_tokens": 100}
    body = b""
    for number in range(3):
        message = {**answers.message({}, "x"), "id": f"m{number}", "usage": usage}
        line = {"custom_id": str(number), "result": {"type": "succeeded", "message": message}}
        body += json.dumps(line).encode() + b"\n"
    answer = httpx2.Response(200, headers={"content-type": "application/x-jsonl"}, content=body)
    with Spend(f"sqlite:///{tmp_path}/batch.db", batch_seconds=0.001) as own:
        with (
            own.tag() as tally,
            httpx2.Client(transport=own.transport(httpx2.MockTransport(lambda request: answer))) as client,
        ):
            client.get("https://api.anthropic.com/v1/messages/batches/msgbatch_1/results")
        assert own.flush()
        each = (1000 * Decimal("0.000003") + 100 * Decimal("0.000015")) / 2
        assert [call.cost.amount for call in tally.calls] == [each] * 3
        found = own.reprice(dry_run=True)
        assert (found.examined, found.changed) == (3, 0)
        assert found.before_pico == to_pico(3 * each)


# -- what else decides a price survives in the row: tiers, batches, regions, hosts, tools

MODELS = [
    ("openai", "gpt-5.4"),
    ("openai", "gpt-5-mini"),
    ("azure", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-6"),
    ("gemini", "gemini-2.5-pro"),
    ("vertex_ai", "gemini-2.5-pro"),
    ("vertex_ai", "claude-sonnet-4-5"),
    ("bedrock", BEDROCK_MODEL),
    ("bedrock", "amazon.nova-pro-v1:0"),
    ("groq", "llama-3.3-70b-versatile"),
    ("deepseek", "deepseek-chat"),
]

usages = st.builds(
    lambda fresh, cached, written, hour, said, thought, units, traits: Usage(
        input_tokens=fresh + cached + written + hour,
        output_tokens=said + thought,
        cache_read_tokens=cached,
        cache_write_tokens=written + hour,
        cache_write_1h_tokens=hour,
        reasoning_tokens=thought,
        units=units,
        traits=traits,
    ),
    *(st.integers(0, 400_000) for _ in range(6)),
    units=st.dictionaries(
        st.sampled_from(["web_searches", "file_searches", "code_sessions"]), st.integers(1, 9)
    ),
    traits=st.fixed_dictionaries(
        {},
        optional={
            BATCH: st.just("yes"),
            REGION: st.sampled_from(["us-east-1", "eu-central-1", "europe-west1", "global"]),
            "inference_geo": st.sampled_from(["us", "global"]),
            "search_context_size": st.sampled_from(["low", "high"]),
        },
    ),
)
BOOKS = {
    "list prices": PriceBook(),
    "a discount and a margin": PriceBook(
        discounts={"openai": 0.05, "anthropic": 0.333},
        margins={"global": 0.1, "gemini": {"percentage": 0.07, "fixed_amount": 0.0001}},
    ),
}


@pytest.mark.parametrize("book", BOOKS.values(), ids=BOOKS)
@settings(max_examples=300, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    usage=usages,
    tier=st.none() | st.sampled_from(["default", "flex", "priority", "standard"]),
    host=st.sampled_from(["https://api.openai.com", "https://eu.api.openai.com", "https://x.example.org"]),
    reported=st.none() | st.decimals(0, 100, places=9),
)
def test_a_row_priced_again_has_the_cost_that_it_had(
    book: PriceBook,
    model: tuple[str, str],
    usage: Usage,
    tier: str | None,
    host: str,
    reported: Decimal | None,
) -> None:
    now = time.time()
    call = Call(
        call_id="c",
        provider=model[0],
        operation="completion",
        request_model=model[1],
        api_base=host,
        started_at=now,
        ended_at=now + 1.25,
        service_tier=tier,
        usage=usage,
        usage_source=UsageSource.REPORTED,
    )
    priced = structs.replace(call, cost=price(call, book, reported))
    row = dict(zip(COLUMNS, decode(encode_call(priced)), strict=True))
    stored = call_of(row)
    assert stored.usage == usage
    again = price(stored, book, stored.cost.reported_amount)
    assert again.amount == priced.cost.amount
    assert again.charges == priced.cost.charges == charges_of(row["charges"])
    if priced.cost.amount is not None:
        lines = sum((line.amount for line in priced.cost.charges), Decimal(0))
        assert row["spend"] == to_pico(lines)
