"""What the readers of many formats ask of every request and answer: the model, an error's word, a total that holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import wraps
from typing import Any

from spend_middleware.call import Usage
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import amount, mapping, parsed, string

_WORD = re.compile(r"[A-Za-z][\w.\-]{1,63}")
_SECONDS_END = 10**11  # a later moment than this is meant in milliseconds


def asked_model(route: Route, sent: Sent) -> str | None:
    """Return the model that was asked for: of the path, else of the body."""
    content = sent.content or {}
    named = route.model or string(content.get("model")) or string(content.get("model_id"))
    # docs.mistral.ai, "Agents": an agent is asked in place of a model.
    return named or string(content.get("agent_id"))


def error_word(content: Any) -> str | None:
    """Return the provider's machine-readable word for an error; never its message, which may hold content."""
    outer = mapping(content)
    error = outer.get("error")
    inner = mapping(error)
    candidates = (
        inner.get("type"),
        inner.get("code"),
        inner.get("status"),
        inner.get("name"),
        outer.get("__type"),
        outer.get("error_type"),
        outer.get("err_code"),
        outer.get("code"),
        outer.get("type"),
        error,
    )
    for candidate in candidates:
        # Smithy services write `com.amazonaws.x#ValidationException`, others plain snake case.
        if isinstance(candidate, str):
            word = candidate.rsplit("#", 1)[-1]
            if _WORD.fullmatch(word) and word != "error":
                return word
    return None


def failure(route: Route, sent: Sent, received: Received) -> Reading | None:
    """Return the reading of an answer whose status says that the call failed, None for all others."""
    if received.status < 400:
        return None
    # AWS, "Error response" of the REST-JSON protocol: the type stands in a header, before a colon.
    header = received.headers.get("x-amzn-errortype", "").split(":", 1)[0].rsplit("#", 1)[-1]
    word = header if _WORD.fullmatch(header) else None
    return Reading(
        request_model=asked_model(route, sent),
        error_type=word or error_word(parsed(received.body)) or f"http_{received.status}",
    )


def unless_failed(reader: Reader) -> Reader:
    """Return a reader that is only asked about answers whose status says that the call succeeded."""

    @wraps(reader)
    def read(route: Route, sent: Sent, received: Received) -> Reading:
        return failure(route, sent, received) or reader(route, sent, received)

    return read


def streamed(received: Received) -> bool:
    """Tell a streamed answer by its content type, or by the first bytes where the type was lost."""
    kind = received.headers.get("content-type", "")
    if "event-stream" in kind or "ndjson" in kind or "stream+json" in kind:
        return True
    return received.body[:6].lstrip().startswith((b"data:", b"event:"))


def total_note(usage: Usage) -> str | None:
    """Return what does not add up between the counts and the provider's own total, None when all does."""
    total, counted = usage.total_tokens, usage.input_tokens + usage.output_tokens
    if not total or total == counted:
        return None
    return f"total_tokens {total} != {counted}"


def moment(value: Any) -> float | None:
    """Return a time, in seconds or milliseconds since the epoch or in ISO 8601, as seconds since the epoch."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value[:64]).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    number = amount(value)
    if not number:
        return None
    seconds = float(number)
    return seconds / 1000 if seconds >= _SECONDS_END else seconds


def once(provider: str, kind: str, identity: Any) -> str | None:
    """Return the key under which a provider's object is billed once, such as `openai/response/resp_1`."""
    name = string(identity)
    return f"{provider}/{kind}/{name}" if name else None


def reported(usage: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a usage object as the raw usage to keep, None for an empty one."""
    return usage or None
