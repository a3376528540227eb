"""The same usage counts the same, whether the answer comes whole or as a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_frames import chunk_of, frame_of
from wire_reads import events, lines, read

SSE = {"content-type": "text/event-stream"}
LINES = {"content-type": "application/x-ndjson"}
counts = st.integers(0, 10**7)

Pair = tuple[str, Any, Any, dict[str, str]]


def converse(a: int, b: int, c: int, d: int) -> Pair:
    usage = {"inputTokens": a, "outputTokens": b, "cacheReadInputTokens": c, "cacheWriteInputTokens": d}
    delta = frame_of("contentBlockDelta", {"delta": {"text": "x"}})
    return "bedrock.converse", {"usage": usage}, delta + frame_of("metadata", {"usage": usage}), {}


def claude_on_bedrock(a: int, b: int, c: int, d: int) -> Pair:
    start = {"input_tokens": a, "cache_read_input_tokens": c, "cache_creation_input_tokens": d}
    whole = {"type": "message", "usage": {**start, "output_tokens": b}}
    stream = (
        chunk_of({"type": "message_start", "message": {"usage": {**start, "output_tokens": 1}}})
        + chunk_of({"type": "content_block_delta", "delta": {"text": "x"}})
        + chunk_of(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": b}}
        )
    )
    return "bedrock.invoke", whole, stream, {}


def nova_on_bedrock(a: int, b: int, c: int, d: int) -> Pair:
    usage = {
        "inputTokens": a,
        "outputTokens": b,
        "cacheReadInputTokenCount": c,
        "cacheWriteInputTokenCount": d,
    }
    return "bedrock.invoke", {"usage": usage}, chunk_of({"metadata": {"usage": usage}}), {}


def cohere(a: int, b: int, c: int, d: int) -> Pair:
    usage = {
        "billed_units": {"input_tokens": a, "output_tokens": b},
        "tokens": {"input_tokens": a + d, "output_tokens": b},
        "cached_tokens": c,
    }
    end = {"type": "message-end", "delta": {"usage": usage}}
    return "cohere.chat", {"usage": usage}, events({"type": "message-start", "id": "i"}, end), SSE


def old_cohere(a: int, b: int, c: int, d: int) -> Pair:
    meta = {
        "billed_units": {"input_tokens": a, "output_tokens": b, "search_units": c},
        "api_version": {"version": str(d)},
    }
    stream = lines({"text": "x", "is_finished": False}, {"is_finished": True, "response": {"meta": meta}})
    return "cohere.chat", {"meta": meta}, stream, {"content-type": "application/stream+json"}


def ollama(a: int, b: int, c: int, d: int) -> Pair:
    end = {"done": True, "prompt_eval_count": a, "eval_count": b, "total_duration": c, "load_duration": d}
    return "ollama.native", end, lines({"response": "x", "done": False}, end), LINES


def watsonx(a: int, b: int, c: int, d: int) -> Pair:
    def part(inputs: int, outputs: int) -> dict[str, Any]:
        return {
            "results": [{"input_token_count": inputs, "generated_token_count": outputs}],
            "latency": c + d,
        }

    return "watsonx.generate", part(a, b), events(part(a, 0), part(0, b // 2), part(0, b)), SSE


def transcription(a: int, b: int, c: int, d: int) -> Pair:
    details = {"audio_tokens": c, "text_tokens": d}
    usage = {"type": "tokens", "input_tokens": c + d + a, "output_tokens": b, "input_token_details": details}
    done = {"type": "transcript.text.done", "text": "x", "usage": usage}
    return (
        "openai.transcription",
        {"text": "x", "usage": usage},
        events({"type": "transcript.text.delta"}, done),
        SSE,
    )


def conversation(a: int, b: int, c: int, d: int) -> Pair:
    usage = {
        "prompt_tokens": a,
        "completion_tokens": b,
        "connector_tokens": c,
        "total_tokens": a + b + c,
        "connectors": {"web_search": d},
    }
    done = {"type": "conversation.response.done", "usage": usage}
    return "mistral.conversations", {"usage": usage}, events({"type": "message.output.delta"}, done), SSE


def run(a: int, b: int, c: int, d: int) -> Pair:
    usage = {"prompt_tokens": a + c, "completion_tokens": b, "prompt_token_details": {"cached_tokens": c}}
    whole = {"object": "thread.run", "id": f"run_{d}", "status": "completed", "usage": usage}
    return "openai.runs", whole, events({**whole, "status": "queued", "usage": None}, whole), SSE


KINDS: list[Callable[[int, int, int, int], Pair]] = [
    converse,
    claude_on_bedrock,
    nova_on_bedrock,
    cohere,
    old_cohere,
    ollama,
    watsonx,
    transcription,
    conversation,
    run,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=40, deadline=None)
@given(a=counts, b=counts, c=counts, d=counts)
def test_a_stream_counts_as_the_whole_answer_does(
    kind: Callable[[int, int, int, int], Pair], a: int, b: int, c: int, d: int
) -> None:
    wire_format, whole, stream, headers = kind(a, b, c, d)
    one, other = read(wire_format, whole), read(wire_format, stream, headers=headers)
    assert one.usage == other.usage
    assert one.usage is not None
    assert (one.stream, other.stream) == (False, True)
