"""Headers read and added through what both libraries keep inside, as their public methods are slow one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spend_middleware.guard import Guard
from spend_middleware.interception.shapes import Headers, Response

_adding = Guard("adding headers to an answer")


class _Names(dict[bytes, str]):
    """Header names as text; they are few, and a look-up is several times faster than decoding."""

    def __missing__(self, name: bytes) -> str:
        text = name.decode("latin-1")
        if len(self) < 1000:
            self[name] = text
        return text


_names = _Names()


def _entries(headers: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Give name, name in lower case and value of each header: the list inside of both libraries' headers.

    Their public methods look through all headers again for each one. Another version's headers are read through them.
    """
    inside = getattr(headers, "_list", None)
    if type(inside) is list and inside and len(inside[0]) == 3:
        return inside
    return [(name, name.lower(), value) for name, value in headers.raw]


def decode_headers(headers: Headers) -> dict[str, str]:
    """Return headers by name in lower case; of one that stands there more than once, all values."""
    found: dict[str, str] = {}
    for _, lower, value in _entries(headers):
        name, text = _names[lower], value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def append(response: Response, added: Sequence[tuple[str, str]]) -> None:
    """Add headers to an answer; what is there already, such as a LiteLLM proxy's own, stays."""
    if not added:
        return
    with _adding:
        entries = _entries(response.headers)
        present = {lower for _, lower, _ in entries}
        inside = entries is getattr(response.headers, "_list", None)
        for name, value in added:
            raw = name.encode("latin-1")
            if raw in present:
                continue
            if inside:
                entries.append((raw, raw, value.encode("latin-1")))
            else:
                # Setting a name that is not there appends it and leaves all others, also double ones, in place.
                response.headers[name] = value
