"""AWS event streams: sound frames are read, damage costs only the frame that has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_frames import closed, frame_of
from spend_middleware.wire.eventstream import Frames

ONE, TWO, THREE = (frame_of("chunk", {"n": n}) for n in (1, 2, 3))


def numbers(body: bytes) -> tuple[list[int], Frames]:
    frames = Frames(body)
    return [frame.content()["n"] for frame in frames], frames


def test_frames_come_in_order_with_their_kind() -> None:
    frames = list(Frames(ONE + TWO))
    assert [frame.kind for frame in frames] == ["chunk", "chunk"]
    assert [frame.content() for frame in frames] == [{"n": 1}, {"n": 2}]


def test_a_frame_of_the_published_example_is_read() -> None:
    # The frame of the botocore documentation: empty body, empty headers.
    frames = list(Frames(bytes.fromhex("000000100000000005c248eb7d98c8ff")))
    assert [(dict(frame.headers), frame.body) for frame in frames] == [({}, b"")]


def test_an_exception_frame_says_that_it_failed() -> None:
    frame = next(iter(Frames(frame_of("throttlingException", b'{"message":"x"}', "exception"))))
    assert frame.failed
    assert frame.kind == "throttlingException"


DAMAGE = {
    "a body byte": (len(ONE) + len(TWO) - 6, [1, 3]),
    "the checksum of the body": (len(ONE) + len(TWO) - 1, [1, 3]),
    "the length": (len(ONE) + 2, [1, 3]),
    "the checksum of the prelude": (len(ONE) + 9, [1, 3]),
    "the first length": (0, [2, 3]),
}


@pytest.mark.parametrize(("at", "left"), DAMAGE.values(), ids=list(DAMAGE))
def test_one_damaged_byte_loses_one_frame_and_is_noted(at: int, left: list[int]) -> None:
    body = bytearray(ONE + TWO + THREE)
    body[at] ^= 0xFF
    found, frames = numbers(bytes(body))
    assert found == left
    assert frames.note() == "1 corrupt event-stream frames left out"


@pytest.mark.parametrize("cut", range(1, len(TWO)))
def test_a_stream_that_breaks_off_gives_all_whole_frames_and_is_no_damage(cut: int) -> None:
    found, frames = numbers((ONE + TWO)[:-cut])
    assert found == [1]
    assert frames.truncated
    assert frames.note() is None


def test_a_lost_middle_does_not_lose_the_end() -> None:
    body = ONE * 3 + TWO[:20] + ONE[33:] + THREE
    found, _ = numbers(body)
    assert found[0] == 1
    assert found[-1] == 3


def test_headers_of_every_type_are_passed_over() -> None:
    kinds = [
        b"\0",
        b"\1",
        b"\2a",
        b"\3ab",
        b"\4abcd",
        b"\5abcdefgh",
        b"\6\0\3abc",
        b"\x08abcdefgh",
        b"\x09" + b"u" * 16,
    ]
    headers = b"".join(b"\1k" + kind for kind in kinds) + b"\1s\7\0\2ok"
    frames = list(Frames(closed(headers, b"")))
    assert [dict(frame.headers) for frame in frames] == [{"s": "ok"}]


@given(noise=st.binary(max_size=60), tail=st.binary(max_size=60))
def test_a_sound_frame_is_found_in_any_noise(noise: bytes, tail: bytes) -> None:
    found = [frame.content().get("n") for frame in Frames(noise + TWO + tail)]
    assert 2 in found
