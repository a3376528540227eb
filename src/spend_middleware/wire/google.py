"""Gemini and Vertex AI in Google's own words: generateContent, embeddings, interactions and :predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire import sse
from spend_middleware.wire.answers import asked_model, error_word, failure, moment, once, total_note
from spend_middleware.wire.google_words import finish_word, grounding_units, modalities, search_units, tier_of
from spend_middleware.wire.openai import document_of
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.tokens import first_of
from spend_middleware.wire.values import count, listing, mapping, parsed, string, traits_of

_USAGE_MARKERS = (b'"usageMetadata"',)
_SHOWN = ("candidatesTokenCount", "responseTokenCount")


def read_generate(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of :generateContent or :streamGenerateContent, as events or as one JSON array."""
    failed = failure(route, sent, received)
    if failed is not None:
        return failed
    body = received.body
    if sse.looks_like_events(received.headers.get("content-type", ""), body):
        chunks = next(sse.objects_holding(body, *_USAGE_MARKERS), None)
        reading = _of_chunk(route, sent, chunks or sse.first_object(body), sse.error_in(body))
        reading.stream = True
        reading.visible_text = lambda: "".join(map(_text_of, sse.objects(body)))
        # Tools ground any chunk, not the last alone, so that a grounded stream is read from the start.
        if reading.usage is not None and b'"groundingMetadata"' in body:
            return _grounded(reading, mapping((chunks or {}).get("usageMetadata")), list(sse.objects(body)))
        return reading
    document = document_of(received) if body.lstrip()[:1] != b"[" else parsed(body)
    if isinstance(document, list):
        return _array(route, sent, [chunk for chunk in document if isinstance(chunk, dict)])
    document = mapping(document)
    reading = _of_chunk(route, sent, document, document if document.get("error") else None)
    reading.visible_text = lambda: _text_of(document)
    return reading


def _array(route: Route, sent: Sent, chunks: list[dict[str, Any]]) -> Reading:
    """Read a stream without `alt=sse`: one JSON array, a chunk an element."""
    last = next((chunk for chunk in reversed(chunks) if chunk.get("usageMetadata")), None)
    broken = next((chunk for chunk in chunks if chunk.get("error")), None)
    reading = _of_chunk(route, sent, last or (chunks[0] if chunks else {}), broken)
    reading.stream = True
    reading.visible_text = lambda: "".join(map(_text_of, chunks))
    if reading.usage is not None:
        return _grounded(reading, mapping(mapping(last).get("usageMetadata")), chunks)
    return reading


def _of_chunk(
    route: Route, sent: Sent, chunk: Mapping[str, Any], broken: Mapping[str, Any] | None
) -> Reading:
    candidates = listing(chunk.get("candidates"))
    finish = mapping(candidates[0]).get("finishReason") if candidates else None
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(chunk.get("modelVersion")),
        response_id=string(chunk.get("responseId")),
        finish_reason=finish_word(finish)
        or finish_word(mapping(chunk.get("promptFeedback")).get("blockReason")),
    )
    usage = chunk.get("usageMetadata")
    if usage and isinstance(usage, dict):
        reading.raw_usage = usage
        reading.service_tier, reading.batch = tier_of(usage)
        _grounded(reading, usage, [chunk])
    if broken is not None:
        reading.error_type = error_word(broken) or "error"
    return reading


def _grounded(reading: Reading, usage: Mapping[str, Any], chunks: list[Any]) -> Reading:
    counted = reading.usage = generate_usage(usage, search_units(chunks))
    reading.usage_note = total_note(counted)
    return reading


def generate_usage(usage: Mapping[str, Any], units: Mapping[str, int] | None = None) -> Usage:
    """Return the counts of one usageMetadata.

    https://ai.google.dev/api/generate-content#UsageMetadata : the prompt includes cached content; thoughts and the
    prompts of tools stand beside the candidates and the prompt, and all are billed.
    """
    prompt, tools = count(usage.get("promptTokenCount")), count(usage.get("toolUsePromptTokenCount"))
    # Live sessions say response where others say candidates.
    shown = count(first_of(usage, _SHOWN))
    thoughts = count(usage.get("thoughtsTokenCount"))
    total = count(usage.get("totalTokenCount")) or None
    inclusive = thoughts and total == prompt + tools + shown
    into = modalities(usage.get("promptTokensDetails") or usage.get("promptTokenDetails"))
    for kind, tokens in modalities(usage.get("toolUsePromptTokensDetails")).items():
        into[kind] = into.get(kind, 0) + tokens
    hit = modalities(usage.get("cacheTokensDetails"))
    out = modalities(usage.get("candidatesTokensDetails") or usage.get("responseTokensDetails"))
    return Usage(
        input_tokens=prompt + tools,
        output_tokens=shown if inclusive else shown + thoughts,
        cache_read_tokens=count(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        tool_input_tokens=tools,
        input_audio_tokens=into.get("audio", 0),
        input_image_tokens=into.get("image", 0),
        input_video_tokens=into.get("video", 0),
        cache_read_text_tokens=hit.get("text", 0) if hit else None,
        cache_read_audio_tokens=hit.get("audio", 0),
        cache_read_image_tokens=hit.get("image", 0),
        cache_read_video_tokens=hit.get("video", 0),
        output_audio_tokens=out.get("audio", 0),
        output_image_tokens=out.get("image", 0),
        output_video_tokens=out.get("video", 0),
        total_tokens=total,
        units=units or {},
        traits=traits_of(traffic_type=usage.get("trafficType")) if "trafficType" in usage else {},
    )


def _text_of(chunk: Mapping[str, Any]) -> str:
    parts: list[Any] = []
    for candidate in listing(chunk.get("candidates")):
        content = mapping(mapping(candidate).get("content"))
        parts += [mapping(part).get("text") for part in listing(content.get("parts"))]
    return "".join(part for part in parts if isinstance(part, str))


def read_embed(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of :embedContent or :batchEmbedContents; gemini-embedding-001 never counts its tokens.

    https://ai.google.dev/api/embeddings
    """
    failed = failure(route, sent, received)
    if failed is not None:
        return failed
    document = document_of(received)
    reading = Reading(request_model=asked_model(route, sent))
    usage = mapping(document).get("usageMetadata")
    if usage and isinstance(usage, dict):
        reading.raw_usage = usage
        reading.usage = generate_usage(usage)
    return reading


def read_predict(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of Vertex's :predict, which counts in each prediction, by the kind of model.

    https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
    https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api
    """
    failed = failure(route, sent, received)
    if failed is not None:
        return failed
    document = mapping(document_of(received))
    reading = Reading(request_model=asked_model(route, sent), response_model=string(document.get("model")))
    statistics = [
        mapping(mapping(mapping(made).get("embeddings")).get("statistics"))
        for made in listing(document.get("predictions"))
    ]
    images = sum(1 for made in listing(document.get("predictions")) if "bytesBase64Encoded" in mapping(made))
    units: dict[str, int] = {}
    characters = count(mapping(document.get("metadata")).get("billableCharacterCount"))
    if characters:
        units[Unit.INPUT_CHARACTERS] = characters
    if images:
        units[Unit.OUTPUT_IMAGES] = images
        reading.operation = "image_generation"
    tokens = sum(count(part.get("token_count")) for part in statistics)
    if units or any("token_count" in part for part in statistics):
        reading.usage = Usage(input_tokens=tokens, units=units)
        reading.raw_usage = {"token_count": tokens, "billableCharacterCount": characters}
    return reading


def read_interaction(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of the Interactions API, whole, streamed, or read again later.

    https://ai.google.dev/api/interactions-api
    """
    failed = failure(route, sent, received)
    if failed is not None:
        failed.billable = not route.follow_up
        return failed
    body = received.body
    streamed = sse.looks_like_events(received.headers.get("content-type", ""), body)
    if streamed:
        event = next(sse.objects_holding(body, b'"usage":{', b'"usage": {'), None) or sse.first_object(body)
        interaction = mapping(event.get("interaction")) or event
    else:
        interaction = mapping(document_of(received))
    reading = Reading(
        request_model=asked_model(route, sent) or string(mapping(sent.content).get("agent")),
        response_model=string(interaction.get("model")),
        response_id=string(interaction.get("id")),
        finish_reason=string(interaction.get("status")),
        service_tier=string(interaction.get("service_tier")),
        stream=streamed,
    )
    usage = interaction.get("usage")
    if usage and isinstance(usage, dict):
        reading.raw_usage = usage
        reading.usage = _interaction_usage(usage)
        reading.usage_note = total_note(reading.usage)
    reading.visible_text = lambda: (
        "".join(map(_delta_of, sse.objects(body))) if streamed else _shown(interaction)
    )
    if interaction.get("error"):
        reading.error_type = error_word(interaction) or "error"
    _later(reading, route, interaction)
    return reading


def _later(reading: Reading, route: Route, interaction: Mapping[str, Any]) -> None:
    """Say when an interaction in the background is billed: once, by whoever first reads it done."""
    background = interaction.get("background") is True
    if interaction.get("status") in ("in_progress", "queued") and reading.usage is None:
        reading.pending = background
        reading.billable = not route.follow_up
    if background or route.follow_up:
        reading.once_key = once(route.provider, "interaction", reading.response_id) if background else None
        reading.created_at = moment(interaction.get("created"))
        reading.billable = reading.billable and not (route.follow_up and not background)


def _interaction_usage(usage: Mapping[str, Any]) -> Usage:
    tools, thoughts = count(usage.get("total_tool_use_tokens")), count(usage.get("total_thought_tokens"))
    into = modalities(usage.get("input_tokens_by_modality"))
    for kind, tokens in modalities(usage.get("tool_use_tokens_by_modality")).items():
        into[kind] = into.get(kind, 0) + tokens
    hit = modalities(usage.get("cached_tokens_by_modality"))
    out = modalities(usage.get("output_tokens_by_modality"))
    return Usage(
        input_tokens=count(usage.get("total_input_tokens")) + tools,
        output_tokens=count(usage.get("total_output_tokens")) + thoughts,
        cache_read_tokens=count(usage.get("total_cached_tokens")),
        reasoning_tokens=thoughts,
        tool_input_tokens=tools,
        input_audio_tokens=into.get("audio", 0),
        input_image_tokens=into.get("image", 0),
        input_video_tokens=into.get("video", 0),
        cache_read_audio_tokens=hit.get("audio", 0),
        cache_read_image_tokens=hit.get("image", 0),
        cache_read_video_tokens=hit.get("video", 0),
        output_audio_tokens=out.get("audio", 0),
        output_image_tokens=out.get("image", 0),
        output_video_tokens=out.get("video", 0),
        total_tokens=count(usage.get("total_tokens")) or None,
        units=grounding_units(usage.get("grounding_tool_count")),
    )


def _shown(interaction: Mapping[str, Any]) -> str:
    texts = [mapping(part).get("text") for part in listing(interaction.get("outputs"))]
    return "".join(text for text in texts if isinstance(text, str))


def _delta_of(event: Mapping[str, Any]) -> str:
    text = mapping(event.get("delta")).get("text")
    return text if isinstance(text, str) else ""


READERS: dict[str, Reader] = {
    "gemini.generateContent": read_generate,
    "gemini.embedContent": read_embed,
    "gemini.interactions": read_interaction,
    "vertex.predict": read_predict,
}
