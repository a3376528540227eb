"""Anthropic's Messages API, whole and streamed, wherever it is served, and the older text completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire import sse
from spend_middleware.wire.answers import asked_model, error_word, failure
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.openai import document_of
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import count, listing, mapping, string, traits_of, units_of

_START_MARKERS = (b'"message_start"',)
_END_MARKERS = (b'"type":"message_delta"', b'"type": "message_delta"')
_INPUTS = frozenset(
    {"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"}
)


def read_messages(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of POST /v1/messages, of rawPredict, and of everything that speaks like them."""
    failed = failure(route, sent, received)
    if failed is not None:
        return failed
    if sse.looks_like_events(received.headers.get("content-type", ""), received.body):
        return _streamed(route, sent, received.body)
    document = document_of(received)
    document = document if isinstance(document, dict) else {}
    reading = _of_message(route, sent, document, document.get("usage"))
    if document.get("type") == "error" or document.get("error"):
        reading.error_type = error_word(document) or "error"
    reading.visible_text = lambda: _text_of(document)
    return reading


def _of_message(route: Route, sent: Sent, message: Mapping[str, Any], usage: Any) -> Reading:
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(message.get("model")),
        response_id=string(message.get("id")),
        finish_reason=string(message.get("stop_reason")),
    )
    if usage and isinstance(usage, dict):
        reading.raw_usage = usage
        reading.usage = message_usage(usage, reading.response_model or reading.request_model)
        reading.reported_cost = stated_cost(route.provider, usage)
        reading.service_tier = string(usage.get("service_tier"))
    return reading


def message_usage(usage: Mapping[str, Any], model: str | None = None) -> Usage:
    """Return the counts of one message; further passes of other models keep their own price.

    The top level leaves out compaction and advisor passes, which are billed.
    https://docs.anthropic.com/en/docs/build-with-claude/compaction#understanding-usage

    Args:
        usage: The usage object of the message.
        model: The model of the message, whose passes need no line of their own.
    """
    iterations = [part for part in listing(usage.get("iterations")) if isinstance(part, dict)]
    if not iterations:
        return _of_pass(usage, usage)
    own = [part for part in iterations if string(part.get("model")) in (None, model)]
    others = [part for part in iterations if string(part.get("model")) not in (None, model)]
    merged = _sum(own) if own else {}
    # The iterations hold the top level's own passes too; a top level beyond their sum means that they do not.
    for name in ("input_tokens", "output_tokens"):
        if count(merged.get(name)) < count(usage.get(name)):
            merged = _sum([usage, *(part for part in own if part.get("type") != "message")])
            break
    passes = tuple((str(part["model"]), _of_pass(part, part)) for part in others)
    return _of_pass(merged, usage, passes)


def _sum(parts: list[Mapping[str, Any]] | list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of several passes of one model as one usage object."""
    merged: dict[str, Any] = {}
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    for name in names:
        merged[name] = sum(count(part.get(name)) for part in parts)
    lifetimes = [mapping(part.get("cache_creation")) for part in parts]
    merged["cache_creation"] = {
        key: sum(count(lifetime.get(key)) for lifetime in lifetimes)
        for key in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    }
    return merged


def _of_pass(
    counts: Mapping[str, Any], usage: Mapping[str, Any], passes: tuple[tuple[str, Usage], ...] = ()
) -> Usage:
    # https://docs.anthropic.com/en/api/messages#response-usage : input_tokens excludes both kinds of cache tokens.
    read = count(counts.get("cache_read_input_tokens"))
    lifetimes = mapping(counts.get("cache_creation"))
    hour = count(lifetimes.get("ephemeral_1h_input_tokens"))
    written = max(
        count(counts.get("cache_creation_input_tokens")),
        hour + count(lifetimes.get("ephemeral_5m_input_tokens")),
    )
    tools = mapping(usage.get("server_tool_use"))
    thinking = _thinking(usage) if counts is usage else max(_thinking(counts), _thinking(usage))
    return Usage(
        input_tokens=count(counts.get("input_tokens")) + read + written,
        output_tokens=count(counts.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        reasoning_tokens=thinking,
        # https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool#usage-and-pricing
        units=units_of(**{Unit.WEB_SEARCHES: tools.get("web_search_requests")}) if tools else {},
        # https://docs.anthropic.com/en/docs/build-with-claude/data-residency and .../fast-mode
        traits=_traits(usage),
        passes=passes,
    )


def _thinking(counts: Mapping[str, Any]) -> int:
    details = counts.get("output_tokens_details")
    return count(mapping(details).get("thinking_tokens")) if details else 0


def _traits(usage: Mapping[str, Any]) -> Mapping[str, str]:
    if "inference_geo" in usage or "speed" in usage:
        return traits_of(inference_geo=usage.get("inference_geo"), speed=usage.get("speed"))
    return {}


def _streamed(route: Route, sent: Sent, body: bytes) -> Reading:
    """Read a stream: the start tells the input, the last delta the output, cumulated; they are merged, not added.

    https://docs.anthropic.com/en/docs/build-with-claude/streaming
    """
    start = next(sse.objects_holding(body[: 1 << 18], *_START_MARKERS), {})
    message = mapping(start.get("message"))
    delta = next(sse.objects_holding(body, *_END_MARKERS), {})
    usage = _restated(mapping(message.get("usage")), mapping(delta.get("usage")))
    reading = _of_message(route, sent, message, usage)
    reading.stream = True
    reading.finish_reason = string(mapping(delta.get("delta")).get("stop_reason"))
    broken = sse.error_in(body)
    if broken is not None:
        reading.error_type = error_word(broken) or "error"
    # The start counts one token or a few; what came after it is known only by its text.
    reading.output_missing = not delta and reading.usage is not None
    reading.visible_text = lambda: "".join(map(_delta_of, sse.objects(body)))
    return reading


def _restated(usage: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of a stream's end over those of its start: they are cumulative.

    Some who speak Anthropic's format state the input in the start alone and restate it as 0, which is no news.
    """
    stated = {name: value for name, value in later.items() if value is not None}
    if not any(count(stated.get(name)) for name in _INPUTS):
        stated = {name: value for name, value in stated.items() if name not in _INPUTS or not usage.get(name)}
    return {**usage, **stated}


def _delta_of(event: Mapping[str, Any]) -> str:
    delta = mapping(event.get("delta"))
    parts = (delta.get("text"), delta.get("thinking"), delta.get("partial_json"), event.get("completion"))
    return "".join(part for part in parts if isinstance(part, str))


def _text_of(message: Mapping[str, Any]) -> str:
    parts = [message.get("completion")]
    for block in listing(message.get("content")):
        parts += [mapping(block).get("text"), mapping(block).get("thinking")]
    return "".join(part for part in parts if isinstance(part, str))


def read_complete(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of the older /v1/complete, which never counts tokens.

    https://docs.anthropic.com/en/api/complete
    """
    failed = failure(route, sent, received)
    if failed is not None:
        return failed
    body = received.body
    streamed = sse.looks_like_events(received.headers.get("content-type", ""), body)
    if streamed:
        last = next(sse.objects_holding(body, b'"completion"'), {})
    else:
        document = document_of(received)
        last = document if isinstance(document, dict) else {}
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(last.get("model")),
        response_id=string(last.get("id")) or string(last.get("log_id")),
        finish_reason=string(last.get("stop_reason")),
        stream=streamed,
    )
    if last.get("error"):
        reading.error_type = error_word(last) or "error"
    reading.visible_text = lambda: "".join(map(_delta_of, sse.objects(body))) if streamed else _text_of(last)
    return reading


READERS: dict[str, Reader] = {"anthropic.messages": read_messages, "anthropic.complete": read_complete}
