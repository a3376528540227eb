"""OpenAI's formats and those who speak them: what each usage block means, whole and streamed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware import wire
from spend_middleware.call import Unit
from spend_middleware.wire import Received, Sent, recognise
from wire_reads import events, read

CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m-1", "service_tier": "default"}
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}

# usage block, the counts that it means, the rule
CHAT_USAGES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "openai.chat",
        {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
        {"input_tokens": 9, "output_tokens": 12, "total_tokens": 21},
        "plain",
    ),
    (
        "openai.chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 5},
        },
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_read_tokens": 64,
            "input_audio_tokens": 10,
            "reasoning_tokens": 40,
            "output_audio_tokens": 5,
        },
        "cached and reasoning tokens are parts",
    ),
    (
        "openai.chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "prompt_cache_hit_tokens": 60,
            "prompt_cache_miss_tokens": 40,
        },
        {"input_tokens": 100, "cache_read_tokens": 60},
        "DeepSeek's hits and misses",
    ),
    (
        "openai.chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "prompt_tokens_details": {
                "cache_write_tokens": 60,
                "cache_write_tokens_details": {"ttl_12h_tokens": 40, "ttl_30m_tokens": 20},
            },
        },
        {"cache_write_tokens": 60, "cache_write_1h_tokens": 40},
        "writes that OpenAI keeps for twelve hours",
    ),
    (
        "openai.chat",
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "num_cached_tokens": 9},
        {"cache_read_tokens": 9, "traits": {"cache_reads": "undiscounted"}},
        "Mistral's older word for cached, before there was a discount",
    ),
    (
        "openai.chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "num_cached_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 64},
        },
        {"cache_read_tokens": 64, "traits": {}},
        "Mistral's discounted tokens come before its engine's count",
    ),
    (
        "openai.chat",
        {
            "prompt_tokens": 3,
            "completion_tokens": 11,
            "total_tokens": 389,
            "prompt_audio_seconds": 4,
            "prompt_tokens_details": {"audio_tokens": 375},
        },
        {
            "input_tokens": 3,
            "output_tokens": 11,
            "input_audio_tokens": 0,
            "units": {Unit.INPUT_AUDIO_SECONDS: 4},
        },
        "Mistral bills audio by the second",
    ),
    (
        "openai.chat",
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 30},
        },
        {"input_tokens": 100, "cache_read_tokens": 10, "cache_write_tokens": 30},
        "cache writes",
    ),
    (
        "xai.chat",
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 42,
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        {"output_tokens": 32, "reasoning_tokens": 30},
        "xAI leaves reasoning out",
    ),
    (
        "gemini.chat",
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
        {"input_tokens": 35, "output_tokens": 74, "reasoning_tokens": 62},
        "Gemini hides thinking in the total",
    ),
    (
        "perplexity.chat",
        {
            "prompt_tokens": 8,
            "completion_tokens": 10,
            "total_tokens": 18,
            "reasoning_tokens": 5,
            "citation_tokens": 7,
            "num_search_queries": 3,
            "search_context_size": "low",
        },
        {
            "output_tokens": 15,
            "reasoning_tokens": 5,
            "units": {Unit.CITATION_TOKENS: 7, Unit.WEB_SEARCHES: 3},
            "traits": {"search_context_size": "low"},
        },
        "Perplexity's deep research",
    ),
    (
        "openai.chat",
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"input_tokens": 0, "output_tokens": 0},
        "a reported zero is not missing",
    ),
    (
        "openai.chat",
        {"prompt_tokens": -5, "completion_tokens": "7", "total_tokens": None, "prompt_tokens_details": "odd"},
        {"input_tokens": 0, "output_tokens": 7},
        "odd types",
    ),
    (
        "openai.embeddings",
        {"total_tokens": 17},
        {"input_tokens": 17, "output_tokens": 0},
        "Voyage's total alone",
    ),
]


@pytest.mark.parametrize(
    ("wire_format", "usage", "counts", "rule"), CHAT_USAGES, ids=[rule for *_, rule in CHAT_USAGES]
)
def test_a_usage_block_is_counted_as_its_provider_means_it(
    wire_format: str, usage: dict[str, Any], counts: dict[str, Any], rule: str
) -> None:
    reading = read(wire_format, {**CHAT, "choices": [CHOICE], "usage": usage})
    assert reading.usage is not None
    assert {name: getattr(reading.usage, name) for name in counts} == counts
    assert reading.raw_usage == usage
    assert reading.usage_note is None


@pytest.mark.parametrize(
    ("wire_format", "usage"), [(wire_format, usage) for wire_format, usage, *_ in CHAT_USAGES]
)
def test_a_stream_counts_as_the_whole_answer_does(wire_format: str, usage: dict[str, Any]) -> None:
    chunk = {**CHAT, "choices": [{"delta": {"content": "hi"}, "finish_reason": None}], "usage": None}
    last = {**CHAT, "choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}
    streamed = read(wire_format, events(chunk, last, {**CHAT, "choices": [], "usage": usage}))
    whole = read(wire_format, {**CHAT, "choices": [CHOICE], "usage": usage})
    assert streamed.usage == whole.usage
    assert streamed.stream
    assert not whole.stream
    for name in ("response_id", "response_model", "finish_reason", "service_tier"):
        assert getattr(streamed, name) == getattr(whole, name)


COUNTS = st.none() | st.integers(-10, 10**9) | st.floats(allow_nan=False) | st.text(max_size=3)
USAGES = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"]),
    COUNTS,
    min_size=1,
)


@given(USAGES)
def test_any_usage_counts_alike_streamed_and_whole(usage: dict[str, Any]) -> None:
    streamed = read("openai.chat", events({"choices": [], "usage": usage}))
    assert streamed.usage == read("openai.chat", {"choices": [], "usage": usage}).usage


_WORDS = st.sampled_from([None, "", "x", "x" * 600, 5, ["x"], {"x": "y"}])
_CHOICES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        [],
        {},
        [None],
        [{}],
        [CHOICE],
        [CHOICE, {**CHOICE, "finish_reason": 1}],
        [{"finish_reason": None}],
        "x",
    ]
)
_ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "model", "service_tier"), _WORDS),
        "choices": _CHOICES,
        "usage": st.one_of(USAGES, st.sampled_from([None, {}, [], "x", 1])),
        "error": st.sampled_from([None, {}, "", "x", {"type": "overloaded_error"}]),
    },
)


@given(_ANSWERS)
def test_an_answer_of_the_usual_types_is_read_like_any_other(answer: dict[str, Any]) -> None:
    # An array of one is no usual answer, and means what is in it.
    usual, any_other = (read("openai.chat", body, sent={"model": "asked"}) for body in (answer, [answer]))
    texts = [text() if (text := found.visible_text) else None for found in (usual, any_other)]
    assert texts[0] == texts[1]
    usual.visible_text = any_other.visible_text = None
    assert usual == any_other


def test_groq_counts_below_its_own_name_too() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    reading = read("groq.chat", events({**CHAT, "choices": [], "x_groq": {"id": "r", "usage": usage}}))
    assert reading.usage is not None
    assert reading.usage.output_tokens == 6


def test_a_usage_that_is_repeated_in_every_chunk_counts_once() -> None:
    chunks = [
        {**CHAT, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": n}} for n in (1, 2, 3)
    ]
    reading = read("perplexity.chat", events(*chunks))
    assert reading.usage is not None
    assert reading.usage.output_tokens == 3


def test_azures_first_chunk_without_choices_is_not_the_usage_chunk() -> None:
    first: dict[str, Any] = {"choices": [], "prompt_filter_results": []}
    reading = read("openai.chat", events(first, {**CHAT, "choices": [{"delta": {"content": "hi"}}]}))
    assert reading.usage is None
    assert reading.response_model == "m-1"


def test_a_stream_without_usage_gives_its_text_for_counting() -> None:
    call = {"function": {"name": "f", "arguments": '{"a":1}'}}
    chunks = [
        {**CHAT, "choices": [{"delta": {"content": "one "}}]},
        {**CHAT, "choices": [{"delta": {"content": "two", "tool_calls": [call]}}]},
    ]
    reading = read("openai.chat", events(*chunks))
    assert reading.usage is None
    assert reading.visible_text is not None
    assert reading.visible_text() == 'one twof{"a":1}'


def test_a_total_that_does_not_add_up_is_noted() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 30}
    assert read("openai.chat", {**CHAT, "usage": usage}).usage_note == "total_tokens 30 != 21"


def test_an_error_inside_a_stream_is_an_error_and_its_usage_counts() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1}
    body = events(
        {**CHAT, "choices": [], "usage": usage}, {"error": {"type": "server_error", "message": "x"}}
    )
    reading = read("openai.chat", body)
    assert reading.error_type == "server_error"
    assert reading.usage is not None


def test_an_error_in_a_200_is_an_error() -> None:
    assert read("openai.chat", {"error": {"code": "content_filter"}}).error_type == "content_filter"


def test_a_body_that_broke_off_tells_what_is_whole() -> None:
    text = json.dumps({**CHAT, "choices": [CHOICE], "usage": {"prompt_tokens": 123, "completion_tokens": 45}})
    cut = read("openai.chat", text[:-3])
    assert cut.response_id == "chatcmpl-1"
    assert cut.usage is None


def test_a_body_whose_middle_is_missing_still_tells_its_usage() -> None:
    text = json.dumps({**CHAT, "choices": [CHOICE], "usage": {"prompt_tokens": 123, "completion_tokens": 45}})
    ends = text[:80] + text[160:]
    reading = read("openai.chat", ends)
    assert reading.usage is not None
    assert reading.usage.input_tokens == 123


COSTS: list[tuple[str, dict[str, Any], Decimal | None]] = [
    ("openrouter", {"cost": 0.000123}, Decimal("0.000123")),
    (
        "openrouter",
        {"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}},
        Decimal("0.021"),
    ),
    ("openrouter", {"cost": 0, "is_byok": False}, Decimal(0)),
    ("perplexity", {"cost": {"total_cost": 0.00519, "request_cost": 0.005}}, Decimal("0.00519")),
    ("xai", {"cost_in_usd_ticks": 10959000}, Decimal("0.0010959")),
    ("openai", {"pydantic_ai_gateway": {"cost_estimate": 0.000125}}, Decimal("0.000125")),
    ("openai", {"cost": 7}, None),
]


@pytest.mark.parametrize(("provider", "stated", "cost"), COSTS)
def test_a_cost_that_the_provider_states_is_kept(
    provider: str, stated: dict[str, Any], cost: Decimal | None
) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, **stated}
    assert read("openai.chat", {**CHAT, "usage": usage}, provider=provider).reported_cost == cost


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "m-1",
    "status": "completed",
    "service_tier": "default",
    "output": [
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "web_search_call", "id": "ws_2"},
        {"type": "file_search_call", "id": "fs_1"},
        {"type": "code_interpreter_call", "container_id": "c1"},
        {"type": "code_interpreter_call", "container_id": "c1"},
        {"type": "computer_call"},
        {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
    ],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 150,
    },
}
TOOLS = {Unit.WEB_SEARCHES: 2, Unit.FILE_SEARCHES: 1, Unit.CODE_SESSIONS: 1, Unit.COMPUTER_USES: 1}


def response_stream(**response: Any) -> bytes:
    last = {"type": f"response.{response.get('status', 'completed')}", "response": {**RESPONSE, **response}}
    return events(
        {
            "type": "response.created",
            "response": {**RESPONSE, "status": "in_progress", "usage": None, "output": []},
        },
        {"type": "response.output_text.delta", "delta": "hi"},
        last,
    )


@pytest.mark.parametrize("body", [RESPONSE, response_stream()], ids=["whole", "streamed"])
def test_a_response_counts_tokens_and_each_of_its_tools(body: Any) -> None:
    reading = read("openai.responses", body)
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (100, 50)
    assert (reading.usage.cache_read_tokens, reading.usage.cache_write_tokens) == (64, 8)
    assert dict(reading.usage.units) == TOOLS
    assert (reading.response_id, reading.finish_reason) == ("resp_1", "completed")


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [("incomplete", "max_output_tokens", None), ("failed", "failed", "server_error")],
)
def test_a_response_that_did_not_complete_still_counts(status: str, reason: str, error: str | None) -> None:
    said: dict[str, Any] = {"status": status}
    if status == "incomplete":
        said["incomplete_details"] = {"reason": reason}
    else:
        said["error"] = {"code": "server_error", "message": "x"}
    reading = read("openai.responses", response_stream(**said))
    assert reading.usage is not None
    assert (reading.finish_reason, reading.error_type) == (reason, error)


def test_a_response_stream_that_broke_off_is_known_by_its_start() -> None:
    reading = read("openai.responses", response_stream()[:-60].rpartition(b'data: {"type"')[0])
    assert reading.usage is None
    assert (reading.response_id, reading.pending) == ("resp_1", False)
    assert reading.visible_text is not None
    assert reading.visible_text() == "hi"


BACKGROUND = {**RESPONSE, "background": True, "created_at": 1700000000}


def test_a_background_response_is_pending_and_billed_once_when_it_is_read() -> None:
    queued = read("openai.responses", {**BACKGROUND, "status": "queued", "usage": None})
    assert queued.pending
    poll = read("openai.responses", {**BACKGROUND, "status": "in_progress", "usage": None}, follow_up=True)
    assert not poll.billable
    done = read("openai.responses", BACKGROUND, follow_up=True)
    assert done.billable
    assert (done.once_key, done.created_at) == ("openai/response/resp_1", 1700000000.0)


def test_reading_an_ordinary_response_again_bills_nothing() -> None:
    again = read("openai.responses", RESPONSE, follow_up=True)
    assert not again.billable


@pytest.mark.parametrize(
    ("headers", "provider", "cost"),
    [
        ({"x-litellm-version": "1.63.11"}, "litellm_proxy", None),
        (
            {"x-litellm-call-id": "c", "x-litellm-response-cost": "3.95e-05"},
            "litellm_proxy",
            Decimal("3.95e-05"),
        ),
        ({"x-litellm-call-id": "c", "x-litellm-response-cost": "0.0"}, "litellm_proxy", None),
        ({}, None, None),
    ],
)
def test_a_litellm_proxy_is_known_by_its_headers(
    headers: dict[str, str], provider: str | None, cost: Decimal | None
) -> None:
    route = recognise("POST", "0.0.0.0:4000", "/chat/completions")
    assert route is not None
    body = json.dumps({**CHAT, "model": "gpt-4o-mini", "usage": {"prompt_tokens": 1}}).encode()
    reading = wire.read(route, Sent(), Received(status=200, headers=headers, body=body))
    assert (reading.provider, reading.reported_cost) == (provider, cost)
    assert reading.price_provider == ("openai" if provider else None)


@pytest.mark.parametrize(("body", "billable"), [({"answers": []}, False), ({"object": "response"}, True)])
def test_what_only_looked_like_an_llm_call_is_not_recorded(body: dict[str, Any], billable: bool) -> None:
    route = recognise("POST", "survey.example.com", "/42/responses")
    assert route is not None
    reading = wire.read(route, Sent(), Received(status=200, body=json.dumps(body).encode()))
    assert reading.billable is billable


def test_embeddings_are_read_without_their_vectors() -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.25] * 2000}
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    body = {"object": "list", "data": [vector, vector], "model": "m-1", "usage": usage}
    for content in (
        body,
        dict(reversed(body.items())),
        {**body, "data": [{**vector, "embedding": "AAAA" * 999}]},
    ):
        reading = read("openai.embeddings", content)
        assert reading.usage is not None
        assert (reading.usage.input_tokens, reading.response_model) == (5, "m-1")
    assert read("openai.embeddings", {**body, "usage": None}).usage is None


def test_a_search_model_that_cites_has_searched_once() -> None:
    cited = {"message": {"content": "hi", "annotations": [{"type": "url_citation", "url_citation": {}}]}}
    body = {**CHAT, "model": "gpt-x-search", "choices": [cited], "usage": {"prompt_tokens": 1}}
    asked = {"web_search_options": {"search_context_size": "high"}}
    counted = read("openai.chat", body, sent=asked).usage
    assert counted is not None
    assert (dict(counted.units), dict(counted.traits)) == (
        {Unit.WEB_SEARCHES: 1},
        {"search_context_size": "high"},
    )
    plain = read("openai.chat", {**body, "model": "gpt-x"}, sent=asked).usage
    assert plain is not None
    assert not plain.units


@pytest.mark.parametrize("streamed", [False, True])
def test_groqs_compound_bills_the_models_and_tools_inside(streamed: bool) -> None:
    tools = [{"index": 0, "type": "search"}, {"index": 1, "type": "search"}, {"index": 2, "type": "visit"}]
    inner = [
        {"model": "small", "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        {"model": "large", "usage": {"prompt_tokens": 100, "completion_tokens": 50}},
    ]
    said = {"content": "hi", "executed_tools": tools}
    body = {
        **CHAT,
        "choices": [{"delta" if streamed else "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 110, "completion_tokens": 55, "total_tokens": 165},
        "usage_breakdown": {"models": inner},
    }
    reading = read("groq.chat", events(body) if streamed else body, provider="groq")
    assert reading.usage is not None
    assert (reading.response_model, reading.usage.input_tokens) == ("large", 100)
    assert reading.usage.overall("input_tokens") == 110
    assert dict(reading.usage.units) == {Unit.WEB_SEARCHES: 2, Unit.WEB_PAGES_OPENED: 1}
