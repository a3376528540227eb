"""Where calls are seen: `send` of the clients of httpx and httpx2, and transports. The only file that knows either.

Clients of another kind have a file of their own, and are one of the `_seams`.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from types import ModuleType
from typing import Any, ClassVar

from spend_middleware.interception import aiohttp_client
from spend_middleware.interception.attempt import Wire, books_of, open_wire
from spend_middleware.interception.exchange import Observer
from spend_middleware.interception.streams import (
    AsyncReplay,
    AsyncTee,
    SyncReplay,
    SyncTee,
    aread_ahead,
    read_ahead,
)

LIBRARIES = ("httpx", "httpx2")
"""One may be missing, and `httpx2.alias_httpx()` makes both names one module."""


class Classes:
    """The classes of one library that we need, and ours made of them."""

    def __init__(self, library: Any) -> None:
        self.headers: Any = library.Headers
        self.response: Any = library.Response
        self.byte_stream: Any = library.ByteStream
        self.sync_tee = type("SpendStream", (SyncTee, library.SyncByteStream), {})
        self.async_tee = type("AsyncSpendStream", (AsyncTee, library.AsyncByteStream), {})
        self.sync_replay = type("SpendReplay", (SyncReplay, library.SyncByteStream), {})
        self.async_replay = type("AsyncSpendReplay", (AsyncReplay, library.AsyncByteStream), {})

    def changed(self, request: Any, headers: list[tuple[bytes, bytes]], body: bytes | None) -> Any:
        """Return a copy of a request with other headers and, unless it is None, another body."""
        # Neither its constructor, which would work out anew what stays, nor `copy`, which leaves the stream behind.
        made = object.__new__(type(request))
        vars(made).update(vars(request), headers=self.headers(headers))
        if body is not None:
            vars(made).pop("_content", None)
            made.stream = self.byte_stream(body)
            made.read()
        return made


_classes: dict[type, Classes] = {}


def _classes_of(kind: type) -> Classes | None:
    """Give the classes of the library of a kind of request, which may be somebody's subclass of the library's own."""
    for parent in kind.__mro__:
        root = parent.__module__.partition(".")[0]
        if root in LIBRARIES:
            library: Any = sys.modules[root]
            known = _classes.get(library.Request) or Classes(library)
            _classes[library.Request] = _classes[kind] = known
            return known
    return None


def _open(request: Any, observers: tuple[Observer, ...]) -> Wire | None:
    classes = _classes.get(type(request)) or _classes_of(type(request))
    return None if classes is None else open_wire(request, classes, observers)


def _modules() -> list[ModuleType]:
    """Give the libraries that are installed, each once."""
    found: list[ModuleType] = []
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            if module not in found:
                found.append(module)
    return found


# -- transports


class _Transport:
    """A transport around another one; whatever is not ours is asked of the inner one."""

    def __init__(self, inner: Any, observer: Observer) -> None:
        self._inner = inner
        self._spend_observers = (observer,)

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)


class _SyncTransport(_Transport):
    def __enter__(self) -> Any:
        self._inner.__enter__()
        return self

    def __exit__(self, *exc: object) -> Any:
        return self._inner.__exit__(*exc)

    def close(self) -> None:
        self._inner.close()

    def handle_request(self, request: Any) -> Any:
        wire = _open(request, self._spend_observers)
        if wire is None:
            return self._inner.handle_request(request)
        if (made := wire.made()) is not None:
            return made
        try:
            response = self._inner.handle_request(wire.request)
        except BaseException as error:
            wire.failed(error)
            raise
        wire.answered(response)
        library = wire.library
        if not wire.reads_ahead(response):
            wire.tee(response, library.sync_tee)
            return response
        try:
            read = read_ahead(response.stream, wire.limit)
        except BaseException as error:
            wire.cut(error)
            response.close()
            raise
        wire.put_back(response, read, library.sync_replay, library.sync_tee)
        return response


class _AsyncTransport(_Transport):
    async def __aenter__(self) -> Any:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> Any:
        return await self._inner.__aexit__(*exc)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        wire = _open(request, self._spend_observers)
        if wire is None:
            return await self._inner.handle_async_request(request)
        if (made := wire.made()) is not None:
            return made
        try:
            response = await self._inner.handle_async_request(wire.request)
        except BaseException as error:
            wire.failed(error)
            raise
        wire.answered(response)
        library = wire.library
        if not wire.reads_ahead(response):
            wire.tee(response, library.async_tee)
            return response
        try:
            read = await aread_ahead(response.stream, wire.limit)
        except BaseException as error:
            wire.cut(error)
            await response.aclose()
            raise
        wire.put_back(response, read, library.async_replay, library.async_tee)
        return response


_KINDS = (
    ("handle_request", _SyncTransport, "BaseTransport"),
    ("handle_async_request", _AsyncTransport, "AsyncBaseTransport"),
)

_transports: dict[type, Any] = {}


def wrap_transport(inner: Any, observer: Observer) -> Any:
    """Return a transport of the same library and kind as the inner one, whose LLM calls the observer sees."""
    kind = type(inner)
    if kind not in _transports:
        _transports[kind] = _transport_class(kind)
    return _transports[kind](inner, observer)


def _transport_class(inner: type) -> Any:
    """Make the class of transports around an inner one: sync, async or, for mocks, both."""
    kinds = [kind for kind in _KINDS if hasattr(inner, kind[0])]
    if not kinds:
        raise TypeError(f"{inner.__qualname__} is no transport of httpx or httpx2: it handles no requests")
    # Their base classes come last: the methods that they leave to be overridden must not hide ours.
    theirs = [
        base
        for _, _, name in kinds
        for module in _modules()
        if issubclass(inner, base := getattr(module, name))
    ]
    return type("SpendTransport", (*(ours for _, ours, _ in kinds), *theirs), {})


# -- clients


class _Watch:
    """Who observes all clients; replaced as a whole, so that a call in flight keeps the tuple it began with."""

    observers: tuple[Observer, ...] = ()
    """Those of `known` that see: of several that write to the same books the last, so that one call is one row."""
    known: tuple[Observer, ...] = ()
    lock = threading.Lock()
    originals: ClassVar[dict[Any, Any]] = {}
    """Our functions, each with the one that it took the place of."""


def _observers() -> tuple[Observer, ...]:
    return _Watch.observers


def _seams() -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    """Give each class of clients, the name of the method that all its calls go through, and what watches that."""
    for module in _modules():
        yield module.Client, "send", _watched
        yield module.AsyncClient, "send", _awatched
    for session in aiohttp_client.sessions():
        yield session, "_request", lambda original: aiohttp_client.watched(original, _observers)


def _last_of_each(known: tuple[Observer, ...]) -> tuple[Observer, ...]:
    return tuple({books_of(observer): observer for observer in known}.values())


def instrument(observer: Observer) -> None:
    """Have an observer see the LLM calls of every client in this process, existing ones too; idempotent."""
    with _Watch.lock:
        if not any(known is observer for known in _Watch.known):
            _Watch.known = (*_Watch.known, observer)
            _Watch.observers = _last_of_each(_Watch.known)
        for client, name, watched in _seams():
            original = getattr(client, name)
            if not _is_watched(original):
                ours = watched(original)
                _Watch.originals[ours] = original
                setattr(client, name, ours)


def uninstrument(observer: Observer) -> None:
    """Undo `instrument`; with the last observer the clients get their own methods back."""
    with _Watch.lock:
        _Watch.known = tuple(known for known in _Watch.known if known is not observer)
        _Watch.observers = _last_of_each(_Watch.known)
        if _Watch.observers:
            return
        for client, name, _ in _seams():
            # What another tool has wrapped around ours since stays; ours, below it, then only passes on.
            while (now := getattr(client, name)) in _Watch.originals:
                setattr(client, name, _Watch.originals[now])


def _is_watched(send: Any) -> bool:
    while send is not None:
        if send in _Watch.originals:
            return True
        send = getattr(send, "__wrapped__", None)
    return False


def _watched(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        wire = _open(request, _Watch.observers)
        if wire is None:
            return original(self, request, stream=stream, **options)
        if (made := wire.made()) is not None:
            if not stream:
                made.read()
            return made
        try:
            response = original(self, wire.request, stream=True, **options)
        except BaseException as error:
            wire.failed(error)
            raise
        wire.answered(response)
        if stream:
            wire.tee(response, wire.library.sync_tee)
            return response
        try:
            response.read()
        except BaseException as error:
            wire.cut(error)
            response.close()
            raise
        wire.whole(response, response.content)
        return response

    return send


def _awatched(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        wire = _open(request, _Watch.observers)
        if wire is None:
            return await original(self, request, stream=stream, **options)
        if (made := wire.made()) is not None:
            if not stream:
                await made.aread()
            return made
        try:
            response = await original(self, wire.request, stream=True, **options)
        except BaseException as error:
            wire.failed(error)
            raise
        wire.answered(response)
        if stream:
            wire.tee(response, wire.library.async_tee)
            return response
        try:
            await response.aread()
        except BaseException as error:
            wire.cut(error)
            await response.aclose()
            raise
        wire.whole(response, response.content)
        return response

    return send
