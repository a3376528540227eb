"""Google's own words: thoughts and tool prompts beside the candidates, modalities, numbers for words, grounding."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from spend_middleware import wire
from spend_middleware.call import Unit
from spend_middleware.wire import Received, Sent, recognise
from wire_reads import events, read

CHUNK: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "modelVersion": "gemini-x",
    "responseId": "r1",
}

USAGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        {"input_tokens": 10, "output_tokens": 5},
        "plain",
    ),
    (
        {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 40, "totalTokenCount": 55},
        {"output_tokens": 45, "reasoning_tokens": 40},
        "thoughts stand beside the candidates",
    ),
    (
        {"promptTokenCount": 10, "candidatesTokenCount": 45, "thoughtsTokenCount": 40, "totalTokenCount": 55},
        {"output_tokens": 45, "reasoning_tokens": 40},
        "candidates that hold the thoughts, as the total shows",
    ),
    (
        {
            "promptTokenCount": 10,
            "toolUsePromptTokenCount": 600,
            "candidatesTokenCount": 5,
            "totalTokenCount": 615,
        },
        {"input_tokens": 610, "tool_input_tokens": 600},
        "the prompts of tools are billed",
    ),
    (
        {
            "promptTokenCount": 300,
            "cachedContentTokenCount": 200,
            "candidatesTokenCount": 5,
            "totalTokenCount": 305,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 40},
                {"modality": "AUDIO", "tokenCount": 250},
                {"modality": "DOCUMENT", "tokenCount": 10},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 180},
                {"modality": "TEXT", "tokenCount": 20},
            ],
        },
        {
            "input_tokens": 300,
            "cache_read_tokens": 200,
            "input_audio_tokens": 250,
            "cache_read_audio_tokens": 180,
            "cache_read_text_tokens": 20,
        },
        "modalities of prompt and cache",
    ),
    (
        {
            "promptTokenCount": 10,
            "candidatesTokenCount": 1300,
            "totalTokenCount": 1310,
            "promptTokensDetails": [{"modality": 1, "tokenCount": 4}, {"modality": 2, "tokenCount": 6}],
            "candidatesTokensDetails": [{"modality": 2, "tokenCount": 1290}],
        },
        {"input_image_tokens": 6, "output_image_tokens": 1290},
        "modalities as numbers",
    ),
    (
        {"promptTokenCount": 7, "totalTokenCount": 7},
        {"input_tokens": 7, "output_tokens": 0},
        "nothing came out",
    ),
    ({"promptTokenCount": "x", "promptTokensDetails": {"a": 1}}, {"input_tokens": 0}, "odd types"),
]


@pytest.mark.parametrize(("usage", "counts", "rule"), USAGES, ids=[rule for *_, rule in USAGES])
def test_a_usage_is_counted_alike_whole_as_events_and_as_an_array(
    usage: dict[str, Any], counts: dict[str, Any], rule: str
) -> None:
    whole = read("gemini.generateContent", {**CHUNK, "usageMetadata": usage}, provider="gemini")
    assert whole.usage is not None
    assert {name: getattr(whole.usage, name) for name in counts} == counts
    assert whole.usage_note is None
    early = {**CHUNK, "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}}
    chunks = (early, {**CHUNK, "usageMetadata": usage})
    as_events = read("gemini.generateContent", events(*chunks).replace(b"\n", b"\r\n"))
    as_array = read("gemini.generateContent", json.dumps(chunks))
    assert as_events.usage == as_array.usage == whole.usage
    assert as_events.stream
    assert as_array.stream
    assert (whole.response_model, whole.response_id, whole.finish_reason) == ("gemini-x", "r1", "STOP")


def test_an_array_that_broke_off_tells_what_came() -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    text = json.dumps([{**CHUNK, "usageMetadata": usage}, CHUNK])
    reading = read("gemini.generateContent", text[:-40])
    assert reading.usage is not None
    assert reading.usage.input_tokens == 10


@pytest.mark.parametrize(
    ("reason", "word"), [(1, "STOP"), (2, "MAX_TOKENS"), ("SAFETY", "SAFETY"), (99, None)]
)
def test_a_finish_reason_may_be_a_number(reason: object, word: str | None) -> None:
    body = {"candidates": [{"finishReason": reason}]}
    assert read("gemini.generateContent", body).finish_reason == word


def test_a_refused_prompt_says_why() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    assert read("gemini.generateContent", body).finish_reason == "SAFETY"


GROUNDINGS: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({"webSearchQueries": ["a", "b", "a", ""], "searchEntryPoint": {}}, {Unit.WEB_SEARCHES: 2}),
    ({"groundingChunks": [{"maps": {"uri": "x"}}]}, {Unit.MAPS_QUERIES: 1}),
    ({"webSearchQueries": []}, {}),
]


@pytest.mark.parametrize(("grounding", "units"), GROUNDINGS)
def test_grounding_is_counted_by_its_queries(grounding: dict[str, Any], units: dict[str, int]) -> None:
    usage: dict[str, Any] = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    first = {"candidates": [{"groundingMetadata": grounding}]}
    whole = {"candidates": [{"groundingMetadata": grounding}], "usageMetadata": usage}
    for body in (whole, events(first, {**CHUNK, "usageMetadata": usage})):
        counted = read("gemini.generateContent", body).usage
        assert counted is not None
        assert dict(counted.units) == units


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"serviceTier": "standard"}, "standard"),
        ({"trafficType": 1}, None),
    ],
)
def test_the_tier_is_the_one_that_served(usage: dict[str, Any], tier: str | None) -> None:
    body = {**CHUNK, "usageMetadata": {"promptTokenCount": 1, **usage}}
    assert read("gemini.generateContent", body).service_tier == tier


def test_embeddings_count_their_prompt_or_nothing() -> None:
    counted = read("gemini.embedContent", {"embedding": {}, "usageMetadata": {"promptTokenCount": 4}}).usage
    assert counted is not None
    assert counted.input_tokens == 4
    assert read("gemini.embedContent", {"embeddings": [{"values": [0.1]}]}).usage is None


def test_a_prediction_counts_tokens_and_characters_of_all_its_parts() -> None:
    part = {"embeddings": {"values": [0.1], "statistics": {"token_count": 5}}}
    body = {"predictions": [part, part], "metadata": {"billableCharacterCount": 29}}
    counted = read("vertex.predict", body).usage
    assert counted is not None
    assert counted.input_tokens == 10
    assert dict(counted.units) == {Unit.INPUT_CHARACTERS: 29}


def test_predicted_images_are_counted() -> None:
    image = {"bytesBase64Encoded": "aaaa", "mimeType": "image/png"}
    reading = read("vertex.predict", {"predictions": [image, image]})
    assert reading.operation == "image_generation"
    counted = reading.usage
    assert counted is not None
    assert dict(counted.units) == {Unit.OUTPUT_IMAGES: 2}


INTERACTION = {
    "id": "i1",
    "model": "gemini-x",
    "status": "completed",
    "service_tier": "standard",
    "created": "2026-05-13T20:35:42Z",
    "usage": {
        "total_input_tokens": 266,
        "total_output_tokens": 3,
        "total_thought_tokens": 57,
        "total_cached_tokens": 16,
        "total_tool_use_tokens": 4,
        "total_tokens": 330,
        "input_tokens_by_modality": [{"modality": "image", "tokens": 258}, {"modality": "text", "tokens": 8}],
    },
}


@pytest.mark.parametrize(
    "body",
    [
        INTERACTION,
        events(
            {"event_type": "interaction.start", "interaction": {"id": "i1", "status": "in_progress"}},
            {"event_type": "interaction.completed", "interaction": INTERACTION},
        ),
    ],
    ids=["whole", "streamed"],
)
def test_an_interaction_counts_thoughts_and_tools_beside_the_rest(body: Any) -> None:
    reading = read("gemini.interactions", body)
    counted = reading.usage
    assert counted is not None
    assert (counted.input_tokens, counted.output_tokens, counted.reasoning_tokens) == (270, 60, 57)
    assert (counted.cache_read_tokens, counted.input_image_tokens) == (16, 258)
    assert reading.usage_note is None
    assert (reading.response_id, reading.finish_reason) == ("i1", "completed")


def test_an_interaction_in_the_background_is_billed_once() -> None:
    begun = {"id": "i1", "status": "in_progress", "background": True}
    assert read("gemini.interactions", begun, provider="gemini").pending
    assert not read("gemini.interactions", begun, follow_up=True).billable
    done = read("gemini.interactions", {**INTERACTION, "background": True}, provider="gemini", follow_up=True)
    assert (done.billable, done.once_key) == (True, "gemini/interaction/i1")
    assert not read("gemini.interactions", INTERACTION, follow_up=True).billable


def test_an_error_inside_an_array_is_an_error() -> None:
    body = json.dumps([CHUNK, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}])
    assert read("gemini.generateContent", body).error_type == "UNAVAILABLE"


def test_a_gateways_estimate_counts_in_googles_words_too() -> None:
    route = recognise(
        "POST", "gateway.pydantic.dev", "/proxy/google-vertex/v1/models/gemini-x:generateContent"
    )
    assert route is not None
    usage = {"promptTokenCount": 1, "pydantic_ai_gateway": {"cost_estimate": 0.000125}}
    body = json.dumps({**CHUNK, "usageMetadata": usage}).encode()
    reading = wire.read(route, Sent(), Received(status=200, body=body))
    assert reading.reported_cost == Decimal("0.000125")


def test_an_interaction_states_the_queries_of_its_tools_and_the_kinds_of_their_tokens() -> None:
    usage = {
        **INTERACTION["usage"],  # type: ignore[dict-item]
        "input_tokens_by_modality": [{"modality": "text", "tokens": 266}],
        "tool_use_tokens_by_modality": [{"modality": "image", "tokens": 4}],
        "grounding_tool_count": [
            {"type": "google_search", "count": 2},
            {"type": "google_maps", "count": 1},
            {"type": "retrieval", "count": 5},
            {"type": None, "count": 9},
        ],
    }
    counted = read("gemini.interactions", {**INTERACTION, "usage": usage}).usage
    assert counted is not None
    assert dict(counted.units) == {Unit.WEB_SEARCHES: 2, Unit.MAPS_QUERIES: 1}
    assert counted.input_image_tokens == 4
