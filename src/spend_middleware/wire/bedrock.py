"""Amazon Bedrock Runtime: Converse, whole and as an event stream, and what InvokeModel shares with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Usage
from spend_middleware.wire.answers import asked_model, reported, total_note, unless_failed
from spend_middleware.wire.eventstream import Frame, Frames
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import (
    count,
    listing,
    mapping,
    parsed,
    string,
    traits_of,
    within,
)

# Bedrock API reference, "TokenUsage": inputTokens leaves out cache reads and writes. Nova through InvokeModel spells
# the cache counts with ...TokenCount (Nova user guide, "Prompt caching"); Converse has sent both spellings.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "input": ("inputTokens", "inputTokenCount", "inputTextTokenCount", "prompt_token_count", "input_tokens"),
    "output": ("outputTokens", "outputTokenCount", "totalOutputTextTokenCount", "generation_token_count", "output_tokens"),
    "cache_read": ("cacheReadInputTokens", "cacheReadInputTokenCount", "cache_read_input_tokens"),
    "cache_write": ("cacheWriteInputTokens", "cacheWriteInputTokenCount", "cache_creation_input_tokens"),
}  # fmt: skip


def converse_usage(usage: Mapping[str, Any], traits: Mapping[str, str] | None = None) -> Usage:
    """Return Converse's TokenUsage in our convention, with the cache counts inside the input."""
    found = found_counts(usage)
    # Bedrock API reference, "CacheDetail": writes by lifetime, `5m` or `1h`.
    hour = sum(
        count(mapping(part).get("inputTokens"))
        for part in listing(usage.get("cacheDetails"))
        if mapping(part).get("ttl") == "1h"
    )
    return usage_of(found, hour, count(usage.get("totalTokens")) or None, traits or {})


def found_counts(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """Return each of the four counts from the first source that has it, under any spelling."""
    out: dict[str, Any] = {}
    for source in sources:
        for name, spellings in SPELLINGS.items():
            if name not in out:
                for spelling in spellings:
                    if source.get(spelling) is not None:
                        out[name] = source[spelling]
                        break
    return out


def usage_of(found: Mapping[str, Any], hour: int, total: int | None, traits: Mapping[str, str]) -> Usage:
    read, write = count(found.get("cache_read")), count(found.get("cache_write"))
    write = max(write, hour)
    return Usage(
        input_tokens=count(found.get("input")) + read + write,
        output_tokens=count(found.get("output")),
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        total_tokens=total,
        traits=traits,
    )


def is_opaque(route: Route) -> bool:
    """Tell a model id that names no model, such as the ARN of an application inference profile."""
    model = route.model or ""
    return not model or any(
        kind in model for kind in ("application-inference-profile", "provisioned-model", "prompt-router")
    )


def served_tier(content: Mapping[str, Any], received: Received) -> str | None:
    # Bedrock API reference, "ServiceTier": default, flex, priority or reserved; in a header for InvokeModel.
    header = received.headers.get("x-amzn-bedrock-service-tier")
    return (
        string(within(content, "serviceTier").get("type"))
        or string(header)
        or string(content.get("service_tier"))
    )


def served_latency(content: Mapping[str, Any], received: Received) -> dict[str, str]:
    # Bedrock user guide, "Optimize model inference for latency": the latency that was really served.
    header = received.headers.get("x-amzn-bedrock-performanceconfig-latency")
    latency = within(content, "performanceConfig").get("latency") or header
    return traits_of(latency=latency) if latency != "standard" else {}


@unless_failed
def read_converse(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of Converse or ConverseStream."""
    if is_eventstream(received):
        return _converse_stream(route, sent, received)
    content = mapping(parsed(received.body))
    reading = _converse(route, sent, received, content)
    reading.visible_text = lambda: _text_of(within(content, "output", "message").get("content"))
    return reading


def _converse(route: Route, sent: Sent, received: Received, content: Mapping[str, Any]) -> Reading:
    usage = mapping(content.get("usage"))
    counts = converse_usage(usage, served_latency(content, received)) if usage else None
    # Bedrock API reference, "PromptRouterTrace": the model that a prompt router chose.
    invoked = string(within(content, "trace", "promptRouter").get("invokedModelId"))
    return Reading(
        usage=counts,
        raw_usage=reported(usage),
        usage_note=total_note(counts) if counts else None,
        request_model=asked_model(route, sent),
        response_model=invoked,
        response_id=received.headers.get("x-amzn-requestid"),
        finish_reason=string(content.get("stopReason")),
        service_tier=served_tier(content, received),
    )


def _converse_stream(route: Route, sent: Sent, received: Received) -> Reading:
    frames = Frames(received.body)
    merged: dict[str, Any] = {}
    deltas: list[Frame] = []
    error = None
    for frame in frames:
        if frame.kind == "contentBlockDelta":
            deltas.append(frame)
        elif frame.failed:
            error = frame.kind or "stream_error"
        elif frame.kind in ("metadata", "messageStop"):
            merged.update(frame.content())
    reading = _converse(route, sent, received, merged)
    reading.stream = True
    reading.error_type = error
    reading.usage_note = reading.usage_note or frames.note()
    reading.visible_text = lambda: "".join(_delta_text(within(frame.content(), "delta")) for frame in deltas)
    return reading


def _delta_text(delta: Mapping[str, Any]) -> str:
    found = (
        delta.get("text")
        or within(delta, "toolUse").get("input")
        or within(delta, "reasoningContent").get("text")
    )
    return found if isinstance(found, str) else ""


def _text_of(blocks: Any) -> str:
    return "".join(str(mapping(block).get("text") or "") for block in listing(blocks))


def is_eventstream(received: Received) -> bool:
    """Tell an event stream by its content type, or by its first byte where the type was lost."""
    return "eventstream" in received.headers.get("content-type", "") or received.body[:1] == b"\0"


READERS: dict[str, Reader] = {
    "bedrock.converse": read_converse,
}
