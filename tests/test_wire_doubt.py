"""Counts that are no numbers, in every format by one rule; and bodies that are no answers whatever their status says."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest

from spend_middleware import wire
from spend_middleware.wire import Reading, Received, Route, Sent
from spend_middleware.wire.values import NoCount
from wire_reads import events, lines

ODD: dict[str, Any] = {
    "a list": [1],
    "an object": {"n": 1},
    "true": True,
    "a fraction": 1.5,
    "negative": -3,
    "the unknown of home-made servers": -1,
    "too large": 10**30,
    "a word": "many",
    "a fraction in a text": "1.5",
    "not a number": math.nan,
    "endless": math.inf,
}
SOUND: dict[str, Any] = {"a number": 7, "a whole double": 7.0, "a text": "7", "zero": 0}

CHAT = {"id": "c", "choices": [{"message": {"content": "Spend is what was used."}}]}
MESSAGE = {"id": "m", "type": "message", "content": [{"type": "text", "text": "Spend is what was used."}]}
GENERATED = {"candidates": [{"content": {"parts": [{"text": "Spend is what was used."}]}}]}
RESPONSE = {"id": "r", "status": "completed", "output": [{"content": [{"text": "Spend is what was used."}]}]}
CONVERSED = {
    "output": {"message": {"content": [{"text": "Spend is what was used."}]}},
    "stopReason": "end_turn",
}

# wire format -> an answer, and where its counts of the input and of the output stand.
PLACES: dict[str, tuple[Any, str, str]] = {
    "openai.chat": ({**CHAT, "usage": {}}, "usage.prompt_tokens", "usage.completion_tokens"),
    "openai.completions": ({**CHAT, "usage": {}}, "usage.prompt_tokens", "usage.completion_tokens"),
    "gemini.chat": ({**CHAT, "usage": {}}, "usage.prompt_tokens", "usage.completion_tokens"),
    "perplexity.chat": ({**CHAT, "usage": {}}, "usage.prompt_tokens", "usage.completion_tokens"),
    "openai.responses": ({**RESPONSE, "usage": {}}, "usage.input_tokens", "usage.output_tokens"),
    "anthropic.messages": ({**MESSAGE, "usage": {}}, "usage.input_tokens", "usage.output_tokens"),
    "gemini.generateContent": (
        {**GENERATED, "usageMetadata": {}},
        "usageMetadata.promptTokenCount",
        "usageMetadata.candidatesTokenCount",
    ),
    "gemini.interactions": (
        {"outputs": [{"text": "Spend is what was used."}], "usage": {}},
        "usage.total_input_tokens",
        "usage.total_output_tokens",
    ),
    "bedrock.converse": ({**CONVERSED, "usage": {}}, "usage.inputTokens", "usage.outputTokens"),
    "bedrock.invoke": ({**MESSAGE, "usage": {}}, "usage.input_tokens", "usage.output_tokens"),
    "cohere.chat": (
        {"message": {"content": [{"text": "Spend is."}]}, "usage": {"billed_units": {}}},
        "usage.billed_units.input_tokens",
        "usage.billed_units.output_tokens",
    ),
    "ollama.native": ({"response": "Spend is.", "done": True}, "prompt_eval_count", "eval_count"),
    "mistral.conversations": (
        {"outputs": [{"content": "Spend is."}], "usage": {}},
        "usage.prompt_tokens",
        "usage.completion_tokens",
    ),
    "dashscope.native": (
        {"output": {"text": "Spend is."}, "usage": {}},
        "usage.input_tokens",
        "usage.output_tokens",
    ),
    "lm_studio.chat": (
        {"output": [{"content": "Spend is."}], "stats": {}},
        "stats.input_tokens",
        "stats.total_output_tokens",
    ),
    "watsonx.generate": (
        {"results": [{"generated_text": "Spend is."}]},
        "results.input_token_count",
        "results.generated_token_count",
    ),
    "tgi.generate": (
        {"generated_text": "Spend is.", "details": {}},
        "details.input_length",
        "details.generated_tokens",
    ),
    "cloudflare.run": (
        {"result": {"response": "Spend is.", "usage": {}}},
        "result.usage.prompt_tokens",
        "result.usage.completion_tokens",
    ),
    "alephalpha.complete": (
        {"completions": [{"completion": "Spend is."}]},
        "num_tokens_prompt_total",
        "num_tokens_generated",
    ),
}  # fmt: skip


def put(answer: Any, path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for key in outer:
        answer = answer[key]
        answer = answer[0] if isinstance(answer, list) else answer
    answer[last] = value


def read(
    wire_format: str, body: Any, operation: str = "completion", kind: str = "application/json"
) -> Reading:
    route = Route(provider="openai", operation=operation, wire_format=wire_format)
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    received = Received(status=200, headers={"content-type": kind}, body=text)
    return wire.read(route, Sent(url="https://api.example.com/x", content={"model": "m"}), received)


def answer_of(wire_format: str, into: Any, out: Any) -> Any:
    answer, input_path, output_path = PLACES[wire_format]
    answer = copy.deepcopy(answer)
    put(answer, input_path, into)
    put(answer, output_path, out)
    return answer


@pytest.mark.parametrize("wire_format", PLACES)
@pytest.mark.parametrize("name", ODD)
def test_an_output_that_is_no_count_is_missing_in_every_format(wire_format: str, name: str) -> None:
    reading = read(wire_format, answer_of(wire_format, 9, ODD[name]))
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (9, 0)
    assert (reading.input_missing, reading.output_missing) == (False, True)
    assert "output_tokens" in str(reading.doubt)
    assert reading.visible_text is not None
    assert reading.visible_text().startswith("Spend is")


@pytest.mark.parametrize("wire_format", PLACES)
@pytest.mark.parametrize("name", ODD)
def test_an_input_that_is_no_count_is_missing_in_every_format(wire_format: str, name: str) -> None:
    reading = read(wire_format, answer_of(wire_format, ODD[name], 4))
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (0, 4)
    assert (reading.input_missing, reading.output_missing) == (True, False)
    assert "input_tokens" in str(reading.doubt)


@pytest.mark.parametrize("wire_format", PLACES)
@pytest.mark.parametrize("name", SOUND)
def test_a_whole_number_in_other_clothes_is_a_count_in_every_format(wire_format: str, name: str) -> None:
    reading = read(wire_format, answer_of(wire_format, 9, SOUND[name]))
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (9, int(SOUND[name]))
    assert (reading.doubt, reading.input_missing, reading.output_missing) == (None, False, False)


@pytest.mark.parametrize("wire_format", PLACES)
def test_what_is_taken_out_leaves_plain_numbers(wire_format: str) -> None:
    reading = read(wire_format, answer_of(wire_format, [1], [2]))
    assert reading.usage is not None
    assert {type(number) for number in reading.usage.counts()} <= {int, type(None)}
    assert NoCount not in map(type, (reading.raw_usage or {}).values())
    assert (reading.input_missing, reading.output_missing) == (True, True)


STREAMS: dict[str, tuple[str, bytes]] = {
    "chat": ("openai.chat", events({"choices": [{"delta": {"content": "Spend is."}}]}, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": [1]}})),
    "messages": ("anthropic.messages", events({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}}, {"type": "content_block_delta", "delta": {"text": "Spend is."}}, {"type": "message_delta", "delta": {}, "usage": {"output_tokens": "x"}})),
    "responses": ("openai.responses", events({"type": "response.completed", "response": {**RESPONSE, "usage": {"input_tokens": 9, "output_tokens": True}}})),
    "gemini": ("gemini.generateContent", events({**GENERATED, "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": -1}})),
    "ollama": ("ollama.native", lines({"response": "Spend is.", "done": False}, {"done": True, "prompt_eval_count": 9, "eval_count": {}})),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_the_same_holds_for_streams(name: str) -> None:
    wire_format, body = STREAMS[name]
    kind = "application/x-ndjson" if name == "ollama" else "text/event-stream"
    reading = read(wire_format, body, kind=kind)
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.input_missing, reading.output_missing) == (9, False, True)
    assert reading.visible_text is not None
    assert "Spend is" in reading.visible_text()


USAGES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "the output": ({"prompt_tokens": 9, "completion_tokens": [1], "total_tokens": 15}, (9, 6)),
    "the input": ({"prompt_tokens": "x", "completion_tokens": 6, "total_tokens": 15}, (9, 6)),
}


@pytest.mark.parametrize("name", USAGES)
def test_of_three_numbers_the_odd_one_follows_from_the_others(name: str) -> None:
    usage, expected = USAGES[name]
    reading = read("openai.chat", {**CHAT, "usage": usage})
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == expected
    assert (reading.doubt, reading.input_missing, reading.output_missing) == (None, False, False)


def test_an_odd_detail_is_left_out_and_said_and_the_sums_count() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": "x"}}
    reading = read("openai.chat", {**CHAT, "usage": usage})
    assert reading.usage is not None
    assert (reading.usage.cache_read_tokens, reading.usage.output_tokens) == (0, 4)
    assert (reading.doubt, reading.usage_note) == (None, "no number: cache_read_tokens")


UNITS: dict[str, tuple[str, str, Any]] = {
    "pages": ("mistral.ocr", "ocr", {"pages": [], "usage_info": {"pages_processed": [3]}}),
    "seconds": ("deepgram.listen", "transcription", {"metadata": {"duration": "long"}}),
    "ticks": ("azure_speech.recognition", "transcription", {"Duration": "long"}),
    "search units": ("cohere.rerank", "rerank", {"results": [], "meta": {"billed_units": {"search_units": "x"}}}),
    "tools": ("openai.chat", "completion", {**CHAT, "usage": {"prompt_tokens": 9, "completion_tokens": 4, "server_tool_use": {"web_search_requests": "x"}}}),
    "another model's pass": ("anthropic.messages", "completion", {**MESSAGE, "model": "a", "usage": {"input_tokens": 9, "output_tokens": 4, "iterations": [{"type": "advisor_message", "model": "b", "input_tokens": 5, "output_tokens": [1]}]}}),
}  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
def test_a_quantity_that_is_no_number_leaves_the_call_without_a_price_and_nothing_to_estimate(
    name: str,
) -> None:
    wire_format, operation, answer = UNITS[name]
    reading = read(wire_format, answer, operation)
    assert "is no number" in str(reading.doubt)
    assert (reading.input_missing, reading.output_missing) == (False, False)


SAYS_NOTHING: dict[str, dict[str, Any]] = {
    "nulls": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "other names": {"tokens_in": 5, "tokens_out": 7},
    "times": {"total_time": 0.5},
    "zeros, and a total that is none": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 9},
}


@pytest.mark.parametrize("name", SAYS_NOTHING)
def test_a_usage_that_counts_nothing_is_no_usage(name: str) -> None:
    reading = read("openai.chat", {**CHAT, "usage": SAYS_NOTHING[name]})
    assert (reading.usage, reading.raw_usage) == (None, SAYS_NOTHING[name])


def test_a_reported_zero_is_a_zero() -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "total_time": 0.5}
    assert read("openai.chat", {**CHAT, "usage": zero}).usage is not None
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"trafficType": "ON_DEMAND"}}
    assert read("gemini.generateContent", blocked).usage is not None


UNSTATED: dict[str, tuple[str, Any]] = {
    "chat": ("openai.chat", {**CHAT, "usage": {"prompt_tokens": 9}}),
    "chat, null": ("openai.chat", {**CHAT, "usage": {"prompt_tokens": 9, "completion_tokens": None}}),
    "a total that is the input": ("openai.chat", {**CHAT, "usage": {"prompt_tokens": 9, "total_tokens": 9}}),
    "the first chunk of a stream that broke off": ("gemini.generateContent", {**GENERATED, "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}),
    "messages": ("anthropic.messages", {**MESSAGE, "usage": {"input_tokens": 9}}),
    "responses": ("openai.responses", {**RESPONSE, "usage": {"input_tokens": 9}}),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSTATED)
def test_an_output_that_is_seen_and_that_nobody_counts_is_no_zero(name: str) -> None:
    wire_format, answer = UNSTATED[name]
    reading = read(wire_format, answer)
    assert (reading.output_missing, reading.doubt) == (True, "the provider states no count of the output")


STATED: dict[str, tuple[str, str, Any]] = {
    "a zero": ("openai.chat", "completion", {**CHAT, "usage": {"prompt_tokens": 9, "completion_tokens": 0}}),
    "nothing seen": ("gemini.generateContent", "completion", {"candidates": [], "usageMetadata": {"promptTokenCount": 9}}),
    "vectors": ("openai.embeddings", "embedding", {"data": [], "usage": {"prompt_tokens": 9}}),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_a_zero_that_is_stated_or_that_shows_nothing_is_a_zero(name: str) -> None:
    wire_format, operation, answer = STATED[name]
    reading = read(wire_format, answer, operation)
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.output_missing, reading.doubt) == (9, False, None)


NO_ANSWERS: dict[str, tuple[str, bytes]] = {
    "malformed JSON": ("application/json", b'{"id": "c-1", "choices": [{"mess'),
    "HTML": ("text/html", b"<html>bad gateway</html>"),
    "binary": ("application/octet-stream", bytes(range(256)) * 40),
    "nothing": ("application/json", b""),
    "no event": ("text/event-stream", b""),
    "comments alone": ("text/event-stream", b": keep-alive\n\n"),
    "a scalar": ("application/json", b"42"),
    "a list of numbers": ("application/json", b"[1, 2]"),
    "an empty object": ("application/json", b"{}"),
    "words of an error": ("application/json", b'{"detail": "try later", "message": "busy"}'),
    "deep nesting": ("application/json", b"[" * 100_000),
    "a frame that is none": ("application/vnd.amazon.eventstream", b"\0\0\0"),
}
ANSWERS: dict[str, tuple[str, bytes]] = {
    "an answer without choices": ("application/json", b'{"object": "chat.completion", "choices": []}'),
    "events": ("text/event-stream", b'data: {"choices": []}\n\n'),
    "an end alone": ("text/event-stream", b"data: [DONE]\n\n"),
    "lines": ("application/x-ndjson", b'{"done": false}\n{"done": true}\n'),
    "an array of chunks": ("application/json", b'[{"candidates": []}]'),
    "a message": ("application/json", b'{"message": {"content": "hi"}}'),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_a_body_that_is_no_answer_is_told_from_one(name: str) -> None:
    kind, body = NO_ANSWERS[name]
    received = Received(status=200, headers={"content-type": kind}, body=body)
    chat = Route(provider="openai", operation="completion", wire_format="openai.chat")
    assert wire.is_no_answer(chat, received)
    speech = Route(provider="openai", operation="speech", wire_format="openai.speech")
    assert not wire.is_no_answer(speech, received), "sound may be any bytes"


def test_a_picture_may_come_in_any_shape_but_that_of_a_complaint() -> None:
    route = Route(provider="fal_ai", operation="image_generation", wire_format="fal_ai.run")
    bodies = (b'{"audio": {"url": "x"}, "seed": 1}', b'{"detail": "no"}', b"{}", b"<html>")
    assert [wire.is_no_answer(route, Received(status=200, body=body)) for body in bodies] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_answer_with_a_byte_order_mark_is_read(encoding: str) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    reading = read("openai.chat", json.dumps({**CHAT, "usage": usage}).encode(encoding))
    assert reading.usage is not None
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (9, 4)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_without_usage_is_an_answer(name: str) -> None:
    kind, body = ANSWERS[name]
    received = Received(status=200, headers={"content-type": kind}, body=body)
    assert not wire.is_no_answer(
        Route(provider="x", operation="completion", wire_format="openai.chat"), received
    )
