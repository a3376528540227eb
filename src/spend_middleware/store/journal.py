"""The journal: a finished call is on local disk before its caller goes on, and stays until the database has it."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from spend_middleware.store.facts import call_id_in, journaled_row
from spend_middleware.store.own_files import OwnFiles, Sync
from spend_middleware.store.records import (
    MARK,
    PROVISIONAL,
    ROW,
    UNMARK,
    Damage,
    Values,
    read_frames,
)
from spend_middleware.store.segments import SEGMENT_BYTES, Segment, folder_bytes, has_others

logger = logging.getLogger("spend_middleware.store")

_now = time.monotonic

MEMORY_ROWS = 4_000
"""Rows kept in memory for the writer; further ones are read back from the journal."""

UNJOURNALED_ROWS = 2_000
"""Rows kept in memory that the journal would not take, while the database takes rows."""

MEMORY_ONLY_ROWS = 100_000
"""Rows kept in memory where there is no journal at all."""

PINNED_SEGMENTS = 4
"""Segments that may wait for calls under way alone; what older ones pin is written again."""


class Entry(Struct, gc=False):
    """A row on its way into the database.

    Args:
        number: Its place among all rows of this process.
        row: The row, or the facts that it is made of as they are journaled: few bytes, for as long as it waits.
        segment: Where it is journaled; None if it is in memory only.
        marked: The segment that holds its call's start mark or provisional row.
        at: When it was appended (monotonic seconds).
    """

    number: int
    row: Values | bytes
    segment: Segment | None
    marked: Segment | None
    at: float

    @property
    def values(self) -> Values:
        """The row; made of a call's facts by the writer, and once."""
        row = self.row
        if isinstance(row, bytes):
            row = self.row = journaled_row(row)
        return row


class Journal(OwnFiles):
    """The live journal of one process; every method may be called from any thread.

    Args:
        folder: Where owners' folders are; None keeps everything in memory.
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
        super().__init__(folder, max_bytes=max_bytes, sync=sync, segment_bytes=segment_bytes)
        self.backlog: deque[Entry] = deque()
        self.database_takes_rows = False  # the writer says so
        self.refused = 0
        self.unjournaled = 0
        self.last_error: str | None = None
        self._forget()
        _journals.add(self)

    def _forget(self) -> None:
        super()._forget()
        self._pid = os.getpid()
        self._open: dict[str, Segment] = {}
        self._provisional: set[str] = set()
        self.number = 0
        self.backlog.clear()

    def after_fork(self) -> None:
        """In a forked child: drop the parent's descriptors (its locks stay with it) and begin anew."""
        if self._pid == os.getpid():
            return
        self._release_inherited()
        self.refused = self.unjournaled = 0
        self._forget()

    # -- appending; the caller holds the lock

    def put(self, kind: bytes, call_id: str, body: bytes, row: Values | bytes | None) -> bool:
        """Append one record and queue a finished row for the writer; False when it was refused."""
        segment: Segment | None = None
        if self.folder is not None:
            try:
                segment = self._write(kind, body)
            except OSError as error:
                self._could_not_write(error)
            else:
                if self.last_error is not None:
                    self._wrote()
        if row is not None and kind == ROW:
            marked = self._open.pop(call_id, None)
            if self._provisional:
                self._provisional.discard(call_id)
            if segment is None or segment.spilled or len(self.backlog) >= MEMORY_ROWS:
                return self._queue_otherwise(row, segment, marked)
            segment.uncommitted += 1
            self.number = number = self.number + 1
            self.backlog.append(Entry(number, row, segment, marked, _now()))
        elif kind == UNMARK:
            self._unpin(call_id, segment)
        elif segment is not None:
            self._pin(kind, call_id, segment)
        return True

    def _queue_otherwise(self, row: Values | bytes, segment: Segment | None, marked: Segment | None) -> bool:
        """Queue a row that is not in the journal, or leave one to the journal alone: memory is full."""
        if segment is None and not self._memory_has_room():
            self.refused += 1
            if marked is not None:
                marked.pins -= 1
            return False
        self.number += 1
        if segment is not None:
            self._spill(segment, marked)
            return True
        self.unjournaled += self.folder is not None
        self.backlog.append(Entry(self.number, row, None, marked, _now()))
        return True

    def _pin(self, kind: bytes, call_id: str, segment: Segment) -> None:
        opened = self._open
        if call_id in opened:
            opened[call_id].pins -= 1
        segment.pins += 1
        opened[call_id] = segment
        if kind == PROVISIONAL:
            self._provisional.add(call_id)

    def _unpin(self, call_id: str, segment: Segment | None) -> None:
        marked = self._open.pop(call_id, None)
        self._provisional.discard(call_id)
        if marked is None:
            return
        marked.pins -= 1
        if segment is not None and segment is not marked:
            segment.pins += 1  # what takes the mark back must not go before the mark
            marked.held.append(segment)

    def _spill(self, segment: Segment, marked: Segment | None) -> None:
        """Leave a row to the file alone: memory is full."""
        if not segment.spilled:
            segment.first_spilled = self.number
        segment.spilled += 1
        if marked is not None:
            segment.releases.append(marked)

    def _memory_has_room(self) -> bool:
        if self.folder is None:
            return len(self.backlog) < MEMORY_ONLY_ROWS
        return self.database_takes_rows and len(self.backlog) < UNJOURNALED_ROWS

    def _wrote(self) -> None:
        self.last_error = None
        logger.warning("The journal takes records again.")

    def _could_not_write(self, error: OSError) -> None:
        if self.last_error is None:
            logger.error("The journal cannot take records: %s", error)
        self.last_error = str(error)

    # -- the writer's side

    def take(self, count: int) -> list[Entry]:
        """Return up to so many rows that wait in memory, oldest first; they leave it when they are settled."""
        backlog = self.backlog
        return [backlog[place] for place in range(min(count, len(backlog)))]

    def settle(self, entries: list[Entry]) -> None:
        """Note that the rows taken are in the database (or set aside), and drop what nobody needs any more."""
        with self.lock:
            for entry in entries:
                self.backlog.popleft()
                if entry.segment is not None:
                    entry.segment.uncommitted -= 1
                if entry.marked is not None:
                    entry.marked.pins -= 1
            self._drop_done()

    def spilled(self) -> list[Segment]:
        """Return the segments that hold rows which memory had no room for, sealed and ready to be read."""
        with self.lock:
            if self._current is not None and self._current.spilled:
                self.seal()
            return [segment for segment in self._segments.values() if segment.spilled]

    def settle_spilled(self, segment: Segment) -> None:
        """Note that all rows of a spilled segment are in the database."""
        with self.lock:
            segment.spilled = 0
            for marked in segment.releases:
                marked.pins -= 1
            segment.releases.clear()
            self._drop_done()

    def look_around(self) -> bool:
        """Note how much other owners hold, and free segments that only calls under way still pin.

        Returns:
            Whether there are other owners, living or dead.
        """
        if self.folder is None:
            return False
        others = has_others(self.folder, self.owner_path)
        everybody = folder_bytes(self.folder) if others else 0
        with self.lock:
            self._others = max(0, everybody - self.bytes)
            self._room = 0
            pinned = [one for one in self._segments.values() if one.sealed and one.pins and not one.waits]
        with contextlib.suppress(OSError):  # then they stay where they are
            for segment in pinned[:-PINNED_SEGMENTS]:
                self._move_open_calls(segment)
        return others

    def _move_open_calls(self, segment: Segment) -> None:
        """Append the start marks and provisional rows of a segment again, so that it may go."""
        latest: dict[str, tuple[bytes, bytes]] = {}
        for record in read_frames(segment.path.read_bytes()):
            if not isinstance(record, Damage) and record[0] in (MARK, PROVISIONAL):
                latest[call_id_in(*record)] = record
        with self.lock:
            for call_id, (kind, body) in latest.items():
                if self._open.get(call_id) is segment:
                    self._pin(kind, call_id, self._write(kind, body))
            self._drop_done()

    # -- what is in it

    @property
    def calls_under_way(self) -> int:
        """Calls that went out and have not ended."""
        return len(self._open)

    def provisional(self) -> int:
        """Return how many provisional rows wait for their final one."""
        return len(self._provisional)

    def provisional_paths(self) -> dict[str, Path]:
        """Return the provisional rows that wait: call id and the segment that holds the row."""
        with self.lock:
            return {call_id: self._open[call_id].path for call_id in self._provisional}

    def spilled_rows(self) -> int:
        """Return how many rows are in the journal's files alone."""
        with self.lock:
            return sum(segment.spilled for segment in self._segments.values())

    def oldest_number(self) -> int | None:
        """Return the lowest number of a row that waits in memory or in a spilled segment."""
        with self.lock:
            waiting = [segment.first_spilled for segment in self._segments.values() if segment.spilled]
            with contextlib.suppress(IndexError):
                waiting.append(self.backlog[0].number)
            return min(waiting, default=None)

    def close(self) -> None:
        """Let go of everything that is done; what is not stays locked until the process ends."""
        with self.lock:
            self.seal()
            self._drop_done()
            if not self._segments and self._owner is not None:
                owner, self._owner = self._owner, None
                owner.remove()

    def abandon(self) -> None:
        """Release the lock and forget, so that another may adopt what is left."""
        with self.lock:
            self.seal()
            if self._owner is not None:
                self._owner.release()
            self._forget()


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for journal in list(_journals):
        journal.after_fork()


_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None:
    _register(after_in_child=_after_fork_in_child)
