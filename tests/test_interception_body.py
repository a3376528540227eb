"""Bodies kept within a limit and decoded on the side: no bytes whatever raise, and no bomb goes off."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.interception.body import Kept, decoded
from spend_middleware.interception.exchange import Exchange, Outcome

LIMIT = 1 << 20
BODY = b'{"usage":{"prompt_tokens":12}, "text":"%s"}' % random.Random(1).randbytes(3000).hex().encode()


def raw_deflate(body: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(body) + squeeze.flush()


def squeezed(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=1))


CODINGS: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("gzip", "gzip", gzip.compress),
    ("x-gzip", "x-gzip", gzip.compress),
    ("gzip in two members", "GZIP", lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:])),
    ("deflate", "deflate", zlib.compress),
    ("deflate without its wrapper", "deflate", raw_deflate),
    ("br", "br", squeezed),
    ("zstd", "zstd", zstandard.compress),
    ("gzip, then br", "gzip, br", lambda body: squeezed(gzip.compress(body))),
    ("nothing", "identity", bytes),
]


def kept(body: bytes, size: int = 1 << 30, limit: int = LIMIT) -> Kept:
    found = Kept(limit)
    for start in range(0, len(body), size):
        found.add(body[start : start + size])
    return found


@pytest.mark.parametrize("size", [1, 7, 1 << 30], ids=["byte by byte", "by seven", "at once"])
@pytest.mark.parametrize(("name", "encoding", "encode"), CODINGS, ids=[name for name, _, _ in CODINGS])
def test_a_body_is_decoded(name: str, encoding: str, encode: Callable[[bytes], bytes], size: int) -> None:
    assert decoded(kept(encode(BODY), size), encoding, LIMIT) == (BODY, True)


@pytest.mark.parametrize(
    ("name", "encoding", "encode"),
    [coding for coding in CODINGS if coding[0] not in ("nothing", "gzip in two members")],
    ids=[name for name, _, _ in CODINGS if name not in ("nothing", "gzip in two members")],
)
def test_a_truncated_body_gives_its_beginning(
    name: str, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    body = b"".join(b"data: %d %s\n\n" % (n, random.Random(n).randbytes(50)) for n in range(5000))
    got, whole = decoded(kept(encode(body)[:-2000]), encoding, LIMIT)
    assert not whole
    assert body.startswith(got)


@pytest.mark.parametrize("damage", [b"\x00" * 50, b"not gzip at all"])
def test_a_damaged_body_gives_what_came_before_the_damage(damage: bytes) -> None:
    body = random.Random(3).randbytes(300_000)
    coded = gzip.compress(body)
    got, whole = decoded(kept(coded[:150_000] + damage + coded[150_100:]), "gzip", LIMIT)
    assert not whole
    assert got[:60_000] == body[:60_000]


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "aes128gcm", "gzip, nothing-known", ","]
)
@given(body=st.binary(max_size=200))
def test_no_bytes_whatever_raise(encoding: str, body: bytes) -> None:
    decoded(kept(body), encoding, LIMIT)


@pytest.mark.parametrize(
    ("encoding", "encode"), [("gzip", gzip.compress), ("br", squeezed), ("zstd", zstandard.compress)]
)
def test_a_bomb_is_left_after_four_times_the_limit(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    bomb = encode(b"\0" * (64 << 20))
    assert len(bomb) < 100_000
    got, whole = decoded(kept(bomb), encoding, LIMIT)
    assert not whole
    assert len(got) <= 3 * LIMIT


@given(
    chunks=st.lists(st.binary(max_size=20), max_size=60),
    limit=st.integers(min_value=0, max_value=200),
)
def test_both_ends_are_kept_within_the_limit(chunks: list[bytes], limit: int) -> None:
    found, body = Kept(limit), b"".join(chunks)
    for chunk in chunks:
        found.add(chunk)
    got = found.join()
    assert len(got) + found.lost == len(body)
    assert body.endswith(got[len(b"".join(found.head)) :])
    assert body.startswith(b"".join(found.head))
    assert len(got) <= limit + 20
    if len(body) <= limit:
        assert got == body


def exchange(**headers: str) -> Exchange:
    found = Exchange(
        "a route",
        "POST",
        "https://api.openai.com/v1/chat/completions",
        "https://api.openai.com",
        "/v1/chat/completions",
        {},
        b"{}",
    )
    found.begin(200, b"", lambda: {name.replace("_", "-"): value for name, value in headers.items()})
    return found


def test_an_exchange_ends_once() -> None:
    found = exchange()
    found.feed(b"{}")
    assert found.close(Outcome.BROKEN, "ReadError")
    ended = found.ended
    assert not found.close(Outcome.COMPLETE)
    assert (found.outcome, found.error, found.ended) == (Outcome.BROKEN, "ReadError", ended)


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (b"data: [DONE]\n\n", Outcome.COMPLETE),
        (b"data: [DONE]", Outcome.COMPLETE),
        (b'data: {"text":"[DONE]"' + b" " * 100, Outcome.ABORTED),
        (b"data: {}\n\n", Outcome.ABORTED),
        (b"", Outcome.ABORTED),
    ],
)
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_stream_closed_at_its_end_marker_is_complete(end: bytes, outcome: Outcome, encoding: str) -> None:
    found = exchange(content_encoding=encoding) if encoding else exchange()
    squeeze = zlib.compressobj(wbits=31)
    coded = squeeze.compress(end) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    found.feed(coded if encoding else end)
    found.close(Outcome.ABORTED)
    assert found.outcome is outcome
