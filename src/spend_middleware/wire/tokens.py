"""OpenAI's usage object in every spelling that its endpoints and its imitators use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Usage
from spend_middleware.wire.values import count, mapping

# OpenAI API reference: chat says prompt/completion and ..._tokens_details, responses and images say input/output,
# transcriptions and the realtime API say ..._token_details, assistants runs say prompt_token_details.
_INPUT = ("input_tokens", "prompt_tokens")
_OUTPUT = ("output_tokens", "completion_tokens")
_INPUT_DETAILS = (
    "input_tokens_details",
    "prompt_tokens_details",
    "input_token_details",
    "prompt_token_details",
)
_OUTPUT_DETAILS = (
    "output_tokens_details",
    "completion_tokens_details",
    "output_token_details",
    "completion_token_details",
)


def token_usage(
    usage: Mapping[str, Any],
    units: Mapping[str, Any] | None = None,
    traits: Mapping[str, str] | None = None,
) -> Usage:
    """Return an OpenAI usage object, in whatever spelling, in our convention.

    Args:
        usage: The provider's object: its input includes cached tokens, its output includes reasoning.
        units: Quantities other than tokens that go with it.
        traits: What else decides the price.
    """
    inputs, outputs = _number(usage, _INPUT), _number(usage, _OUTPUT)
    total = count(usage.get("total_tokens"))
    if inputs is None and total:
        # Voyage and Jina state the total alone; what is not output was input.
        inputs = max(total - (outputs or 0), 0)
    details, made = _details(usage, _INPUT_DETAILS), _details(usage, _OUTPUT_DETAILS)
    cached = mapping(details.get("cached_tokens_details"))
    return Usage(
        input_tokens=inputs or 0,
        output_tokens=outputs or 0,
        cache_read_tokens=count(details.get("cached_tokens")),
        cache_write_tokens=count(details.get("cache_write_tokens"))
        or count(details.get("cache_creation_tokens")),
        reasoning_tokens=count(made.get("reasoning_tokens")),
        input_text_tokens=_split(details, "text_tokens"),
        input_audio_tokens=count(details.get("audio_tokens")),
        input_image_tokens=count(details.get("image_tokens")),
        input_video_tokens=count(details.get("video_tokens")),
        cache_read_text_tokens=_split(cached, "text_tokens"),
        cache_read_audio_tokens=count(cached.get("audio_tokens")),
        cache_read_image_tokens=count(cached.get("image_tokens")),
        cache_read_video_tokens=count(cached.get("video_tokens")),
        output_text_tokens=_split(made, "text_tokens"),
        output_audio_tokens=count(made.get("audio_tokens")),
        output_image_tokens=count(made.get("image_tokens")),
        output_video_tokens=count(made.get("video_tokens")),
        total_tokens=total or None,
        units=units or {},
        traits=traits or {},
    )


def has_tokens(usage: Mapping[str, Any]) -> bool:
    """Tell whether a usage object counts tokens at all; a reported zero does."""
    return any(usage.get(name) is not None for name in (*_INPUT, *_OUTPUT, "total_tokens"))


def _number(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if usage.get(name) is not None:
            return count(usage[name])
    return None


def _split(details: Mapping[str, Any], name: str) -> int | None:
    return None if details.get(name) is None else count(details[name])


def _details(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        if usage.get(name):
            return mapping(usage[name])
    return {}
