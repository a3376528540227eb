"""The length of a sound, read from its own bytes, is what speech without stated usage is billed by."""

from __future__ import annotations

import io
import wave
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.call import Unit
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.wire.sound import seconds_of
from wire_reads import read


def wav(seconds: int, rate: int = 24_000) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\0" * rate * seconds)
    return held.getvalue()


# MPEG 2, layer III, 128 kbit/s, 24 kHz: as OpenAI sends it. 16,000 bytes are a second.
MP3 = b"\xff\xf3\xc4\xc4" + bytes(31_996)
# MPEG 1, layer III, 128 kbit/s, 44.1 kHz.
MP3_44 = b"\xff\xfb\x90\x00" + bytes(31_996)
# The same with a frame that states how many there are: 100 frames of 1,152 samples.
COUNTED = b"\xff\xfb\x90\x00" + bytes(32) + b"Xing\x00\x00\x00\x01" + (100).to_bytes(4) + bytes(9_000)
TAGGED = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 0]) + bytes(128) + MP3

SOUNDS: list[tuple[str, bytes, str | None, str | None]] = [
    ("wav", wav(3), None, "3"),
    ("wav at another rate", wav(2, 16_000), "wav", "2"),
    ("raw samples", bytes(72_000), "pcm", "1.5"),
    ("mp3", MP3, None, "2"),
    ("mp3 of MPEG 1", MP3_44, "mp3", "2"),
    ("mp3 of varying rate", COUNTED, None, "2.612"),
    ("mp3 behind a tag", TAGGED, None, "2"),
    ("opus", b"OggS" + bytes(900), "opus", None),
    ("nothing", b"", None, None),
    ("no sound", b'{"error": 1}', None, None),
    ("a reserved rate", b"\xff\xf3\xcc\xc4" + bytes(99), None, None),
]


@pytest.mark.parametrize(("sound", "wanted", "seconds"), [s[1:] for s in SOUNDS], ids=[s[0] for s in SOUNDS])
def test_a_sound_tells_its_length(sound: bytes, wanted: str | None, seconds: str | None) -> None:
    assert seconds_of(sound, wanted) == (None if seconds is None else Decimal(seconds))


@given(
    head=st.sampled_from([b"", b"RIFF....WAVE", b"ID3", b"\xff\xf3", b"\xff\xfb"]),
    rest=st.binary(max_size=300),
)
def test_no_bytes_whatever_raise(head: bytes, rest: bytes) -> None:
    for wanted in (None, "pcm"):
        found = seconds_of(head + rest, wanted)
        assert found is None or found >= 0


def cost_of(model: str, asked: dict[str, Any]) -> Decimal | None:
    reading = read(
        "openai.speech", MP3, sent={"model": model, **asked}, headers={"content-type": "audio/mpeg"}
    )
    assert reading.usage is not None
    query = PriceQuery(
        provider="openai", models=(model,), usage=reading.usage, operation="speech", at=1_795_000_000.0
    )
    return PriceBook.bundled().price(query).amount


def test_speech_that_is_billed_by_tokens_is_priced_by_its_length_and_other_speech_by_its_characters() -> None:
    assert cost_of("gpt-4o-mini-tts", {"input": "Hello"}) == 2 * Decimal("0.00025")
    assert cost_of("tts-1", {"input": "Hello"}) == 5 * Decimal("0.000015")


def test_a_measured_length_is_said_to_be_one_and_stated_tokens_come_before_it() -> None:
    asked, kind = {"model": "m", "input": "Hello"}, {"content-type": "audio/mpeg"}
    measured = read("openai.speech", MP3, sent=asked, headers=kind)
    assert measured.usage is not None
    assert measured.usage.units == {Unit.INPUT_CHARACTERS: 5, Unit.OUTPUT_AUDIO_SECONDS: 2}
    assert measured.usage_note == "the seconds are measured from the sound"
    unknown = read("openai.speech", b"OggS", sent=asked, headers=kind)
    assert unknown.usage is not None
    assert (unknown.usage.units, unknown.usage_note) == ({Unit.INPUT_CHARACTERS: 5}, None)


@pytest.mark.parametrize(
    ("wire_format", "model"), [("xai.stt", "grok-voice-transcribe-1.0"), ("xai.tts", "grok-tts")]
)
def test_xais_voices_need_no_name(wire_format: str, model: str) -> None:
    assert read(wire_format, {"text": "x", "duration": 3}, provider="xai").request_model == model
    assert read(wire_format, {"text": "x"}, provider="xai", sent={"model": "y"}).request_model == "y"
