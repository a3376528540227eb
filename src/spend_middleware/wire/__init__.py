"""What bytes on the wire mean: who was called, what was asked, and what the answer says that it used."""

from __future__ import annotations

import logging

from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.table import recognise

__all__ = ["READERS", "Reading", "Received", "Route", "Sent", "read", "recognise"]

READERS: dict[str, Reader] = {}
"""The reader of each wire format; every format file adds its own rows below."""

_logger = logging.getLogger("spend_middleware.wire")


def read(route: Route, sent: Sent, received: Received) -> Reading:
    """Return what an answer says; an answer that its reader cannot read is a Reading without usage."""
    try:
        return READERS[route.wire_format](route, sent, received)
    except Exception as error:
        _logger.debug("unreadable answer", exc_info=True)
        return Reading(usage_note=f"unreadable: {type(error).__name__}")
