"""The files of one living process's journal: records appended whole, segment after segment, within a limit."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import Literal

from pydantic_core import to_json

from spend_middleware.store.records import COLUMNS, HEADER, framed
from spend_middleware.store.segments import SEGMENT_BYTES, Owner, Segment, claim

_HEADER = framed(HEADER, to_json(COLUMNS))
_write = os.write

Sync = Literal["off", "always"] | float


class JournalFullError(OSError):
    """The journal holds as much as it may."""


class OwnFiles:
    """The segments that this process writes; callers hold the lock but where a method says otherwise.

    Args:
        folder: Where owners' folders are; None where nothing is written.
        max_bytes: Beyond this (all owners together) new records are refused.
        sync: When records are forced to disk.
        segment_bytes: When the next segment is begun.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        max_bytes: int = 1 << 30,
        sync: Sync = "off",
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self._max_bytes = max_bytes
        self._sync = sync
        self._segment_bytes = segment_bytes

    def _forget(self) -> None:
        """Start with nothing: at first, and in a forked child, whose records are the parent's to write."""
        self._owner: Owner | None = None
        self._current: Segment | None = None
        self._segments: dict[int, Segment] = {}
        self._others = 0
        self._room = 0
        self._unsynced = False

    def _release_inherited(self) -> None:
        """In a forked child: drop the parent's descriptors; its locks stay with it."""
        self.lock = threading.Lock()
        for segment in self._segments.values():
            with contextlib.suppress(OSError):
                segment.close()
        if self._owner is not None:
            self._owner.release()

    def _write(self, kind: bytes, body: bytes) -> Segment:
        """Append one record, and return the segment that holds it.

        Raises:
            OSError: It could not be written whole; then nothing of it was.
        """
        record = framed(kind, body)
        size = len(record)
        segment = self._current
        if segment is None or size > self._room:
            segment = self._room_for(size)
            if segment.size == 0:
                record = _HEADER + record
                size = len(record)
        try:
            if _write(segment.fd, record) != size:
                raise OSError(errno.ENOSPC, "only a part of the record fitted", str(segment.path))
        except BaseException:
            with contextlib.suppress(OSError):  # half a record must not stand before the next one
                os.ftruncate(segment.fd, segment.size)
            raise
        segment.size += size
        self._room -= size
        if self._sync != "off":
            self._note_written(segment)
        return segment

    def _note_written(self, segment: Segment) -> None:
        if self._sync == "always":
            _force(segment.fd)
        else:
            self._unsynced = True

    def _room_for(self, size: int) -> Segment:
        """Return a segment that has room for a record, and for the header that the first one comes with.

        What more may be written to it before this is asked again is noted.
        """
        segment = self._current
        if segment is None or segment.size + size > self._segment_bytes:
            segment = self._next_segment()
        header = 0 if segment.size else len(_HEADER)
        room = self._max_bytes - self._others - self.bytes
        if header + size > room:
            raise JournalFullError(errno.ENOSPC, f"the journal holds its limit of {self._max_bytes} bytes")
        self._room = min(room, self._segment_bytes - segment.size)
        return segment

    def _next_segment(self) -> Segment:
        self.seal()
        if self._owner is None:
            self._claim()
        owner = self._owner
        assert owner is not None  # noqa: S101
        number = max(self._segments, default=0) + 1
        try:
            segment = owner.create(number)
        except FileNotFoundError:  # somebody deleted the folder under us
            self._claim()
            segment = self._owner.create(number)  # type: ignore[union-attr]
        self._segments[number] = self._current = segment
        return segment

    def _claim(self) -> None:
        if self.folder is None:
            return
        if self._owner is not None:
            self._owner.release()
        self._owner = claim(self.folder)

    def seal(self) -> None:
        """End the open segment; the next record begins another one. The caller holds the lock."""
        segment, self._current = self._current, None
        if segment is None:
            return
        if self._sync != "off":
            _force(segment.fd)
        segment.sealed = True
        segment.close()

    def _drop_done(self) -> None:
        """Unlink sealed segments that are done, and empty the open one when all in it is in the database."""
        for segment in list(self._segments.values()):
            if segment.done and segment.sealed:
                self._drop(segment)
                segment.path.unlink(missing_ok=True)
                del self._segments[segment.number]
            elif segment.done and segment.size:
                with contextlib.suppress(OSError):
                    os.ftruncate(segment.fd, 0)
                    self._drop(segment)

    def _drop(self, segment: Segment) -> None:
        segment.size = 0
        self._room = 0
        for holder in segment.held:
            holder.pins -= 1
        segment.held.clear()

    def force(self) -> None:
        """Force what was written since the last time to disk."""
        with self.lock:
            if not self._unsynced or self._current is None:
                return
            self._unsynced = False
            fd = os.dup(self._current.fd)
        try:
            _force(fd)
        finally:
            os.close(fd)

    @property
    def bytes(self) -> int:
        """The bytes of this process's segments."""
        return sum([segment.size for segment in list(self._segments.values())])

    @property
    def owner_path(self) -> Path | None:
        """This process's own folder, None before its first record."""
        return None if self._owner is None else self._owner.path


def _force(fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(fd)
