"""Headers read and added through what both libraries keep inside, as their public methods are slow one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spend_middleware.guard import note_fault
from spend_middleware.interception.shapes import Headers, Response


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


def append(response: Response, added: Sequence[tuple[str, str]], present: Mapping[str, str]) -> None:
    """Add headers to an answer; what is there already, such as a LiteLLM proxy's own, stays.

    Args:
        response: The answer.
        added: Names in lower case, and values.
        present: The headers that the answer came with, by name in lower case.
    """
    if not added:
        return
    try:
        headers = response.headers
        entries = _entries(headers)
        if entries is getattr(headers, "_list", None):
            new = [(name.encode(), value.encode("latin-1")) for name, value in added if name not in present]
            entries.extend([(name, name, value) for name, value in new])
            return
        for name, value in added:
            if name not in present:
                # Setting a name that is not there appends it and leaves all others, also double ones, in place.
                headers[name] = value
    except Exception as fault:
        note_fault("adding headers to an answer", fault)
