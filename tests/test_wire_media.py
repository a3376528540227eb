"""Sound, pictures and videos: seconds, characters, pictures, and what decides the price of one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spend_middleware.call import Unit
from spend_middleware.wire import READERS, Received, Route, Sent
from wire_reads import events, read, tokens

SSE = {"content-type": "text/event-stream"}
TOKEN_USAGE = {
    "type": "tokens",
    "input_tokens": 37,
    "input_token_details": {"text_tokens": 2, "audio_tokens": 35},
    "output_tokens": 12,
    "total_tokens": 49,
}

TRANSCRIPTIONS: dict[str, tuple[Any, dict[str, str], tuple[int, int, int], dict[str, Any]]] = {
    "by tokens": ({"text": "x", "usage": TOKEN_USAGE}, {}, (37, 12, 35), {}),
    "by tokens, although the length is stated": (
        {"duration": 3.7, "usage": TOKEN_USAGE},
        {},
        (37, 12, 35),
        {},
    ),
    "by seconds": (
        {"text": "x", "usage": {"type": "duration", "seconds": 6.91}},
        {},
        (0, 0, 0),
        {"input_audio_seconds": Decimal("6.91")},
    ),
    "verbose_json": (
        {"text": "x", "duration": 8.47},
        {},
        (0, 0, 0),
        {"input_audio_seconds": Decimal("8.47")},
    ),
    "Mistral counts seconds and tokens": (
        {
            "model": "voxtral",
            "usage": {
                "prompt_audio_seconds": 3,
                "prompt_tokens": 3,
                "completion_tokens": 11,
                "total_tokens": 389,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375},
            },
        },
        {},
        (3, 11, 0),
        {"input_audio_seconds": 3},
    ),
    "streamed": (
        events(
            {"type": "transcript.text.delta", "delta": "x"},
            {"type": "transcript.text.done", "usage": TOKEN_USAGE},
        ),
        SSE,
        (37, 12, 35),
        {},
    ),
}


@pytest.mark.parametrize(
    ("body", "headers", "counts", "units"), TRANSCRIPTIONS.values(), ids=list(TRANSCRIPTIONS)
)
def test_transcriptions(
    body: Any, headers: dict[str, str], counts: tuple[int, ...], units: dict[str, Any]
) -> None:
    reading = read("openai.transcription", body, headers=headers)
    usage = reading.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.input_audio_tokens) == counts
    assert dict(usage.units) == units
    assert reading.usage_note is None


@pytest.mark.parametrize("body", [b"just the words", {"text": "x"}, b""], ids=["text", "json", "nothing"])
def test_a_transcription_that_states_nothing_has_no_usage(body: Any) -> None:
    assert read("openai.transcription", body).usage is None


def test_the_model_of_an_upload_is_taken_from_its_fields() -> None:
    assert (
        read("openai.transcription", {"text": "x"}, sent={"model": "whisper-1"}).request_model == "whisper-1"
    )


SPEECH: dict[str, tuple[str, Any, dict[str, Any] | None, str, dict[str, str], dict[str, int]]] = {
    "OpenAI, by the characters of input": (
        "openai.speech", b"\xff\xf3", {"model": "tts-1", "input": "héllo"}, "https://x/v1/audio/speech", {}, {"input_characters": 5},
    ),
    "xAI, by the characters of text": (
        "xai.tts", b"\xff\xf3", {"text": "hello"}, "https://x/v1/tts", {}, {"input_characters": 5},
    ),
    "Deepgram says how many it counted": (
        "deepgram.speak", b"\xff\xf3", {"text": "hello"}, "https://x/v1/speak?model=aura-2", {"dg-char-count": "4"}, {"input_characters": 4},
    ),
    "ElevenLabs dialogue": (
        "elevenlabs.speech", b"\xff\xf3", {"inputs": [{"text": "ab"}, {"text": "c"}]}, "https://x/v1/text-to-dialogue", {}, {"input_characters": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("wire_format", "body", "sent", "url", "headers", "units"), SPEECH.values(), ids=list(SPEECH)
)
def test_speech_is_billed_by_characters(
    wire_format: str, body: Any, sent: Any, url: str, headers: dict[str, str], units: dict[str, int]
) -> None:
    usage = read(
        wire_format, body, sent=sent, url=url, headers={"content-type": "audio/mpeg", **headers}
    ).usage
    assert usage is not None
    assert dict(usage.units) == units


def test_streamed_speech_reports_sound_tokens() -> None:
    done = {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115},
    }
    reading = read(
        "openai.speech", events({"type": "speech.audio.delta"}, done), headers=SSE, sent={"input": "ab"}
    )
    assert tokens(reading) == (14, 101)
    assert reading.usage is not None
    assert reading.usage.output_audio_tokens == 101


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://x/v1/speak?model=aura-2", "aura-2"),
        ("https://x/v1/speak", None),
        ("https://[x/?model=a", None),
    ],
)
def test_deepgrams_model_stands_in_the_query(url: str, model: str | None) -> None:
    assert read("deepgram.speak", b"\xff", sent={"text": "a"}, url=url).request_model == model


def test_elevenlabs_has_the_voice_in_the_path_and_the_model_in_the_body() -> None:
    reading = read("elevenlabs.speech", b"\xff", sent={"text": "a", "model_id": "eleven_v3"}, model="voice")
    assert reading.request_model == "eleven_v3"


@pytest.mark.parametrize(
    ("query", "seconds"), [("model=nova-3", "3.5"), ("model=nova-3&multichannel=true", "7.0"), ("", "3.5")]
)
def test_deepgram_bills_the_length_and_each_channel_when_asked_to_split_them(
    query: str, seconds: str
) -> None:
    body = {"metadata": {"duration": 3.5, "channels": 2, "request_id": "r"}, "results": {}}
    usage = read("deepgram.listen", body, url=f"https://x/v1/listen?{query}").usage
    assert usage is not None
    assert usage.units[Unit.INPUT_AUDIO_SECONDS] == Decimal(seconds)


def test_deepgrams_text_intelligence_is_counted_in_tokens() -> None:
    body = {
        "metadata": {
            "summary_info": {"input_tokens": 95, "output_tokens": 63},
            "topics_info": {"input_tokens": 5},
        }
    }
    assert tokens(read("deepgram.listen", body)) == (100, 63)


IMAGES: dict[str, tuple[Any, Any, dict[str, int], tuple[int, int], dict[str, str]]] = {
    "dall-e, by picture": (
        {"model": "dall-e-3", "size": "1024x1024", "quality": "hd"},
        {"data": [{"url": "u"}]},
        {"output_images": 1},
        (0, 0),
        {"size": "1024x1024", "quality": "hd"},
    ),
    "gpt-image, what was made counts": (
        {"model": "gpt-image-1", "size": "auto", "n": 2},
        {"data": [{}, {}], "size": "1536x1024", "quality": "low", "usage": {"input_tokens": 5, "output_tokens": 9}},
        {"output_images": 2},
        (5, 9),
        {"size": "1536x1024", "quality": "low"},
    ),
    "width and height": (
        {"width": 512, "height": 768, "steps": 4, "n": 1},
        {"data": [{}]},
        {"output_images": 1},
        (0, 0),
        {"size": "512x768", "steps": "4"},
    ),
    "a size as a box": (
        {"image_size": {"width": 1024, "height": 768}, "quality": "medium"},
        {"images": [{}, {}]},
        {"output_images": 2},
        (0, 0),
        {"size": "1024x768", "quality": "medium"},
    ),
    "resolution": (
        {"resolution": "2k"},
        {"data": [{}]},
        {"output_images": 1},
        (0, 0),
        {"resolution": "2k"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "body", "units", "counts", "traits"), IMAGES.values(), ids=list(IMAGES))
def test_pictures(
    sent: Any, body: Any, units: dict[str, int], counts: tuple[int, int], traits: dict[str, str]
) -> None:
    reading = read("openai.images", body, sent=sent)
    assert tokens(reading) == counts
    assert reading.usage is not None
    assert dict(reading.usage.units) == units
    assert dict(reading.usage.traits) == traits


def test_picture_tokens_without_details_are_all_the_pictures() -> None:
    usage = read("openai.images", {"data": [{}], "usage": {"input_tokens": 6, "output_tokens": 351}}).usage
    assert usage is not None
    assert usage.output_image_tokens == 351


def test_details_of_picture_tokens_are_kept() -> None:
    details = {"image_tokens": 1056, "text_tokens": 262}
    body = {
        "data": [{}],
        "usage": {"input_tokens": 6, "output_tokens": 1318, "output_tokens_details": details},
    }
    usage = read("openai.images", body).usage
    assert usage is not None
    assert (usage.output_image_tokens, usage.output_text_tokens) == (1056, 262)


def test_a_streamed_picture_is_counted_at_its_end() -> None:
    body = events(
        {"type": "image_generation.partial_image", "b64_json": "x"},
        {
            "type": "image_generation.completed",
            "size": "1024x1024",
            "usage": {"input_tokens": 6, "output_tokens": 99},
        },
    )
    reading = read("openai.images", body, headers=SSE)
    assert tokens(reading) == (6, 99)
    assert reading.usage is not None
    assert reading.usage.units == {"output_images": 1}
    assert reading.stream


def test_openais_first_image_model_is_the_one_nobody_names() -> None:
    body: dict[str, Any] = {"data": [{}]}
    assert read("openai.images", body, sent={"prompt": "x"}).request_model == "dall-e-2"
    assert read("openai.images", body, sent={"prompt": "x"}, provider="xai").request_model is None


def test_a_stated_cost_in_ticks_is_exact() -> None:
    body = {"data": [{}], "usage": {"cost_in_usd_ticks": 700000000}}
    assert read("openai.images", body, provider="xai").reported_cost == Decimal("0.07")


VIDEOS: dict[str, tuple[Any, Any, dict[str, Any], dict[str, str]]] = {
    "OpenAI": (
        {"id": "video_1", "status": "completed", "seconds": "8", "size": "720x1280", "model": "sora-2"},
        None,
        {"output_video_seconds": 8, "output_videos": 1},
        {"size": "720x1280", "resolution": "720p"},
    ),
    "xAI": (
        {"status": "done", "video": {"duration": 6}, "model": "grok-imagine-video"},
        None,
        {"output_video_seconds": 6, "output_videos": 1},
        {},
    ),
    "Azure": (
        {"id": "t", "status": "succeeded", "n_seconds": 5, "n_variants": 2, "width": 480, "height": 480},
        None,
        {"output_video_seconds": 5, "output_videos": 2},
        {"size": "480x480", "resolution": "480p"},
    ),
}


@pytest.mark.parametrize(("body", "sent", "units", "traits"), VIDEOS.values(), ids=list(VIDEOS))
def test_a_finished_video_is_billed_by_the_second_and_once(
    body: Any, sent: Any, units: dict[str, Any], traits: dict[str, str]
) -> None:
    first = read("openai.videos", body, sent=sent, follow_up=True, url="https://x/v1/videos/video_1?a=b")
    assert first.usage is not None
    assert dict(first.usage.units) == units
    assert dict(first.usage.traits) == traits
    assert first.once_key == f"openai/video/{body.get('id', 'video_1')}"


def test_an_ordered_video_is_pending_and_a_poll_is_nothing() -> None:
    body = {"id": "video_1", "status": "queued", "model": "sora-2"}
    ordered, polled = read("openai.videos", body), read("openai.videos", body, follow_up=True)
    assert (ordered.pending, ordered.billable, ordered.once_key) == (True, True, None)
    assert (polled.pending, polled.billable) == (False, False)


def test_a_video_that_failed_has_no_usage() -> None:
    reading = read("openai.videos", {"id": "v", "status": "failed", "error": {"code": "moderation_blocked"}})
    assert (reading.usage, reading.error_type) == (None, "moderation_blocked")


@pytest.mark.parametrize(
    ("parameters", "seconds", "videos"),
    [({}, 8, 1), ({"durationSeconds": 4, "sampleCount": 2, "resolution": "1080p"}, 4, 2)],
)
def test_veo_is_billed_as_ordered(parameters: dict[str, Any], seconds: int, videos: int) -> None:
    sent = {"instances": [{}], "parameters": parameters}
    usage = read("vertex.operation", {"name": "models/veo-3/operations/o"}, sent=sent, model="veo-3").usage
    assert usage is not None
    assert dict(usage.units) == {"output_video_seconds": seconds, "output_videos": videos}
    assert usage.traits.get("resolution") == parameters.get("resolution")
    assert not read("vertex.operation", {"name": "o", "done": True}, follow_up=True).billable


@pytest.mark.parametrize(
    ("config", "seconds", "resolution"),
    [({}, 6, None), ({"durationSeconds": 12, "dimension": "1280x720"}, 12, "720p")],
)
def test_nova_reel_is_billed_as_ordered(config: dict[str, Any], seconds: int, resolution: str | None) -> None:
    sent = {"modelId": "amazon.nova-reel-v1:1", "modelInput": {"videoGenerationConfig": config}}
    reading = read(
        "bedrock.async_invoke", {"invocationArn": "arn:aws:bedrock:x"}, sent=sent, provider="bedrock"
    )
    assert reading.usage is not None
    assert reading.usage.units[Unit.OUTPUT_VIDEO_SECONDS] == seconds
    assert reading.usage.traits.get("resolution") == resolution
    assert reading.request_model == "amazon.nova-reel-v1:1"


def test_on_an_unknown_host_only_an_llms_video_is_a_video() -> None:
    route = Route(
        provider="custom_openai",
        operation="video_generation",
        wire_format="openai.videos",
        follow_up=True,
        certain=False,
    )
    for kind, billable in (("video", True), ("asset", False)):
        body = b'{"id": "v1", "object": "%s", "status": "completed", "seconds": "4"}' % kind.encode()
        assert READERS["openai.videos"](route, Sent(), Received(status=200, body=body)).billable == billable
