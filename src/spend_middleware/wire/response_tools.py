"""What the Responses API's own tools bill beside the tokens: searches, containers, and pictures by another model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import count, listing, mapping, string, traits_of, within

# https://platform.openai.com/docs/pricing#built-in-tools : each item of the output is one call of the tool.
_TOOL_UNITS = {
    "web_search_call": Unit.WEB_SEARCHES,
    "file_search_call": Unit.FILE_SEARCHES,
    "computer_call": Unit.COMPUTER_USES,
}
# https://platform.openai.com/docs/guides/tools-web-search#output-and-citations : searching incurs the tool call's
# cost; to open a page that was found and to look for words in it does not.
_SEARCHED_NOTHING = ("open_page", "find_in_page", "find")
_SEARCH_TOOLS = ("web_search", "web_search_preview")

# The model that draws where neither the answer nor the request names one: the one of today's API reference, and the
# only one that there was before answers stated its tokens.
_IMAGE_MODEL, _FIRST_IMAGE_MODEL = "gpt-image-2.6-sunburst", "gpt-image-1"


def tool_units(response: Mapping[str, Any], asked: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the tool calls that a response bills.

    Args:
        response: The response object.
        asked: The request: a container that it names was paid when it was made.
    """
    units: dict[str, int] = {}
    containers: set[str] = set()
    for item in _items(response):
        kind = item.get("type")
        unit = _TOOL_UNITS.get(kind) if isinstance(kind, str) else None
        if unit and mapping(item.get("action")).get("type") not in _SEARCHED_NOTHING:
            units[unit] = units.get(unit, 0) + 1
        elif kind == "code_interpreter_call":
            # A container is billed, whatever runs in it: https://platform.openai.com/docs/guides/tools-code-interpreter
            containers.add(str(item.get("container_id")))
        elif kind == "shell_call" and "container_id" in mapping(item.get("environment")):
            containers.add(str(mapping(item["environment"])["container_id"]))
    made = containers - _named_containers(asked)
    if made:
        units[Unit.CODE_SESSIONS] = len(made)
    # The API reference on `tool_usage.web_search`: the number of billable searches; opening pages is left out.
    searches = within(response, "tool_usage", "web_search").get("num_requests")
    if type(searches) is int:
        units.pop(Unit.WEB_SEARCHES, None)
        if count(searches):
            units[Unit.WEB_SEARCHES] = count(searches)
    return units


def tool_traits(response: Mapping[str, Any]) -> dict[str, str]:
    """Return the size of the search context, by which some models' searches are priced."""
    for tool in listing(response.get("tools")):
        kind = mapping(tool).get("type")
        size = mapping(tool).get("search_context_size")
        if isinstance(kind, str) and kind.startswith(_SEARCH_TOOLS) and isinstance(size, str):
            return {"search_context_size": size[:16]}
    return {}


def drawn(
    response: Mapping[str, Any], asked: Mapping[str, Any] | None
) -> tuple[tuple[tuple[str, Usage], ...], str | None]:
    """Return what the image model used for the pictures in a response, and what is not known of it.

    https://platform.openai.com/docs/guides/tools-image-generation : its tokens are billed at its own rates, and stand
    beside the usage, not inside it.
    """
    items = [item for item in _items(response) if item.get("type") == "image_generation_call"]
    stated = within(response, "tool_usage", "image_gen")
    model = _image_model(response, asked)
    if count(stated.get("input_tokens")) or count(stated.get("output_tokens")):
        usage = structs.replace(
            _image_tokens(stated), units={Unit.OUTPUT_IMAGES: len(items)} if items else {}
        )
        return ((model or _IMAGE_MODEL, usage), *_written(items)), None
    pictures: dict[tuple[str, str], int] = {}
    for item in items:
        if item.get("status") != "failed":
            look = string(item.get("size")) or "", string(item.get("quality")) or ""
            pictures[look] = pictures.get(look, 0) + 1
    if any("x" not in size or quality in ("", "auto") for size, quality in pictures):
        return _written(items), "generated images are billed apart and not counted here"
    passes = (
        (
            model or _FIRST_IMAGE_MODEL,
            Usage(units={Unit.OUTPUT_IMAGES: number}, traits=traits_of(size=size, quality=quality)),
        )
        for (size, quality), number in pictures.items()
    )
    return (*passes, *_written(items)), None


def _items(response: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (item for item in listing(response.get("output")) if isinstance(item, dict))


def _named_containers(asked: Mapping[str, Any] | None) -> set[str]:
    named: set[str] = set()
    for tool in listing(mapping(asked).get("tools")):
        for place in (tool, mapping(tool).get("environment")):
            for name in ("container", "container_id"):
                container = mapping(place).get(name)
                if isinstance(container, str):
                    named.add(container)
    return named


def _image_model(response: Mapping[str, Any], asked: Mapping[str, Any] | None) -> str | None:
    for source in (response, mapping(asked)):
        for tool in listing(source.get("tools")):
            if mapping(tool).get("type") == "image_generation" and string(mapping(tool).get("model")):
                return string(mapping(tool).get("model"))
    return None


def _image_tokens(stated: Mapping[str, Any]) -> Usage:
    details = dict(mapping(stated.get("input_tokens_details")))
    kinds = mapping(stated.get("cached_tokens_details"))
    if stated.get("cached_tokens") is not None:
        details["cached_tokens"] = stated["cached_tokens"]
        details["cached_tokens_details"] = {
            "text_tokens": kinds.get("cached_text_tokens"),
            "image_tokens": kinds.get("cached_image_tokens"),
        }
    usage = token_usage({**stated, "input_tokens_details": details})
    if usage.output_image_tokens or usage.output_text_tokens is not None:
        return usage
    # Output without details is the picture's: https://platform.openai.com/docs/guides/image-generation
    return structs.replace(usage, output_image_tokens=usage.output_tokens)


def _written(items: list[Mapping[str, Any]]) -> tuple[tuple[str, Usage], ...]:
    """Return the tokens of the models that wrote a picture as SVG, which the tool's own usage leaves out."""
    found = (mapping(item.get("svg_usage")) for item in items)
    return tuple(
        (str(usage["model"]), token_usage(usage))
        for usage in found
        if string(usage.get("model")) and has_tokens(usage)
    )
