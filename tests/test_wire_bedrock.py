"""Bedrock: Converse, InvokeModel of every model family, agents and guardrails."""

from __future__ import annotations

from typing import Any

import pytest

import wire_reads
from aws_frames import chunk_of, frame_of
from spend_middleware.wire import Reading


def read(
    wire_format: str, body: Any, *, model: str | None = "us.anthropic.claude-x-v1:0", **more: Any
) -> Reading:
    return wire_reads.read(wire_format, body, provider="bedrock", model=model, **more)


def counts(reading: Reading) -> tuple[int, int, int, int, int]:
    usage = reading.usage
    assert usage is not None
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
    )


CONVERSE = {
    "input leaves out cache tokens": (
        {
            "inputTokens": 10,
            "outputTokens": 5,
            "cacheReadInputTokens": 7,
            "cacheWriteInputTokens": 3,
            "totalTokens": 25,
        },
        (20, 5, 7, 3, 0),
    ),
    "the older spelling of the cache counts": (
        {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokenCount": 3, "cacheWriteInputTokenCount": 4},
        (8, 2, 3, 4, 0),
    ),
    "both spellings are one count": (
        {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 3, "cacheReadInputTokenCount": 3},
        (4, 2, 3, 0, 0),
    ),
    "writes by lifetime": (
        {
            "inputTokens": 1,
            "outputTokens": 2,
            "cacheWriteInputTokens": 9,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 4}],
        },
        (10, 2, 0, 9, 5),
    ),
    "a reported zero is usage": ({"inputTokens": 0, "outputTokens": 0}, (0, 0, 0, 0, 0)),
}


@pytest.mark.parametrize(("usage", "expected"), CONVERSE.values(), ids=list(CONVERSE))
def test_converse_counts(usage: dict[str, Any], expected: tuple[int, ...]) -> None:
    whole = read("bedrock.converse", {"stopReason": "end_turn", "usage": usage})
    stream = read(
        "bedrock.converse",
        frame_of("contentBlockDelta", {"delta": {"text": "hi"}})
        + frame_of("messageStop", {"stopReason": "end_turn"})
        + frame_of("metadata", {"usage": usage, "metrics": {}}),
    )
    assert counts(whole) == counts(stream) == expected
    assert whole.finish_reason == stream.finish_reason == "end_turn"
    assert not whole.stream
    assert stream.stream


def test_a_total_that_does_not_add_up_is_noted() -> None:
    reading = read("bedrock.converse", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 9}})
    assert reading.usage_note == "total_tokens 9 != 3"


def test_a_stream_without_its_end_has_no_usage_but_its_text() -> None:
    body = frame_of("contentBlockDelta", {"delta": {"text": "he"}}) + frame_of(
        "contentBlockDelta", {"delta": {"text": "y"}}
    )
    reading = read("bedrock.converse", body)
    assert reading.usage is None
    assert reading.visible_text is not None
    assert reading.visible_text() == "hey"


def test_an_exception_inside_a_stream_is_its_error() -> None:
    reading = read(
        "bedrock.converse", frame_of("modelStreamErrorException", {"message": "secret"}, "exception")
    )
    assert reading.error_type == "modelStreamErrorException"


def test_tier_and_latency_are_those_that_were_served() -> None:
    body = {
        "usage": {"inputTokens": 1, "outputTokens": 1},
        "serviceTier": {"type": "flex"},
        "performanceConfig": {"latency": "optimized"},
    }
    reading = read("bedrock.converse", body)
    assert reading.service_tier == "flex"
    assert reading.usage is not None
    assert reading.usage.traits == {"latency": "optimized"}


def test_a_prompt_router_says_which_model_it_took() -> None:
    body = {
        "usage": {"inputTokens": 1},
        "trace": {"promptRouter": {"invokedModelId": "arn:x/amazon.nova-lite-v1:0"}},
    }
    assert read("bedrock.converse", body).response_model == "arn:x/amazon.nova-lite-v1:0"


COUNT_HEADERS = {
    "x-amzn-bedrock-input-token-count": "6",
    "x-amzn-bedrock-output-token-count": "4",
    "x-amzn-bedrock-cache-read-input-token-count": "2",
}
METRICS = {
    "amazon-bedrock-invocationMetrics": {
        "inputTokenCount": 6,
        "outputTokenCount": 4,
        "cacheReadInputTokenCount": 2,
    }
}

INVOKE: dict[str, tuple[Any, dict[str, str], tuple[int, ...]]] = {
    "Anthropic": (
        {
            "type": "message",
            "usage": {
                "input_tokens": 3,
                "output_tokens": 4,
                "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 6,
                "cache_creation": {"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": 4},
            },
        },
        {},
        (14, 4, 5, 6, 2),
    ),
    "Nova": (
        {"usage": {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokenCount": 9, "totalTokens": 16}},
        {},
        (12, 4, 9, 0, 0),
    ),
    "Titan Text": ({"inputTextTokenCount": 5, "results": [{"tokenCount": 3}, {"tokenCount": 4}]}, {}, (5, 7, 0, 0, 0)),
    "Titan embeddings": ({"embedding": [0.1], "inputTextTokenCount": 5}, {}, (5, 0, 0, 0, 0)),
    "Llama": ({"generation": "x", "prompt_token_count": 8, "generation_token_count": 9}, {}, (8, 9, 0, 0, 0)),
    "OpenAI's shape": (
        {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17}},
        {},
        (8, 9, 0, 0, 0),
    ),
    "no counts but in the headers": ({"outputs": [{"text": "x"}]}, COUNT_HEADERS, (8, 4, 2, 0, 0)),
    "headers fill what a guardrail left out": ({"usage": {"inputTokens": 6}}, COUNT_HEADERS, (8, 4, 2, 0, 0)),
    "the body wins over the headers": ({"usage": {"input_tokens": 1, "output_tokens": 1}}, COUNT_HEADERS, (3, 1, 2, 0, 0)),
    "a streamed Anthropic message": (
        chunk_of({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 6, "output_tokens": 1}}})
        + chunk_of({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}})
        + chunk_of({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 130}})
        + chunk_of({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 6, "outputTokenCount": 98}}),
        {},
        (6, 130, 0, 0, 0),
    ),
    "a streamed Nova message": (
        chunk_of({"messageStop": {"stopReason": "end_turn"}})
        + chunk_of({"metadata": {"usage": {"inputTokens": 6, "outputTokens": 4, "cacheWriteInputTokenCount": 8}}, **METRICS}),
        {},
        (16, 4, 2, 8, 0),
    ),
    "a stream that only the metrics count": (
        chunk_of({"text": "a", "is_finished": False}) + chunk_of({"is_finished": True, "finish_reason": "COMPLETE", **METRICS}),
        {},
        (8, 4, 2, 0, 0),
    ),
    "a streamed Llama answer": (
        chunk_of({"generation": "a", "prompt_token_count": 7, "generation_token_count": 1})
        + chunk_of({"generation": "b", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": "stop"}),
        {},
        (7, 2, 0, 0, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "headers", "expected"), INVOKE.values(), ids=list(INVOKE))
def test_invoke_counts(body: Any, headers: dict[str, str], expected: tuple[int, ...]) -> None:
    assert counts(read("bedrock.invoke", body, headers=headers)) == expected


def test_a_message_that_broke_off_says_that_its_output_is_not_counted() -> None:
    start = chunk_of({"type": "message_start", "message": {"usage": {"input_tokens": 6, "output_tokens": 1}}})
    delta = chunk_of({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hey"}})
    broken = read("bedrock.invoke", start + delta)
    whole = read(
        "bedrock.invoke", start + delta + chunk_of({"type": "message_delta", "usage": {"output_tokens": 3}})
    )
    assert (broken.output_missing, whole.output_missing) == (True, False)
    assert broken.visible_text is not None
    assert broken.visible_text() == "hey"


FINISH = {
    "Anthropic": ({"stop_reason": "end_turn"}, "end_turn"),
    "Titan": ({"results": [{"completionReason": "LENGTH"}]}, "LENGTH"),
    "AI21 Jurassic": ({"completions": [{"finishReason": {"reason": "endoftext"}}]}, "endoftext"),
    "OpenAI's shape": ({"choices": [{"finish_reason": "stop"}]}, "stop"),
    "none": ({"generation": "x"}, None),
}


@pytest.mark.parametrize(("body", "reason"), FINISH.values(), ids=list(FINISH))
def test_every_family_says_in_its_own_words_why_it_stopped(body: Any, reason: str | None) -> None:
    assert read("bedrock.invoke", body).finish_reason == reason


IMAGES: dict[str, tuple[Any, Any, int, dict[str, str]]] = {
    "SDXL takes 50 steps unless asked otherwise": (
        {"text_prompts": []},
        {"artifacts": [{}, {}]},
        2,
        {"size": "1024x1024", "steps": "50"},
    ),
    "SDXL as asked": (
        {"height": 512, "width": 896, "steps": 30},
        {"artifacts": [{}]},
        1,
        {"size": "896x512", "steps": "30"},
    ),
    "Nova Canvas": (
        {"imageGenerationConfig": {"width": 1280, "height": 720, "quality": "premium"}},
        {"images": ["..."]},
        1,
        {"size": "1280x720", "quality": "premium"},
    ),
    "Stable Image says nothing of size": ({"prompt": "a"}, {"images": ["..."], "seeds": [1]}, 1, {}),
}


@pytest.mark.parametrize(("sent", "body", "made", "traits"), IMAGES.values(), ids=list(IMAGES))
def test_pictures_are_counted_with_what_decides_their_price(
    sent: dict[str, Any], body: Any, made: int, traits: dict[str, str]
) -> None:
    usage = read("bedrock.invoke", body, sent=sent).usage
    assert usage is not None
    assert usage.units == {"output_images": made}
    assert usage.traits == traits


KINDS: dict[str, tuple[Any, str | None]] = {
    "a picture": ({"images": ["..."]}, "image_generation"),
    "a ranking": ({"results": [{"index": 0, "relevance_score": 0.5}]}, "rerank"),
    "an embedding": ({"embedding": [0.1], "inputTextTokenCount": 3}, "embedding"),
    "words": ({"results": [{"outputText": "x", "tokenCount": 1}]}, None),
}


@pytest.mark.parametrize(("body", "operation"), KINDS.values(), ids=list(KINDS))
def test_the_answer_shows_what_kind_of_call_it_was(body: Any, operation: str | None) -> None:
    assert read("bedrock.invoke", body).operation == operation


def test_a_ranking_is_billed_by_hundreds_of_documents() -> None:
    body = {"results": [{"index": 0, "relevance_score": 0.5}]}
    usage = read("bedrock.invoke", body, sent={"documents": ["d"] * 101}).usage
    assert usage is not None
    assert usage.units == {"search_units": 2}


MODELS = {
    "a model id": ("us.anthropic.claude-x-v1:0", None),
    "an inference profile names its model": (
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x",
        None,
    ),
    "an application inference profile does not": (
        "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123",
        "claude-x-20250929",
    ),
}


@pytest.mark.parametrize(("asked", "answered"), MODELS.values(), ids=list(MODELS))
def test_the_answers_model_counts_only_where_the_path_names_none(asked: str, answered: str | None) -> None:
    body = {"model": "claude-x-20250929", "usage": {"input_tokens": 1, "output_tokens": 1}}
    reading = read("bedrock.invoke", body, model=asked)
    assert (reading.request_model, reading.response_model) == (asked, answered)


def test_a_refusal_is_named_by_its_header_and_never_by_its_message() -> None:
    headers = {"x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/"}
    for wire_format in (
        "bedrock.converse",
        "bedrock.invoke",
        "bedrock.agent",
        "bedrock.rerank",
        "bedrock.guardrail",
    ):
        reading = read(wire_format, {"message": "secret"}, headers=headers, status=400)
        assert (reading.error_type, reading.usage) == ("ValidationException", None)


def trace(kind: str, part: str, content: Any) -> bytes:
    return frame_of("trace", {"trace": {"trace": {kind: {part: content}}}})


def test_an_agents_passes_are_summed_by_model() -> None:
    def one_pass(kind: str, trace_id: str, model: str, usage: dict[str, int]) -> bytes:
        asked = trace(
            kind, "modelInvocationInput", {"traceId": trace_id, "foundationModel": model, "text": "secret"}
        )
        return asked + trace(
            kind, "modelInvocationOutput", {"traceId": trace_id, "metadata": {"usage": usage}}
        )

    body = (
        one_pass("preProcessingTrace", "a", "haiku", {"inputTokens": 10, "outputTokens": 1})
        + one_pass("orchestrationTrace", "b", "sonnet", {"inputTokens": 100, "outputTokens": 20})
        + one_pass("orchestrationTrace", "c", "haiku", {"inputTokens": 5, "outputTokens": 2})
        + chunk_of("the answer")
    )
    reading = read("bedrock.agent", body, model="AGENT")
    assert counts(reading)[:2] == (15, 3)
    assert reading.response_model == "haiku"
    assert reading.usage is not None
    assert [(model, usage.input_tokens) for model, usage in reading.usage.passes] == [("sonnet", 100)]
    assert "secret" not in repr(reading.raw_usage)


def test_an_agent_that_was_asked_for_no_trace_states_no_usage() -> None:
    assert read("bedrock.agent", chunk_of("the answer")).usage is None


def test_retrieve_and_generate_names_its_model_in_the_request() -> None:
    sent = {
        "retrieveAndGenerateConfiguration": {"knowledgeBaseConfiguration": {"modelArn": "anthropic.claude-x"}}
    }
    assert (
        read("bedrock.agent", {"output": {"text": "x"}}, sent=sent, model=None).request_model
        == "anthropic.claude-x"
    )


@pytest.mark.parametrize(("documents", "units"), [(1, 1), (100, 1), (101, 2), (0, 1)])
def test_reranking_is_billed_by_hundreds_of_documents(documents: int, units: int) -> None:
    sent: dict[str, Any] = {"queries": [{}], "sources": [{}] * documents}
    usage = read("bedrock.rerank", {"results": []}, sent=sent).usage
    assert usage is not None
    assert usage.units == {"search_units": units}


def test_a_guardrail_bills_the_policies_that_are_not_free() -> None:
    usage = read(
        "bedrock.guardrail",
        {
            "usage": {
                "contentPolicyUnits": 2,
                "topicPolicyUnits": 1,
                "wordPolicyUnits": 3,
                "sensitiveInformationPolicyFreeUnits": 4,
                "contextualGroundingPolicyUnits": 0,
            }
        },
        model="gr-1",
    ).usage
    assert usage is not None
    assert usage.units == {"guardrail_units": 3, "contentPolicyUnits": 2, "topicPolicyUnits": 1}
