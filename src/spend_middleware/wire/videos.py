"""Videos, which are made in the background: billed by the second once they are there."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import asked_model, error_word, moment, once, reported, unless_failed
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.values import (
    amount,
    count,
    listing,
    mapping,
    parsed,
    string,
    traits_of,
    units_of,
    within,
)

_DONE = frozenset({"completed", "succeeded", "done", "success"})
_FAILED = frozenset({"failed", "error", "cancelled", "canceled", "expired"})
# ai.google.dev/gemini-api/docs/video: what Veo makes when the request does not say.
_VEO_SECONDS = 8
_REEL_SECONDS = 6


@unless_failed
def read_videos(route: Route, sent: Sent, received: Received) -> Reading:
    """Read the job object that OpenAI, Azure and xAI answer when a video is ordered and when it is asked for."""
    content = mapping(parsed(received.body))
    status = str(content.get("status")).lower()
    usage = within(content, "usage")
    identity = content.get("id") or content.get("request_id") or (_in_path(sent) if route.follow_up else None)
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(identity),
        created_at=moment(content.get("created_at")),
        once_key=once(route.provider, "video", identity),
    )
    if not route.certain and content.get("object") != "video":
        # Other services list videos under the same path.
        return Reading(billable=False)
    if status in _DONE:
        reading.usage = _video_usage(sent.content or {}, content)
        reading.raw_usage = reported(usage)
        reading.reported_cost = stated_cost(route.provider, usage)
    elif status in _FAILED:
        # platform.openai.com/docs/guides/video-generation: a video that was not made is not billed.
        reading.error_type = error_word(content) or status
    else:
        reading.once_key = None
        reading.pending = not route.follow_up
        reading.billable = not route.follow_up
    return reading


def _in_path(sent: Sent) -> str | None:
    return str(sent.url).partition("?")[0].rstrip("/").rpartition("/")[2] or None


def _video_usage(asked: Mapping[str, Any], content: Mapping[str, Any]) -> Usage:
    # OpenAI states `seconds` and `size`; xAI `video.duration`; Azure `n_seconds`, `n_variants`, `width`, `height`.
    video = within(content, "video")
    seconds = (
        amount(content.get("seconds")) or amount(video.get("duration")) or amount(content.get("n_seconds"))
    )
    seconds = seconds or amount(asked.get("duration")) or amount(asked.get("seconds"))
    videos = max(len(listing(content.get("generations"))) or count(content.get("n_variants")), 1)
    size = string(content.get("size")) or string(asked.get("size"))
    width, height = count(content.get("width")), count(content.get("height"))
    if width and height:
        size = f"{width}x{height}"
    resolution = content.get("resolution") or video.get("resolution") or asked.get("resolution")
    return video_usage(seconds, videos, size, resolution)


def video_usage(seconds: Decimal | None, videos: int, size: str | None, resolution: Any = None) -> Usage:
    """Return the seconds of one video, how many there are, and the resolution that decides the price.

    Args:
        seconds: The length of one video.
        videos: How many videos of that length were made.
        size: Width x height, from which a resolution such as `720p` follows.
        resolution: The resolution where it is stated as such.
    """
    if resolution is None and size:
        sides = [count(side) for side in size.lower().split("x")]
        resolution = f"{min(sides)}p" if len(sides) == 2 and min(sides) else None
    return Usage(
        units=units_of(**{Unit.OUTPUT_VIDEO_SECONDS: seconds, Unit.OUTPUT_VIDEOS: videos}),
        traits=traits_of(size=size, resolution=resolution),
    )


@unless_failed
def read_operation(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a long-running operation of Google: it is billed as ordered, because the result does not say what it is."""
    content = mapping(parsed(received.body))
    name = string(content.get("name"))
    if route.follow_up:
        return Reading(response_id=name, billable=False)
    # ai.google.dev/gemini-api/docs/video, "Veo model parameters".
    wishes = within(sent.content, "parameters")
    seconds = amount(wishes.get("durationSeconds")) or Decimal(_VEO_SECONDS)
    videos = count(wishes.get("sampleCount")) or count(wishes.get("numberOfVideos")) or 1
    return Reading(
        usage=video_usage(seconds, videos, None, wishes.get("resolution")),
        usage_note="as ordered: the result states no usage",
        request_model=asked_model(route, sent),
        response_id=name,
    )


@unless_failed
def read_reel(_route: Route, sent: Sent, received: Received) -> Reading:
    """Read Bedrock's StartAsyncInvoke, which makes videos: billed as ordered, the result is a file in S3."""
    content = mapping(parsed(received.body))
    # Nova user guide, "Video generation access and usage": six seconds at 1280x720 unless a longer one is asked for.
    config = within(sent.content, "modelInput", "videoGenerationConfig")
    name = string(content.get("invocationArn"))
    seconds = amount(config.get("durationSeconds")) or Decimal(_REEL_SECONDS)
    return Reading(
        usage=video_usage(seconds, 1, string(config.get("dimension"))) if name else None,
        usage_note="as ordered: the result states no usage",
        request_model=string((sent.content or {}).get("modelId")),
        response_id=name,
    )


READERS: dict[str, Reader] = {
    "openai.videos": read_videos,
    "vertex.operation": read_operation,
    "bedrock.async_invoke": read_reel,
}
