"""A request of aiohttp in the shape that all requests are read in, and the options that send it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from spend_middleware.interception.attempt import MARK, mark_of_host


class Heads:
    """Headers of aiohttp, as httpx has them."""

    def __init__(
        self, headers: Mapping[str, str], added: Callable[[bytes, bytes], None] | None = None
    ) -> None:
        self._headers = headers
        self._added = added
        self._names: set[object] = set()

    @functools.cached_property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All headers, in order."""
        return [(encode(name), encode(value)) for name, value in self._headers.items()]

    def __contains__(self, name: object) -> bool:
        return name in self._headers or name in self._names

    def __setitem__(self, name: str, value: str) -> None:
        self._names.add(name)
        if self._added is not None:
            self._added(encode(name), encode(value))

    def get(self, name: str, default: str = "") -> Any:
        """Give one header."""
        return self._headers.get(name, default)


def encode(text: str) -> bytes:
    """Give a header as aiohttp writes it."""
    return text.encode("utf-8", "surrogateescape")


class RawHeads:
    """Headers that are bytes already."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw


class Address:
    """A URL of yarl, as httpx has it."""

    __slots__ = ("netloc", "raw_path", "scheme", "yarl")

    def __init__(self, url: Any) -> None:
        self.yarl = url
        self.scheme: str = url.scheme
        host = url.host or ""
        port = "" if url.is_default_port() or url.port is None else f":{url.port}"
        # As httpx gives it: an IPv6 address in brackets, the port where it is not the scheme's own.
        self.netloc = (f"[{host}]{port}" if ":" in host else f"{host}{port}").encode()
        self.raw_path: bytes = url.raw_path.encode()

    def __str__(self) -> str:
        return str(self.yarl)


class Asked:
    """A request that is about to be made; what only a metered one needs is found when it is asked for.

    Args:
        method: The HTTP method.
        url: Where it goes.
        headers: All headers, the session's own too.
        content: The body, if it is in memory.
        stream: Something with `fields`, the text fields of a form.
        extensions: The mark, if a metered client above sends its request through this one.
    """

    def __init__(
        self,
        method: str,
        url: Address,
        *,
        headers: Any = None,
        content: bytes | None = None,
        stream: Any = None,
        extensions: Any = None,
    ) -> None:
        self.method = method
        self.url = url
        self.stream = stream
        self.extensions: dict[str, Any] = extensions or {}
        self.asked: Asked | None = None
        self._content = content
        self._headers = headers
        self._source: tuple[Any, Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, session: Any, method: str, str_or_url: Any, options: Mapping[str, Any]) -> Asked | None:
        """Describe a call of `_request`; None where aiohttp will object to its URL."""
        try:
            url = session._build_url(str_or_url)
            if params := options.get("params"):
                url = url.update_query(params)
        except Exception:
            # ValueError and TypeError, or AssertionError before aiohttp 3.12.
            return None
        address = Address(url)
        found = cls(method.upper(), address, stream=_Fields(options.get("data")))
        found._source = session, options
        if (mark := mark_of_host(address.netloc)) is not None:
            found.extensions = {MARK: mark}
        return found

    @property
    def headers(self) -> Heads:
        """All headers that the caller has set."""
        if self._headers is None and self._source is not None:
            session, options = self._source
            self._headers = Heads(session._prepare_headers(options.get("headers")))
        found: Heads = self._headers
        return found

    @property
    def content(self) -> bytes:
        """The body; an upload or a stream has none."""
        if self._content is None and self._source is not None:
            self._content = _body(*self._source)
        if self._content is None:
            raise ValueError("The body is not in memory.")
        return self._content

    def changed(self, headers: list[tuple[bytes, bytes]], body: bytes | None) -> Asked:
        """Return the same request with other headers and, unless it is None, another body."""
        content = self._content if body is None else body
        return Asked(
            self.method,
            self.url,
            headers=RawHeads(headers),
            content=content,
            stream=self.stream if content is None else None,
            extensions=self.extensions,
        )

    def options_of(self, session: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options to send this request with, in place of those that the caller gave."""
        if options.get("json") is None and self.asked is None:
            return options
        options = dict(options)
        if self._content is not None:
            _set_body(options, self._content, self.asked is not None)
        if self.asked is not None:
            before, after = (dict(heads.raw) for heads in (self.asked.headers, self.headers))
            if before != after:
                _set_headers(session, options, self.headers.raw, before.keys() - after.keys())
        return options


class _Fields:
    """The text fields of a form that is yet to be written; its files are left alone."""

    def __init__(self, form: Any) -> None:
        self._form = form

    @property
    def fields(self) -> list[Any] | None:
        form = self._form
        if isinstance(form, Mapping):
            return [SimpleNamespace(name=name, value=value) for name, value in form.items()]
        parts = getattr(form, "_fields", None)
        if not isinstance(parts, list):
            return None
        return [
            SimpleNamespace(name=said["name"], value=value)
            for said, _, value in parts
            if "filename" not in said
        ]


def _body(session: Any, options: Mapping[str, Any]) -> bytes | None:
    """Give a body that is in memory, as aiohttp will write it; None for all else, and where aiohttp will object."""
    body, asked = options.get("data"), options.get("json")
    try:
        if asked is not None:
            if body is not None:
                return None
            dumps = getattr(session, "_json_serialize_bytes", None)
            return bytes(dumps(asked)) if dumps is not None else session.json_serialize(asked).encode()
        if isinstance(body, _payload()):
            body = body._value
        if isinstance(body, str):
            return body.encode()
        return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else None
    except Exception:
        # Such as an argument that is no JSON: the caller hears of it from aiohttp.
        return None


def _payload() -> Any:
    import aiohttp

    return aiohttp.BytesPayload


def _set_body(options: dict[str, Any], body: bytes, changed: bool) -> None:
    payload = _payload()
    given = options.get("data")
    if options.pop("json", None) is not None:
        # As aiohttp's own JsonPayload makes it, so that a large body is put into words only once.
        options["data"] = payload(body, encoding="utf-8", content_type="application/json")
    elif not changed:
        return
    elif isinstance(given, str):
        options["data"] = body.decode()
    elif isinstance(given, payload):
        options["data"] = payload(body, content_type=given.content_type)
    else:
        options["data"] = body


def _set_headers(
    session: Any, options: dict[str, Any], headers: Sequence[tuple[bytes, bytes]], gone: set[bytes]
) -> None:
    from multidict import CIMultiDict

    options["headers"] = CIMultiDict(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in headers
    )
    names = [name.decode() for name in gone if name.decode() in session.headers]
    # A session adds its own headers to each request. Only a client middleware can take one out again, and they came
    # with aiohttp 3.12: before that such a header leaves, which providers overlook.
    if names and hasattr(session, "_middlewares"):
        theirs = options.get("middlewares")
        theirs = session._middlewares if theirs is None else theirs

        async def without(request: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
            for name in names:
                request.headers.popall(name, None)
            return await send(request)

        options["middlewares"] = (*theirs, without)


def readable(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that ask for an answer without a content encoding."""
    from multidict import CIMultiDict

    headers = CIMultiDict(options.get("headers") or ())
    headers["Accept-Encoding"] = "identity"
    return {**options, "headers": headers}
