"""Cohere: chat, generate, embed, classify and rerank, in both versions of the API, whole and streamed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, reported, streamed, unless_failed
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import first_object, objects, objects_holding
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import count, documents, listing, mapping, parsed, string, units_of, within

_SEARCHED = 100  # Cohere, "How does pricing work": a search unit is one query with up to 100 documents


def billed_usage(usage: Mapping[str, Any]) -> Usage | None:
    """Return the counts of a v2 `usage` or a v1 `meta` object, None when it has none."""
    # docs.cohere.com/reference/chat, "usage": `billed_units` is what the invoice counts; `tokens` also counts the
    # prompt template around the message, and `cached_tokens` is of those, so it does not belong to the billed ones.
    billed, tokens = mapping(usage.get("billed_units")), mapping(usage.get("tokens"))
    units = _units(billed)
    if has_tokens(billed):
        counts = token_usage(billed, units)
    elif tokens:
        read = min(count(usage.get("cached_tokens")), count(tokens.get("input_tokens")))
        counts = token_usage({**tokens, "input_tokens_details": {"cached_tokens": read}}, units)
    elif units or billed:
        counts = Usage(units=units)
    else:
        return None
    # docs.cohere.com/reference/embed: image tokens are billed beside the text's.
    pictures = count(billed.get("image_tokens"))
    if not pictures:
        return counts
    return Usage(input_tokens=counts.input_tokens + pictures, input_image_tokens=pictures, units=units)


def _units(billed: Mapping[str, Any]) -> dict[str, Any]:
    return units_of(
        **{
            Unit.SEARCH_UNITS: billed.get("search_units"),
            Unit.INPUT_IMAGES: billed.get("images"),
            Unit.REQUESTS: billed.get("classifications"),
        }
    )


@unless_failed
def read_chat(route: Route, sent: Sent, received: Received) -> Reading:
    """Read chat, generate, summarize and classify: v2 and v1, whole, as SSE and as JSON lines."""
    if streamed(received):
        return _stream(route, sent, received)
    content = mapping(parsed(received.body))
    reading = _reading(route, sent, content)
    reading.visible_text = lambda: _text(content)
    return reading


def _reading(route: Route, sent: Sent, content: Mapping[str, Any]) -> Reading:
    usage = within(content, "usage") or within(content, "meta")
    generations = listing(content.get("generations"))
    finish = content.get("finish_reason") or (
        mapping(generations[0]).get("finish_reason") if generations else None
    )
    return Reading(
        usage=billed_usage(usage),
        raw_usage=reported({k: v for k, v in usage.items() if k not in ("api_version", "warnings")}),
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")) or string(content.get("generation_id")),
        finish_reason=string(finish),
        error_type="error" if finish == "ERROR" else None,
    )


def _stream(route: Route, sent: Sent, received: Received) -> Reading:
    body = received.body
    if body.lstrip()[:1] == b"{":
        return _lines(route, sent, body)
    # v2: the first event, message-start, has the id; the last, message-end, has delta {finish_reason, usage}.
    end = next(objects_holding(body, b'"message-end"'), {})
    reading = _reading(route, sent, {"id": first_object(body).get("id"), **within(end, "delta")})
    reading.stream = True
    reading.visible_text = lambda: "".join(map(_piece, objects(body)))
    return reading


def _lines(route: Route, sent: Sent, body: bytes) -> Reading:
    # v1, `application/stream+json`: the last line, stream-end, has the whole answer as `response`.
    parts = documents(body)
    ends = [part for part in parts if part.get("is_finished") is True]
    end: Mapping[str, Any] = ends[-1] if ends else {}
    reading = _reading(route, sent, {**end, **within(end, "response")})
    reading.stream = True
    reading.visible_text = lambda: "".join(
        _piece(part) for part in parts if part.get("is_finished") is not True
    )
    return reading


def _piece(event: Mapping[str, Any]) -> str:
    message = within(event, "delta", "message")
    found = (
        event.get("text"),
        within(message, "content").get("text"),
        within(message, "content").get("thinking"),
        message.get("tool_plan"),
        within(message, "tool_calls", "function").get("arguments"),
    )
    return "".join(text for text in found if isinstance(text, str))


def _text(content: Mapping[str, Any]) -> str:
    blocks = (
        listing(within(content, "message").get("content")) or listing(content.get("generations")) or [content]
    )
    return "".join(str(mapping(block).get("text") or "") for block in blocks)


@unless_failed
def read_embed(route: Route, sent: Sent, received: Received) -> Reading:
    """Read embed, v1 and v2."""
    return _reading(route, sent, mapping(parsed(received.body)))


@unless_failed
def read_rerank(route: Route, sent: Sent, received: Received) -> Reading:
    """Read rerank as Cohere answers it, and as Voyage, Jina, Together, OpenRouter and others who took it up do."""
    content = mapping(parsed(received.body))
    usage = within(content, "usage") or within(content, "meta")
    counts = _rerank_usage(usage, sent) if usage or content.get("results") is not None else None
    return Reading(
        usage=counts,
        raw_usage=reported({k: v for k, v in usage.items() if k not in ("api_version", "warnings")}),
        reported_cost=stated_cost(route.provider, usage),
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")),
    )


def _rerank_usage(usage: Mapping[str, Any], sent: Sent) -> Usage:
    # docs.cohere.com/reference/rerank: meta.billed_units.search_units. docs.voyageai.com/reference/reranker-api and
    # jina.ai/reranker: usage.total_tokens. docs.together.ai/reference/rerank: usage.prompt_tokens.
    billed = mapping(usage.get("billed_units"))
    units = units_of(**{Unit.SEARCH_UNITS: billed.get("search_units") or usage.get("search_units")})
    for source in (billed, usage, mapping(usage.get("tokens"))):
        if has_tokens(source):
            return token_usage(source, units)
    if not units:
        documents = len(listing((sent.content or {}).get("documents")))
        units = {Unit.SEARCH_UNITS: max(1, -(-documents // _SEARCHED))}
    return Usage(units=units)


READERS: dict[str, Reader] = {
    "cohere.chat": read_chat,
    "cohere.embed": read_embed,
    "cohere.rerank": read_rerank,
}
