"""The fields of a multipart body that somebody put together himself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.interception.form import form_fields

KIND = "multipart/form-data; boundary=cut"


def body_of(*parts: tuple[str, bytes]) -> bytes:
    return (
        b"".join(b"--cut\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n" for head, value in parts)
        + b"--cut--\r\n"
    )


MODEL = ('Content-Disposition: form-data; name="model"', b"whisper-1")
FILE = (
    'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
    b"RIFF" + b"\0" * 90_000,
)


@pytest.mark.parametrize("parts", [(MODEL, FILE), (FILE, MODEL)], ids=["before the file", "behind the file"])
def test_a_field_is_found_on_both_sides_of_a_large_file(parts: tuple[tuple[str, bytes], ...]) -> None:
    assert form_fields(body_of(*parts), KIND) == {"model": "whisper-1"}


def test_a_file_is_never_a_field() -> None:
    small = ('Content-Disposition: form-data; name="file"; filename="a.txt"', b"secret")
    assert form_fields(body_of(small), KIND) == {}


def test_a_quoted_boundary_is_understood() -> None:
    assert form_fields(body_of(MODEL), 'multipart/form-data; boundary="cut"') == {"model": "whisper-1"}


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", ""])
def test_a_body_without_a_boundary_has_no_fields(kind: str) -> None:
    assert form_fields(body_of(MODEL), kind) == {}


@given(body=st.binary(max_size=400), kind=st.text(max_size=80))
def test_no_bytes_whatever_raise(body: bytes, kind: str) -> None:
    form_fields(body, kind)
    form_fields(b"--cut\r\n" + body + b"--cut--", KIND)
