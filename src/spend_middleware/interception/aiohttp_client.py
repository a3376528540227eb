"""Calls made with aiohttp's `ClientSession`; aiohttp need not be installed.

`_request` is what every method and every subclass of a session goes through: one exchange a call, with redirects, and
retries of aiohttp's own client middlewares, folded. Its response comes before the body, so the body is watched where
aiohttp's parser feeds it to the response's reader, decoded and in time; an exchange ends with that feed, with its
break, or when the response is closed. How the caller reads is never touched.

The answer carries `x-litellm-call-id` from the beginning, and the headers that say its cost once its body has come:
aiohttp gives the head first, so `response.headers` has them after `await response.read()`, `text()` or `json()`.
"""

from __future__ import annotations

import contextlib
import functools
import http
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from spend_middleware.guard import Guard
from spend_middleware.interception.aiohttp_body import add, watch
from spend_middleware.interception.aiohttp_request import Asked, Heads, encode, readable
from spend_middleware.interception.attempt import Attempt, Wire, open_wire
from spend_middleware.interception.exchange import Observer, Outcome

_opening = Guard("reading a request of aiohttp")
_sending = Guard("rewriting a request of aiohttp")
_watching = Guard("watching an answer of aiohttp")

DECODED = ("gzip", "deflate", "br", "zstd")
"""Content encodings that a session takes off before anybody sees the body."""


def sessions() -> Iterator[Any]:
    """Give the class of sessions, if aiohttp is installed and works."""
    with contextlib.suppress(Exception):
        import aiohttp

        yield aiohttp.ClientSession


def watched(
    original: Callable[..., Any], observers: Callable[[], tuple[Observer, ...]]
) -> Callable[..., Any]:
    """Return `_request` with the observers watching."""

    @functools.wraps(original)
    async def _request(self: Any, method: str, str_or_url: Any, **options: Any) -> Any:
        wire = None
        with _opening:
            asked = Asked.of(self, method, str_or_url, options)
            if asked is not None:
                library: Any = Made(self, asked)
                wire = open_wire(asked, library, observers())
        if wire is None:
            return await original(self, method, str_or_url, **options)
        if (made := wire.made()) is not None:
            return await _checked(made.response, self, options)
        with _sending:
            options = wire.request.options_of(self, options)
            if any(attempt.exchange.filter for attempt in wire.attempts) and not _decodes(self, options):
                options = readable(options)
        try:
            response = await original(self, method, str_or_url, **options)
        except BaseException as error:
            _failed(wire, error)
            raise
        with _watching:
            answer = Answered(response, _decodes(self, options))
            wire.answered(answer)
            wire.tee(answer, answer.tee)
            return response
        # An answer of an unknown make: that there was a call is recorded all the same.
        wire.failed(TypeError())
        return response

    return _request


def _decodes(session: Any, options: Mapping[str, Any]) -> bool:
    wanted = options.get("auto_decompress")
    return bool(session.auto_decompress if wanted is None else wanted)


def _failed(wire: Wire, error: BaseException) -> None:
    """No answer came; or one that `raise_for_status` has thrown away, of which the head is known."""
    status = getattr(error, "status", 0)
    if status and error.__cause__ is None:
        headers = getattr(error, "headers", None) or {}
        wire.answered(SimpleNamespace(status_code=status, headers=Heads(headers)))
        for attempt in wire.attempts:
            attempt.finish(Outcome.ABORTED, error)
    wire.failed(error)


# -- the answer


class Answered:
    """The answer of aiohttp, as the head of httpx's; its body is watched while it is fed."""

    is_stream_consumed = False
    is_closed = False

    def __init__(self, response: Any, decodes: bool) -> None:
        self.response = response
        self.status_code: int = response.status
        self.stream: Any = response.content
        self.elapsed: Any = None
        headers = response.headers
        if decodes and headers.get("content-encoding", "").lower() in DECODED:
            headers = headers.copy()
            del headers["content-encoding"]
        self.headers = Heads(headers, lambda name, value: add(response, {name: value}))

    @property
    def content(self) -> bytes:
        """The body, of an answer made by us."""
        body: bytes = self.response._body
        return body

    def read(self) -> bytes:
        """Give the body, of an answer made by us."""
        return self.content

    def tee(self, reader: Any, attempt: Attempt) -> Any:
        """Have an attempt see the body."""
        watch(self.response, reader, attempt)
        return reader


class Made:
    """What is made of aiohttp for one request: another request, or an answer in place of the provider's."""

    def __init__(self, session: Any, asked: Asked) -> None:
        self._session = session
        self._asked = asked

    def changed(self, request: Any, headers: list[tuple[bytes, bytes]], body: bytes | None) -> Asked:
        """Return the request that goes out in place of the one asked for, with other headers and another body."""
        made: Asked = request.changed(headers, body)
        made.asked = self._asked
        return made

    def byte_stream(self, body: bytes) -> bytes:
        """Give a body as `response` takes it."""
        return body

    def response(
        self, status: int, *, headers: Sequence[tuple[str, str]], stream: bytes, **_: Any
    ) -> Answered:
        """Make an answer that has come already."""
        from aiohttp import RequestInfo, StreamReader
        from aiohttp.base_protocol import BaseProtocol
        from aiohttp.helpers import TimerNoop
        from multidict import CIMultiDict, CIMultiDictProxy

        session, url = self._session, self._asked.url.yarl
        kind, loop = session._response_class, session._loop
        heads: Any = CIMultiDictProxy(CIMultiDict())
        options = {
            "writer": None,
            "continue100": None,
            "timer": TimerNoop(),
            "request_info": RequestInfo(url, self._asked.method, heads, url),
            "traces": [],
            "loop": loop,
            "session": session,
            "stream_writer": SimpleNamespace(output_size=0),
        }
        known = inspect.signature(kind.__init__).parameters
        made = kind(self._asked.method, url, **{name: options[name] for name in options if name in known})
        made.status, made.reason = status, http.HTTPStatus(status).phrase
        made._headers = CIMultiDictProxy(CIMultiDict(headers))
        made._raw_headers = tuple((encode(name), encode(value)) for name, value in headers)
        made.content = StreamReader(BaseProtocol(loop), len(stream) + 1, loop=loop)
        made.content.feed_data(stream)
        made.content.feed_eof()
        made._body = stream
        return Answered(made, decodes=False)


async def _checked(response: Any, session: Any, options: Mapping[str, Any]) -> Any:
    """Do with an answer of ours what the caller wants done with errors."""
    wanted = options.get("raise_for_status")
    wanted = session._raise_for_status if wanted is None else wanted
    if callable(wanted):
        await wanted(response)
    elif wanted:
        response.raise_for_status()
    return response
