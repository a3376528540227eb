"""Chat completions that are ordered first and fetched later: billed once, by whoever first reads the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import structs
from pydantic_core import to_json

from spend_middleware.wire.answers import error_word, moment, once, unless_failed
from spend_middleware.wire.openai import READERS as CHAT_READERS
from spend_middleware.wire.openai import read_chat
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import mapping, parsed, string, within


@unless_failed
def read_xai(route: Route, sent: Sent, received: Received) -> Reading:
    """Read xAI's chat completion, one that was deferred too.

    https://docs.x.ai/docs/guides/deferred-chat-completions : the order answers {request_id}; a result that is not there
    yet answers 202 without a body.
    """
    if not route.follow_up and (sent.content or {}).get("deferred") is not True:
        return read_chat(route, sent, received)
    if not route.follow_up:
        order = mapping(parsed(received.body))
        model = string((sent.content or {}).get("model"))
        return Reading(request_model=model, response_id=string(order.get("request_id")), pending=True)
    reading = read_chat(route, sent, received)
    if reading.usage is None:
        return Reading(billable=False)
    reading.request_model = reading.request_model or reading.response_model
    reading.once_key = once(route.provider, "completion", _last_part(str(sent.url)))
    return reading


@unless_failed
def read_perplexity(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Perplexity's asynchronous completion: an order, or the same object with its answer inside.

    https://docs.perplexity.ai/api-reference/async-chat-completions-post
    """
    job = mapping(parsed(received.body))
    answer = mapping(job.get("response"))
    if not answer.get("usage"):
        failed = job.get("status") == "FAILED"
        return Reading(
            request_model=string(job.get("model")) or string(within(sent.content, "request").get("model")),
            response_id=string(job.get("id")),
            error_type=(error_word({"error": job.get("error_message")}) or "failed") if failed else None,
            pending=not failed,
            billable=not route.follow_up,
        )
    inner = structs.replace(received, headers={"content-type": "application/json"}, body=_bytes(answer))
    reading = CHAT_READERS["perplexity.chat"](route, sent, inner)
    reading.request_model = string(job.get("model")) or reading.request_model or reading.response_model
    reading.response_id = string(job.get("id")) or reading.response_id
    reading.created_at = moment(job.get("created_at"))
    reading.once_key = once(route.provider, "completion", reading.response_id)
    return reading


def _bytes(answer: Mapping[str, Any]) -> bytes:
    try:
        return to_json(answer)
    except ValueError:
        # Half of a surrogate pair has no UTF-8 form.
        return json.dumps(answer).encode()


def _last_part(url: str) -> str:
    return url.partition("?")[0].rstrip("/").rpartition("/")[2]


READERS: dict[str, Reader] = {"xai.chat": read_xai, "perplexity.async": read_perplexity}
