"""What is read of a request before it goes out, and the copy that goes out in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spend_middleware.interception.exchange import Exchange
from spend_middleware.interception.form import form_fields
from spend_middleware.interception.heads import decode_headers, entries_of
from spend_middleware.interception.shapes import Library


def exchange_of(route: object, request: Any, origin: str, path: str) -> Exchange:
    """Open an exchange with what of a request is in memory already; nothing else of it is touched."""
    body = _body(request)
    if not body or (body[:1] != b"{" and body.lstrip()[:1] not in (b"{", b"[")):
        body = None
    headers = decode_headers(request.headers)
    exchange = Exchange(route, request.method, request.url, origin, path, headers, body)
    if not body:
        exchange.request_form = _form(request)
    return exchange


def _body(request: Any) -> bytes | None:
    """Give a body that is in memory; None for an upload or a stream, which is never buffered."""
    try:
        body: bytes = request.content
    except Exception:
        # RequestNotRead, of either library.
        return None
    return body


def _form(request: Any) -> Mapping[str, str] | None:
    """Give the short text fields of a multipart body, which say the model of an upload."""
    fields = getattr(request.stream, "fields", None)
    if not isinstance(fields, list):
        return _form_in_memory(request)
    form: dict[str, str] = {}
    for part in fields:
        value = getattr(part, "value", None)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str) and len(value) <= 4096:
            form.setdefault(part.name, value)
    return form


def _form_in_memory(request: Any) -> Mapping[str, str] | None:
    """Give the short text fields of a multipart body that its caller has put together himself."""
    kind: str = request.headers.get("content-type", "")
    body = _body(request) if "multipart/" in kind else None
    return form_fields(body, kind) or None if body else None


def rewritten(request: Any, exchange: Exchange, library: Library) -> Any:
    """Return the request to send where its body or headers are to differ: a copy, so that the caller's own stays."""
    body = exchange.new_body
    gone = [name.lower().encode("latin-1") for name in exchange.drop_headers]
    new: dict[bytes, bytes] = {}
    if body is not None:
        new[b"content-length"] = b"%d" % len(body)
    if exchange.filter is not None:
        new[b"accept-encoding"] = b"identity"  # what is to be filtered must arrive readable
    entries = entries_of(request.headers)
    headers = [(name, new.get(lower, value)) for name, lower, value in entries if lower not in gone]
    return library.changed(request, headers, body)
