"""Azure AI Speech: recognition by the second; synthesis, whose text goes out as SSML, which is not looked into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import reported, unless_failed
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import amount, mapping, parsed, string, units_of

# LiteLLM's names of the two services; no request names a model.
_TO_TEXT, _TO_SPEECH = "speech/azure-stt", "speech/azure-tts"


@unless_failed
def read_recognition(_route: Route, _sent: Sent, received: Received) -> Reading:
    """Read an answer of short or fast transcription.

    https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short : Duration in units of 100 ns;
    https://learn.microsoft.com/rest/api/speechtotext/transcriptions/transcribe : durationMilliseconds.
    """
    content = mapping(parsed(received.body))
    raw = {name: content[name] for name in ("Duration", "durationMilliseconds") if name in content}
    return Reading(
        usage=Usage(units=units_of(**{Unit.INPUT_AUDIO_SECONDS: _seconds(raw)})) if raw else None,
        raw_usage=reported(raw),
        request_model=_TO_TEXT,
        response_id=received.headers.get("x-requestid"),
        finish_reason=string(content.get("RecognitionStatus")),
    )


def _seconds(raw: Mapping[str, Any]) -> Any:
    """Return the seconds, or as it is what is no number."""
    for name, places in (("durationMilliseconds", 3), ("Duration", 7)):
        if name in raw:
            stated = amount(raw[name])
            return raw[name] if stated is None else stated.scaleb(-places)
    return None


@unless_failed
def read_synthesis(_route: Route, _sent: Sent, received: Received) -> Reading:
    """Read an answer of synthesis, which is sound and states nothing."""
    return Reading(
        usage_note="billed by the characters of its SSML, which is not looked into",
        request_model=_TO_SPEECH,
        response_id=received.headers.get("x-requestid"),
    )


READERS: dict[str, Reader] = {
    "azure_speech.recognition": read_recognition,
    "azure_speech.synthesis": read_synthesis,
}
