"""What is needed of httpx and httpx2, said once as protocols."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol


class Headers(Protocol):
    """Their headers: a multi-dict that keeps order and case in `raw`."""

    @property
    def raw(self) -> list[tuple[bytes, bytes]]: ...
    def __contains__(self, name: object) -> bool: ...
    def __setitem__(self, name: str, value: str) -> None: ...
    def get(self, name: str, default: str = ..., /) -> Any: ...


class URL(Protocol):
    """Their URL."""

    @property
    def scheme(self) -> str: ...
    @property
    def netloc(self) -> bytes: ...
    @property
    def raw_path(self) -> bytes: ...


class Request(Protocol):
    """Their request; `content` raises when the body is a stream that nobody has read."""

    method: str
    extensions: dict[str, Any]
    stream: Any

    @property
    def url(self) -> URL: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def content(self) -> bytes: ...


class Response(Protocol):
    """Their response."""

    status_code: int
    stream: Any
    elapsed: timedelta
    is_closed: bool
    is_stream_consumed: bool

    @property
    def headers(self) -> Headers: ...
    @property
    def content(self) -> bytes: ...


class Library(Protocol):
    """One of the two libraries: what is made of its classes. A response takes only streams of its own library."""

    response: Any
    byte_stream: Any
    sync_tee: Any
    async_tee: Any
    sync_replay: Any
    async_replay: Any

    def changed(self, request: Any, headers: list[tuple[bytes, bytes]], body: bytes | None) -> Any:
        """Return a copy of a request with other headers and, unless it is None, another body."""
