"""The bytes of one body: kept up to a limit, and decoded on the side without ever raising."""

from __future__ import annotations

import importlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

PIECE = 1 << 16
"""Encoded bytes are decoded in pieces of this size, so that a bomb is noticed early."""

GROWTH = 4
"""A decoded body may be this many times the limit before decoding stops."""


class Kept:
    """The beginning and the end of a run of bytes, with no more than `limit` bytes in memory (and one chunk)."""

    __slots__ = ("_limit", "_tail_size", "head", "lost", "room", "tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tail_size = 0
        self.room = limit
        self.head: list[bytes] = []
        self.tail: deque[bytes] | None = None
        self.lost = 0

    def add(self, chunk: bytes) -> None:
        """Take the next chunk; beyond the limit the middle is let go."""
        self.room -= len(chunk)
        if self.room >= 0:
            self.head.append(chunk)
        else:
            self.overflow(chunk)

    def overflow(self, chunk: bytes) -> None:
        """Take a chunk for which `room` (already lowered) was not enough."""
        tail = self.tail
        if tail is None:
            tail = self.tail = self._halve()
            self._tail_size = sum(map(len, tail))
        tail.append(chunk)
        self._tail_size += len(chunk)
        while len(tail) > 1 and self._tail_size - len(tail[0]) >= self._limit // 2:
            gone = len(tail.popleft())
            self._tail_size -= gone
            self.lost += gone

    def _halve(self) -> deque[bytes]:
        """Take the second half off the head, so that both ends stay within the limit together."""
        size = 0
        for index, chunk in enumerate(self.head):
            size += len(chunk)
            if size > self._limit // 2:
                rest = deque(self.head[index:])
                del self.head[index:]
                return rest
        return deque()

    def join(self) -> bytes:
        """Return what is kept as one piece."""
        if self.tail is None:
            return self.head[0] if len(self.head) == 1 else b"".join(self.head)
        return b"".join((*self.head, *self.tail))


class Decoder(Protocol):
    """One content coding being taken off."""

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Give what a piece of encoded bytes decodes to, in bounded parts."""

    def ended(self) -> bool:
        """Whether the encoded bytes came to their own end."""


class _Zlib:
    """gzip (RFC 1952), and deflate with the zlib wrapper (RFC 1950) or, as some servers send it, without (RFC 1951)."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        # The wrapper is told by its two bytes; until both are here nothing is decoded.
        self._start: bytes | None = b"" if wbits == zlib.MAX_WBITS else None

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Give what a piece decodes to, in parts of at most `PIECE`."""
        if self._start is not None:
            piece = self._start + piece
            self._start = piece if len(piece) < 2 else None
            if self._start is not None:
                return
            if piece[0] & 0x0F != 8 or int.from_bytes(piece[:2]) % 31:
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        while True:
            out = self._inflate.decompress(piece, PIECE)
            if out:
                yield out
            if not self._inflate.eof:
                piece = self._inflate.unconsumed_tail
                # zlib can hold more output back even when it has taken all of the input.
                if not piece and len(out) < PIECE:
                    return
            else:
                # A gzip body may have several members (RFC 1952, section 2.2).
                piece = self._inflate.unused_data
                if piece[:2] != b"\x1f\x8b":
                    return
                self._inflate = zlib.decompressobj(self._wbits)

    def ended(self) -> bool:
        """Whether the trailer was met."""
        return self._inflate.eof


class _Brotli:
    """br (RFC 7932), by the package `brotli` or `brotlicffi`."""

    def __init__(self) -> None:
        self._inflate: Any = _first_of("brotli", "brotlicffi").Decompressor()
        # The first calls it process, the second decompress; both know output_buffer_limit (brotli from 1.2 on).
        self._process = getattr(self._inflate, "process", None) or self._inflate.decompress

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Give what a piece decodes to, in parts of about `PIECE`."""
        while out := self._process(piece, output_buffer_limit=PIECE):
            yield out
            piece = b""

    def ended(self) -> bool:
        """Whether the last block was met."""
        return bool(self._inflate.is_finished())


class _Zstd:
    """zstd (RFC 8878), by the package `zstandard`, `backports.zstd` or Python's own module from 3.14 on."""

    def __init__(self) -> None:
        module = _first_of("zstandard", "compression.zstd", "backports.zstd")
        found: Any = module.ZstdDecompressor()
        self._inflate = found.decompressobj() if module.__name__ == "zstandard" else found

    def decode(self, piece: bytes) -> Iterator[bytes]:
        """Give what a piece decodes to; little at a time, as no package of the three bounds its output alike."""
        for start in range(0, len(piece), 512):
            out = self._inflate.decompress(piece[start : start + 512])
            for cut in range(0, len(out), PIECE):
                yield out[cut : cut + PIECE]

    def ended(self) -> bool:
        """Whether the frame came to its end."""
        return bool(self._inflate.eof)


def _first_of(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError(names[0])


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": _Brotli,
    "zstd": _Zstd,
}


def decoded(kept: Kept, encoding: str, limit: int) -> tuple[bytes, bool]:
    """Return a body with its content encoding taken off, and whether that is all of it.

    What is truncated or damaged gives what could be decoded; a coding that no client knows is left on, as they do.

    Args:
        kept: The encoded bytes.
        encoding: The value of the content-encoding header, such as "gzip" or "gzip, br".
        limit: Of more decoded bytes than this only the two ends are kept; at four times this decoding stops.
    """
    codings = [name for name in (part.strip().lower() for part in encoding.split(",")) if name]
    out = Kept(limit)
    # Bytes after a gap cannot be decoded.
    source: Iterable[bytes] = kept.head if kept.lost else (*kept.head, *(kept.tail or ()))
    decoders: list[Decoder] = []
    try:
        for name in reversed(codings):
            # Clients pass on what they know no coding by; "utf-8" stands there at times, and "identity".
            if name in _DECODERS:
                decoders.append(_DECODERS[name]())
                source = _taken_off(source, decoders[-1])
        for part in source:
            out.add(part)
            if out.room < -limit * (GROWTH - 1):
                return out.join(), False
    except Exception:
        # zlib.error, brotli.error, ZstdError, ImportError: they share no class but this one.
        return out.join(), False
    return out.join(), not (out.lost or kept.lost) and all(decoder.ended() for decoder in decoders)


def _taken_off(source: Iterable[bytes], decoder: Decoder) -> Iterator[bytes]:
    for chunk in source:
        for start in range(0, len(chunk), PIECE):
            yield from decoder.decode(chunk[start : start + PIECE])
