"""What a request body asks, whatever its wire format, as far as its tokens are to be counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spend_middleware.pricing.pictures import Picture, picture_of
from spend_middleware.pricing.tool_texts import json_text

MAX_DEPTH = 12


@dataclass(slots=True)
class Message:
    """One message: its role, its texts and its pictures."""

    role: str = "user"
    texts: list[str] = field(default_factory=list)
    name: str | None = None
    pictures: list[Picture] = field(default_factory=list)


@dataclass(slots=True)
class Prompt:
    """A request's input: chat messages, or bare texts and token ids."""

    messages: list[Message] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    token_ids: int = 0
    tools: Sequence[Any] = ()
    tool_choice: Any = None


def prompt_of(content: Mapping[str, Any], operation: str = "") -> Prompt:
    """Return the input of a request in OpenAI's, Anthropic's, Google's, Converse's, Cohere's or Ollama's shape."""
    config = content.get("toolConfig")
    converse = config.get("tools") if isinstance(config, Mapping) else None
    prompt = Prompt(tools=_list(content.get("tools") or converse), tool_choice=content.get("tool_choice"))
    for key in ("system", "instructions", "preamble", "systemInstruction", "system_instruction"):
        if content.get(key):
            prompt.messages.append(message_of({"role": "system", "content": content[key]}))
    for key in ("messages", "contents", "chat_history"):
        prompt.messages.extend(message_of(item) for item in _list(content.get(key)))
    if isinstance(content.get("message"), str):
        prompt.messages.append(Message(texts=[content["message"]]))
    for key in BARE_INPUTS:
        if operation == "responses" and isinstance(content.get(key), str):
            # The Responses API makes a message of a bare text.
            prompt.messages.append(Message(texts=[content[key]]))
        else:
            _take_bare(prompt, content.get(key))
    return prompt


BARE_INPUTS = (
    *("input", "prompt", "texts", "inputs", "inputText", "query", "documents", "requests", "instances"),
    "content",
)


def _take_bare(prompt: Prompt, value: Any, depth: int = MAX_DEPTH) -> None:
    if isinstance(value, str):
        prompt.texts.append(value)
    elif isinstance(value, list) and depth:
        for item in value:
            if isinstance(item, int):
                prompt.token_ids += 1
            elif isinstance(item, dict) and ("role" in item or "type" in item):
                prompt.messages.append(message_of(item))
            else:
                _take_bare(prompt, item, depth - 1)
    elif isinstance(value, dict):
        message = message_of(value)
        prompt.texts.extend(message.texts or _texts(value, MAX_DEPTH))


def message_of(item: Any) -> Message:
    """Return one message of any shape."""
    if not isinstance(item, Mapping):
        return Message(texts=[item] if isinstance(item, str) else [])
    message = Message(role=str(item.get("role") or "user"))
    if isinstance(item.get("name"), str):
        message.name = item["name"]
    for key in ("content", "parts", "text", "arguments", "output", "message"):
        _take_content(message, item.get(key), MAX_DEPTH)
    for call in _list(item.get("tool_calls")):
        function = call.get("function") if isinstance(call, Mapping) else None
        _take_arguments(message, function if isinstance(function, Mapping) else call)
    return message


# Parts that hold more parts, and parts that hold a tool's name with its arguments or its result.
_NESTED = ("text", "content", "parts", "thinking", "toolResult", "reasoningContent", "reasoningText")
_TOOL_PARTS = ("toolUse", "functionCall", "functionResponse", "function_call", "function_response")


def _take_content(message: Message, value: Any, depth: int) -> None:
    if isinstance(value, str):
        message.texts.append(value)
    elif isinstance(value, list) and depth:
        for part in value:
            _take_content(message, part, depth - 1)
    elif isinstance(value, Mapping) and depth:
        picture = picture_of(value)
        if picture is not None:
            message.pictures.append(picture)
            return
        for key in _NESTED:
            _take_content(message, value.get(key), depth - 1)
        for key in _TOOL_PARTS:
            _take_arguments(message, value.get(key))
        if "input" in value or "arguments" in value:
            _take_arguments(message, value)
        if isinstance(value.get("json"), Mapping | list):
            message.texts.append(json_text(value["json"]))


def _take_arguments(message: Message, call: Any) -> None:
    """Add the name of a called tool, and its arguments or its result as JSON."""
    if not isinstance(call, Mapping):
        return
    if isinstance(call.get("name"), str):
        message.texts.append(call["name"])
    for key in ("arguments", "input", "args", "response"):
        value = call.get(key)
        if isinstance(value, str):
            message.texts.append(value)
        elif value:
            message.texts.append(json_text(value))


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for item in value:
            yield from _texts(item, depth - 1)
    elif isinstance(value, Mapping) and depth:
        for item in value.values():
            yield from _texts(item, depth - 1)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
