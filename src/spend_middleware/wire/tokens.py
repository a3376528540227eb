"""Usage objects in OpenAI's words, which most of the industry speaks with small differences, as our Usage."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, MsgspecError, Struct, ValidationError, convert
from msgspec.json import Decoder

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.values import LARGEST, NoCount, amount, count, mapping, units_of

# The same counts under the names that providers give them; the first that is there counts.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_INPUT_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "prompt_token_details",  # assistants, Mistral
    "input_token_details",  # transcription, realtime
)
_OUTPUT_DETAILS = (
    "completion_tokens_details",
    "output_tokens_details",
    "completion_token_details",
    "output_token_details",
)
# https://api-docs.deepseek.com/api/create-chat-completion (hit), LiteLLM's proxy (cache_read_input_tokens),
# https://docs.together.ai/reference/chat-completions (cached_tokens)
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
# https://docs.mistral.ai/inference/conversations/advanced/prompt-caching : what is billed at a tenth stands in
# prompt_tokens_details. The older count beside it is the serving engine's own, to the token, and was never discounted.
_REUSED = "num_cached_tokens"
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens")
# Usage objects with no other names, which most are, need no search for the rarer ones.
PLAIN_NAMES = frozenset(("total_tokens", *_INPUT, *_OUTPUT, *_INPUT_DETAILS, *_OUTPUT_DETAILS))
_NO_DETAILS: Mapping[str, Any] = {}

_Count = Annotated[int, Meta(ge=0, le=LARGEST)]


class _UsualIn(Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count | None = None
    audio_tokens: _Count | None = None


class _UsualOut(Struct, forbid_unknown_fields=True, gc=False):
    # Predicted tokens are part of the completion and billed as it is.
    reasoning_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    accepted_prediction_tokens: _Count | None = None
    rejected_prediction_tokens: _Count | None = None


class _Usual(Struct, forbid_unknown_fields=True, gc=False):
    """What OpenAI says of every chat completion: https://platform.openai.com/docs/api-reference/chat/object .

    Usage objects of these words and no others, as most are, are checked and taken apart in one step.
    """

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _UsualIn | None = None
    completion_tokens_details: _UsualOut | None = None


_USUAL_NAMES = frozenset(_Usual.__struct_fields__)

UNDISCOUNTED: Mapping[str, str] = {"cache_reads": "undiscounted"}
"""The trait of a usage whose cache reads are billed as ordinary input."""

# xAI's server-side tools and ours. https://docs.x.ai/docs/guides/tools/overview
_SERVER_TOOLS = {
    "web_search_calls": Unit.WEB_SEARCHES,
    "web_search_requests": Unit.WEB_SEARCHES,
    "x_search_calls": Unit.X_SEARCHES,
    "code_interpreter_calls": Unit.CODE_SESSIONS,
    "file_search_calls": Unit.FILE_SEARCHES,
    "document_search_calls": Unit.FILE_SEARCHES,
}


# What a LiteLLM proxy writes among the details of the prompt: https://docs.litellm.ai/docs/completion/usage
_DETAIL_UNITS = {
    "web_search_requests": Unit.WEB_SEARCHES,
    "character_count": Unit.INPUT_CHARACTERS,
    "image_count": Unit.INPUT_IMAGES,
    "video_length_seconds": Unit.INPUT_VIDEO_SECONDS,
    "audio_length_seconds": Unit.INPUT_AUDIO_SECONDS,
}


def first_of(usage: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Return the value of the first of the names that has one; a zero is a value."""
    for name in names:
        value = usage.get(name)
        if value is not None:
            return value
    return None


def details_of(usage: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the first object under one of the names, an empty one when there is none."""
    for name in names:
        value = usage.get(name)
        if value and isinstance(value, dict):
            return value
    return _NO_DETAILS


def _total(usage: Mapping[str, Any]) -> int | None:
    value = usage.get("total_tokens")
    total = None if value is None else count(value)
    return None if type(total) is NoCount else total


def has_tokens(usage: Mapping[str, Any]) -> bool:
    """Tell whether a usage object counts tokens at all; a reported zero does."""
    return any(usage.get(name) is not None for name in (*_INPUT, *_OUTPUT, "total_tokens"))


def token_usage(
    usage: Mapping[str, Any],
    units: Mapping[str, Any] | None = None,
    traits: Mapping[str, str] | None = None,
) -> Usage:
    """Return a usage object in OpenAI's words (chat, responses, embeddings, images, audio) as our counts.

    Args:
        usage: The provider's object: its input includes cached tokens, its output includes reasoning.
        units: Quantities other than tokens that go with it.
        traits: What else decides the price.
    """
    if not (units or traits) and usage.keys() <= _USUAL_NAMES:
        try:
            return _of_usual(convert(usage, _Usual))
        except ValidationError:
            pass  # the same words, but not all of them or not all counts
    plain = usage.keys() <= PLAIN_NAMES
    into = details_of(usage, _INPUT_DETAILS)
    out = details_of(usage, _OUTPUT_DETAILS)
    cached = into.get("cached_tokens")
    if cached is None and not plain:
        cached = first_of(usage, _CACHED)
        if cached is None and count(usage.get(_REUSED)):
            cached = usage[_REUSED]
            traits = {**(traits or {}), **UNDISCOUNTED}
    tokens_in, tokens_out, total = _sums(usage)
    reasoning = count(out["reasoning_tokens"]) if "reasoning_tokens" in out else 0
    # xAI chat and its batches leave reasoning out of the completion; their own total shows it. Nobody else's does.
    # https://docs.x.ai/docs/guides/reasoning
    if reasoning and total == tokens_in + tokens_out + reasoning:
        tokens_out += reasoning
    units, traits = units or {}, traits or {}
    sums = tokens_in, tokens_out, total
    return _detailed(usage, into, out, sums, reasoning=reasoning, cached=cached, units=units, traits=traits)


_as_written = Decoder(_Usual).decode


def usual_usage(usage: bytes) -> Usage | None:
    """Return the counts of an object of the usual words, whose sum is the provider's own; None for all others.

    Args:
        usage: The object as it is written, JSON.
    """
    try:
        told = _as_written(usage)
    except (MsgspecError, ValueError):
        return None
    tokens_in, tokens_out, total = told.prompt_tokens, told.completion_tokens, told.total_tokens
    # Without any output there may be more to it than the object says; so there may where the sum is another.
    if not tokens_out or tokens_in + tokens_out != total:
        return None
    return _of_usual(told)


def _of_usual(told: _Usual) -> Usage:
    tokens_in, tokens_out, total = told.prompt_tokens, told.completion_tokens, told.total_tokens
    into, out = told.prompt_tokens_details, told.completion_tokens_details
    if into is None is out:
        return Usage(input_tokens=tokens_in, output_tokens=tokens_out, total_tokens=total)
    into, out = into or _UsualIn(), out or _UsualOut()
    reasoning = out.reasoning_tokens or 0
    if reasoning and total == tokens_in + tokens_out + reasoning:
        tokens_out += reasoning  # xAI, see below
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_tokens=into.cached_tokens or 0,
        reasoning_tokens=reasoning,
        input_audio_tokens=into.audio_tokens or 0,
        output_audio_tokens=out.audio_tokens or 0,
        total_tokens=total,
    )


def _detailed(
    usage: Mapping[str, Any],
    into: Mapping[str, Any],
    out: Mapping[str, Any],
    sums: tuple[int, int, int | None],
    *,
    reasoning: int,
    cached: Any,
    units: Mapping[str, Any],
    traits: Mapping[str, str],
) -> Usage:
    tokens_in, tokens_out, total = sums
    written, written_1h = _written(usage, into)
    audio = count(into.get("audio_tokens"))
    # https://docs.mistral.ai/capabilities/audio : audio is billed by the minute, and its tokens stand beside the
    # prompt, not inside it.
    seconds = amount(usage.get("prompt_audio_seconds"))
    if seconds and total == tokens_in + tokens_out + audio:
        audio, total = 0, total - audio
    hit = mapping(into.get("cached_tokens_details"))
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_tokens=count(cached),
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        reasoning_tokens=reasoning,
        input_text_tokens=_optional(into, "text_tokens"),
        input_audio_tokens=audio,
        input_image_tokens=count(into.get("image_tokens")),
        input_video_tokens=count(into.get("video_tokens")),
        cache_read_text_tokens=_optional(hit, "text_tokens"),
        cache_read_audio_tokens=count(hit.get("audio_tokens")),
        cache_read_image_tokens=count(hit.get("image_tokens")),
        output_text_tokens=_optional(out, "text_tokens"),
        output_audio_tokens=count(out.get("audio_tokens")),
        output_image_tokens=count(out.get("image_tokens")),
        output_video_tokens=count(out.get("video_tokens")),
        total_tokens=total,
        units={**_units(usage, into), **units},
        traits=_traits(usage, traits),
    )


def _sums(usage: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """Return what went in, what came out, and the provider's total, which may be all that there is."""
    asked, made, total = first_of(usage, _INPUT), first_of(usage, _OUTPUT), _total(usage)
    tokens_in, tokens_out = count(asked), count(made)
    if asked is None:
        # https://docs.voyageai.com/reference : embeddings and reranking state a total and nothing else.
        return max((total or 0) - tokens_out, 0), tokens_out, total
    # Of three numbers one may be missing.
    if total and type(tokens_in) is NoCount is not type(tokens_out) and made is not None:
        return max(total - tokens_out, 0), tokens_out, total
    if total and type(tokens_out) is NoCount is not type(tokens_in):
        return tokens_in, max(total - tokens_in, 0), total
    return tokens_in, tokens_out, total


def _optional(details: Mapping[str, Any], name: str) -> int | None:
    value = details.get(name)
    return None if value is None else count(value)


def _written(usage: Mapping[str, Any], into: Mapping[str, Any]) -> tuple[int, int]:
    """Return the tokens written to a cache, and those of them with the longer lifetime."""
    lifetimes = mapping(into.get("cache_creation_token_details") or usage.get("cache_creation"))
    hour = count(lifetimes.get("ephemeral_1h_input_tokens"))
    # https://platform.openai.com/docs/guides/prompt-caching : kept for half an hour, or for twelve.
    if "cache_write_tokens_details" in into:
        hour += count(mapping(into["cache_write_tokens_details"]).get("ttl_12h_tokens"))
    written = first_of(into, _WRITTEN)
    if written is None:
        written = usage.get("cache_creation_input_tokens")
    return max(count(written), hour), hour


def _units(usage: Mapping[str, Any], into: Mapping[str, Any]) -> Mapping[str, Decimal | int]:
    """Return the quantities other than tokens that a usage object names."""
    units: dict[str, Decimal | int] = {}
    if not _DETAIL_UNITS.keys().isdisjoint(into):
        units = units_of(**{unit: into.get(name) for name, unit in _DETAIL_UNITS.items()})
    if usage.keys() <= PLAIN_NAMES:
        return units
    units |= units_of(
        **{
            Unit.INPUT_AUDIO_SECONDS: usage.get("prompt_audio_seconds"),
            Unit.CITATION_TOKENS: usage.get("citation_tokens"),
            # https://docs.perplexity.ai/getting-started/pricing
            Unit.WEB_SEARCHES: usage.get("num_search_queries"),
        }
    )
    for name in ("server_side_tool_usage_details", "server_tool_use_details", "server_tool_use"):
        for key, value in mapping(usage.get(name)).items():
            unit = _SERVER_TOOLS.get(key)
            if unit and value:
                units[unit] = units.get(unit, 0) + count(value)
    return units


def _traits(usage: Mapping[str, Any], traits: Mapping[str, str]) -> Mapping[str, str]:
    # https://docs.perplexity.ai/getting-started/pricing : the request fee goes by the size that was used.
    size = usage.get("search_context_size")
    return {"search_context_size": size, **traits} if isinstance(size, str) and len(size) <= 16 else traits
