"""The pricing functions that LiteLLM's users know: its signatures and numbers, any SDK's answer, and no silent zero."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anthropic.types
import httpx
import httpx2
import openai
import openai.types
import openai.types.chat
import openai.types.responses
import pytest
from google.genai import types as google_types
from hypothesis import given, settings
from hypothesis import strategies as st

from spend_middleware import completion_cost, cost_per_token, response_cost, token_counter
from spend_middleware.errors import NotFoundError, SpendError
from spend_middleware.functions import as_mapping, price_response
from spend_middleware.pricing.book import PriceBook
from standin import answers

HELLO: Any = [{"role": "user", "content": "Hey, how's it going?"}]
CUSTOM = {"input_cost_per_token": 1e-5, "output_cost_per_token": 2e-5}


def answered(model: str, tokens_in: int, tokens_out: int, **usage: Any) -> dict[str, Any]:
    counts = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, **usage}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [], "usage": counts}


CACHED = answered("gpt-4o-mini", 1000, 100, prompt_tokens_details={"cached_tokens": 600})


# -- LiteLLM's numbers

COSTS: list[tuple[str, dict[str, Any], float]] = [
    ("a prompt", {"model": "gpt-4", "messages": HELLO}, 0.00042),
    ("a prompt as text", {"model": "gpt-4", "prompt": "Hey, how's it going?"}, 0.00021),
    ("and its completion", {"model": "gpt-4", "messages": HELLO, "completion": "Fine."}, 0.00054),
    ("a provider before the model", {"model": "openai/gpt-4", "messages": HELLO}, 0.00042),
    (
        "the provider beside it",
        {"model": "gpt-4", "messages": HELLO, "custom_llm_provider": "openai"},
        0.00042,
    ),
    ("an answer", {"completion_response": answered("gpt-3.5-turbo-0125", 9, 12)}, 2.25e-05),
    ("cached tokens", {"completion_response": CACHED}, 0.000165),
    ("a price of your own", {"completion_response": CACHED, "custom_cost_per_token": CUSTOM}, 0.012),
    (
        "a price of your own for an unknown model",
        {"model": "mine", "messages": HELLO, "custom_cost_per_token": CUSTOM},
        0.00014,
    ),
    (
        "a price by the second",
        {"completion_response": CACHED, "custom_cost_per_second": 0.01, "total_time": 2000.0},
        0.02,
    ),
    (
        "a price by the second, before a call",
        {"model": "mine", "custom_cost_per_second": 0.01, "total_time": 500.0},
        0.005,
    ),
    (
        "a tier",
        {"model": "gpt-4o", "prompt": "Hi", "optional_params": {"service_tier": "priority"}},
        4.25e-06,
    ),
    ("a tier by its name", {"model": "gpt-4o", "prompt": "Hi", "service_tier": "priority"}, 4.25e-06),
    (
        "another name's price",
        {"model": "my-deployment", "prompt": "Hi", "base_model": "azure/gpt-4o"},
        2.5e-06,
    ),
    ("characters spoken", {"model": "tts-1", "prompt": "x" * 1000, "call_type": "speech"}, 0.015),
    ("nothing at all", {"model": "gpt-4"}, 0.0),
]


@pytest.mark.parametrize(("asked", "cost"), [c[1:] for c in COSTS], ids=[c[0] for c in COSTS])
def test_a_call_costs_what_litellm_says(asked: dict[str, Any], cost: float) -> None:
    assert completion_cost(**asked) == pytest.approx(cost, rel=1e-12)


SIDES: list[tuple[str, dict[str, Any], tuple[float, float]]] = [
    ("gpt-3.5-turbo-0125", {"prompt_tokens": 9, "completion_tokens": 12}, (4.5e-06, 1.8e-05)),
    (
        "gpt-4o-mini",
        {"prompt_tokens": 1000, "completion_tokens": 100, "cache_read_input_tokens": 600},
        (0.000105, 6e-05),
    ),
    (
        "claude-sonnet-4-5",
        {"prompt_tokens": 1000, "completion_tokens": 10, "cache_creation_input_tokens": 600},
        (0.00345, 0.00015),
    ),
    ("gpt-4o", {"prompt_tokens": 1000, "service_tier": "priority"}, (0.00425, 0.0)),
    ("tts-1", {"prompt_characters": 1000, "call_type": "speech"}, (0.015, 0.0)),
    ("cohere/rerank-v3.5", {"number_of_queries": 2, "call_type": "rerank"}, (0.004, 0.0)),
    ("whisper-1", {"audio_transcription_file_duration": 60.0, "call_type": "transcription"}, (0.006, 0.0)),
    ("mine", {"prompt_tokens": 10, "completion_tokens": 5, "custom_cost_per_token": CUSTOM}, (1e-4, 1e-4)),
    ("gpt-4", {}, (0.0, 0.0)),
]


@pytest.mark.parametrize(("model", "asked", "costs"), SIDES)
def test_the_prompt_and_the_completion_cost_apart(
    model: str, asked: dict[str, Any], costs: tuple[float, float]
) -> None:
    assert cost_per_token(model, **asked) == pytest.approx(costs, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(tokens_in=st.integers(0, 10**6), tokens_out=st.integers(0, 10**6), cached=st.integers(0, 10**6))
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini/gemini-2.5-pro"])
def test_the_two_sides_add_up_to_the_whole(model: str, tokens_in: int, tokens_out: int, cached: int) -> None:
    reads = min(cached, tokens_in)
    sides = cost_per_token(model, tokens_in, tokens_out, cache_read_input_tokens=reads)
    usage = {"prompt_tokens_details": {"cached_tokens": reads}}
    whole = completion_cost(answered(model, tokens_in, tokens_out, **usage))
    assert sum(sides) == pytest.approx(whole, rel=1e-9, abs=1e-12)


# -- nothing known is no zero

UNKNOWN: list[dict[str, Any]] = [
    {"model": "gpt-99", "messages": HELLO},
    {"model": "", "messages": HELLO},
    {"completion_response": answered("claude-newfamily-9", 9, 12)},
    {"completion_response": answered("", 9, 12)},
    {"completion_response": {}},
    {"model": "whisper-1", "call_type": "transcription"},
]


@pytest.mark.parametrize("asked", UNKNOWN)
def test_an_unknown_price_is_an_error_and_no_zero(asked: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="No price is known") as caught:
        completion_cost(**asked)
    assert isinstance(caught.value, SpendError)
    assert isinstance(caught.value, LookupError)


def test_an_unknown_model_has_no_price_a_token() -> None:
    with pytest.raises(NotFoundError, match="gpt-99"):
        cost_per_token("gpt-99", 1, 1)


def test_the_cost_of_an_unknown_answer_is_none() -> None:
    assert response_cost(answered("gpt-99", 9, 12)) is None


def test_what_is_no_answer_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match="int is no answer"):
        completion_cost(5)


# -- answers of every SDK: 20 tokens in, 4 of them cached, and 10 out, 3 of them reasoning

GOOGLE = {**answers.generated({}, "Fine."), "modelVersion": "gemini-2.5-flash"}
ANSWERS: list[tuple[str, Any, str]] = [
    (
        "openai ChatCompletion",
        openai.types.chat.ChatCompletion.model_validate(answers.chat({"model": "gpt-4o-mini"}, "Fine.")),
        "0.0000087",
    ),
    (
        "openai Response",
        openai.types.responses.Response.construct(**answers.response({"model": "gpt-4o-mini"}, "Fine.")),
        "0.0000087",
    ),
    (
        "openai embedding",
        openai.types.CreateEmbeddingResponse.model_validate(answers.embedding({"input": "x"})),
        "0.0000004",
    ),
    (
        "openai Completion",
        openai.types.Completion.model_validate(answers.completion({}, "Fine.")),
        "0.00005",
    ),
    ("anthropic Message", anthropic.types.Message.model_validate(answers.message({}, "Fine.")), "0.0001992"),
    ("google answer", google_types.GenerateContentResponse.model_validate(GOOGLE), "0.00002992"),
    ("a mapping of Google's", GOOGLE, "0.00002992"),
    ("Cohere v2", {**answers.cohere_chat({}, "Fine."), "model": "command-a-03-2025"}, "0.00014"),
    (
        "Converse",
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Fine."}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 16, "cacheReadInputTokens": 4, "outputTokens": 10, "totalTokens": 30},
            "model": "anthropic.claude-3-5-sonnet-20240620-v1:0",
        },
        "0.0001992",
    ),
    (
        "a cost that the provider states",
        {**answered("openai/gpt-4o", 20, 10, cost=0.00017), "custom_llm_provider": "openrouter"},
        "0.00017",
    ),
]


@pytest.mark.parametrize(("answer", "cost"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
def test_an_answer_of_each_sdk_has_its_exact_cost(answer: Any, cost: str) -> None:
    assert response_cost(answer) == Decimal(cost)
    assert completion_cost(answer) == float(cost)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_raw_answer_is_taken_at_our_headers_word_and_else_priced(library: Any) -> None:
    told = library.Response(200, headers={"x-litellm-response-cost": "0.000123"}, json=CACHED)
    assert response_cost(told) == Decimal("0.000123")
    assert response_cost(library.Response(200, json=CACHED)) == Decimal("0.000165")


def test_the_raw_answer_of_the_openai_sdk_is_priced() -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=CACHED))
    with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport)) as client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=HELLO)
    assert response_cost(raw) == Decimal("0.000165")


def test_half_a_surrogate_pair_in_an_answer_harms_no_price() -> None:
    broken = {**CACHED, "choices": [{"message": {"content": "\ud800"}}]}
    assert completion_cost(broken) == 0.000165


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = """model modelVersion choices usage output candidates usageMetadata data stop_reason stopReason results meta message
    custom_llm_provider service_tier id object"""


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS.split()), json_values, max_size=6))
def test_any_json_as_an_answer_has_a_price_or_none_and_raises_nothing(answer: dict[str, Any]) -> None:
    cost = price_response(answer, PriceBook.bundled())
    assert cost.amount is None or cost.amount >= 0


# -- counting

COUNTS: list[tuple[dict[str, Any], int]] = [
    ({"model": "gpt-4", "messages": HELLO}, 14),
    ({"model": "gpt-4", "text": "Hey, how's it going?"}, 7),
    ({"model": "gpt-4", "text": ["Hey, how's", " it going?"]}, 7),
    ({"model": "gpt-4", "text": ""}, 0),
    ({"model": "gpt-4", "messages": HELLO, "count_response_tokens": True}, 7),
    ({"model": "gpt-4", "messages": []}, 3),
    ({"model": "gpt-4"}, 3),
]


@pytest.mark.parametrize(("asked", "count"), COUNTS)
def test_tokens_are_counted_in_litellms_ways(asked: dict[str, Any], count: int) -> None:
    assert token_counter(**asked) == count


def test_another_tokenizer_may_count() -> None:
    class Words:
        def encode(self, text: str) -> list[str]:
            return text.split()

    assert token_counter("gpt-4", custom_tokenizer=Words(), text="one two three") == 3


def test_a_mapping_stays_what_it_is() -> None:
    assert as_mapping(CACHED) is CACHED
