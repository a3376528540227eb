"""The Responses API: whole, streamed, in the background and read again later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from msgspec import structs

from spend_middleware.call import Unit, Usage
from spend_middleware.wire import sse
from spend_middleware.wire.answers import (
    asked_model,
    error_word,
    failure,
    moment,
    once,
    total_note,
    unless_failed,
)
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.openai import USAGE_MARKERS, document_of
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.response_tools import drawn, tool_traits, tool_units
from spend_middleware.wire.tokens import token_usage
from spend_middleware.wire.values import listing, mapping, string

_UNFINISHED = ("queued", "in_progress")
_EVENT_TYPES = (b'"type":"response.', b'"type": "response.')
_LAST_EVENTS = frozenset(("response.completed", "response.incomplete", "response.failed"))


def read_responses(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of POST /responses, /responses/compact and GET /responses/{id}."""
    failed = failure(route, sent, received)
    if failed is not None:
        failed.billable = not route.follow_up
        return failed
    if sse.looks_like_events(received.headers.get("content-type", ""), received.body):
        return _streamed(route, sent, received.body)
    document = document_of(received)
    return _of_response(route, sent, document if isinstance(document, dict) else {})


def _of_response(route: Route, sent: Sent, response: Mapping[str, Any]) -> Reading:
    status = response.get("status")
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(response.get("model")),
        response_id=string(response.get("id")),
        finish_reason=string(mapping(response.get("incomplete_details")).get("reason")) or string(status),
        service_tier=string(response.get("service_tier")),
    )
    if route.follow_up and reading.request_model is None:
        reading.request_model = reading.response_model
    usage = response.get("usage")
    if usage and isinstance(usage, dict):
        reading.raw_usage = usage
        units = tool_units(response, sent.content)
        counted = token_usage(usage, units, tool_traits(response) if units else None)
        reading.usage_note = total_note(counted)
        passes, unknown = drawn(response, sent.content)
        reading.usage = structs.replace(counted, passes=passes) if passes else counted
        reading.usage_note = reading.usage_note or unknown
        if (units or passes) and isinstance(response.get("tool_usage"), dict):
            reading.raw_usage = {**usage, "tool_usage": response["tool_usage"]}
        reading.reported_cost = stated_cost(route.provider, usage)
    if response.get("error"):
        reading.error_type = error_word(response) or "error"
    _timing(reading, route, response, status)
    reading.visible_text = lambda: _text_of(response)
    return reading


def _timing(reading: Reading, route: Route, response: Mapping[str, Any], status: Any) -> None:
    """Say when the response is billed: a background one later, and once however often it is read.

    https://platform.openai.com/docs/guides/background
    """
    unfinished = status in _UNFINISHED and reading.usage is None
    background = response.get("background") is True
    if unfinished and route.follow_up:
        reading.billable = False
    elif unfinished:
        reading.pending = background or status == "queued"
    if background or route.follow_up:
        reading.once_key = once(route.provider, "response", reading.response_id)
        reading.created_at = moment(response.get("created_at"))
    if route.follow_up and not background:
        # The answer of an ordinary call was billed when it was made; reading it again costs nothing.
        reading.billable = False
        reading.once_key = None


def _streamed(route: Route, sent: Sent, body: bytes) -> Reading:
    """Read a stream: its last event carries the whole response; a broken one is known by its first."""
    event = next(sse.objects_holding(body, *_EVENT_TYPES), {})
    response = event.get("response")
    if event.get("type") not in _LAST_EVENTS or not isinstance(response, dict):
        event = next((found for found in _events_from_end(body) if found.get("type") in _LAST_EVENTS), {})
        response = event.get("response")
    if not isinstance(response, dict):
        return _broken_stream(route, sent, body)
    reading = _of_response(route, sent, response)
    reading.stream = True
    if event.get("type") == "response.failed" and reading.error_type is None:
        reading.error_type = "response_failed"
    return reading


def _events_from_end(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the last events of a stream, for one that goes on after its response."""
    return islice(sse.objects_holding(body, *_EVENT_TYPES), 8)


def _broken_stream(route: Route, sent: Sent, body: bytes) -> Reading:
    first = mapping(sse.first_object(body).get("response"))
    reading = _of_response(route, sent, first)
    reading.stream, reading.pending, reading.finish_reason = True, False, None
    for event in sse.objects_holding(body, *USAGE_MARKERS):
        holder = event.get("response") if isinstance(event.get("response"), dict) else event
        usage = mapping(holder).get("usage")
        if usage and isinstance(usage, dict):
            reading.raw_usage, reading.usage = usage, token_usage(usage)
            break
    # An error event ends a stream that began with 200: https://platform.openai.com/docs/api-reference/realtime
    broken = sse.error_in(body)
    if broken is not None:
        reading.error_type = error_word(broken) or "error"
    reading.visible_text = lambda: "".join(map(_delta_of, sse.objects(body)))
    return reading


def _delta_of(event: Mapping[str, Any]) -> str:
    delta = event.get("delta")
    return delta if isinstance(delta, str) else ""


def _text_of(response: Mapping[str, Any]) -> str:
    parts: list[Any] = []
    for item in listing(response.get("output")):
        whole = mapping(item)
        parts += [whole.get("name"), whole.get("arguments")]
        parts += [mapping(content).get("text") for content in listing(whole.get("content"))]
    return "".join(part for part in parts if isinstance(part, str))


@unless_failed
def read_container(_route: Route, _sent: Sent, received: Received) -> Reading:
    """Read an answer of POST /containers: a session is billed when it is made, at one price whatever runs in it.

    https://platform.openai.com/docs/api-reference/containers/createContainers
    """
    content = mapping(document_of(received))
    made = content.get("object") == "container"
    return Reading(
        usage=Usage(units={Unit.CODE_SESSIONS: 1}) if made else None,
        # The row of the price table that holds the session's price.
        request_model="container",
        response_id=string(content.get("id")),
    )


READERS: dict[str, Reader] = {"openai.responses": read_responses, "openai.containers": read_container}
