"""Headers read and added through what both libraries keep inside, as their public methods are slow one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter, methodcaller
from typing import Any

from spend_middleware.guard import note_fault
from spend_middleware.interception.exchange import NONE_ADDED, Added
from spend_middleware.interception.late import ADDED, late_class
from spend_middleware.interception.shapes import Headers, Response

# What neither a wire format nor anything else here reads, though nearly every message carries it. A header that is not
# known is always read.
_UNREAD = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "accept-ranges", "cache-control", "connection"),
        *(
            "content-length",
            "cookie",
            "date",
            "etag",
            "expires",
            "host",
            "keep-alive",
            "last-modified",
            "pragma",
        ),
        *(
            "server",
            "set-cookie",
            "strict-transport-security",
            "transfer-encoding",
            "user-agent",
            "vary",
            "via",
        ),
        *(
            "alt-svc",
            "cf-cache-status",
            "cf-ray",
            "nel",
            "report-to",
            "server-timing",
            "x-content-type-options",
        ),
        *("x-frame-options", "x-xss-protection", "referrer-policy", "x-envoy-upstream-service-time"),
        *("openai-organization", "openai-processing-ms", "openai-project", "openai-version"),
        *("anthropic-organization-id", "anthropic-version", "anthropic-beta", "x-robots-tag"),
    }
)
_UNREAD_STARTS = ("access-control-", "x-ratelimit-", "anthropic-ratelimit-", "x-stainless-")
_READ_ALL_THE_SAME = "x-stainless-retry-count"


_Places = tuple[int, tuple[str, ...], Callable[[Any], Any]]
"""How many headers there are, the names of those that anybody reads, and what takes their entries, as many, out of all."""

_MOST_KNOWN = 1000
_LARGEST_KNOWN = 4096
"""Bytes of header names; a message with more is no usual one, and is not remembered."""

_lower_name, _value = itemgetter(1), itemgetter(2)
_text = methodcaller("decode", "latin-1")


def _is_read(name: str) -> bool:
    return name not in _UNREAD and (not name.startswith(_UNREAD_STARTS) or name == _READ_ALL_THE_SAME)


def _places_of(names: bytes) -> _Places | None:
    """Return where the headers stand that anybody reads; None when one of them stands twice, or fewer than two.

    Args:
        names: The names of all headers, each on a line of its own.
    """
    listed = names.decode("latin-1").split("\n")
    read = {at: name for at, name in enumerate(listed) if _is_read(name)}
    if len(read) < 2 or len(set(read.values())) < len(read):  # an `itemgetter` of one place gives no tuple
        return None
    return len(listed), tuple(read.values()), itemgetter(*read)


class _Known(dict[bytes, _Places | None]):
    """Where to look in headers of certain names: one client sends, and one host answers, the same ones each time."""

    def __missing__(self, names: bytes) -> _Places | None:
        places = _places_of(names)
        if len(self) < _MOST_KNOWN and len(names) < _LARGEST_KNOWN:
            self[names] = places
        return places


_known = _Known()


_with_list: dict[type, type] = {}
"""The classes of headers that are known to keep what `entries_of` gives in a list -> what is late in adding to it."""


def entries_of(headers: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Give name, name in lower case and value of each header: the list inside of both libraries' headers.

    Their public methods look through all headers again for each one. Another version's headers are read through them.
    """
    if type(headers) in _with_list:
        known: list[tuple[bytes, bytes, bytes]] = headers._list
        return known
    inside = getattr(headers, "_list", None)
    if type(inside) is list and inside and len(inside[0]) == 3 and hasattr(headers, "_encoding"):
        own = type(headers)
        _with_list[own] = late_class(own)
        return inside
    return [(name, name.lower(), value) for name, value in headers.raw]


def decode_headers(headers: Headers) -> dict[str, str]:
    """Return the headers that anybody here reads, by name in lower case; of one that stands there twice, all values."""
    return _decoded(entries_of(headers))


def _decoded(entries: Sequence[tuple[bytes, bytes, bytes]]) -> dict[str, str]:
    places = _known[b"\n".join(map(_lower_name, entries))]
    # By their number a name is found out that has a line break in it, as a test's may.
    if places is not None and places[0] == len(entries):
        _, texts, take = places
        return dict(zip(texts, map(_text, map(_value, take(entries))), strict=True))
    found: dict[str, str] = {}
    for _, lower, value in entries:
        name = lower.decode("latin-1")
        if _is_read(name):
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def glance(headers: Any) -> tuple[bytes, Callable[[], Mapping[str, str]]]:
    """Return all names and values of an answer's headers run together, and what decodes them as they are now.

    Headers of nothing but ASCII, as nearly all are, are told so: whoever asks them for one makes them find it out, by
    decoding each twice. Ours, which are added later, do not change it.
    """
    entries = entries_of(headers)
    head = b"".join(chain.from_iterable(entries))
    if type(headers) in _with_list and headers._encoding is None and head.isascii():
        headers._encoding = "ascii"
    return head, partial(_decoded, tuple(entries))


def append(response: Response, added: Added) -> None:
    """Add headers to an answer; what is there already, such as a LiteLLM proxy's own, stays.

    Args:
        response: The answer.
        added: Makes them; it may be asked only once somebody looks for them.
    """
    if added is NONE_ADDED:
        return
    try:
        headers: Any = response.headers
        late = _with_list.get(type(headers))
        if late is not None:
            headers.__dict__[ADDED] = added
            headers.__class__ = late
            return
        for raw, value in added().items():
            name = raw.decode("latin-1")
            if name not in headers:
                # Setting a name that is not there appends it and leaves all others, also double ones, in place.
                headers[name] = value.decode("latin-1")
    except Exception as fault:
        note_fault("adding headers to an answer", fault)
