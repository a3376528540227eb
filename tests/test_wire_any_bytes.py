"""No reader raises, whatever the bytes: every format meets JSON of its own words with values of any kind, and noise."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aws_frames import chunk_of, frame_of
from spend_middleware.wire import READERS, Received, Route, Sent

# Words that readers look for, so that made-up answers reach the rules behind them.
WORDS = re.findall(
    r"\S+",
    """
    usage meta billed_units tokens input_tokens output_tokens prompt_tokens completion_tokens
    total_tokens cached_tokens search_units images type seconds duration inputTokens outputTokens
    totalTokens cacheReadInputTokens cacheDetails ttl cacheWriteInputTokenCount results tokenCount
    inputTextTokenCount prompt_token_count message content text response id model status object
    created_at data size quality outputs response_id delta finish_reason event_type is_finished
    input_tokens_details input_token_details text_tokens audio_tokens image_tokens cached_tokens_details
    metadata channels model_info cost cost_in_usd_ticks is_byok pages_processed credits usage_info
    connectors connector_tokens metrics predict_time input_token_count generated_token_count details
    prefill generated_tokens prompt_eval_count eval_count amazon-bedrock-invocationMetrics
    inputTokenCount trace modelInvocationOutput modelInvocationInput foundationModel guardrail
    stopReason serviceTier performanceConfig latency custom_id result batch_result body video error code
    step_details tool_calls thread.run last_error n width height steps n_variants generations name done
    thinking usageMetadata promptTokenCount candidatesTokenCount promptTokensDetails modality candidates
    choices iterations
    """,
)

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from(
        ["", "1", "-3", "1e400", "completed", "succeeded", "done", "1h", "auto", "tokens", "thread.run"]
    )
    | st.text(max_size=6)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=25,
)
objects = st.dictionaries(st.sampled_from(WORDS), values, max_size=8)

FORMATS = sorted(READERS)
HEADERS = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "",
)


def spellings(value: Any) -> list[bytes]:
    """The same value as each kind of body that providers send."""
    text = json.dumps(value).encode()
    return [
        text,
        b"event: message-end\ndata: " + text + b"\n\ndata: [DONE]\n\n",
        text + b"\n" + text + b"\n",
        frame_of("metadata", text)
        + chunk_of(value)
        + frame_of("trace", text)
        + frame_of("PayloadPart", text),
        b"[" + text + b"]",
    ]


def check(wire_format: str, sent: Any, body: bytes, kind: str, status: int = 200) -> None:
    reader = READERS[wire_format]
    content = sent if isinstance(sent, dict) else None
    for follow_up in (False, True):
        route = Route(provider="openai", operation="completion", wire_format=wire_format, follow_up=follow_up)
        received = Received(status=status, headers={"content-type": kind}, body=body)
        asked = Sent(url="https://[bad/v1/x?model=a&model", content=content)
        reading = reader(route, asked, received)
        for one in (reading, *reading.more):
            if one.usage is not None:
                assert all(
                    value >= 0 and not math.isnan(value)
                    for value in one.usage.as_dict().values()
                    if isinstance(value, int)
                )
                assert all(quantity >= 0 for quantity in one.usage.units.values())
            if one.visible_text is not None:
                assert isinstance(one.visible_text(), str)


@pytest.mark.parametrize("wire_format", FORMATS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(value=objects | values, sent=objects, cut=st.integers(0, 400))
def test_json_of_any_shape_is_read_without_raising(wire_format: str, value: Any, sent: Any, cut: int) -> None:
    for body, kind in zip(spellings(value), HEADERS, strict=True):
        check(wire_format, sent, body, kind)
        check(wire_format, sent, body[: -cut or None], kind)
    check(wire_format, sent, spellings(value)[0], "application/json", status=500)


@pytest.mark.parametrize("wire_format", FORMATS)
@settings(max_examples=6, deadline=None)
@given(body=st.binary(max_size=300), kind=st.sampled_from(HEADERS))
def test_bytes_of_any_kind_are_read_without_raising(wire_format: str, body: bytes, kind: str) -> None:
    check(wire_format, {}, body, kind)
    check(wire_format, {}, b"\0" + body, kind)
    check(wire_format, {}, b"data: " + body, kind)


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 2**63, -(2**70), 0.5, -2.5, 1e308, math.inf, -math.inf, math.nan,
    "", "12", "-3", "1e999", "nan", "inf", [], {}, [1], {"tokens": math.nan},
)  # fmt: skip
usages = st.dictionaries(st.sampled_from(WORDS), st.sampled_from(ODD), min_size=2, max_size=12)


def everywhere(usage: dict[str, Any]) -> dict[str, Any]:
    """An answer that has a usage in each place where a reader may look for it."""
    nested = {"usage": usage, "usageMetadata": usage, "usage_info": usage, **usage}
    return {
        **nested,
        **dict.fromkeys(("message", "response", "metadata", "delta", "result", "output", "x_groq"), nested),
        "meta": {"billed_units": usage, "tokens": usage},
        "metrics": usage,
        "results": [nested],
        "predictions": [{"embeddings": {"statistics": usage}}],
        "status": "completed",
        "object": "thread.run",
        "id": "x",
        "done": True,
    }


@pytest.mark.parametrize("wire_format", FORMATS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(usage=usages)
def test_numbers_of_any_kind_in_a_usage_are_counted_without_raising(
    wire_format: str, usage: dict[str, Any]
) -> None:
    for body, kind in zip(spellings(everywhere(usage)), HEADERS, strict=True):
        check(wire_format, {"model": "m", "n": usage.get("n")}, body, kind)
