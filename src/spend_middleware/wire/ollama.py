"""Ollama's own API: chat, generate and embed, whole and as JSON lines, on a machine of one's own or in its cloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Usage
from spend_middleware.wire.answers import asked_model, unless_failed
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import count, documents, last_document, mapping, string

# github.com/ollama/ollama, docs/api.md, "Response": the counts stand in the last object, the one with `done`; the
# durations beside them are nanoseconds of the server's clock.
_COUNTS = ("prompt_eval_count", "eval_count")

# Every object of a stream but the last says that it is not done.
_MORE_TO_COME = re.compile(rb'"done"\s*:\s*false')
_HEAD = 64 * 1024


@unless_failed
def read_native(route: Route, sent: Sent, received: Received) -> Reading:
    """Read /api/chat, /api/generate, /api/embed and /api/embeddings."""
    body = received.body
    last = last_document(body)
    raw = {name: last[name] for name in _COUNTS if last.get(name) is not None}
    return Reading(
        usage=Usage(
            input_tokens=count(raw.get("prompt_eval_count")), output_tokens=count(raw.get("eval_count"))
        )
        if raw
        else None,
        raw_usage=raw or None,
        request_model=asked_model(route, sent),
        response_model=string(last.get("model")),
        finish_reason=string(last.get("done_reason")),
        stream=_MORE_TO_COME.search(body, 0, _HEAD) is not None,
        error_type="stream_error" if isinstance(last.get("error"), str) else None,
        visible_text=lambda: "".join(map(_piece, documents(body))),
    )


def _piece(chunk: Mapping[str, Any]) -> str:
    message = mapping(chunk.get("message"))
    found = (chunk.get("response"), chunk.get("thinking"), message.get("content"), message.get("thinking"))
    return "".join(text for text in found if isinstance(text, str))


READERS: dict[str, Reader] = {
    "ollama.native": read_native,
}
