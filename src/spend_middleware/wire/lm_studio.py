"""LM Studio's own chat, beside the OpenAI- and Anthropic-compatible ones that it serves as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Usage
from spend_middleware.wire.answers import asked_model, reported, streamed, unless_failed
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import objects, objects_holding
from spend_middleware.wire.values import count, listing, mapping, parsed, string, within


@unless_failed
def read_chat(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of POST /api/v1/chat.

    https://lmstudio.ai/docs/developer/rest/chat : `stats` counts the tokens; a stream ends with `chat.end`, whose
    `result` is what the whole answer would be.
    """
    stream = streamed(received)
    if stream:
        content = within(next(objects_holding(received.body, b'"chat.end"'), {}), "result")
    else:
        content = mapping(parsed(received.body))
    stats = within(content, "stats")
    usage = Usage(
        input_tokens=count(stats.get("input_tokens")),
        output_tokens=count(stats.get("total_output_tokens")),
        reasoning_tokens=count(stats.get("reasoning_output_tokens")),
    )
    return Reading(
        usage=usage if stats else None,
        raw_usage=reported(stats),
        request_model=asked_model(route, sent),
        response_model=string(content.get("model_instance_id")),
        response_id=string(content.get("response_id")),
        stream=stream,
        visible_text=lambda: _text_of(received, content, stream),
    )


def _text_of(received: Received, content: Mapping[str, Any], stream: bool) -> str:
    if stream:
        parts = [event.get("content") for event in objects(received.body)]
    else:
        parts = [mapping(item).get("content") for item in listing(content.get("output"))]
    return "".join(part for part in parts if isinstance(part, str))


READERS: dict[str, Reader] = {"lm_studio.chat": read_chat}
