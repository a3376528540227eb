"""Reading one answer with one reader, with as little said about it as a case needs."""

from __future__ import annotations

import json
from typing import Any

from spend_middleware.wire import READERS, Reading, Received, Route, Sent


def read(
    wire_format: str,
    body: Any,
    *,
    sent: dict[str, Any] | None = None,
    provider: str = "openai",
    model: str | None = None,
    headers: dict[str, str] | None = None,
    url: str = "https://api.example.com/v1/x",
    status: int = 200,
    follow_up: bool = False,
) -> Reading:
    """Return the reading of an answer; a body that is not bytes or text already becomes JSON."""
    route = Route(
        provider=provider, operation="completion", wire_format=wire_format, model=model, follow_up=follow_up
    )
    text = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    kind = "application/vnd.amazon.eventstream" if text[:1] == b"\0" else "application/json"
    received = Received(status=status, headers={"content-type": kind, **(headers or {})}, body=text)
    return READERS[wire_format](route, Sent(url=url, content=sent), received)


def events(*contents: Any) -> bytes:
    """Return the contents as server-sent events."""
    return (
        b"".join(b"data: " + json.dumps(content).encode() + b"\n\n" for content in contents)
        + b"data: [DONE]\n\n"
    )


def lines(*contents: Any) -> bytes:
    """Return the contents as JSON lines."""
    return b"".join(json.dumps(content).encode() + b"\n" for content in contents)


def tokens(reading: Reading) -> tuple[int, int]:
    """Return the tokens in and out of a reading that has usage."""
    assert reading.usage is not None
    return reading.usage.input_tokens, reading.usage.output_tokens
