"""The short fields of a multipart body that is in memory as bytes already; its files are never looked at."""

from __future__ import annotations

import re

# Where fields are looked for: SDKs write them before the file or right behind it.
_HEAD = 64 * 1024
_LONGEST = 4096
_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"\r\n]{1,200})"')
_FILE = re.compile(rb"\bfilename\*?=")


def form_fields(body: bytes, content_type: str) -> dict[str, str]:
    """Return the text fields at both ends of a multipart body, the first of each name.

    Args:
        body: The whole body.
        content_type: The header that names the boundary (RFC 7578, RFC 2046 section 5.1).
    """
    found = _BOUNDARY.search(content_type)
    if found is None or "multipart/" not in content_type.lower():
        return {}
    boundary = b"--" + found[1].strip().encode("latin-1", "replace")
    fields: dict[str, str] = {}
    ends = [body] if len(body) <= 2 * _HEAD else [body[:_HEAD], body[-_HEAD:]]
    for end in ends:
        # What stands before the first boundary and behind the last is no whole part.
        for part in end.split(boundary)[1:-1]:
            head, _, value = part.partition(b"\r\n\r\n")
            name = _NAME.search(head)
            if name is None or _FILE.search(head) or len(value) > _LONGEST:
                continue
            fields.setdefault(
                name[1].decode("utf-8", "replace"), value.removesuffix(b"\r\n").decode("utf-8", "replace")
            )
    return fields
