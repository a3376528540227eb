"""Records that no database would take: kept in a named file with the reason, counted, never a stop."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from pathlib import Path

from spend_middleware.store.records import COLUMNS, Values
from spend_middleware.store.segments import SET_ASIDE_NAME

logger = logging.getLogger("spend_middleware.store")


class SetAside:
    """The file of records that were set aside.

    Args:
        folder: The journal's folder; None keeps only the count.
    """

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / SET_ASIDE_NAME
        self._lock = threading.Lock()
        self._here = 0

    def after_fork(self) -> None:
        """In a forked child: a thread of the parent's may have held the lock."""
        self._lock = threading.Lock()
        self._here = 0

    def row(self, values: Values, reason: str) -> None:
        """Set a row aside."""
        self._write({"reason": reason, "row": dict(zip(COLUMNS, values, strict=True))}, reason)

    def damage(self, source: str, found: bytes, reason: str) -> None:
        """Set a damaged part of a segment aside."""
        self._write({"reason": reason, "segment": source, "bytes": base64.b64encode(found).decode()}, reason)

    def __len__(self) -> int:
        if self.path is None:
            return self._here
        try:
            with self.path.open("rb") as lines:
                return sum(1 for _ in lines)
        except OSError:
            return self._here

    def _write(self, record: dict[str, object], reason: str) -> None:
        line = json.dumps({"at": time.time(), **record}, default=str).encode() + b"\n"
        with self._lock:
            self._here += 1
            if self.path is not None:
                try:
                    fd = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
                    try:
                        os.write(fd, line)
                    finally:
                        os.close(fd)
                except OSError as error:
                    reason = f"{reason}; it could not be written to {self.path} either: {error}"
        logger.error("A record was set aside%s: %s", f" in {self.path}" if self.path else "", reason)
