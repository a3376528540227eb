"""Counting tokens ourselves: for callers who ask, and for calls whose provider sent no usage.

Nothing here runs on an event loop of the host. Estimates say how they were made.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spend_middleware.call import Usage
from spend_middleware.pricing.prompts import Message, Prompt, message_of, prompt_of
from spend_middleware.pricing.vocabulary import Vocabulary, load, vocabulary_of

if TYPE_CHECKING:
    import tiktoken

log = logging.getLogger("spend_middleware.pricing")

PIECE = 4096
"""Characters encoded at once. tiktoken is more than linear in a run without a break, and panics on a million blanks."""

SAMPLED_ABOVE = 1_000_000
"""Characters beyond which evenly spread pieces are counted and the rest is taken to be like them."""

SAMPLES = 244

PER_MESSAGE = 3
REPLY = 3
"""Tokens around each message and before the reply (OpenAI cookbook, "How to count tokens with tiktoken")."""

# Hidden system text that a provider adds when tools are given: (start of the model's name, tokens), as measured on
# recorded calls that report usage.
TOOL_CONSTANTS = (
    ("claude", 480),
    ("anthropic.claude", 480),
    ("nova", 850),
    ("amazon.nova", 850),
    ("llama", 610),
    ("gpt-5", 77),
)

_encodings: dict[str, tiktoken.Encoding | None] = {}
_lock = threading.Lock()


def count_text(text: str, model: str = "") -> int:
    """Return the tokens of a text for a model, by its vocabulary; by its characters where that cannot be loaded."""
    if not text:
        return 0
    encoding = _encoding(vocabulary_of(model))
    if encoding is None:
        return count_characters(text)
    if len(text) > SAMPLED_ABOVE:
        return _sampled(text, encoding)
    return sum(_encoded(piece, encoding) for piece in pieces(text))


def _sampled(text: str, encoding: tiktoken.Encoding) -> int:
    step = len(text) / SAMPLES
    starts = [int(n * step) for n in range(SAMPLES)]
    counted = sum(_encoded(text[start : start + PIECE], encoding) for start in starts)
    return round(counted * len(text) / sum(len(text[start : start + PIECE]) for start in starts))


def pieces(text: str) -> Sequence[str]:
    """Return a text cut into pieces of at most `PIECE` characters, at the last blank of each where there is one."""
    if len(text) <= PIECE:
        return (text,)
    found, at = [], 0
    while at < len(text):
        end = at + PIECE
        if end < len(text):
            blank = text.rfind(" ", at + 1, end)
            end = blank if blank > 0 else end
        found.append(text[at:end])
        at = end
    return found


def _encoded(piece: str, encoding: tiktoken.Encoding) -> int:
    try:
        # `encode` refuses text that looks like a special token; users may write whatever they like.
        return len(encoding.encode_ordinary(piece))
    except UnicodeEncodeError:
        return len(encoding.encode_ordinary(piece.encode("utf-8", "replace").decode()))
    except BaseException as error:
        # A panic in tiktoken's Rust is a BaseException; all others are the interpreter's own and go on.
        if type(error).__name__ != "PanicException" and not isinstance(error, Exception):
            raise
        return count_characters(piece)


def count_characters(text: str) -> int:
    """Return a rough count without any vocabulary: a quarter of ASCII, 0.7 of CJK, 0.35 of other characters."""
    plain = len(text.encode("ascii", "ignore"))
    cjk = (
        sum("\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af" for c in text) if plain < len(text) else 0
    )
    return max(1, round(plain / 4 + 0.7 * cjk + 0.35 * (len(text) - plain - cjk)))


def count_messages(
    messages: Sequence[Mapping[str, Any]],
    model: str = "",
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
) -> int:
    """Return the prompt tokens of chat messages in OpenAI's or Anthropic's shape."""
    return _count_chat([message_of(m) for m in messages], model, tools or (), tool_choice)


def _count_chat(messages: Sequence[Message], model: str, tools: Sequence[Any], tool_choice: Any) -> int:
    total = REPLY
    for message in messages:
        total += PER_MESSAGE + count_text(message.role, model) + message.image_tokens
        total += sum(count_text(text, model) for text in message.texts)
        if message.name:
            total += count_text(message.name, model) + 1
    if tools:
        total += _count_tools(tools, model) - (4 if any(m.role == "system" for m in messages) else 0)
        bare = model.rpartition("/")[2].lower()
        total += next((tokens for start, tokens in TOOL_CONSTANTS if bare.startswith(start)), 0)
    if tool_choice == "none":
        total += 1
    elif isinstance(tool_choice, Mapping):
        function = tool_choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else tool_choice.get("name")
        total += 7 + count_text(str(name or ""), model)
    return total


def _count_tools(tools: Sequence[Any], model: str) -> int:
    """Return the tokens of tool definitions, which OpenAI's models see as TypeScript-like function types."""
    lines = ["namespace functions {"]
    for tool in tools:
        if isinstance(tool, Mapping):
            function = tool.get("function")
            lines.extend(_tool_lines(function if isinstance(function, Mapping) else tool))
    lines.append("} // namespace functions")
    return count_text("\n".join(lines), model) + 9


def _tool_lines(function: Mapping[str, Any]) -> list[str]:
    lines = []
    if function.get("description"):
        lines.append(f"// {function['description']}")
    schema = function.get("parameters") or function.get("input_schema") or function.get("inputSchema") or {}
    fields = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(fields, Mapping) or not fields:
        return [*lines, f"type {function.get('name')} = () => any;", ""]
    lines.append(f"type {function.get('name')} = (_: {{")
    required = schema.get("required") or ()
    for name, field in fields.items():
        field = field if isinstance(field, Mapping) else {}
        if field.get("description"):
            lines.append(f"// {field['description']}")
        lines.append(f"{name}{'' if name in required else '?'}: {_type_text(field, 4)},")
    return [*lines, "}) => any;", ""]


def _type_text(field: Mapping[str, Any], depth: int) -> str:
    options = field.get("enum")
    if isinstance(options, list):
        return " | ".join(f'"{option}"' for option in options)
    kind = field.get("type", "any")
    if kind == "array" and depth:
        items = field.get("items")
        return f"{_type_text(items, depth - 1) if isinstance(items, Mapping) else 'any'}[]"
    if kind == "object" and depth and isinstance(field.get("properties"), Mapping):
        inner = (
            f"{name}: {_type_text(f, depth - 1) if isinstance(f, Mapping) else 'any'}"
            for name, f in field["properties"].items()
        )
        return "{ " + ", ".join(inner) + " }"
    return "number" if kind in ("integer", "number") else str(kind)


def estimate_usage(
    operation: str,
    model: str,
    content: Mapping[str, Any] | None,
    visible_text: Callable[[], str] | None,
    *,
    reported: Usage | None = None,
) -> tuple[Usage, str] | None:
    """Return the counted usage of a call whose provider sent none, and how it was counted.

    Hidden reasoning cannot be seen, so the output of a reasoning model is a lower bound.

    Args:
        operation: LiteLLM's call type.
        content: The request's JSON.
        visible_text: Gives the text of the answer.
        reported: What the provider did report before it broke off; only the output is then counted.

    Returns:
        None when there is nothing to count.
    """
    output = count_text(visible_text(), model) if visible_text is not None else 0
    method = "vocabulary" if _encoding(vocabulary_of(model)) is not None else "characters"
    if reported is not None:
        counted = dataclasses.replace(
            reported, output_tokens=max(output, reported.output_tokens), total_tokens=None
        )
        return counted, f"output estimated by {method}: the stream broke off"
    if content is None:
        return None
    count = _count_prompt(prompt_of(content), model)
    if not count and not output:
        return None
    note = f"estimated by {method}"
    if output and operation in ("completion", "responses", "generate_content"):
        note += "; hidden reasoning, if any, is not in it"
    return Usage(input_tokens=count, output_tokens=output), note


def _count_prompt(prompt: Prompt, model: str) -> int:
    count = prompt.token_ids + sum(count_text(text, model) for text in prompt.texts)
    if prompt.messages or prompt.tools:
        count += _count_chat(prompt.messages, model, prompt.tools, prompt.tool_choice)
    return count


def _encoding(name: str) -> tiktoken.Encoding | None:
    """Return tiktoken's encoding over our own verified vocabulary; None, said once, where that is impossible."""
    if name in _encodings:
        return _encodings[name]
    with _lock:
        if name not in _encodings:
            try:
                _encodings[name] = _built(load(name))
            except (ImportError, OSError, ValueError, KeyError) as error:
                log.warning(
                    "Tokens are counted by characters, for the vocabulary cannot be loaded: %s", error
                )
                _encodings[name] = None
        return _encodings[name]


def _built(vocabulary: Vocabulary) -> tiktoken.Encoding:
    # Never `tiktoken.get_encoding`: without its cache it downloads, without a time limit.
    import tiktoken

    return tiktoken.Encoding(
        name=vocabulary.name,
        pat_str=vocabulary.pattern,
        mergeable_ranks=vocabulary.ranks,
        special_tokens=vocabulary.special,
    )
