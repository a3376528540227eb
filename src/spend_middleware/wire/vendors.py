"""Vendors of pictures, videos and transcripts with an API of their own; most answer first and deliver later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, error_word, moment, once, unless_failed
from spend_middleware.wire.images import image_traits
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import amount, count, listing, mapping, parsed, string, traits_of, units_of
from spend_middleware.wire.videos import video_usage

_WAITING = frozenset({"queued", "processing", "in_queue", "in_progress", "pending", "ready"})


@unless_failed
def read_stability(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Stability's answers: one picture, as bytes or in JSON, or the artifacts of the first version."""
    kind = received.headers.get("content-type", "")
    content = mapping(parsed(received.body)) if "json" in kind else {}
    # platform.stability.ai/docs/api-reference: an asynchronous upscale answers {id} and is fetched later.
    made = len(listing(content.get("artifacts"))) or int("json" not in kind or "image" in content)
    asked = sent.content or {}
    return Reading(
        usage=_pictures(made, asked, {}) if made else None,
        request_model=_stability_model(route, asked),
        response_id=string(content.get("id")),
        finish_reason=string(content.get("finish_reason")) or received.headers.get("finish-reason"),
        pending=not made,
    )


def _stability_model(route: Route, asked: Mapping[str, Any]) -> str | None:
    # `sd3` is an endpoint for several models, named in the form; `core` and `ultra` are Stable Image's.
    if route.model in ("core", "ultra"):
        return f"stable-image-{route.model}"
    return string(asked.get("model")) or route.model


def _pictures(made: int, asked: Mapping[str, Any], content: Mapping[str, Any]) -> Usage:
    return Usage(units={Unit.OUTPUT_IMAGES: made}, traits=image_traits(asked, content))


@unless_failed
def read_bfl(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Black Forest Labs' order of one picture, which is billed as ordered: the result states nothing."""
    content = mapping(parsed(received.body))
    name = string(content.get("id"))
    # docs.bfl.ai/quick_start/generating_images: each order makes one picture and answers {id, polling_url}.
    return Reading(
        usage=_pictures(1, sent.content or {}, {}) if name else None,
        request_model=asked_model(route, sent),
        response_id=name,
    )


@unless_failed
def read_fal(route: Route, sent: Sent, received: Received) -> Reading:
    """Read fal's answers: pictures or a video at once, or the place in a queue and the result of it later."""
    content, asked = mapping(parsed(received.body)), sent.content or {}
    identity = content.get("request_id") or (
        str(sent.url).partition("?")[0].rpartition("/")[2] if route.follow_up else None
    )
    reading = Reading(request_model=route.model, response_id=string(identity))
    made = len(listing(content.get("images"))) or int(isinstance(content.get("image"), dict))
    if str(content.get("status")).lower() in _WAITING:
        reading.pending = reading.billable = not route.follow_up
    elif made:
        reading.usage = _pictures(made, asked, {})
    elif isinstance(content.get("video"), dict):
        seconds = amount(mapping(content["video"]).get("duration")) or amount(asked.get("duration"))
        reading.usage = video_usage(seconds, 1, None, asked.get("resolution"))
        reading.operation = "video_generation"
    if route.follow_up and reading.usage is not None:
        reading.once_key = once(route.provider, "request", identity)
    return reading


@unless_failed
def read_runway(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Runway's order of a picture or a video, which is billed as ordered: the task states nothing of it."""
    asked, name = sent.content or {}, string(mapping(parsed(received.body)).get("id"))
    reading = Reading(request_model=asked_model(route, sent), response_id=name)
    if name is None:
        return reading
    # docs.dev.runwayml.com/api: `duration` in seconds, `ratio` as width:height in pixels.
    size = str(asked.get("ratio") or "").replace(":", "x") or None
    if route.operation == "video_generation":
        reading.usage = video_usage(amount(asked.get("duration")), 1, size, asked.get("resolution"))
    else:
        reading.usage = Usage(units={Unit.OUTPUT_IMAGES: 1}, traits=traits_of(size=size))
    return reading


@unless_failed
def read_assemblyai(route: Route, sent: Sent, received: Received) -> Reading:
    """Read AssemblyAI's transcript object: billed by the second of sound once it is completed, whoever polls."""
    content = mapping(parsed(received.body))
    status = content.get("status")
    reading = Reading(
        request_model=string(content.get("speech_model"))
        or string((sent.content or {}).get("speech_model"))
        or "best",
        response_model=string(content.get("speech_model_used")),
        response_id=string(content.get("id")),
        created_at=moment(content.get("created")),
    )
    # www.assemblyai.com/docs/api-reference/transcripts: audio_duration in seconds; a failed transcript is free.
    if status == "completed":
        reading.usage = Usage(units=units_of(**{Unit.INPUT_AUDIO_SECONDS: content.get("audio_duration")}))
        reading.raw_usage = {"audio_duration": count(content.get("audio_duration"))}
        reading.once_key = once(route.provider, "transcript", content.get("id"))
    elif status == "error":
        reading.error_type = error_word({"code": status}) or "failed"
        reading.once_key = once(route.provider, "transcript", content.get("id"))
    else:
        reading.pending = reading.billable = not route.follow_up
    return reading


READERS: dict[str, Reader] = {
    "stability.images": read_stability,
    "black_forest_labs.order": read_bfl,
    "fal_ai.run": read_fal,
    "runwayml.order": read_runway,
    "assemblyai.transcript": read_assemblyai,
}
