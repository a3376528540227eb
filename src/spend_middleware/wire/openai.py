"""Chat completions, completions and embeddings as OpenAI answers them, and so does most of the industry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from msgspec import Meta, MsgspecError, Raw, Struct, structs
from msgspec import json as msgjson
from pydantic_core import from_json

from spend_middleware.call import Usage
from spend_middleware.wire import sse
from spend_middleware.wire.answers import asked_model, error_word, failure, total_note
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.tokens import PLAIN_NAMES, token_usage
from spend_middleware.wire.values import count, json_of, listing, mapping, parsed, string

Counter = Callable[[Mapping[str, Any]], Usage]
"""Turns one usage object into counts, as one provider means them."""

USAGE_MARKERS = (b'"usage":{', b'"usage": {')
_TAIL = 16384
_FINISH_MARKERS = (b'"finish_reason":"', b'"finish_reason": "')
_MODEL_MARKERS = (b'"model":"', b'"model": "')


def document_of(received: Received) -> Any:
    """Return the JSON value of an answer that was not streamed; of a broken one, what can be relied on."""
    body = received.body
    try:
        return json_of(body)
    except ValueError:
        pass
    document = parsed(body)
    if not isinstance(document, dict):
        document = {}
    # What stands last may have been cut in the middle of a number.
    if document:
        document.pop(next(reversed(document)))
    if not isinstance(document.get("usage"), dict):
        document["usage"] = _usage_at_end(body)
    return document


def _usage_at_end(body: bytes) -> Any:
    """Return the usage object in the tail of a body whose middle is missing, None when it is not whole."""
    at = max(body.rfind(marker) for marker in USAGE_MARKERS)
    if at < 0:
        return None
    text = body[body.index(b"{", at) : at + 65536].decode("utf-8", "replace")
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def chat_reader(counter: Counter) -> Reader:
    """Return a reader of chat completions and completions, whole and streamed."""

    def read(route: Route, sent: Sent, received: Received) -> Reading:
        if received.status >= 400 and (failed := failure(route, sent, received)) is not None:
            return failed
        body = received.body
        if body[:1] != b"{" and sse.looks_like_events(received.headers.get("content-type", ""), body):
            return _streamed(route, sent, body, counter)
        return _whole(route, sent, received, counter)

    return read


_Word = Annotated[str, Meta(min_length=1, max_length=512)]


class _Choice(Struct, gc=False):
    finish_reason: _Word | None = None


class _Said(Struct, gc=False, kw_only=True):
    choices: list[_Choice] | None = None
    id: _Word | None = None
    model: _Word | None = None
    service_tier: _Word | None = None
    error: None = None


class _Usual(_Said, gc=False):
    """What is read of an answer of the usual types, as most are; the rest of it is skipped and never made an object."""

    usage: dict[str, Any]


class UsualAnswer(_Said, gc=False):
    """What is read of such an answer by who takes its usage as it is written."""

    usage: Raw


_usual = msgjson.Decoder(_Usual).decode
_usual_as_written = msgjson.Decoder(UsualAnswer).decode


def usual_answer(body: bytes) -> UsualAnswer | None:
    """Return what a whole answer of the usual types says; None for all others."""
    try:
        return _usual_as_written(body)
    except (MsgspecError, ValueError, RecursionError):
        return None


def _whole(route: Route, sent: Sent, received: Received, counter: Counter) -> Reading:
    body = received.body
    try:
        told = _usual(body)
    except (MsgspecError, ValueError, RecursionError):
        return _read_document(route, sent, received, counter)
    choices = told.choices
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=told.model,
        response_id=told.id,
        finish_reason=choices[0].finish_reason if choices else None,
        service_tier=told.service_tier,
        visible_text=partial(_text_in, body),
    )
    _count(reading, route.provider, told.usage, counter)
    return reading


def _read_document(route: Route, sent: Sent, received: Received, counter: Counter) -> Reading:
    """Read an answer of any types at all."""
    try:
        document = from_json(received.body)
    except ValueError:
        document = document_of(received)
    if type(document) is not dict:
        # https://ai.google.dev/gemini-api/docs/openai : errors come as an array of one.
        document = mapping(listing(document)[0]) if listing(document) else {}
    choices = document.get("choices")
    choice = choices[0] if choices and isinstance(choices, list) else None
    told = document.get
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(told("model")),
        response_id=string(told("id")),
        finish_reason=string(choice.get("finish_reason")) if isinstance(choice, dict) else None,
        service_tier=string(told("service_tier")) if "service_tier" in document else None,
    )
    _count(reading, route.provider, document.get("usage"), counter)
    if document.get("error"):
        reading.error_type = error_word(document) or "error"
    reading.visible_text = partial(_text_of, document)
    return reading


def _read_embeddings(route: Route, sent: Sent, received: Received) -> Reading:
    """Read embeddings without their vectors, which are nearly all of the body and bill nothing."""
    body = received.body
    start, end = body.find(b'"data"'), body.rfind(b"]")
    if len(body) > _TAIL // 8 and received.status < 400 and 0 < start < end:
        short = structs.replace(received, body=body[:start] + b'"data":[]' + body[end + 1 :])
        reading = _whole(route, sent, short, token_usage)
        if reading.usage is not None:
            return reading
    return read_chat(route, sent, received)


def _count(reading: Reading, provider: str, usage: Any, counter: Counter) -> None:
    if not usage or not isinstance(usage, dict):
        return
    reading.raw_usage = usage
    counted = reading.usage = counter(usage)
    if counted.total_tokens and counted.total_tokens != counted.input_tokens + counted.output_tokens:
        reading.usage_note = total_note(counted)
    if usage.keys() <= PLAIN_NAMES:
        return
    reading.reported_cost = stated_cost(provider, usage)
    if reading.service_tier is None and "service_tier" in usage:
        reading.service_tier = string(usage["service_tier"])


def _streamed(route: Route, sent: Sent, body: bytes, counter: Counter) -> Reading:
    last, usage = _last_usage(body)
    if not last:
        last = sse.first_object(body)
    finish = next(sse.objects_holding(body[-_TAIL:], *_FINISH_MARKERS), {})
    choices = listing(finish.get("choices"))
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(last.get("model")) or string(finish.get("model")),
        response_id=string(last.get("id")) or string(finish.get("id")),
        finish_reason=string(mapping(choices[0]).get("finish_reason")) if choices else None,
        service_tier=string(last.get("service_tier")) or string(finish.get("service_tier")),
        stream=True,
    )
    if reading.response_model is None:
        # Azure's first chunk names none: https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
        named = next(sse.objects_holding(body, *_MODEL_MARKERS), {})
        reading.response_model = string(named.get("model"))
        reading.response_id = string(named.get("id")) or reading.response_id
    _count(reading, route.provider, usage, counter)
    # An error can come inside a stream that began with 200.
    broken = sse.error_in(body)
    if broken is not None:
        reading.error_type = error_word(broken) or "error"
    reading.visible_text = lambda: "".join(map(_delta_text, sse.objects(body)))
    return reading


def _last_usage(body: bytes) -> tuple[Mapping[str, Any], Any]:
    """Return the last event with a usage that is not empty, and that usage.

    OpenAI sends it once, in a chunk without choices; Perplexity in every chunk, cumulated; Groq below `x_groq`
    (https://console.groq.com/docs/api-reference) as well. The last is right for all of them.
    """
    if b'"usage"' not in body:
        return {}, None
    for found in sse.objects_holding(body, *USAGE_MARKERS):
        usage = found.get("usage") or mapping(found.get("x_groq")).get("usage")
        if usage and isinstance(usage, dict):
            return found, usage
    return {}, None


def _text_in(body: bytes) -> str:
    return _text_of(mapping(parsed(body)))


def _text_of(document: Mapping[str, Any]) -> str:
    return "".join(_choice_text(choice, "message") for choice in listing(document.get("choices")))


def _delta_text(chunk: Mapping[str, Any]) -> str:
    return "".join(_choice_text(choice, "delta") for choice in listing(chunk.get("choices")))


def _choice_text(choice: Any, key: str) -> str:
    """Return what one choice shows: text, visible reasoning, and the arguments of tool calls."""
    whole = mapping(choice)
    message = mapping(whole.get(key))
    parts = [
        whole.get("text"),
        message.get("content"),
        message.get("reasoning_content"),
        message.get("refusal"),
    ]
    for call in listing(message.get("tool_calls")):
        function = mapping(mapping(call).get("function"))
        parts += [function.get("name"), function.get("arguments")]
    return "".join(part for part in parts if isinstance(part, str))


def _gemini_usage(usage: Mapping[str, Any]) -> Usage:
    """Return Gemini's counts behind its OpenAI-compatible face, which hides thinking in the total alone.

    https://ai.google.dev/gemini-api/docs/openai : thinking = total - prompt - completion.
    """
    plain = token_usage(usage)
    hidden = (plain.total_tokens or 0) - plain.input_tokens - plain.output_tokens
    if hidden <= 0:
        return plain
    shown = dict(usage)
    shown["completion_tokens"] = plain.output_tokens + hidden
    shown["completion_tokens_details"] = {"reasoning_tokens": plain.reasoning_tokens + hidden}
    return token_usage(shown)


def _perplexity_usage(usage: Mapping[str, Any]) -> Usage:
    """Return Perplexity's counts, whose deep research counts reasoning beside the completion.

    https://docs.perplexity.ai/getting-started/pricing : reasoning and citation tokens are billed apart.
    """
    plain = token_usage(usage)
    beside = count(usage.get("reasoning_tokens"))
    if not beside or plain.reasoning_tokens:
        return plain
    return structs.replace(
        plain,
        output_tokens=plain.output_tokens + beside,
        reasoning_tokens=beside,
        total_tokens=plain.total_tokens and plain.total_tokens + beside,
    )


read_chat = chat_reader(token_usage)

READERS: dict[str, Reader] = {
    "openai.completions": read_chat,
    "openai.embeddings": _read_embeddings,
    "gemini.chat": chat_reader(_gemini_usage),
    "perplexity.chat": chat_reader(_perplexity_usage),
}
