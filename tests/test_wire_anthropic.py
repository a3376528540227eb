"""Anthropic's messages: cache tokens beside the input, passes of other models, streams merged and not added."""

from __future__ import annotations

from typing import Any

import pytest

from spend_middleware.call import Unit
from wire_reads import events, read, tokens

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-x",
    "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "hi"}],
}

USAGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"input_tokens": 10, "output_tokens": 5}, {"input_tokens": 10, "output_tokens": 5}, "plain"),
    (
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
            "output_tokens": 5,
        },
        {
            "input_tokens": 140,
            "cache_read_tokens": 100,
            "cache_write_tokens": 30,
            "cache_write_1h_tokens": 10,
            "output_tokens": 5,
        },
        "cache tokens stand beside the input",
    ),
    (
        {"input_tokens": 10, "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 40}},
        {"output_tokens": 50, "reasoning_tokens": 40},
        "thinking is a part of the output",
    ),
    (
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
            "inference_geo": "us",
            "speed": "fast",
        },
        {"units": {Unit.WEB_SEARCHES: 2}, "traits": {"inference_geo": "us", "speed": "fast"}},
        "searches, geography and speed",
    ),
    (
        {
            "input_tokens": 181,
            "output_tokens": 8,
            "iterations": [
                {
                    "type": "compaction",
                    "input_tokens": 100,
                    "output_tokens": 83,
                    "cache_read_input_tokens": 5000,
                },
                {"type": "message", "input_tokens": 181, "output_tokens": 8},
            ],
        },
        {"input_tokens": 5281, "output_tokens": 91, "cache_read_tokens": 5000},
        "a compaction is billed though the top level leaves it out",
    ),
    (
        {
            "input_tokens": 181,
            "output_tokens": 8,
            "iterations": [{"type": "compaction", "input_tokens": 100, "output_tokens": 83}],
        },
        {"input_tokens": 281, "output_tokens": 91},
        "iterations that leave out the message itself",
    ),
    ({"input_tokens": None, "output_tokens": "5", "cache_creation": []}, {"output_tokens": 5}, "odd types"),
    (
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 0, "output_tokens": 0},
        "a zero is not missing",
    ),
]


def stream_of(usage: dict[str, Any], *more: dict[str, Any]) -> bytes:
    started = {name: value for name, value in usage.items() if name != "output_tokens"}
    message = {**MESSAGE, "stop_reason": None, "content": [], "usage": {**started, "output_tokens": 1}}
    return events(
        {"type": "message_start", "message": message},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
        *more,
    )


@pytest.mark.parametrize(("usage", "counts", "rule"), USAGES, ids=[rule for *_, rule in USAGES])
def test_a_message_is_counted_alike_whole_and_streamed(
    usage: dict[str, Any], counts: dict[str, Any], rule: str
) -> None:
    whole = read("anthropic.messages", {**MESSAGE, "usage": usage}, provider="anthropic")
    assert whole.usage is not None
    assert {name: getattr(whole.usage, name) for name in counts} == counts
    streamed = read("anthropic.messages", stream_of(usage), provider="anthropic")
    assert streamed.usage == whole.usage
    for name in ("response_id", "response_model", "finish_reason", "service_tier"):
        assert getattr(streamed, name) == getattr(whole, name)


def test_a_pass_of_another_model_keeps_its_own_price() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "iterations": [
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
            {"type": "advisor_message", "model": "claude-big", "input_tokens": 200, "output_tokens": 20},
        ],
    }
    counted = read("anthropic.messages", {**MESSAGE, "usage": usage}).usage
    assert counted is not None
    assert (counted.input_tokens, counted.output_tokens) == (10, 5)
    assert [(model, part.input_tokens) for model, part in counted.passes] == [("claude-big", 200)]
    assert counted.overall("input_tokens") == 210


def test_the_start_of_a_stream_tells_what_its_end_leaves_out() -> None:
    body = events(
        {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 10, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 30}},
    )
    counted = read("anthropic.messages", body).usage
    assert counted is not None
    assert (counted.input_tokens, counted.output_tokens) == (10, 30)


def test_a_stream_that_broke_off_keeps_its_input_and_gives_its_text() -> None:
    body = stream_of({"input_tokens": 10, "output_tokens": 5}).partition(b'data: {"type": "message_delta"')[0]
    reading = read("anthropic.messages", body)
    assert reading.usage is not None
    assert reading.usage.input_tokens == 10
    assert reading.output_missing
    assert reading.visible_text is not None
    assert reading.visible_text() == "hi"


def test_an_error_inside_a_stream_is_an_error() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reading = read("anthropic.messages", stream_of({"input_tokens": 1, "output_tokens": 1}, error))
    assert reading.error_type == "overloaded_error"


@pytest.mark.parametrize("status", [400, 529])
def test_a_refusal_is_a_failure_with_its_word(status: int) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    reading = read("anthropic.messages", body, status=status)
    assert (reading.error_type, reading.usage) == ("invalid_request_error", None)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_older_completions_give_text_and_no_usage(streamed: bool) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "completion", "completion": "one ", "stop_reason": None, "model": "claude-2"},
        {"type": "completion", "completion": "two", "stop_reason": "stop_sequence", "model": "claude-2"},
    ]
    whole = {**parts[1], "completion": "one two", "id": "compl_1"}
    reading = read("anthropic.complete", events(*parts) if streamed else whole)
    assert reading.usage is None
    assert (reading.response_model, reading.finish_reason) == ("claude-2", "stop_sequence")
    assert reading.visible_text is not None
    assert reading.visible_text() == "one two"


@pytest.mark.parametrize(
    ("start", "delta"),
    [
        ({"input_tokens": 100, "output_tokens": 1}, {"output_tokens": 50}),
        ({"input_tokens": 100, "output_tokens": 1}, {"input_tokens": 100, "output_tokens": 50}),
        ({"input_tokens": 100, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 50}),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 100, "output_tokens": 50}),
        ({"input_tokens": 7, "output_tokens": 1}, {"input_tokens": 100, "output_tokens": 50}),
        (
            {"input_tokens": 100, "output_tokens": 1},
            {"input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0}, "output_tokens": 50},
        ),
        ({"input_tokens": 120}, {"input_tokens": 0, "cache_read_input_tokens": 100, "output_tokens": 50}),
        ({"input_tokens": 100, "output_tokens": 1}, {"input_tokens": None, "output_tokens": 50}),
    ],
)
def test_start_and_end_of_a_stream_are_merged_whoever_states_the_input(
    start: dict[str, Any], delta: dict[str, Any]
) -> None:
    body = events(
        {"type": "message_start", "message": {"model": "claude-x", "usage": start}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": delta},
    )
    assert tokens(read("anthropic.messages", body)) == (100, 50)
