"""Vendors of pictures, videos and transcripts with an API of their own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spend_middleware.wire import READERS, Received, Route, Sent, recognise
from wire_reads import read

JPEG = {"content-type": "image/jpeg"}

ROUTES = {
    "POST api.stability.ai/v2beta/stable-image/generate/sd3": ("stability.images", "sd3"),
    "POST api.stability.ai/v2beta/stable-image/edit/search-and-recolor": (
        "stability.images",
        "search-and-recolor",
    ),
    "POST api.bfl.ai/v1/flux-pro-1.1": ("black_forest_labs.order", "flux-pro-1.1"),
    "POST fal.run/fal-ai/flux/dev": ("fal_ai.run", "fal-ai/flux/dev"),
    "GET queue.fal.run/fal-ai/flux/requests/r1": ("fal_ai.run", "fal-ai/flux"),
    "GET queue.fal.run/fal-ai/flux/requests/r1/status": None,
    "POST api.dev.runwayml.com/v1/image_to_video": ("runwayml.order", None),
    "POST api.assemblyai.com/v2/transcript": ("assemblyai.transcript", None),
    "GET api.assemblyai.com/v2/transcript/t1": ("assemblyai.transcript", None),
    "POST api.assemblyai.com/v2/upload": None,
    "POST external.api.recraft.ai/v1/images/generations": ("openai.images", None),
}


@pytest.mark.parametrize(("request_line", "expected"), ROUTES.items(), ids=list(ROUTES))
def test_their_paths_are_known(request_line: str, expected: tuple[str, str | None] | None) -> None:
    method, _, rest = request_line.partition(" ")
    host, _, path = rest.partition("/")
    route = recognise(method, host, "/" + path)
    assert (None if route is None else (route.wire_format, route.model)) == expected


PICTURES: dict[str, tuple[str, Any, dict[str, Any], dict[str, str], str | None, int, str | None]] = {
    "bytes": ("stability.images", b"\xff\xd8", {}, JPEG, "core", 1, "stable-image-core"),
    "JSON": ("stability.images", {"image": "x"}, {"model": "sd3.5-large"}, {}, "sd3", 1, "sd3.5-large"),
    "artifacts": ("stability.images", {"artifacts": [{}, {}]}, {}, {}, "sdxl", 2, "sdxl"),
    "an order": (
        "black_forest_labs.order",
        {"id": "a", "polling_url": "u"},
        {},
        {},
        "flux-pro",
        1,
        "flux-pro",
    ),
    "fal": ("fal_ai.run", {"images": [{}, {}]}, {"num_inference_steps": 4}, {}, "fal-ai/x", 2, "fal-ai/x"),
}


@pytest.mark.parametrize(
    ("wire_format", "body", "sent", "headers", "path", "made", "model"), PICTURES.values(), ids=list(PICTURES)
)
def test_pictures_are_counted(
    wire_format: str, body: Any, sent: Any, headers: dict[str, str], path: str, made: int, model: str
) -> None:
    reading = read(wire_format, body, sent=sent, headers=headers, model=path)
    assert reading.usage is not None
    assert reading.usage.units == {"output_images": made}
    assert reading.request_model == model


def test_a_place_in_fals_queue_is_pending_and_its_result_is_billed_once() -> None:
    queued = read("fal_ai.run", {"status": "IN_QUEUE", "request_id": "r1"}, model="fal-ai/x")
    assert (queued.pending, queued.usage) == (True, None)
    url = "https://queue.fal.run/fal-ai/x/requests/r1"
    done = read("fal_ai.run", {"images": [{}]}, model="fal-ai/x", follow_up=True, url=url, provider="fal_ai")
    assert done.once_key == "fal_ai/request/r1"


def test_fals_video_is_a_video() -> None:
    reading = read(
        "fal_ai.run", {"video": {"url": "u"}}, sent={"duration": "5", "resolution": "720p"}, model="fal-ai/v"
    )
    assert reading.operation == "video_generation"
    assert reading.usage is not None
    assert reading.usage.units == {"output_video_seconds": 5, "output_videos": 1}


@pytest.mark.parametrize(
    ("operation", "units"),
    [
        ("video_generation", {"output_video_seconds": 5, "output_videos": 1}),
        ("image_generation", {"output_images": 1}),
    ],
)
def test_runway_is_billed_as_ordered(operation: str, units: dict[str, int]) -> None:
    route = Route(provider="runwayml", operation=operation, wire_format="runwayml.order")
    sent = Sent(content={"model": "gen4_turbo", "duration": 5, "ratio": "1280:720"})
    reading = READERS["runwayml.order"](route, sent, Received(status=200, body=b'{"id": "task"}'))
    assert reading.usage is not None
    assert reading.usage.units == units
    assert reading.usage.traits["size"] == "1280x720"


def test_a_transcript_is_billed_once_when_it_is_completed() -> None:
    body = {"id": "t1", "status": "completed", "audio_duration": 12.5, "speech_model": "nano"}
    reading = read("assemblyai.transcript", body, provider="assemblyai", follow_up=True)
    assert reading.usage is not None
    assert reading.usage.units == {"input_audio_seconds": Decimal("12.5")}
    assert (reading.once_key, reading.request_model) == ("assemblyai/transcript/t1", "nano")


def test_a_transcript_that_goes_on_is_pending_once_and_then_nothing() -> None:
    body = {"id": "t1", "status": "processing"}
    assert read("assemblyai.transcript", body).pending
    assert not read("assemblyai.transcript", body, follow_up=True).billable
    assert (
        read("assemblyai.transcript", {"id": "t1", "status": "error", "error": "secret"}).error_type
        == "failed"
    )
