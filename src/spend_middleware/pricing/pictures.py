"""Pictures in a prompt: how large they are, and how many tokens that is. None is ever fetched."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

UNKNOWN = 250
"""Tokens of a picture whose size cannot be known here."""

LOW_DETAIL = 85
TILE = 170


class Picture(NamedTuple):
    """A picture: its size in pixels where it is known, and whether it is shown at low detail."""

    size: tuple[int, int] | None
    low: bool


def picture_of(part: Mapping[str, Any]) -> Picture | None:
    """Return the picture that a content part of any vendor's shape is; None when it is none."""
    kind = part.get("type")
    source: Any = (
        part.get("image_url") or part.get("inlineData") or part.get("inline_data") or part.get("fileData")
    )
    if source is None and isinstance(part.get("image"), Mapping):
        source = part["image"].get("source") or part["image"]
    if kind == "image" or (source is None and kind == "input_image"):
        source = part.get("source") or part
    if source is None:
        return None
    detail = (source.get("detail") if isinstance(source, Mapping) else None) or part.get("detail")
    return Picture(_size_of(_picture_bytes(source)), detail in ("low", "auto"))


def picture_tokens(picture: Picture, model: str) -> int:
    """Return the tokens that a picture takes in a family of models.

    Args:
        picture: What is known of it.
        model: A bare name in lower case.
    """
    if picture.size is not None and "claude" in model:
        return _claude_tokens(*picture.size)
    if picture.size is not None and model.startswith("gemini"):
        return _gemini_tokens(*picture.size)
    if picture.low:
        return LOW_DETAIL
    return UNKNOWN if picture.size is None else tile_tokens(*picture.size)


def tile_tokens(width: int, height: int) -> int:
    """Return OpenAI's tokens of a picture at high detail: 85 and 170 for each 512-pixel tile.

    Source: OpenAI, "Images and vision", calculating costs: fit into 2048 x 2048, then the short side to 768.
    """
    scale = min(1.0, 2048 / max(width, height, 1))
    width, height = int(width * scale), int(height * scale)
    scale = min(1.0, 768 / max(min(width, height), 1))
    width, height = int(width * scale), int(height * scale)
    return LOW_DETAIL + TILE * math.ceil(width / 512) * math.ceil(height / 512)


def _claude_tokens(width: int, height: int) -> int:
    """Source: Anthropic, "Vision", image costs: width * height / 750, after the long side is fitted into 1568."""
    scale = min(1.0, 1568 / max(width, height, 1))
    return min(1600, math.ceil(width * scale * height * scale / 750))


def _gemini_tokens(width: int, height: int) -> int:
    """Source: Google, "Understand and count tokens": 258 up to 384 x 384, else 258 for each 768-pixel tile."""
    if width <= 384 and height <= 384:
        return 258
    return 258 * math.ceil(width / 768) * math.ceil(height / 768)


def _picture_bytes(source: Any) -> bytes:
    """Return the first bytes of an inline picture; enough for its header."""
    text = source
    if isinstance(source, Mapping):
        text = source.get("url") or source.get("data") or source.get("bytes") or ""
    if not isinstance(text, str) or text.startswith(("http:", "https:")):
        return b""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(encoded[:87_380], validate=False)
    except (binascii.Error, ValueError):
        return b""


def _size_of(picture: bytes) -> tuple[int, int] | None:
    if picture.startswith(b"\x89PNG") and len(picture) >= 24:
        return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])
    if picture.startswith(b"GIF8") and len(picture) >= 10:
        return int.from_bytes(picture[6:8], "little"), int.from_bytes(picture[8:10], "little")
    if picture.startswith(b"\xff\xd8"):
        return _jpeg_size(picture)
    return None


def _jpeg_size(picture: bytes) -> tuple[int, int] | None:
    """Return the size that a JPEG's start-of-frame marker states (ITU T.81, section B.2.2)."""
    at = 2
    while at + 9 < len(picture) and picture[at] == 0xFF:
        marker = picture[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(picture[at + 7 : at + 9]), int.from_bytes(picture[at + 5 : at + 7])
        at += 2 + int.from_bytes(picture[at + 2 : at + 4])
    return None
