"""Formats that one vendor alone speaks: DashScope, MiniMax, Azure Speech, LM Studio, completions fetched later."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from spend_middleware.call import Unit
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from wire_reads import events, read, tokens

SSE = {"content-type": "text/event-stream"}
AT = 1_795_000_000.0


def dashscope_event(text: str, **usage: int) -> dict[str, Any]:
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"output": {"choices": [choice]}, "usage": usage, "request_id": "r1"}


DASHSCOPE: dict[str, tuple[dict[str, Any], tuple[int, int], dict[str, Any]]] = {
    "text": ({"input_tokens": 22, "output_tokens": 17, "total_tokens": 39}, (22, 17), {}),
    "a cached prompt": (
        {"input_tokens": 22, "output_tokens": 17, "prompt_tokens_details": {"cached_tokens": 8}},
        (22, 17),
        {"cache_read_tokens": 8},
    ),
    "reasoning": (
        {"input_tokens": 2, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 7}},
        (2, 9),
        {"reasoning_tokens": 7},
    ),
    "a picture, counted beside the sum": (
        {"input_tokens": 1247, "output_tokens": 1, "image_tokens": 1230},
        (1247, 1),
        {"input_image_tokens": 1230},
    ),
    "a picture, counted in the details": (
        {"input_tokens": 1247, "output_tokens": 1, "image_tokens": 9, "input_tokens_details": {"image_tokens": 1230}},
        (1247, 1),
        {"input_image_tokens": 1230},
    ),
    "embeddings": ({"total_tokens": 26}, (26, 0), {}),
    "a picture that was made": (
        {"image_count": 1, "width": 1328, "height": 1328},
        (0, 0),
        {"units": {Unit.OUTPUT_IMAGES: 1}, "traits": {"size": "1328x1328"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("usage", "counts", "more"), DASHSCOPE.values(), ids=list(DASHSCOPE))
def test_dashscope_counts_whole_and_streamed_alike(
    usage: dict[str, Any], counts: tuple[int, int], more: dict[str, Any]
) -> None:
    body = {**dashscope_event("Hello."), "usage": usage}
    asked = {"model": "qwen-plus"}
    whole = read("dashscope.native", body, provider="dashscope", sent=asked)
    early = {**dashscope_event("Hel"), "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}
    stream = read("dashscope.native", events(early, body), provider="dashscope", sent=asked, headers=SSE)
    assert tokens(whole) == counts
    assert {name: getattr(whole.usage, name) for name in more} == more
    assert whole.usage == stream.usage
    assert (whole.request_model, whole.response_id, whole.finish_reason) == ("qwen-plus", "r1", "stop")
    assert (whole.stream, stream.stream) == (False, True)


def test_dashscope_repeats_in_events_what_it_said_before_unless_asked_for_increments() -> None:
    repeated = events(dashscope_event("Hel"), dashscope_event("Hello."))
    increments = events(dashscope_event("Hel"), dashscope_event("lo."))
    for body in (repeated, increments):
        reading = read("dashscope.native", body, headers=SSE)
        assert reading.visible_text is not None
        assert reading.visible_text() == "Hello."


def test_dashscope_says_an_error_with_a_code() -> None:
    body = {"code": "InvalidApiKey", "message": "secret words", "request_id": "r"}
    assert read("dashscope.native", body).error_type == "InvalidApiKey"


def test_minimax_chat_answers_as_openai_does_and_says_its_own_errors() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    body = {"id": "m", "model": "MiniMax-M2", "choices": [], "usage": usage, "base_resp": {"status_code": 0}}
    assert tokens(read("minimax.chat", body)) == (9, 3)
    refused = read("minimax.chat", {"base_resp": {"status_code": 1004, "status_msg": "secret words"}})
    assert (refused.error_type, refused.usage) == ("minimax_1004", None)


SPOKEN = {"data": {"audio": "ff", "status": 2}, "extra_info": {"usage_characters": 26}, "trace_id": "t"}


def test_minimax_speech_is_billed_by_the_characters_that_it_states() -> None:
    asked = {"model": "speech-02-hd", "text": "x"}
    whole = read("minimax.speech", SPOKEN, sent=asked)
    streamed = read("minimax.speech", events({"data": {"status": 1}}, SPOKEN), sent=asked, headers=SSE)
    ordered = read("minimax.speech", {"task_id": "7", "usage_characters": 26}, sent=asked)
    for reading in (whole, streamed, ordered):
        assert reading.usage is not None
        assert reading.usage.units == {Unit.INPUT_CHARACTERS: 26}
        assert reading.request_model == "speech-02-hd"


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ({"id": "i", "data": {"image_urls": ["a", "b"]}, "metadata": {"success_count": 1}}, 1),
        ({"id": "i", "data": {"image_base64": ["a", "b"]}}, 2),
    ],
)
def test_minimax_pictures_are_counted(body: dict[str, Any], made: int) -> None:
    usage = read("minimax.images", body).usage
    assert usage is not None
    assert usage.units == {Unit.OUTPUT_IMAGES: made}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"RecognitionStatus": "Success", "Offset": 1, "Duration": 12_300_000}, Decimal("1.23")),
        ({"durationMilliseconds": 182_439, "combinedPhrases": []}, Decimal("182.439")),
    ],
)
def test_azures_recognition_is_billed_by_the_second(body: dict[str, Any], seconds: Decimal) -> None:
    reading = read("azure_speech.recognition", body, provider="azure")
    assert reading.usage is not None
    assert reading.usage.units == {Unit.INPUT_AUDIO_SECONDS: seconds}
    query = PriceQuery(
        provider="azure",
        models=(str(reading.request_model),),
        usage=reading.usage,
        operation="transcription",
        at=AT,
    )
    amount = PriceBook.bundled().price(query).amount
    assert amount == round(seconds * Decimal("0.0002777778"), 12)


def test_azures_synthesis_says_why_its_characters_are_not_known() -> None:
    reading = read("azure_speech.synthesis", b"RIFF", provider="azure")
    assert (reading.usage, reading.request_model) == (None, "speech/azure-tts")
    assert reading.usage_note == "billed by the characters of its SSML, which is not looked into"


def test_lm_studio_counts_in_its_stats() -> None:
    stats = {"input_tokens": 419, "total_output_tokens": 362, "reasoning_output_tokens": 195}
    body = {
        "model_instance_id": "ibm/granite",
        "output": [{"type": "message", "content": "Hi"}],
        "stats": stats,
        "response_id": "r",
    }
    stream = events({"type": "message.delta", "content": "Hi"}, {"type": "chat.end", "result": body})
    for reading in (read("lm_studio.chat", body), read("lm_studio.chat", stream, headers=SSE)):
        assert tokens(reading) == (419, 362)
        assert reading.usage is not None
        assert (reading.usage.reasoning_tokens, reading.response_model) == (195, "ibm/granite")
        assert reading.visible_text is not None
        assert reading.visible_text() == "Hi"


CHAT = {
    "id": "c1",
    "model": "grok-4",
    "choices": [],
    "usage": {"prompt_tokens": 27, "completion_tokens": 48, "total_tokens": 75},
}


def test_a_deferred_completion_of_xai_is_billed_once_when_it_is_fetched() -> None:
    url = "https://api.x.ai/v1/chat/deferred-completion/r-1"
    order = read(
        "xai.chat", {"request_id": "r-1"}, sent={"model": "grok-4", "deferred": True}, provider="xai"
    )
    waiting = read("xai.chat", b"", provider="xai", follow_up=True, status=202, url=url)
    result = read("xai.chat", CHAT, provider="xai", follow_up=True, url=url)
    plain = read("xai.chat", CHAT, provider="xai", sent={"model": "grok-4"})
    assert (order.pending, order.usage, order.response_id) == (True, None, "r-1")
    assert not waiting.billable
    assert (tokens(result), result.once_key) == ((27, 48), "xai/completion/r-1")
    assert (tokens(plain), plain.once_key, plain.pending) == ((27, 48), None, False)


@pytest.mark.parametrize(
    ("status", "pending", "error"),
    [("CREATED", True, None), ("IN_PROGRESS", True, None), ("FAILED", False, "failed")],
)
def test_an_asynchronous_completion_of_perplexity_waits(
    status: str, pending: bool, error: str | None
) -> None:
    job = {"id": "p1", "model": "sonar-deep-research", "status": status, "response": None}
    order, poll = read("perplexity.async", job), read("perplexity.async", job, follow_up=True)
    assert (order.pending, order.billable, order.error_type) == (pending, True, error)
    assert not poll.billable


def test_an_asynchronous_completion_of_perplexity_is_billed_once_when_it_is_there() -> None:
    answer = {**CHAT, "model": "sonar-deep-research"}
    answer["usage"] = {**CHAT["usage"], "cost": {"total_cost": 0.5}}  # type: ignore[dict-item]
    job = {
        "id": "p1",
        "model": "sonar-deep-research",
        "status": "COMPLETED",
        "created_at": 1787150613,
        "response": answer,
    }
    for follow_up in (False, True):
        reading = read("perplexity.async", job, provider="perplexity", follow_up=follow_up)
        assert (tokens(reading), reading.reported_cost) == ((27, 48), Decimal("0.5"))
        assert (reading.once_key, reading.created_at) == ("perplexity/completion/p1", 1787150613)  # fmt: skip


def test_half_of_a_surrogate_pair_in_a_fetched_answer_is_read() -> None:
    job = (
        b'{"id":"p1","response":{"choices":[{"message":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":1}}}'
    )
    assert tokens(read("perplexity.async", job)) == (1, 0)


def test_a_container_is_billed_when_it_is_made() -> None:
    reading = read("openai.containers", {"id": "cntr_1", "object": "container", "status": "running"})
    assert reading.usage is not None
    query = PriceQuery(
        provider="openai", models=("container",), usage=reading.usage, operation="container", at=AT
    )
    assert PriceBook.bundled().price(query).amount == Decimal("0.03")
    assert json.dumps(reading.raw_usage) == "null"


def test_a_decision_has_prices_of_its_own() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010}
    reading = read("openai.completions", {"answers": [], "model": "gpt-6-luna", "usage": usage})
    assert reading.usage is not None
    book = PriceBook.bundled()
    rates = book.rates("openai", "gpt-6-luna", AT)
    assert rates is not None
    query = PriceQuery(
        provider="openai", models=("gpt-6-luna",), usage=reading.usage, operation="decision", at=AT
    )
    expected = 1000 * Decimal(str(rates["input_cost_per_token_decisions"]))
    expected += 10 * Decimal(str(rates["output_cost_per_token_decisions"]))
    assert book.price(query).amount == expected
