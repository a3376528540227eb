"""One call as bytes: what was sent, what came back, when, and how it ended. Knows no HTTP library and does no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from spend_middleware.interception.body import Kept, decoded

MAX_BODY_BYTES = 16 << 20


Added = Callable[[], Mapping[bytes, bytes]]
"""Makes the headers that are added to an answer, by name in lower case."""


def NONE_ADDED() -> Mapping[bytes, bytes]:  # noqa: N802 - a constant
    """No headers are added."""
    return {}


_NOTHING = Kept(0)
_NO_HEADERS: Mapping[str, str] = {}


class Outcome(StrEnum):
    """How the body of an answer ended."""

    COMPLETE = "complete"
    ABORTED = "aborted"
    BROKEN = "broken"
    NO_ANSWER = "no_answer"


# A member is looked up on its class in a hundredth of a microsecond in Python 3.12, and in twenty times that before.
_ABORTED = Outcome.ABORTED


class Answer:
    """An answer made by us in place of the provider's, such as a budget refusal."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Exchange(Struct, eq=False):
    """One wire attempt, from the moment it goes out until its answer is closed.

    Args:
        route: What the observer recognised.
        method: The HTTP method.
        address: The whole URL, or what `str` makes one of; its query may hold a key.
        origin: Scheme, host and port of it.
        path: Its path.
        request_headers: The request's headers, by name in lower case.
        request_body: The body when it is JSON and was in memory already; None for uploads and streams.
        request_form: The short text fields of a multipart upload, such as "model"; its files are never looked at.
        started: Seconds since the epoch, UTC; so are `first_byte` and `ended`.
    """

    route: object
    method: str
    address: object
    origin: str
    path: str
    request_headers: Mapping[str, str]
    request_body: bytes | None
    request_form: Mapping[str, str] | None = None
    started: float = field(default_factory=time.time)

    # -- may be set by the observer in `opened`
    call_id: str = ""
    new_body: bytes | None = None
    drop_headers: Sequence[str] = ()
    answer: Answer | None = None
    filter: Callable[[bytes], bytes] | None = None
    """Applied to the chunks of a streamed answer before the caller gets them; b"" asks for what it holds back."""
    max_body_bytes: int = MAX_BODY_BYTES
    state: object = None

    # -- set before `opened`
    seen_before: bool = False
    """Whether another observer sees the same request: tallies count it once."""

    # -- set while the answer comes in
    status: int | None = None
    head: bytes | None = None
    """The names and values of the answer's headers run together, names in lower case among them; None: not known."""
    streamed: bool = False
    first_byte: float | None = None
    ended: float | None = None
    kept: Kept = _NOTHING
    outcome: Outcome | None = None
    error: str | None = None
    _headers: Mapping[str, str] | None = None
    _decode: Callable[[], Mapping[str, str]] | None = None
    whole: bool = True
    """Whether `content`, once it was asked for, is all that came: nothing lost to the limit or a damaged encoding."""
    _content: bytes | None = None

    def begin(self, status: int, head: bytes, decode: Callable[[], Mapping[str, str]]) -> None:
        """Take status and headers of the answer; these are made once somebody reads them.

        Args:
            head: What `self.head` is to be, for those who only have to know that a header is not there.
            decode: Makes the headers, by name in lower case.
        """
        self.status = status
        self.head = head
        self._decode = decode

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers, by name in lower case; empty before they came."""
        if self._headers is None:
            if self._decode is None:
                return _NO_HEADERS
            self._headers = self._decode()
        return self._headers

    def keep(self) -> Kept:
        """Return where the chunks of the answer's body are kept."""
        if self.kept is _NOTHING:
            self.kept = Kept(self.max_body_bytes)
        return self.kept

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the answer's body, as they are on the wire."""
        if self.first_byte is None:
            self.first_byte = time.time()
        self.keep().add(chunk)

    def adopt(self, chunks: list[bytes]) -> None:
        """Take a whole body that is within the limit, as it is on the wire."""
        self.first_byte = time.time()
        if "content-encoding" in self.headers:
            self.keep().head = chunks
        else:
            self._content = chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def take(self, content: bytes) -> None:
        """Take a body that the client has read and decoded already."""
        self._content = content
        self.first_byte = self.first_byte or time.time()

    def close(self, outcome: Outcome, error: str | None = None) -> bool:
        """End the exchange; True for the first call, later ones change nothing."""
        if self.outcome is not None:
            return False
        if outcome is _ABORTED and error is None and b"[DONE]" in self.content()[-64:]:
            # The openai SDK closes a stream at its end marker, before the connection says that it has ended.
            # All of it is here, though the trailer of an encoding may not be.
            outcome, self.whole = Outcome.COMPLETE, not self.kept.lost
        self.outcome = outcome
        self.error = error
        self.ended = time.time()
        return True

    def content(self) -> bytes:
        """Return the answer's body with its content encoding taken off; of a damaged one, what could be decoded."""
        if self._content is None:
            encoding = self.headers.get("content-encoding")
            if encoding:
                self._content, self.whole = decoded(self.kept, encoding, self.max_body_bytes)
            else:
                self._content, self.whole = self.kept.join(), not self.kept.lost
        return self._content

    @property
    def damaged(self) -> bool:
        """Whether the encoding of the body was damaged; of a body beyond the limit nobody here can tell."""
        return not self.whole and not self.kept.lost and len(self.content()) < self.max_body_bytes // 2


class Observer(Protocol):
    """What interception needs of the house; the recorder is one. No method may raise or block."""

    def recognise(self, method: str, host: str, path: str) -> object | None:
        """Return the route of a request that is to be metered, None for all other traffic."""

    def opened(self, exchange: Exchange) -> None:
        """See a request before it goes out; may set call_id, new_body, drop_headers, answer, filter and state."""

    def answered(self, exchange: Exchange) -> Added:
        """See status and headers of a streamed answer; return the headers to add to it."""

    def finished(self, exchange: Exchange) -> Added:
        """See the whole exchange, once; return the headers to add to an answer that was not streamed."""
