"""What each provider answers: whole bodies, and the events of its streams. All counts are fixed.

Every answer says 20 tokens in, 4 of them cached, and 10 out, 3 of them reasoning, in the provider's own way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

WORDS = ("Spend", " is", " what", " was", " used", ".")

Json = dict[str, Any]


def sse(event: str | None, content: Json, end: str = "\n") -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}{end}" if event else ""
    return f"{name}data: {json.dumps(content)}{end}{end}".encode()


# -- OpenAI and those that speak like it


def chat_usage() -> Json:
    """Return the usage of a chat completion."""
    return {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0},
    }


def chat(body: Mapping[str, Any], text: str) -> Json:
    """Return a chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-standin",
        "object": "chat.completion",
        "created": 1700000000,
        "model": body.get("model", "gpt-4o"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": chat_usage(),
        "service_tier": "default",
    }


def chat_stream(body: Mapping[str, Any], words: Iterator[str]) -> Iterator[bytes]:
    """Return the events of a chat completion; usage comes last, and only when asked for."""
    asked = bool((body.get("stream_options") or {}).get("include_usage"))

    def chunk(choices: list[Json], usage: Json | None = None) -> bytes:
        content: Json = {
            "id": "chatcmpl-standin",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": body.get("model", "gpt-4o"),
            "choices": choices,
        }
        if asked:
            content["usage"] = usage
        return sse(None, content)

    yield chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for word in words:
        yield chunk([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
    yield chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    if asked:
        yield chunk([], chat_usage())
    yield b"data: [DONE]\n\n"


def completion(body: Mapping[str, Any], text: str) -> Json:
    """Return a text completion."""
    return {
        "id": "cmpl-standin",
        "object": "text_completion",
        "created": 1700000000,
        "model": body.get("model", "gpt-3.5-turbo-instruct"),
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
    }


def completion_stream(body: Mapping[str, Any], words: Iterator[str]) -> Iterator[bytes]:
    """Return the events of a text completion."""
    empty = {**completion(body, ""), "usage": None}
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    for word in words:
        choice = {"index": 0, "text": word, "logprobs": None, "finish_reason": None}
        yield sse(None, {**empty, "choices": [choice]})
    if asked:
        yield sse(None, {**completion(body, ""), "choices": []})
    yield b"data: [DONE]\n\n"


def response(body: Mapping[str, Any], text: str, status: str = "completed") -> Json:
    """Return an answer of the Responses API."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    output = {
        "type": "message",
        "id": "msg_standin",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 30,
    }
    done = status == "completed"
    return {
        "id": "resp_standin",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "model": body.get("model", "gpt-4o"),
        "output": [output] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
        "metadata": body.get("metadata") or {},
    }


def response_stream(body: Mapping[str, Any], words: Iterator[str]) -> Iterator[bytes]:
    """Return the events of the Responses API: usage in the last one, and no [DONE]."""
    started = response(body, "", "in_progress")
    yield sse("response.created", {"type": "response.created", "sequence_number": 0, "response": started})
    place = {"item_id": "msg_standin", "output_index": 0, "content_index": 0, "logprobs": []}
    said = []
    for number, word in enumerate(words, 1):
        said.append(word)
        name = "response.output_text.delta"
        yield sse(name, {"type": name, "sequence_number": number, **place, "delta": word})
    ended = response(body, "".join(said))
    name = "response.completed"
    yield sse(name, {"type": name, "sequence_number": len(said) + 1, "response": ended})


def embedding(body: Mapping[str, Any]) -> Json:
    """Return embeddings, one a text."""
    texts = body.get("input")
    count = len(texts) if isinstance(texts, list) and texts and not isinstance(texts[0], int) else 1
    # 0.25, -0.5, 1.0 as little-endian 32-bit floats, which the openai SDK asks for.
    vector: Any = "AACAPgAAAL8AAIA/" if body.get("encoding_format") == "base64" else [0.25, -0.5, 1.0]
    return {
        "object": "list",
        "model": body.get("model", "text-embedding-3-small"),
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)],
        "usage": {"prompt_tokens": 20, "total_tokens": 20},
    }


# -- Anthropic


def message_usage(output: int) -> Json:
    """Return Anthropic's usage, whose input leaves out what came from the cache."""
    return {
        "input_tokens": 16,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    }


def message(body: Mapping[str, Any], text: str) -> Json:
    """Return a message."""
    return {
        "id": "msg_standin",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "claude-sonnet-4-5"),
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": message_usage(10),
    }


def message_stream(body: Mapping[str, Any], words: Iterator[str]) -> Iterator[bytes]:
    """Return the events of a message: input counts in the first, output counts in the last but one."""

    def event(name: str, **content: Any) -> bytes:
        return sse(name, {"type": name, **content})

    start = {**message(body, ""), "content": [], "stop_reason": None, "usage": message_usage(1)}
    yield event("message_start", message=start)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in words:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield event("content_block_stop", index=0)
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=end, usage={"output_tokens": 10})
    yield event("message_stop")


# -- Google


def generated(body: Mapping[str, Any], text: str, last: bool = True, model: str = "gemini-2.5-flash") -> Json:
    """Return one answer of generateContent; the thoughts are beside the candidates' tokens."""
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": 20,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 30,
        },
        "modelVersion": model,
        "responseId": "standin",
    }


def generated_stream(
    body: Mapping[str, Any], words: Iterator[str], model: str, as_sse: bool
) -> Iterator[bytes]:
    """Return the parts of streamGenerateContent: CRLF events without [DONE], or one JSON array sent piecewise."""
    texts = list(words)
    for number, word in enumerate(texts, 1):
        content = generated(body, word, number == len(texts), model)
        if as_sse:
            yield sse(None, content, "\r\n")
        else:
            yield (b"[" if number == 1 else b",\r\n") + json.dumps(content).encode()
    if not as_sse:
        yield b"]"


# -- Cohere


COHERE_USAGE: Json = {
    "billed_units": {"input_tokens": 16, "output_tokens": 10},
    "tokens": {"input_tokens": 20, "output_tokens": 10},
    "cached_tokens": 4,
}


def cohere_chat(body: Mapping[str, Any], text: str) -> Json:
    """Return an answer of Cohere's v2 chat."""
    return {
        "id": "standin",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
        "usage": COHERE_USAGE,
    }


def cohere_stream(body: Mapping[str, Any], words: Iterator[str]) -> Iterator[bytes]:
    """Return the events of Cohere's v2 chat."""
    start = {
        "message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    }
    yield sse("message-start", {"id": "standin", "type": "message-start", "delta": start})
    for word in words:
        delta = {"message": {"content": {"text": word}}}
        yield sse("content-delta", {"type": "content-delta", "index": 0, "delta": delta})
    end = {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}
    yield sse("message-end", {"type": "message-end", "id": "standin", "delta": end})
    yield b"data: [DONE]\n\n"
