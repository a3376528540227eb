"""Tools that run on the provider's side inside a chat completion and are billed beside its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from spend_middleware.call import Unit, Usage
from spend_middleware.wire import sse
from spend_middleware.wire.openai import document_of, read_chat
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.tokens import token_usage
from spend_middleware.wire.values import listing, mapping, string

# https://console.groq.com/docs/compound/built-in-tools : what a step is called, and what it is billed as.
_GROQ_TOOLS: Mapping[str, Unit] = {
    "search": Unit.WEB_SEARCHES,
    "web_search": Unit.WEB_SEARCHES,
    "browser.search": Unit.WEB_SEARCHES,
    "visit": Unit.WEB_PAGES_OPENED,
    "visit_website": Unit.WEB_PAGES_OPENED,
    "browser.open": Unit.WEB_PAGES_OPENED,
}


def read_openai(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a chat completion; a search model that cites the web has searched it once.

    https://platform.openai.com/docs/guides/tools-web-search : chat completions search with search models alone.
    """
    reading = read_chat(route, sent, received)
    model = reading.response_model or reading.request_model or ""
    if reading.usage is None or "search" not in model or b'"url_citation"' not in received.body:
        return reading
    size = mapping(mapping(sent.content).get("web_search_options")).get("search_context_size")
    traits = {"search_context_size": size[:16]} if isinstance(size, str) else {}
    reading.usage = structs.replace(
        reading.usage,
        units={**reading.usage.units, Unit.WEB_SEARCHES: 1},
        traits={**reading.usage.traits, **traits},
    )
    return reading


def read_groq(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a chat completion of Groq, whose compound systems bill the models and the tools inside."""
    reading = read_chat(route, sent, received)
    body = received.body
    if reading.usage is None or not (b'"usage_breakdown"' in body or b'"executed_tools"' in body):
        return reading
    documents = list(sse.objects(body)) if reading.stream else [mapping(document_of(received))]
    units = _executed(documents)
    if units:
        reading.usage = structs.replace(reading.usage, units={**reading.usage.units, **units})
    return _by_model(reading, documents)


def _executed(documents: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the tool calls of an answer, each counted once though a stream may repeat it."""
    seen: dict[object, Unit] = {}
    for document in documents:
        for choice in listing(document.get("choices")):
            message = mapping(choice).get("message") or mapping(choice).get("delta")
            for place, tool in enumerate(listing(mapping(message).get("executed_tools"))):
                step = mapping(tool)
                unit = _GROQ_TOOLS.get(str(step.get("name"))) or _GROQ_TOOLS.get(str(step.get("type")))
                index = step.get("index")
                if unit:
                    seen[index if isinstance(index, int) else place] = unit
    units: dict[str, int] = {}
    for unit in seen.values():
        units[unit] = units.get(unit, 0) + 1
    return units


def _by_model(reading: Reading, documents: Sequence[Mapping[str, Any]]) -> Reading:
    """Let each inner model keep its own price: the largest answers for the call, the others are further passes."""
    breakdown: Any = ()
    for document in documents:
        breakdown = mapping(document.get("usage_breakdown")).get("models") or breakdown
    parts: list[tuple[str, Usage]] = []
    for part in listing(breakdown):
        model, usage = string(mapping(part).get("model")), mapping(mapping(part).get("usage"))
        if model and usage:
            parts.append((model, token_usage(usage)))
    if not parts or reading.usage is None:
        return reading
    parts.sort(key=lambda part: part[1].input_tokens + part[1].output_tokens, reverse=True)
    reading.response_model = parts[0][0]
    reading.usage = structs.replace(
        parts[0][1], units=reading.usage.units, traits=reading.usage.traits, passes=tuple(parts[1:])
    )
    return reading


READERS: dict[str, Reader] = {"openai.chat": read_openai, "groq.chat": read_groq}
