"""Cohere: what was billed counts, in both versions of the API, whole and streamed; rerank as many vendors answer it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from wire_reads import events, lines, read, tokens

V2_USAGE = {
    "billed_units": {"input_tokens": 12, "output_tokens": 10},
    "tokens": {"input_tokens": 614, "output_tokens": 13},
    "cached_tokens": 480,
}
V1_META = {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 12, "output_tokens": 10}}

CHAT: dict[str, Any] = {
    "v2": {"id": "a", "message": {"content": [{"type": "text", "text": "hi"}]}, "finish_reason": "COMPLETE", "usage": V2_USAGE},
    "v1": {"generation_id": "a", "text": "hi", "finish_reason": "COMPLETE", "meta": V1_META},
    "v1 generate": {"id": "a", "generations": [{"text": "hi", "finish_reason": "COMPLETE"}], "meta": V1_META},
    "a v2 stream": events(
        {"type": "message-start", "id": "a"},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": V2_USAGE}},
    ),
    "a v1 stream": lines(
        {"event_type": "stream-start", "is_finished": False},
        {"event_type": "text-generation", "text": "hi", "is_finished": False},
        {
            "event_type": "stream-end",
            "is_finished": True,
            "finish_reason": "COMPLETE",
            "response": {"generation_id": "a", "text": "hi", "meta": V1_META},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CHAT))
def test_the_billed_units_count_and_the_template_does_not(name: str) -> None:
    kind = {"a v2 stream": "text/event-stream", "a v1 stream": "application/stream+json"}.get(
        name, "application/json"
    )
    reading = read("cohere.chat", CHAT[name], headers={"content-type": kind}, provider="cohere")
    assert tokens(reading) == (12, 10)
    assert reading.usage is not None
    assert reading.usage.cache_read_tokens == 0
    assert reading.finish_reason == "COMPLETE"
    assert reading.response_id == "a"
    assert reading.stream == ("stream" in name)
    assert reading.visible_text is not None
    assert reading.visible_text() == "hi"
    assert "hi" not in str(reading.raw_usage)


def test_without_billed_units_the_tokens_count_with_their_cached_part() -> None:
    usage = {"tokens": {"input_tokens": 614, "output_tokens": 13}, "cached_tokens": 480}
    reading = read("cohere.chat", {"usage": usage})
    assert tokens(reading) == (614, 13)
    assert reading.usage is not None
    assert reading.usage.cache_read_tokens == 480


def test_an_answer_without_counts_has_no_usage() -> None:
    assert read("cohere.chat", {"meta": {"api_version": {"version": "1"}}}).usage is None


def test_a_stream_that_ends_in_an_error_says_so() -> None:
    body = events({"type": "message-end", "delta": {"finish_reason": "ERROR"}})
    assert read("cohere.chat", body, headers={"content-type": "text/event-stream"}).error_type == "error"


EMBED: dict[str, tuple[dict[str, int], int, int, dict[str, int]]] = {
    "text": ({"input_tokens": 7, "image_tokens": 0}, 7, 0, {}),
    "pictures as tokens": ({"input_tokens": 7, "image_tokens": 30}, 37, 30, {}),
    "pictures by number": ({"images": 2}, 0, 0, {"input_images": 2}),
}


@pytest.mark.parametrize(("billed", "inputs", "pictures", "units"), EMBED.values(), ids=list(EMBED))
def test_embeddings(billed: dict[str, int], inputs: int, pictures: int, units: dict[str, int]) -> None:
    usage = read("cohere.embed", {"embeddings": {}, "meta": {"billed_units": billed}}).usage
    assert usage is not None
    assert (usage.input_tokens, usage.input_image_tokens, dict(usage.units)) == (inputs, pictures, units)


RERANK: dict[str, tuple[Any, int, dict[str, int]]] = {
    "Cohere": ({"results": [], "meta": {"billed_units": {"search_units": 3}}}, 0, {"search_units": 3}),
    "Voyage": ({"data": [], "usage": {"total_tokens": 57}}, 57, {}),
    "Together": (
        {"results": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}},
        9,
        {},
    ),
    "tokens as billed units": ({"meta": {"billed_units": {"total_tokens": 17}}}, 17, {}),
    "search units in usage": ({"results": [], "usage": {"search_units": 2}}, 0, {"search_units": 2}),
    "nothing stated: by the documents": ({"results": [{}]}, 0, {"search_units": 2}),
}


@pytest.mark.parametrize(("body", "inputs", "units"), RERANK.values(), ids=list(RERANK))
def test_rerank(body: Any, inputs: int, units: dict[str, int]) -> None:
    usage = read("cohere.rerank", body, sent={"documents": ["d"] * 101}).usage
    assert usage is not None
    assert (usage.input_tokens, dict(usage.units)) == (inputs, units)


def test_a_router_states_what_reranking_cost() -> None:
    body = {"results": [], "usage": {"total_tokens": 17, "cost": 3.4e-7}}
    assert read("cohere.rerank", body, provider="openrouter").reported_cost == Decimal("3.4E-7")


def test_a_refusal_has_no_usage() -> None:
    reading = read("cohere.chat", {"message": "secret"}, status=404)
    assert (reading.usage, reading.error_type) == (None, "http_404")
