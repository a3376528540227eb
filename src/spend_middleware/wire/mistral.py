"""Mistral beside chat: conversations, OCR and moderation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, reported, streamed, total_note, unless_failed
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import objects
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import count, listing, mapping, parsed, string, units_of, within

# docs.mistral.ai/agents/connectors: what a connector's use is billed as.
_CONNECTORS = {
    "web_search": Unit.WEB_SEARCHES,
    "web_search_premium": Unit.WEB_SEARCHES,
    "code_interpreter": Unit.CODE_SESSIONS,
    "image_generation": Unit.OUTPUT_IMAGES,
    "document_library": Unit.FILE_SEARCHES,
}


@unless_failed
def read_conversation(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer of the conversations API, whole or streamed."""
    stream = streamed(received)
    events = list(objects(received.body)) if stream else [mapping(parsed(received.body))]
    # docs.mistral.ai/api, "conversations": the stream ends with `conversation.response.done`, which has the usage.
    usages = [usage for event in events if (usage := within(event, "usage"))]
    usage = usages[-1] if usages else {}
    counts = conversation_usage(usage) if usage else None
    outputs = [mapping(entry) for event in events for entry in (event, *listing(event.get("outputs")))]
    return Reading(
        usage=counts,
        raw_usage=reported(usage),
        usage_note=total_note(counts) if counts else None,
        request_model=asked_model(route, sent) or string((sent.content or {}).get("agent_id")),
        response_model=next((model for entry in outputs if (model := string(entry.get("model")))), None),
        response_id=next((name for e in events if (name := string(e.get("conversation_id")))), None),
        stream=stream,
        error_type="stream_error"
        if any(e.get("type") == "conversation.response.error" for e in events)
        else None,
        visible_text=lambda: "".join(str(e.get("content") or "") for e in outputs),
    )


def conversation_usage(usage: Mapping[str, Any]) -> Usage:
    """Return a conversation's usage: tokens, those of connectors, and how often each connector was used."""
    units = units_of()
    for name, used in mapping(usage.get("connectors")).items():
        unit = _CONNECTORS.get(name)
        if unit and used:
            units[unit] = units.get(unit, 0) + count(used)
    counts = token_usage(usage, units)
    # docs.mistral.ai/api, "ConversationUsageInfo": connector_tokens are in the total beside prompt and completion.
    tools = count(usage.get("connector_tokens"))
    if tools and (counts.total_tokens or 0) >= counts.input_tokens + counts.output_tokens + tools:
        return structs.replace(counts, input_tokens=counts.input_tokens + tools, tool_input_tokens=tools)
    return counts


@unless_failed
def read_ocr(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an OCR answer: pages, annotated pages and credits."""
    content = mapping(parsed(received.body))
    usage = within(content, "usage_info") or within(content, "usage")
    return Reading(
        usage=ocr_usage(usage) if usage else None,
        raw_usage=reported(usage),
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")),
    )


def ocr_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the quantities that document readers bill by."""
    # docs.mistral.ai/api, "OCRUsageInfo": pages_processed; Reducto states credits and num_pages.
    return Usage(
        units=units_of(
            **{
                Unit.PAGES: usage.get("pages_processed") or usage.get("num_pages"),
                Unit.ANNOTATED_PAGES: usage.get("pages_processed_annotation"),
                Unit.OCR_CREDITS: usage.get("credits"),
            }
        )
    )


@unless_failed
def read_moderation(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a moderation or classification: free at OpenAI, by the token at Mistral."""
    content = mapping(parsed(received.body))
    usage = within(content, "usage")
    units: dict[str, Any] = {Unit.REQUESTS: 1}
    return Reading(
        # Mistral's total counts the moderation prompt around the text as well; only prompt_tokens are billed.
        usage=structs.replace(token_usage(usage, units), total_tokens=None)
        if has_tokens(usage)
        else (Usage(units=units) if content.get("results") is not None else None),
        raw_usage=reported(usage),
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")),
    )


READERS: dict[str, Reader] = {
    "mistral.conversations": read_conversation,
    "mistral.ocr": read_ocr,
    "openai.moderations": read_moderation,
}
