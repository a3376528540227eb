"""Tool definitions as the text that a model sees of them, and the system text that providers add for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json


class Hidden(NamedTuple):
    """Tokens that a provider puts before the prompt of models with this word in their name."""

    word: str
    plain: int = 0
    tooled: int = 0
    each_tool: int = 0
    provider: str | None = None
    operation: str | None = None


# The first that fits counts. Measured on recorded calls that report usage, as the providers do not publish their own
# texts; Anthropic's document names a part of Claude's ("Tool use with Claude", pricing:
# https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview), Meta's the date line of Llama 3.1 and later.
HIDDEN_TOKENS = (
    Hidden("claude-3-5", tooled=330),
    Hidden("claude", tooled=490, each_tool=60),
    Hidden("nova-2", tooled=850),
    Hidden("nova-", tooled=420),
    Hidden("gpt-oss", plain=62, tooled=62),
    Hidden("llama", plain=28, tooled=610, provider="groq"),
    Hidden("llama-3.", plain=28, tooled=28),
    Hidden("llama3.", plain=28, tooled=28),
    Hidden("gpt-5", tooled=77, operation="completion"),
)

MAX_DEPTH = 4


def hidden_tokens(model: str, provider: str, operation: str, tools: Sequence[Any]) -> int:
    """Return the tokens of the text that a provider adds to a prompt of its own."""
    for hidden in HIDDEN_TOKENS:
        if (
            hidden.word in model
            and hidden.provider in (None, provider)
            and hidden.operation in (None, operation)
        ):
            count = sum(1 for _ in functions_of(tools))
            return hidden.tooled + hidden.each_tool * count if count else hidden.plain
    return 0


def functions_of(tools: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Give the function definitions of a request's tools: OpenAI's, Anthropic's, Google's or Converse's."""
    for tool in tools:
        if not isinstance(tool, Mapping):
            continue
        several = tool.get("functionDeclarations") or tool.get("function_declarations")
        if isinstance(several, list):
            yield from (function for function in several if isinstance(function, Mapping))
            continue
        inner = tool.get("function") or tool.get("toolSpec")
        yield inner if isinstance(inner, Mapping) else tool


def schema_of(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON schema of a function's arguments; an empty one when it has none."""
    for key in ("parameters", "input_schema", "inputSchema", "parametersJsonSchema"):
        schema = function.get(key)
        if isinstance(schema, Mapping):
            inner = schema.get("json")
            return inner if isinstance(inner, Mapping) else schema
    return {}


def as_types(tools: Sequence[Any]) -> str:
    """Return tools as the TypeScript-like function types that OpenAI's models see."""
    lines = ["namespace functions {"]
    for function in functions_of(tools):
        lines.extend(_type_lines(function))
    lines.append("} // namespace functions")
    return "\n".join(lines)


def as_json(tools: Sequence[Any]) -> str:
    """Return tools as the JSON that Claude sees, one a line."""
    lines = []
    for function in functions_of(tools):
        shown = {"description": function.get("description"), "name": function.get("name")}
        lines.append(json_text({**shown, "parameters": schema_of(function)}))
    return "\n".join(lines)


def json_text(value: Any) -> str:
    """Return a value as JSON; its bare text when it cannot be written as such."""
    try:
        return to_json(value, serialize_unknown=True, inf_nan_mode="null").decode()
    except (ValueError, RecursionError):
        return ""


def _type_lines(function: Mapping[str, Any]) -> list[str]:
    lines = []
    if function.get("description"):
        lines.append(f"// {function['description']}")
    schema = schema_of(function)
    fields = schema.get("properties")
    if not isinstance(fields, Mapping) or not fields:
        return [*lines, f"type {function.get('name')} = () => any;", ""]
    lines.append(f"type {function.get('name')} = (_: {{")
    required = schema.get("required")
    for name, field in fields.items():
        known = field if isinstance(field, Mapping) else {}
        if known.get("description"):
            lines.append(f"// {known['description']}")
        mark = "" if isinstance(required, list) and name in required else "?"
        lines.append(f"{name}{mark}: {_type_text(known, MAX_DEPTH)},")
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
