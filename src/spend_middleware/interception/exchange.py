"""One call as bytes: what was sent, what came back, when, and how it ended. Knows no HTTP library and does no I/O."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """How the body of an answer ended."""

    COMPLETE = "complete"
    ABORTED = "aborted"
    BROKEN = "broken"
    NO_ANSWER = "no_answer"


class Answer:
    """An answer made by us in place of the provider's, such as a budget refusal."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Exchange:
    """One wire attempt, from the moment it goes out until its answer is closed."""

    __slots__ = (
        "answer",
        "call_id",
        "chunks",
        "drop_headers",
        "ended",
        "error",
        "first_byte",
        "headers",
        "method",
        "new_body",
        "outcome",
        "request_body",
        "request_headers",
        "route",
        "started",
        "state",
        "status",
        "url",
    )

    def __init__(
        self,
        route: object,
        method: str,
        url: str,
        request_headers: Sequence[tuple[str, str]],
        request_body: bytes | None,
    ) -> None:
        self.route = route
        self.method = method
        self.url = url
        self.request_headers = request_headers
        self.request_body = request_body
        self.started = time.time()
        # -- set by the observer in `opened`
        self.call_id = ""
        self.new_body: bytes | None = None
        self.drop_headers: Sequence[str] = ()
        self.answer: Answer | None = None
        self.state: object = None
        # -- set while the answer comes in
        self.status: int | None = None
        self.headers: Sequence[tuple[str, str]] = ()
        self.first_byte: float | None = None
        self.ended: float | None = None
        self.chunks: list[bytes] = []
        self.outcome: Outcome | None = None
        self.error: str | None = None


class Observer(Protocol):
    """What interception needs of the house; the recorder is one. No method may raise or block."""

    def recognise(self, method: str, host: str, path: str) -> object | None:
        """Return the route of a request that is to be metered, None for all other traffic."""

    def opened(self, exchange: Exchange) -> None:
        """See a request before it goes out; may set call_id, new_body, drop_headers, answer and state."""

    def answered(self, exchange: Exchange) -> Sequence[tuple[str, str]]:
        """See status and headers of a streamed answer; return the headers to add to it."""

    def finished(self, exchange: Exchange) -> Sequence[tuple[str, str]]:
        """See the whole exchange, once; return the headers to add to an answer that was not streamed."""
