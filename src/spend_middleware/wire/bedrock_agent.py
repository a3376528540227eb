"""Amazon Bedrock beside the models: agents, knowledge bases, reranking and guardrails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, reported, unless_failed
from spend_middleware.wire.bedrock import converse_usage, is_eventstream
from spend_middleware.wire.eventstream import Frames
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import count, listing, mapping, parsed, string, within

# Amazon Bedrock pricing, "Rerank": one query holds up to 100 documents.
_DOCUMENTS_PER_QUERY = 100
_DEEPEST = 8


@unless_failed
def read_agent(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of InvokeAgent, InvokeFlow, InvokeInlineAgent or RetrieveAndGenerate."""
    passes: list[tuple[str, Usage]] = []
    seen: dict[str, str] = {}
    frames = Frames(received.body)
    error = None
    for frame in frames if is_eventstream(received) else ():
        if frame.failed:
            error = frame.kind or "stream_error"
        elif frame.kind in ("trace", "flowTraceEvent"):
            _collect(mapping(parsed(frame.body)), seen, passes)
    return Reading(
        usage=_merged(passes),
        raw_usage={"passes": [usage.as_dict() for _, usage in passes]} if passes else None,
        usage_note=frames.note(),
        request_model=_asked(route, sent),
        response_model=passes[0][0] or None if passes else None,
        response_id=received.headers.get("x-amzn-requestid"),
        stream=is_eventstream(received),
        error_type=error,
    )


def _asked(route: Route, sent: Sent) -> str | None:
    # Bedrock API reference, "RetrieveAndGenerateConfiguration": the model stands in the source's configuration.
    config = within(sent.content, "retrieveAndGenerateConfiguration")
    for source in ("knowledgeBaseConfiguration", "externalSourcesConfiguration"):
        model = string(within(config, source).get("modelArn"))
        if model:
            return model
    return string((sent.content or {}).get("foundationModel")) or asked_model(route, sent)


def _collect(value: Any, seen: dict[str, str], passes: list[tuple[str, Usage]], depth: int = 0) -> None:
    """Gather the model passes of a trace event, however deep its kind of trace puts them."""
    # Bedrock API reference, "ModelInvocationInput" names traceId and foundationModel, "Metadata" of the output with
    # the same traceId names usage {inputTokens, outputTokens}: one pass each.
    if depth > _DEEPEST or not isinstance(value, dict):
        return
    asked, answered = mapping(value.get("modelInvocationInput")), mapping(value.get("modelInvocationOutput"))
    if asked:
        seen[str(asked.get("traceId"))] = string(asked.get("foundationModel")) or ""
    usage = within(answered, "metadata", "usage")
    if usage:
        passes.append((seen.get(str(answered.get("traceId")), ""), converse_usage(usage)))
    for name, inner in value.items():
        if name not in ("modelInvocationInput", "modelInvocationOutput"):
            _collect(inner, seen, passes, depth + 1)


def _merged(passes: list[tuple[str, Usage]]) -> Usage | None:
    """Return the passes of the first model as the usage, those of other models beside it."""
    if not passes:
        return None
    first = passes[0][0]
    own = [usage for model, usage in passes if model == first]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in own),
        output_tokens=sum(usage.output_tokens for usage in own),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in own),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in own),
        passes=tuple((model, usage) for model, usage in passes if model != first),
    )


@unless_failed
def read_rerank(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of the agent runtime's Rerank, which states no usage."""
    content = sent.content or {}
    config = within(content, "rerankingConfiguration", "bedrockRerankingConfiguration", "modelConfiguration")
    queries = len(listing(content.get("queries"))) or 1
    sources = len(listing(content.get("sources")))
    return Reading(
        usage=Usage(units={Unit.SEARCH_UNITS: queries * max(1, -(-sources // _DOCUMENTS_PER_QUERY))}),
        request_model=string(config.get("modelArn")) or asked_model(route, sent),
        response_id=received.headers.get("x-amzn-requestid"),
    )


@unless_failed
def read_guardrail(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of ApplyGuardrail: text units by policy."""
    usage = within(parsed(received.body), "usage")
    return Reading(
        usage=guardrail_usage(usage) if usage else None,
        raw_usage=reported(usage),
        request_model=asked_model(route, sent),
        # Every guardrail has the prices of the one row that LiteLLM's table calls so.
        response_model="guardrails",
        response_id=received.headers.get("x-amzn-requestid"),
    )


def guardrail_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the units that guardrail policies bill; those of free policies are left out."""
    # Bedrock API reference, "GuardrailUsage": one count of text units for each policy.
    # Amazon Bedrock pricing, "Guardrails": word filters and regular expressions (the FreeUnits) cost nothing.
    units = {
        name: count(value)
        for name, value in usage.items()
        if name.endswith("Units") and not name.endswith("FreeUnits") and name != "wordPolicyUnits" and value
    }
    return Usage(units={Unit.GUARDRAIL_UNITS: sum(units.values()), **units} if units else {})


READERS: dict[str, Reader] = {
    "bedrock.agent": read_agent,
    "bedrock.rerank": read_rerank,
    "bedrock.guardrail": read_guardrail,
}
