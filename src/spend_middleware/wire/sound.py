"""How long a sound is, from its own bytes: for speech whose provider states neither tokens nor seconds."""

from __future__ import annotations

from decimal import Decimal

# ISO/IEC 11172-3 and 13818-3, layer III: kilobits a second by index, for MPEG 1 and for the lower sampling rates.
_BITRATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SAMPLES = {3: 1152, 2: 576, 0: 576}

# https://platform.openai.com/docs/guides/text-to-speech#supported-output-formats : pcm is 24 kHz, 16 bits, one channel.
_PCM_BYTES = 48_000
_MILLISECOND = Decimal("0.001")


def seconds_of(sound: bytes, wanted: str | None = None) -> Decimal | None:
    """Return the length of a sound in seconds, None where its bytes do not tell.

    Args:
        sound: All of it.
        wanted: The format that was asked for, which raw samples do not show.
    """
    if sound[:4] == b"RIFF" and sound[8:12] == b"WAVE":
        rate = int.from_bytes(sound[28:32], "little")
        return _rounded(len(sound) - 44, rate)
    if wanted == "pcm":
        return _rounded(len(sound), _PCM_BYTES)
    return _mp3(sound)


def _rounded(bytes_: int, a_second: int) -> Decimal | None:
    if bytes_ <= 0 or a_second <= 0:
        return None
    return (Decimal(bytes_) / a_second).quantize(_MILLISECOND)


def _mp3(sound: bytes) -> Decimal | None:
    start = 0
    if sound[:3] == b"ID3" and len(sound) > 10:
        # ID3v2, section 3.1: the size in four bytes of seven bits, without the header of ten bytes.
        start = 10 + sum((sound[6 + place] & 0x7F) << 7 * (3 - place) for place in range(4))
    frame = sound[start : start + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0 or frame[1] >> 1 & 3 != 1:
        return None
    version, bitrate, rate = frame[1] >> 3 & 3, frame[2] >> 4, frame[2] >> 2 & 3
    if version == 1 or bitrate == 15 or rate == 3:
        return None
    frames = _frames(sound[start : start + 256])
    if frames:
        return (Decimal(frames * _SAMPLES[version]) / _RATES[version][rate]).quantize(_MILLISECOND)
    return _rounded(len(sound) - start, _BITRATES[3 if version == 3 else 2][bitrate] * 125)


def _frames(first: bytes) -> int:
    """Return the number of frames that the first one states, where their size varies; 0 where it states none."""
    for mark in (b"Xing", b"Info"):
        at = first.find(mark)
        if at >= 0 and len(first) >= at + 12 and first[at + 7] & 1:
            return int.from_bytes(first[at + 8 : at + 12])
    return 0
