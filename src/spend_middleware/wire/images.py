"""Pictures made, changed and varied, in the answer that OpenAI's API gives and others imitate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, reported, streamed, total_note, unless_failed
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.openai import document_of
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import objects
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import count, listing, mapping, string, traits_of, within

# platform.openai.com/docs/api-reference/images: the model that OpenAI takes when none is asked for.
_OPENAI_DEFAULT = "dall-e-2"


@unless_failed
def read_images(route: Route, sent: Sent, received: Received) -> Reading:
    """Read an answer with pictures, whole or streamed."""
    stream = streamed(received)
    content = _last_picture(received.body) if stream else mapping(document_of(received))
    usage = within(content, "usage")
    counts = images_usage(sent.content or {}, content)
    asked = asked_model(route, sent)
    if asked is None and route.provider == "openai" and not route.upload and not usage:
        asked = _OPENAI_DEFAULT
    return Reading(
        usage=counts,
        raw_usage=reported(usage),
        usage_note=total_note(counts) if counts else None,
        reported_cost=stated_cost(route.provider, usage),
        request_model=asked,
        response_model=string(content.get("model")),
        response_id=string(content.get("id")) or received.headers.get("x-request-id"),
        service_tier=string(content.get("service_tier")),
        stream=stream,
    )


def images_usage(asked: Mapping[str, Any], content: Mapping[str, Any]) -> Usage | None:
    """Return the tokens and the number of pictures, and what decides the price of one.

    Args:
        asked: The request; its wishes count where the answer does not say what was made.
        content: The answer.
    """
    made = _made(content) or (count(asked.get("n")) or 1 if content.get("usage") else 0)
    usage = within(content, "usage")
    if not made and not has_tokens(usage):
        return None
    units: dict[str, Any] = {Unit.OUTPUT_IMAGES: made} if made else {}
    traits = image_traits(asked, content)
    if not has_tokens(usage):
        return Usage(units=units, traits=traits)
    counts = token_usage(usage, units, traits)
    if counts.output_image_tokens or counts.output_text_tokens is not None:
        return counts
    # platform.openai.com/docs/guides/image-generation: output tokens without details are the picture's.
    return structs.replace(counts, output_image_tokens=counts.output_tokens)


def _made(content: Mapping[str, Any]) -> int:
    for name in ("data", "images", "artifacts", "output"):
        pictures = listing(content.get(name))
        if pictures:
            return len(pictures)
    return 1 if content.get("b64_json") or content.get("image") else 0


def image_traits(asked: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, str]:
    """Return size, quality, steps and resolution as the answer states them, else as they were asked for."""
    found: dict[str, Any] = {}
    for source in (content, asked):
        size = source.get("size") or source.get("image_size")
        box = mapping(size) or source
        width, height = count(box.get("width")), count(box.get("height"))
        if width and height:
            size = f"{width}x{height}"
        for name, value in (
            ("size", size),
            ("quality", source.get("quality")),
            ("steps", source.get("steps") or source.get("num_inference_steps")),
            ("resolution", source.get("resolution")),
            ("style", source.get("style")),
        ):
            # "auto" leaves the choice to the model and says nothing about what was made.
            if value and value != "auto":
                found.setdefault(name, value)
    return traits_of(**found)


def _last_picture(body: bytes) -> Mapping[str, Any]:
    """Return the event that ends a streamed picture, with all finished pictures counted in it."""
    # platform.openai.com/docs/api-reference/images-streaming: partial images come before the one `.completed` event
    # of each picture, which has size, quality and usage.
    finished = [event for event in objects(body) if str(event.get("type")).endswith(".completed")]
    return {**finished[-1], "data": [None] * len(finished)} if finished else {}


READERS: dict[str, Reader] = {
    "openai.images": read_images,
}
