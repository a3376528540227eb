"""The ASGI middleware: says who an inbound request is for, and puts what its calls cost on the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from starlette.types import Message, Send
from starlette.types import Scope as ASGIScope

from spend_middleware.attribution import Scope, current_scope

Headers = list[tuple[bytes, bytes]]


class Ledger(Protocol):
    """What the middleware needs of a `Spend`."""

    def instrument(self) -> object:
        """Meter every httpx, httpx2 and aiohttp client of this process."""

    def start(self) -> None:
        """Open the database and the journal, off the caller's thread."""

    def inbound(self, headers: Headers, client: str | None) -> Scope | Callable[[], Awaitable[Scope]]:
        """Return the scope of a request, or a coroutine function that finds it where a key must be looked up."""

    def answer_headers(self, scope: Scope) -> Sequence[tuple[bytes, bytes]]:
        """Return the headers that say what the calls of a scope cost so far."""


class SpendMiddleware:
    """Pure ASGI middleware for http and websocket; all other scopes pass.

    An unhandled exception's 500 is written outside of every added middleware and so carries no cost header.

    Args:
        app: The application inside.
        spend: The `Spend` that records.
        instrument: Also meter every HTTP client of the process; False where `spend.transport()` is used.
    """

    def __init__(self, app: Any, spend: Ledger, instrument: bool = True) -> None:
        self.app = app
        self.spend = spend
        if instrument:
            spend.instrument()

    # Frameworks type ASGI's three arguments each in their own way; `Any` is what all of them take.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one connection: take the scope of who pays, run the app in it, put the cost on its answer."""
        if scope["type"] not in ("http", "websocket") or self.spend in scope.get("spend", ()):
            await self.app(scope, receive, send)
            return
        scope["spend"] = (*scope.get("spend", ()), self.spend)
        client = scope.get("client")
        found = self.spend.inbound(scope["headers"], client[0] if client else None)
        inbound = found if isinstance(found, Scope) else await found()
        token = current_scope.set(inbound)
        try:
            if scope["type"] == "http":
                send = _Answer(self.spend, inbound, scope, send)
            await self.app(scope, receive, send)
        finally:
            current_scope.reset(token)


class _Answer:
    """A `send` that adds our headers, and a trailer where the cost is known only after the body."""

    __slots__ = ("_inbound", "_own_trailers", "_scope", "_send", "_spend")

    def __init__(self, spend: Ledger, inbound: Scope, scope: ASGIScope, send: Send) -> None:
        self._spend = spend
        self._inbound = inbound
        self._scope = scope
        self._send = send
        self._own_trailers = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            message = self._started(message)
        elif kind == "http.response.trailers" and not message.get("more_trailers", False):
            message = {**message, "headers": [*message.get("headers", ()), *self._known()]}
        await self._send(message)
        if self._own_trailers and kind == "http.response.body" and not message.get("more_body", False):
            self._own_trailers = False
            await self._send(
                {"type": "http.response.trailers", "headers": list(self._known()), "more_trailers": False}
            )

    def _known(self) -> Sequence[tuple[bytes, bytes]]:
        return self._spend.answer_headers(self._inbound)

    def _started(self, message: Message) -> Message:
        headers: Headers = list(message.get("headers", ()))
        streamed = _is_stream(headers)
        if self._inbound.opened or streamed:
            headers.extend(self._known())
            message = {**message, "headers": headers}
        if streamed and not message.get("trailers") and self._trailers_wanted():
            self._own_trailers = True
            message = {**message, "trailers": True}
        return message

    def _trailers_wanted(self) -> bool:
        if "http.response.trailers" not in (self._scope.get("extensions") or {}):
            return False
        return any(name == b"te" and b"trailers" in value.lower() for name, value in self._scope["headers"])


def _is_stream(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return not any(name.lower() == b"content-length" for name, _ in headers)
