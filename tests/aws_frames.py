"""Frames of AWS event streams, as the services send them."""

from __future__ import annotations

import base64
import json
from typing import Any
from zlib import crc32


def frame_of(kind: str, content: Any, message_type: str = "event") -> bytes:
    """Return one frame; content that is not bytes already becomes JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    name = ":event-type" if message_type == "event" else ":exception-type"
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + len(value).to_bytes(2) + value.encode()
        for key, value in ((name, kind), (":message-type", message_type))
    )
    return closed(headers, body)


def closed(headers: bytes, body: bytes) -> bytes:
    """Return headers and body with their lengths and checksums around them."""
    prelude = (16 + len(headers) + len(body)).to_bytes(4) + len(headers).to_bytes(4)
    whole = prelude + crc32(prelude).to_bytes(4) + headers + body
    return whole + crc32(whole).to_bytes(4)


def chunk_of(content: Any) -> bytes:
    """Return a frame of InvokeModel's stream, whose event stands in base64."""
    return frame_of("chunk", {"bytes": base64.b64encode(json.dumps(content).encode()).decode(), "p": "abc"})
