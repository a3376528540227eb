"""Speech to text and text to speech, in OpenAI's API and in those of Deepgram, ElevenLabs and xAI."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, reported, streamed, total_note, unless_failed
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sound import seconds_of
from spend_middleware.wire.sse import objects
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import amount, count, listing, mapping, parsed, string, units_of, within

# https://docs.x.ai/docs/models, "Voice" : both endpoints serve one model, which a request need not name.
_USUAL = {"xai.stt": "grok-voice-transcribe-1.0", "xai.tts": "grok-tts"}


@unless_failed
def read_transcription(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a transcription or translation: JSON, the event stream of one, or plain text, which states no usage."""
    stream = streamed(received)
    content = _last_event(received.body) if stream else mapping(parsed(received.body))
    usage = within(content, "usage") or within(content, "meta", "billed_units")
    counts = transcription_usage(usage, content.get("duration"))
    return Reading(
        usage=counts,
        raw_usage=reported(usage) or _duration(content),
        usage_note=_note(usage, counts),
        reported_cost=stated_cost(route.provider, usage),
        request_model=asked_model(route, sent) or _USUAL.get(route.wire_format),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")) or received.headers.get("x-request-id"),
        finish_reason=string(content.get("finish_reason")),
        service_tier=string(usage.get("service_tier")),
        stream=stream,
        visible_text=lambda: content["text"] if isinstance(content.get("text"), str) else "",
    )


def transcription_usage(usage: Mapping[str, Any], duration: Any = None) -> Usage | None:
    """Return the tokens or the seconds of a transcription, None when it states neither.

    Args:
        usage: OpenAI's usage object of type `tokens` or `duration`, or Mistral's with both.
        duration: The seconds that `verbose_json` states beside the text; only taken where usage states nothing.
    """
    # platform.openai.com/docs/api-reference/audio: usage is {type: tokens, ...} or {type: duration, seconds}.
    # docs.mistral.ai/api, "audio transcription": prompt_audio_seconds is what is billed, tokens stand beside it.
    tokens = has_tokens(usage) and usage.get("type") != "duration"
    seconds = usage.get("seconds") or usage.get("prompt_audio_seconds")
    if seconds is None and not tokens:
        seconds = usage.get("duration") or duration
    units = units_of(**{Unit.INPUT_AUDIO_SECONDS: seconds})
    if tokens:
        return token_usage(usage, units)
    return Usage(units=units) if units or usage.get("type") == "duration" else None


def _note(usage: Mapping[str, Any], counts: Usage | None) -> str | None:
    # Mistral's total holds the audio tokens, which its prompt_tokens leave out.
    audio = count(within(usage, "prompt_tokens_details").get("audio_tokens"))
    if counts is None or counts.total_tokens == counts.input_tokens + counts.output_tokens + audio:
        return None
    return total_note(counts)


def _last_event(body: bytes) -> Mapping[str, Any]:
    """Return the event that ends a streamed transcription; it has the text and the usage."""
    last: Mapping[str, Any] = {}
    for event in objects(body):
        if event.get("type") in ("transcript.text.done", "transcription.done") or event.get("usage"):
            last = event
    return last


def _duration(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return {"duration": content["duration"]} if amount(content.get("duration")) else None


@unless_failed
def read_speech(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a speech answer: sound, or an event stream or JSON with sound inside and perhaps usage."""
    content, stream = _spoken(received)
    usage = within(content, "usage")
    # platform.openai.com/docs/pricing: tts-1 is billed by the characters of `input`; the same holds for `text` at
    # xAI, ElevenLabs and Deepgram. Models that are billed by tokens report them in the stream's last event.
    seconds = None if has_tokens(usage) else _measured(sent, received)
    counts = _speech_usage(
        usage,
        units_of(**{Unit.INPUT_CHARACTERS: _characters(sent, received), Unit.OUTPUT_AUDIO_SECONDS: seconds}),
    )
    return Reading(
        usage=counts,
        raw_usage=reported(usage),
        usage_note=None if seconds is None else "the seconds are measured from the sound",
        reported_cost=stated_cost(route.provider, usage),
        request_model=_speech_model(route, sent),
        response_model=string(received.headers.get("dg-model-name")),
        response_id=received.headers.get("x-request-id") or received.headers.get("dg-request-id"),
        stream=stream,
    )


def _measured(sent: Sent, received: Received) -> Decimal | None:
    # https://platform.openai.com/docs/pricing : gpt-4o-mini-tts is billed by tokens that an answer in sound does not
    # state; its price for a minute of sound is given as well.
    if not received.complete or "json" in received.headers.get("content-type", "") or streamed(received):
        return None
    return seconds_of(received.body, string((sent.content or {}).get("response_format")))


def _spoken(received: Received) -> tuple[Mapping[str, Any], bool]:
    kind = received.headers.get("content-type", "")
    if streamed(received):
        return _last_event(received.body), True
    return (mapping(parsed(received.body)) if "json" in kind else {}), False


def _speech_usage(usage: Mapping[str, Any], units: Mapping[str, Decimal | int]) -> Usage | None:
    if not has_tokens(usage):
        return Usage(units=units) if units else None
    counts = token_usage(usage, units)
    if counts.output_audio_tokens or counts.output_text_tokens is not None:
        return counts
    # OpenAI's `speech.audio.done` gives no details: what comes out is sound.
    return Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        output_audio_tokens=counts.output_tokens,
        total_tokens=counts.total_tokens,
        units=units,
    )


def _characters(sent: Sent, received: Received) -> int:
    # developers.deepgram.com/reference/text-to-speech-api: `dg-char-count` is the number that is billed.
    stated = count(received.headers.get("dg-char-count"))
    if stated:
        return stated
    content = sent.content or {}
    text = content.get("input") or content.get("text")
    if isinstance(text, str):
        return len(text)
    # elevenlabs.io/docs/api-reference/text-to-dialogue: several texts in `inputs`.
    texts = (mapping(part).get("text") for part in listing(content.get("inputs")))
    return sum(len(part) for part in texts if isinstance(part, str))


def _speech_model(route: Route, sent: Sent) -> str | None:
    # ElevenLabs has the voice in the path and the model in the body, Deepgram has the model in the query.
    content = sent.content or {}
    named = string(content.get("model_id")) or _in_query(sent, "model") or asked_model(route, sent)
    return named or _USUAL.get(route.wire_format)


def _in_query(sent: Sent, name: str) -> str | None:
    try:
        found = parse_qs(urlsplit(str(sent.url)).query[:8192]).get(name)
    except ValueError:
        return None
    return string(found[0]) if found else None


@unless_failed
def read_deepgram(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Deepgram's listen (seconds of sound) and read (tokens of text)."""
    found = within(parsed(received.body), "metadata")
    usage = {name: found[name] for name in ("duration", "channels") if name in found}
    # developers.deepgram.com/docs/multichannel: with multichannel=true each channel is billed as a recording.
    channels = count(usage.get("channels")) if _in_query(sent, "multichannel") == "true" else 1
    stated = amount(usage.get("duration"))
    seconds = usage.get("duration") if stated is None else stated * max(channels, 1)
    # developers.deepgram.com/docs/text-sentiment-analysis: each feature's `..._info` counts the tokens it used.
    infos = [
        mapping(value) for name, value in found.items() if name.endswith("_info") and name != "model_info"
    ]
    usage.update(
        (name, sum(count(info.get(name)) for info in infos))
        for name in ("input_tokens", "output_tokens")
        if infos
    )
    return Reading(
        usage=Usage(
            input_tokens=count(usage.get("input_tokens")),
            output_tokens=count(usage.get("output_tokens")),
            units=units_of(**{Unit.INPUT_AUDIO_SECONDS: seconds}),
        )
        if usage
        else None,
        raw_usage=reported(usage),
        request_model=_in_query(sent, "model") or asked_model(route, sent),
        response_id=string(found.get("request_id")),
    )


READERS: dict[str, Reader] = {
    "openai.transcription": read_transcription,
    "openai.speech": read_speech,
    "xai.stt": read_transcription,
    "xai.tts": read_speech,
    "elevenlabs.speech": read_speech,
    "deepgram.speak": read_speech,
    "deepgram.listen": read_deepgram,
}
