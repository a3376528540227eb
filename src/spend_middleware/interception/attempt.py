"""What is done around one request, without I/O: open its exchange, watch its answer, have it recorded once."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import timedelta
from functools import lru_cache
from typing import Any

from msgspec import Struct

from spend_middleware.guard import Guard, note_fault
from spend_middleware.interception.exchange import NONE_ADDED, Added, Answer, Exchange, Observer, Outcome
from spend_middleware.interception.heads import append, glance
from spend_middleware.interception.outgoing import exchange_of, rewritten
from spend_middleware.interception.shapes import Library, Response

MARK = "spend"
"""Our name in the `extensions` of a request that is being sent."""

WHOLE = ("application/json", "text/plain")
"""Content types of answers that nobody reads piece by piece."""

_answering = Guard("reading an answer")
_COMPLETE = Outcome.COMPLETE


def books_of(observer: Observer) -> object:
    """Return what names the books that an observer writes to: itself, where it does not say."""
    return getattr(observer, "books", None) or id(observer)


class Mark(list[Observer]):
    """The observers that see a request already; it goes down to transports, and along redirects."""

    __slots__ = ("host",)

    host: bytes
    """Where the request goes, with the port if it is not the scheme's own."""


_within: ContextVar[Mark | None] = ContextVar("spend_middleware_within", default=None)
"""The mark of the request that this context is sending: one request object may be sent twice at once."""


def mark_of_host(host: bytes) -> Mark | None:
    """Return the mark of the request that this context is sending, if it goes to this host.

    For a client that carries the requests of another one, and is told nothing of their `extensions`.
    """
    mark = _within.get()
    return mark if mark is not None and mark.host == host else None


class Attempt(Struct, eq=False, gc=False):
    """One exchange and its observer."""

    observer: Observer
    exchange: Exchange

    def finish(self, outcome: Outcome, error: BaseException | None = None) -> Added:
        """Close the exchange and have it recorded, once; return the headers for the caller's answer."""
        try:
            if self.exchange.close(outcome, None if error is None else type(error).__name__):
                return self.observer.finished(self.exchange)
        except Exception as fault:
            note_fault("recording a call", fault)
        return NONE_ADDED

    def cut(self, error: BaseException) -> None:
        """End the exchange with what broke its body off: the upstream, or the caller's cancellation."""
        self.finish(Outcome.BROKEN if isinstance(error, Exception) else Outcome.ABORTED, error)


class ReadAhead(Struct, eq=False):
    """What was read of a body before its caller asked: chunks, what broke it, or the rest beyond the limit."""

    chunks: list[bytes] = []
    error: Exception | None = None
    rest: Any = None


class Wire(Struct, eq=False, gc=False):
    """What is metered of one request: its attempts, the request to send, and what becomes of the answer.

    Args:
        library: The library of the request.
        request: The request to send, without what is ours.
        attempts: One for each observer that recognised it.
        outer: What was being sent around it, if anything.
    """

    library: Library
    request: Any
    attempts: list[Attempt]
    outer: Mark | None

    @property
    def limit(self) -> int:
        """How many bytes of a body may be read ahead."""
        first, *others = self.attempts
        limit = first.exchange.max_body_bytes
        return max(limit, *(one.exchange.max_body_bytes for one in others)) if others else limit

    def made(self) -> Any:
        """Return a response made by us in place of the provider's, if an observer asks for one."""
        for attempt in self.attempts:
            if attempt.exchange.answer is not None:
                with _answering:
                    return self._make(attempt.exchange.answer)
        return None

    def _make(self, answer: Answer) -> Any:
        headers = [*answer.headers, ("content-length", str(len(answer.body)))]
        stream = self.library.byte_stream(answer.body)
        response = self.library.response(answer.status, headers=headers, stream=stream, request=self.request)
        response.elapsed = timedelta(0)
        self.answered(response)
        self.whole(response, answer.body)
        return response

    def failed(self, error: BaseException) -> None:
        """No answer came."""
        _within.set(self.outer)
        outcome = Outcome.NO_ANSWER if isinstance(error, Exception) else Outcome.ABORTED
        for attempt in self.attempts:
            attempt.finish(outcome, error)

    def answered(self, response: Response) -> None:
        """Take the head of the answer."""
        _within.set(self.outer)
        try:
            head, decode = glance(response.headers)
            for attempt in self.attempts:
                attempt.exchange.begin(response.status_code, head, decode)
        except Exception as fault:
            note_fault("reading an answer", fault)

    def cut(self, error: BaseException) -> None:
        """The body broke off while the client read it."""
        for attempt in self.attempts:
            attempt.cut(error)

    def whole(self, response: Response, content: bytes) -> None:
        """Record an answer whose body the client has read, and add our headers to it."""
        for attempt in self.attempts:
            attempt.exchange.take(content)
            append(response, attempt.finish(_COMPLETE))

    def tee(self, response: Response, tee: Callable[[Any, Attempt], Any]) -> None:
        """Watch a body that the caller will read; one that was read already is recorded at once."""
        content = _content(response)
        if content is not None:
            self.whole(response, content)
            return
        for attempt in self.attempts:
            attempt.exchange.streamed = True
            with _answering:
                append(response, attempt.observer.answered(attempt.exchange))
            response.stream = tee(response.stream, attempt)

    def reads_ahead(self, response: Response) -> bool:
        """Whether a transport may read the body before it returns, so that the answer can carry its cost.

        A transport is not told whether its caller wants a stream; an answer of these types is read whole by all.
        Gemini streams a JSON array, and says so in its path.
        """
        exchange = self.attempts[0].exchange
        if not exchange.headers.get("content-type", "").startswith(WHOLE) or _content(response) is not None:
            return False
        return "stream" not in exchange.path.lower()

    def put_back(
        self, response: Response, read: ReadAhead, replay: Callable[[Any, ReadAhead], Any], tee: Any
    ) -> None:
        """Record what was read ahead, and put it back for the caller to read."""
        response.stream = replay(response.stream, read)
        if read.rest is not None:
            self.tee(response, tee)
            return
        outcome = _COMPLETE if read.error is None else Outcome.BROKEN
        for attempt in self.attempts:
            exchange = attempt.exchange
            exchange.adopt(read.chunks)
            append(response, attempt.finish(outcome, read.error))


def open_wire(request: Any, library: Library, observers: Sequence[Observer]) -> Wire | None:
    """Open an exchange for each observer that recognises the request; None when there is none.

    The request's body is looked at only when it is in memory already; nothing else of it is touched.
    """
    if _abandoned:
        settle()
    outer = _within.get()
    mark = outer if outer is not None and request.extensions.get(MARK) is outer else None
    attempts: list[Attempt] = []
    netloc = b""
    for observer in observers:
        if mark is not None and any(books_of(seen) == books_of(observer) for seen in mark):
            continue
        try:
            url = request.url
            netloc = url.netloc
            host, origin = _place(url.scheme, netloc)
            path = url.raw_path.partition(b"?")[0].decode("latin-1")
            route = observer.recognise(request.method, host, path)
            if route is not None:
                exchange = exchange_of(route, request, origin, path)
                if attempts or mark is not None:
                    exchange.seen_before = True
                observer.opened(exchange)
                if exchange.new_body is not None or exchange.drop_headers or exchange.filter is not None:
                    request = rewritten(request, exchange, library)
                attempts.append(Attempt(observer, exchange))
        except Exception as fault:
            note_fault("reading a request", fault)
    if not attempts:
        return None
    mark = Mark(mark or ())
    for attempt in attempts:
        mark.append(attempt.observer)
    mark.host = netloc
    # A copy: before httpx 0.28 the dict is the caller's own.
    request.extensions = {**request.extensions, MARK: mark}
    _within.set(mark)
    return Wire(library, request, attempts, outer)


@lru_cache(maxsize=256)
def _place(scheme: str, netloc: bytes) -> tuple[str, str]:
    """Return the host of a request and its origin."""
    # With the port: it tells Ollama from others, and the user's own rows may name it.
    host = netloc.decode("latin-1")
    return host, f"{scheme}://{host}"


def _content(response: Any) -> bytes | None:
    """Give the body of a response that was read already, as mocks and caches hand on; None when it is yet to come."""
    if response.is_stream_consumed or response.is_closed:
        with contextlib.suppress(Exception):
            content: bytes = response.content
            return content
    return None


_abandoned: deque[Attempt] = deque()


def abandon(attempt: Attempt) -> None:
    """Note an attempt whose stream was collected unclosed.

    The garbage collector runs at any point of any code, also while a lock of ours is held, so nothing is recorded
    here: `settle` does it soon.
    """
    if attempt.exchange.outcome is None:
        _abandoned.append(attempt)


def settle() -> None:
    """Record the streams that nobody closed and that are gone: before the next call opens, and before a flush."""
    while _abandoned:
        with contextlib.suppress(IndexError):
            _abandoned.popleft().finish(Outcome.ABORTED)
