"""DashScope's and MiniMax's own APIs, beside the OpenAI-compatible ones that both serve as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import (
    asked_model,
    error_word,
    reported,
    streamed,
    total_note,
    unless_failed,
)
from spend_middleware.wire.openai import read_chat
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import objects, objects_holding
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import count, listing, mapping, parsed, string, traits_of, units_of, within


@unless_failed
def read_dashscope(route: Route, sent: Sent, received: Received) -> Reading:
    """Read text and multimodal generation, embeddings and reranking.

    https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope : the usage stands at top level; in a stream it is
    cumulated, so that the last one counts.
    """
    stream = streamed(received)
    content: Mapping[str, Any]
    if stream:
        content = next(objects_holding(received.body, b'"usage"'), {})
    else:
        content = mapping(parsed(received.body))
    usage, output = within(content, "usage"), within(content, "output")
    counts = dashscope_usage(usage) if usage else None
    choices = listing(output.get("choices"))
    finish = output.get("finish_reason") or (mapping(choices[0]).get("finish_reason") if choices else None)
    return Reading(
        usage=counts,
        raw_usage=reported(usage),
        usage_note=total_note(counts) if counts else None,
        request_model=asked_model(route, sent),
        response_id=string(content.get("request_id")),
        finish_reason=string(finish) if finish != "null" else None,
        stream=stream,
        error_type=error_word(content) if content.get("code") else None,
        visible_text=lambda: _text_of(received, content, stream),
    )


def dashscope_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the tokens of a usage, and its pictures where the model makes those."""
    units = units_of(**{Unit.OUTPUT_IMAGES: usage.get("image_count")})
    width, height = count(usage.get("width")), count(usage.get("height"))
    traits = traits_of(size=f"{width}x{height}") if width and height else {}
    if not has_tokens(usage):
        return Usage(units=units, traits=traits)
    details = mapping(usage.get("input_tokens_details")) or mapping(usage.get("prompt_tokens_details"))
    # Older answers count pictures, sound and films beside the sum, as parts of it.
    kinds = {
        name: usage[name]
        for name in ("image_tokens", "audio_tokens", "video_tokens")
        if usage.get(name) is not None and name not in details
    }
    # The prompt's details have the cached tokens, the input's the kinds of tokens.
    cached = mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    merged = {**details, **kinds, **({"cached_tokens": cached} if cached is not None else {})}
    return token_usage(
        {**usage, "input_tokens_details": merged, "prompt_tokens_details": None}, units, traits
    )


def _text_of(received: Received, content: Mapping[str, Any], stream: bool) -> str:
    """Return the text that an answer shows; events repeat what came before unless asked for increments."""
    texts = [_output_text(event) for event in objects(received.body)] if stream else [_output_text(content)]
    whole = texts[-1] if texts else ""
    return whole if all(whole.startswith(text) for text in texts) else "".join(texts)


def _output_text(content: Mapping[str, Any]) -> str:
    output = within(content, "output")
    found = [output.get("text")]
    for choice in listing(output.get("choices")):
        said = within(choice, "message").get("content")
        found += [mapping(part).get("text") for part in listing(said)] or [said]
    return "".join(text for text in found if isinstance(text, str))


def read_minimax_chat(route: Route, sent: Sent, received: Received) -> Reading:
    """Read MiniMax's chatcompletion_v2, which answers as OpenAI does and says `base_resp` for an error.

    https://platform.minimax.io/docs/api-reference/text-post
    """
    reading = read_chat(route, sent, received)
    if reading.error_type is None and not reading.stream:
        reading.error_type = _minimax_error(mapping(parsed(received.body)))
    return reading


@unless_failed
def read_minimax_speech(route: Route, sent: Sent, received: Received) -> Reading:
    """Read MiniMax's t2a: billed by the characters that it states.

    https://platform.minimax.io/docs/api-reference/speech-t2a-http : `extra_info.usage_characters`, in the last event of
    a stream; an order of long texts states `usage_characters` at once.
    """
    stream = streamed(received)
    content: Mapping[str, Any]
    if stream:
        content = next(objects_holding(received.body, b'"usage_characters"'), {})
    else:
        content = mapping(parsed(received.body))
    raw = within(content, "extra_info") or {k: v for k, v in content.items() if k == "usage_characters"}
    units = units_of(**{Unit.INPUT_CHARACTERS: raw.get("usage_characters")})
    return Reading(
        usage=Usage(units=units) if units else None,
        raw_usage=reported(raw),
        request_model=asked_model(route, sent),
        response_id=string(content.get("trace_id")) or string(content.get("task_id")),
        stream=stream,
        error_type=_minimax_error(content),
    )


@unless_failed
def read_minimax_images(route: Route, sent: Sent, received: Received) -> Reading:
    """Read MiniMax's image_generation: billed by the picture that was made.

    https://platform.minimax.io/docs/api-reference/image-generation-t2i
    """
    content = mapping(parsed(received.body))
    made = count(within(content, "metadata").get("success_count"))
    made = made or max(len(listing(urls)) for urls in (*within(content, "data").values(), ()))
    return Reading(
        usage=Usage(units={Unit.OUTPUT_IMAGES: made}) if made else None,
        request_model=asked_model(route, sent),
        response_id=string(content.get("id")),
        error_type=_minimax_error(content),
    )


def _minimax_error(content: Mapping[str, Any]) -> str | None:
    code = within(content, "base_resp").get("status_code")
    return f"minimax_{code}" if isinstance(code, int) and code else None


READERS: dict[str, Reader] = {
    "dashscope.native": read_dashscope,
    "minimax.chat": read_minimax_chat,
    "minimax.speech": read_minimax_speech,
    "minimax.images": read_minimax_images,
}
