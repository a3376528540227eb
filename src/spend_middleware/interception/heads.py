"""Headers read and added through what both libraries keep inside, as their public methods are slow one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spend_middleware.guard import note_fault
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


class _Names(dict[bytes, str]):
    """Header names as text, empty for those that nobody reads; a look-up is several times as quick as decoding."""

    def __missing__(self, name: bytes) -> str:
        text = name.decode("latin-1")
        if text in _UNREAD or (text.startswith(_UNREAD_STARTS) and text != _READ_ALL_THE_SAME):
            text = ""
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
    """Return the headers that anybody here reads, by name in lower case; of one that stands there twice, all values."""
    found: dict[str, str] = {}
    for _, lower, value in _entries(headers):
        name = _names[lower]
        if name:
            text = value.decode("latin-1")
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
