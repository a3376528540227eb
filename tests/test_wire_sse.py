"""Event streams, in every form of them that providers send."""

from __future__ import annotations

import pytest

from spend_middleware.wire import sse

STREAMS = [
    (b'data: {"a":1}\n\ndata: {"a":2}\n\ndata: [DONE]\n\n', [{"a": 1}, {"a": 2}], "line feeds and [DONE]"),
    (b'data: {"a":1}\r\n\r\ndata: {"a":2}\r\n\r\n', [{"a": 1}, {"a": 2}], "CRLF, no [DONE]"),
    (b'data: {"a":1}\r\rdata: {"a":2}\r\r', [{"a": 1}, {"a": 2}], "CR alone"),
    (b'data:{"a":1}\n\ndata:{"a":2}', [{"a": 1}, {"a": 2}], "no space, no blank line at the end"),
    (b': PROCESSING\n\n: PROCESSING\n\ndata: {"a":1}\n\n', [{"a": 1}], "comments"),
    (b'event: x\ndata: {"a":\ndata: 1}\n\n', [{"a": 1}], "data over several lines"),
    (b'id: 7\nretry: 5\nevent: x\ndata: {"a":1}\n\n', [{"a": 1}], "ids and retries"),
    (b'data: {"a":1}\n\ndata: {"a":', [{"a": 1}], "cut off"),
    (b"data: [1]\n\ndata: null\n\ndata: nonsense\n\n", [], "what is no object"),
    (b"", [], "nothing"),
]


@pytest.mark.parametrize(("body", "expected", "form"), STREAMS, ids=[form for _, _, form in STREAMS])
def test_every_form_of_event_stream_gives_its_objects(body: bytes, expected: list[object], form: str) -> None:
    assert list(sse.objects(body)) == expected


def test_an_event_keeps_its_name() -> None:
    assert [event.name for event in sse.events(b"event: start\ndata: {}\n\ndata: {}\n\n")] == ["start", ""]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_the_search_from_the_end_finds_the_last_first(end: bytes) -> None:
    body = end.join([b'data: {"n":1,"usage":{}}', b'data: {"n":2,"usage":{}}', b'data: {"n":3}', b""])
    assert [found["n"] for found in sse.objects_holding(body, b'"usage"')] == [2, 1]


def test_the_search_from_the_end_reads_data_over_several_lines() -> None:
    body = b'data: {"n":1}\n\nevent: x\ndata: {"n":2,\ndata: "usage":{"t":1}}\n\ndata: {"n":3}\n\n'
    assert [found["n"] for found in sse.objects_holding(body, b'"usage":{')] == [2]


def test_the_search_from_the_end_passes_over_an_event_that_is_cut_off() -> None:
    body = b'data: {"n":1,"usage":{"t":1}}\n\ndata: {"n":2,"usage":{"t'
    assert [found["n"] for found in sse.objects_holding(body, b'"usage":{')] == [1]


def test_text_that_quotes_a_usage_is_not_taken_for_one() -> None:
    body = b'data: {"n":1,"text":"\\"usage\\":{\\"t\\":1}"}\n\n'
    assert list(sse.objects_holding(body, b'"usage":{')) == []


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/event-stream; charset=utf-8", b"", True),
        ("application/json", b'{"a":1}', False),
        ("", b"data: {}\n\n", True),
        ("", b"event: x\n", True),
        ("", b": comment\n", True),
        ("", b"\r\ndata: {}", True),
        ("", b'{"data":1}', False),
    ],
)
def test_a_stream_is_known_by_its_type_or_its_first_bytes(
    content_type: str, body: bytes, expected: bool
) -> None:
    assert sse.looks_like_events(content_type, body) is expected
