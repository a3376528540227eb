"""What a request body asks, whatever its wire format, as far as its tokens are to be counted."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spend_middleware.pricing.tool_texts import json_text

MAX_DEPTH = 12


@dataclass(slots=True)
class Message:
    """One message: its role, its texts, and the tokens that its pictures take."""

    role: str = "user"
    texts: list[str] = field(default_factory=list)
    name: str | None = None
    image_tokens: int = 0


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
        tokens = image_tokens(value)
        if tokens:
            message.image_tokens += tokens
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


# -- pictures

UNKNOWN_IMAGE = 250
"""Tokens of a picture whose size cannot be known here: it is never fetched."""

LOW_DETAIL = 85
TILE = 170


def image_tokens(part: Mapping[str, Any]) -> int:
    """Return the tokens of a picture part of any shape, 0 when the part is none."""
    kind = part.get("type")
    source: Any = (
        part.get("image_url") or part.get("inlineData") or part.get("inline_data") or part.get("fileData")
    )
    if kind == "image" or (source is None and kind == "input_image"):
        source = part.get("source") or part
    if source is None:
        return 0
    detail = (source.get("detail") if isinstance(source, Mapping) else None) or part.get("detail")
    if detail in ("low", "auto"):
        return LOW_DETAIL
    size = _size_of(_picture_bytes(source))
    return UNKNOWN_IMAGE if size is None else tokens_of_size(*size)


def tokens_of_size(width: int, height: int) -> int:
    """Return the tokens of a picture at high detail: 85 and 170 for each 512-pixel tile.

    Source: OpenAI, "Images and vision", calculating costs: fit into 2048 x 2048, then the short side to 768.
    """
    scale = min(1.0, 2048 / max(width, height, 1))
    width, height = int(width * scale), int(height * scale)
    scale = min(1.0, 768 / max(min(width, height), 1))
    width, height = int(width * scale), int(height * scale)
    return LOW_DETAIL + TILE * math.ceil(width / 512) * math.ceil(height / 512)


def _picture_bytes(source: Any) -> bytes:
    """Return the first bytes of an inline picture; enough for its header."""
    text = source
    if isinstance(source, Mapping):
        text = source.get("url") or source.get("data") or ""
    if not isinstance(text, str) or text.startswith(("http:", "https:")):
        return b""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(encoded[:87_380], validate=False)
    except (binascii.Error, ValueError):
        return b""


def _size_of(picture: bytes) -> tuple[int, int] | None:
    if picture.startswith(b"\x89PNG") and len(picture) >= 24:
        return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])
    if picture.startswith(b"GIF8") and len(picture) >= 10:
        return int.from_bytes(picture[6:8], "little"), int.from_bytes(picture[8:10], "little")
    if picture.startswith(b"\xff\xd8"):
        return _jpeg_size(picture)
    return None


def _jpeg_size(picture: bytes) -> tuple[int, int] | None:
    """Return the size that a JPEG's start-of-frame marker states (ITU T.81, section B.2.2)."""
    at = 2
    while at + 9 < len(picture) and picture[at] == 0xFF:
        marker = picture[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(picture[at + 7 : at + 9]), int.from_bytes(picture[at + 5 : at + 7])
        at += 2 + int.from_bytes(picture[at + 2 : at + 4])
    return None
