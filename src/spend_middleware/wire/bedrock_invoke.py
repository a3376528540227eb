"""Amazon Bedrock InvokeModel: the models' own bodies, whole and as event streams; the shape tells the family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, reported, total_note, unless_failed
from spend_middleware.wire.anthropic import message_usage
from spend_middleware.wire.bedrock import (
    SPELLINGS,
    found_counts,
    is_eventstream,
    is_opaque,
    served_latency,
    served_tier,
)
from spend_middleware.wire.eventstream import Frames
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import count, documents, listing, mapping, parsed, string, traits_of, within

# Bedrock user guide, "Submit a single prompt with InvokeModel": the counts also stand in the response headers.
_HEADERS = {
    "input": "x-amzn-bedrock-input-token-count",
    "output": "x-amzn-bedrock-output-token-count",
    "cache_read": "x-amzn-bedrock-cache-read-input-token-count",
    "cache_write": "x-amzn-bedrock-cache-write-input-token-count",
}

# What stands in a chunk that says more than text: counts, metrics, reasons to stop, the message's frame, pictures.
_TELLING = (b"oken", b"usage", b"amazon-bedrock", b"eason", b'"message', b"images", b"artifacts")

_AS_ANTHROPIC = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
}


@unless_failed
def read_invoke(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of InvokeModel, whatever the model family, or of its stream."""
    if is_eventstream(received):
        frames = Frames(received.body)
        texts: list[bytes] = []
        error = None
        for frame in frames:
            if frame.failed:
                error = frame.kind or "stream_error"
            else:
                texts.append(frame.inner())
        # Most chunks of a stream hold a word of the answer and no count; those are not parsed.
        chunks = [mapping(parsed(text)) for text in texts if any(word in text for word in _TELLING)]
        reading = _invoked(route, sent, received, chunks)
        reading.stream = True
        reading.error_type = error
        reading.usage_note = reading.usage_note or frames.note()
        reading.visible_text = lambda: "".join(_chunk_text(mapping(parsed(text))) for text in texts)
        # Anthropic's start counts the input and a token or two; the output follows in message_delta.
        kinds = {chunk.get("type") for chunk in chunks if isinstance(chunk.get("type"), str)}
        reading.output_missing = "message_start" in kinds and not kinds & {"message_delta", "message_stop"}
        reading.usage_note = reading.usage_note or frames.note()
        return reading
    return _invoked(route, sent, received, documents(received.body))


def _invoked(route: Route, sent: Sent, received: Received, chunks: list[Mapping[str, Any]]) -> Reading:
    usage, flat, metrics = _folded(chunks)
    headers = {name: received.headers[key] for name, key in _HEADERS.items() if key in received.headers}
    # The model's own usage wins: after tool use the invocation metrics count fewer tokens than Anthropic's.
    found = {**headers, **found_counts(usage, flat, metrics)}
    last = chunks[-1] if chunks else {}
    counts = _family_usage(usage, found, served_latency(last, received)) if found or usage else None
    units, traits = _images(sent, chunks)
    units = units or _searched(sent, last)
    if units:
        counts = Usage(units=units, traits=traits)
    model = next(
        (m for chunk in chunks for m in (chunk.get("model"), within(chunk, "message").get("model")) if m),
        None,
    )
    return Reading(
        usage=counts,
        raw_usage=reported(usage or metrics or {k: v for k, v in flat.items() if k != "results"} or headers),
        usage_note=total_note(counts) if counts else None,
        request_model=asked_model(route, sent),
        response_model=string(model) if is_opaque(route) else None,
        response_id=received.headers.get("x-amzn-requestid"),
        finish_reason=_finish(chunks),
        service_tier=served_tier(last, received),
        operation=_operation(last, counts),
        visible_text=lambda: "".join(_chunk_text(chunk) for chunk in chunks),
    )


def _folded(chunks: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Merge what the chunks of one answer say: the usage object, counts at top level, and the service's metrics."""
    usage: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    for chunk in chunks:
        # Anthropic: message_start.message.usage then message_delta.usage; Nova: metadata.usage; others: usage.
        for source in (
            within(chunk, "message", "usage"),
            within(chunk, "metadata", "usage"),
            within(chunk, "usage"),
        ):
            usage.update((k, v) for k, v in source.items() if v is not None)
        for spellings in SPELLINGS.values():
            flat.update((k, chunk[k]) for k in spellings if chunk.get(k) is not None)
        # Titan Text user guide: the output count stands in each result of a whole answer.
        results = [mapping(r).get("tokenCount") for r in listing(chunk.get("results"))]
        if any(tokens is not None for tokens in results):
            flat["outputTokenCount"] = sum(count(tokens) for tokens in results)
        metrics.update(within(chunk, "amazon-bedrock-invocationMetrics"))
    return usage, flat, metrics


def _family_usage(usage: Mapping[str, Any], found: Mapping[str, Any], traits: Mapping[str, str]) -> Usage:
    if "prompt_tokens" in usage or "completion_tokens" in usage:
        # Mistral, AI21 Jamba, Writer, gpt-oss and Qwen answer in OpenAI's shape, where the prompt holds the cached tokens.
        details = within(usage, "prompt_tokens_details")
        return Usage(
            input_tokens=count(usage.get("prompt_tokens") or found.get("input")),
            output_tokens=count(usage.get("completion_tokens") or found.get("output")),
            cache_read_tokens=count(details.get("cached_tokens")),
            reasoning_tokens=count(within(usage, "completion_tokens_details").get("reasoning_tokens")),
            total_tokens=count(usage.get("total_tokens")) or None,
            traits=traits,
        )
    # Every other family leaves cache tokens out of the input, as Anthropic does.
    named = {ours: found[name] for name, ours in _AS_ANTHROPIC.items() if name in found}
    counts = message_usage({**usage, **named})
    total = count(usage.get("totalTokens")) or None
    return structs.replace(counts, total_tokens=total, traits={**counts.traits, **traits})


def _finish(chunks: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the last reason to stop that any family's spelling gives."""
    for chunk in reversed(chunks):
        places = (
            chunk,
            within(chunk, "delta"),
            within(chunk, "messageStop"),
            *(mapping(part) for name in _ANSWERS for part in listing(chunk.get(name))[-1:]),
        )
        for place in places:
            for spelling in (
                "stop_reason",
                "stopReason",
                "completionReason",
                "finish_reason",
                "finishReason",
            ):
                reason = place.get(spelling)
                found = string(reason) or string(mapping(reason).get("reason"))
                if found:
                    return found
    return None


_ANSWERS = ("results", "outputs", "generations", "completions", "choices", "artifacts")


def _chunk_text(chunk: Mapping[str, Any]) -> str:
    """Return the text that one whole answer or one chunk of a stream shows, for any family."""
    blocks = [*listing(chunk.get("content")), *listing(within(chunk, "output", "message").get("content"))]
    parts = [mapping(part) for name in _ANSWERS for part in listing(chunk.get(name))]
    sources = (
        chunk,
        within(chunk, "delta"),
        within(chunk, "contentBlockDelta", "delta"),
        *map(mapping, blocks),
        *parts,
        *(within(part, "message") for part in parts),
        *(within(part, "delta") for part in parts),
    )
    names = ("text", "completion", "generation", "outputText", "content", "partial_json", "thinking")
    found = (source.get(name) for source in sources for name in names)
    return "".join(text for text in found if isinstance(text, str))


def _searched(sent: Sent, answer: Mapping[str, Any]) -> dict[str, int]:
    # Amazon Bedrock pricing, "Rerank models": by the query, of up to 100 documents.
    ranked = listing(answer.get("results"))
    if not ranked or "relevance_score" not in mapping(ranked[0]):
        return {}
    return {Unit.SEARCH_UNITS: max(1, -(-len(listing((sent.content or {}).get("documents"))) // 100))}


def _operation(answer: Mapping[str, Any], usage: Usage | None) -> str | None:
    """Return what an answer is, where it is no completion."""
    if usage is not None and Unit.OUTPUT_IMAGES in usage.units:
        return "image_generation"
    if usage is not None and Unit.SEARCH_UNITS in usage.units:
        return "rerank"
    return "embedding" if answer.keys() & {"embedding", "embeddings", "embeddingsByType"} else None


def _images(sent: Sent, chunks: Sequence[Mapping[str, Any]]) -> tuple[dict[str, int], dict[str, str]]:
    """Return how many images an answer holds and what was asked of them; nothing for an answer in words."""
    made = sum(len(listing(chunk.get(name))) for chunk in chunks for name in ("artifacts", "images"))
    if not made:
        return {}, {}
    content = sent.content or {}
    # Nova Canvas and Titan Image Generator user guides, "imageGenerationConfig"; Stability SDXL 1.0 states
    # height, width and steps at top level. Both make 1024 x 1024 unless asked otherwise; SDXL takes 50 steps.
    config = within(content, "imageGenerationConfig") or content
    width, height = count(config.get("width")), count(config.get("height"))
    stable = any("artifacts" in chunk for chunk in chunks)
    size = f"{width or 1024}x{height or 1024}" if width or height or stable or config is not content else None
    steps = count(content.get("steps")) or (50 if stable else None)
    return {Unit.OUTPUT_IMAGES: made}, traits_of(size=size, steps=steps, quality=config.get("quality"))


READERS: dict[str, Reader] = {
    "bedrock.invoke": read_invoke,
}
