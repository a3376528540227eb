"""The one thread per process that brings rows from the journal into the database, for as long as it takes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from spend_middleware import forks
from spend_middleware.guard import note_fault
from spend_middleware.store.journal import Entry, Journal
from spend_middleware.store.patient import HELD_SECONDS, LONGEST_PAUSE, PatientWriter, Stopped
from spend_middleware.store.records import Values
from spend_middleware.store.segments import Segment, orphans
from spend_middleware.store.setaside import SetAside

if TYPE_CHECKING:
    from spend_middleware.store.ledger import Ledger

logger = logging.getLogger("spend_middleware.store")

LOOK_SECONDS = 2.0
"""How often the writer looks for what dead processes left."""

FIRST_CHORES_SECONDS = 10.0
"""How long after its start the writer first does what is rarely due, such as deleting old rows."""

WHEN_BEHIND = 2
"""How many times the batch size a transaction may hold when so many rows wait: each rollup row then moves once for more."""


class Writer(PatientWriter):
    """Takes rows from the journal and writes them; see `Ledger` for what one batch is.

    Args:
        journal: Where rows come from.
        make_ledger: Gives the database; called on the writer's thread, because SQLAlchemy is slow to import.
        set_aside: Where records go that the database refuses.
        batch_size: Rows a transaction; while more wait, twice as many.
        batch_seconds: How long a row waits for others, at most.
        sync_seconds: How often the journal is forced to disk; None never.
        chores: What is to be done now and then, while no rows wait; says in how many seconds again.
    """

    def __init__(
        self,
        journal: Journal,
        make_ledger: Callable[[], Ledger],
        set_aside: SetAside,
        *,
        batch_size: int = 500,
        batch_seconds: float = 0.5,
        sync_seconds: float | None = None,
        chores: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(journal, make_ledger, set_aside)
        self._batch_size = batch_size
        self._batch_seconds = batch_seconds
        self._sync_seconds = sync_seconds
        self._chores = chores
        self.reset()
        forks.watch(self)

    def reset(self) -> None:
        """Start with no thread: at first, and in a forked child."""
        super().reset()
        self.recovered = 0
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._awake = False
        self._wake = threading.Event()
        self._full = threading.Event()
        self._progress = threading.Condition()
        self._looks = 0
        self._looked = 0
        self._hurry = 0
        self.running = False
        """True while the thread runs and has not been told to stop; a plain flag, as every call asks."""

    # -- called from any thread

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stop.clear()
            self._thread = threading.Thread(
                target=self._run, args=(os.getpid(),), name="spend-writer", daemon=True
            )
            self.running = True
            try:
                self._thread.start()
            except BaseException:
                self.running = False
                raise

    @property
    def alive(self) -> bool:
        """True until the thread has ended, which may be a while after it was told to."""
        return self._thread is not None and self._thread.is_alive()

    def notice(self, waiting: int) -> None:
        """Tell the writer that rows wait; cheap while it is awake anyway."""
        if not self._awake:
            self._awake = True
            self._wake.set()
        if waiting >= self._batch_size and not self._full.is_set():
            self._full.set()

    def wait(self, number: int, timeout: float) -> bool:
        """Wait until every row up to a number, and all that was adopted, is written; False on time-out."""
        until = time.monotonic() + timeout
        look = self._ask_for_a_look()
        with self._progress:
            self._hurry += 1
        try:
            while True:
                with self._progress:
                    if self._looked >= look and self._all_up_to(number):
                        return True
                    left = until - time.monotonic()
                    if left <= 0 or not self.running:
                        return False
                    # Woken only while there is something to wait for: once more, and it would look for nothing.
                    self._awake = True
                    self._wake.set()
                    self._full.set()
                    self._progress.wait(min(left, 0.05))
        finally:
            with self._progress:
                self._hurry -= 1

    def stop(self, timeout: float) -> None:
        """End the thread; what it has not written stays in the journal."""
        thread = self._thread
        self.running = False
        self._stop.set()
        self._wake.set()
        self._full.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    @property
    def oldest_at(self) -> float | None:
        """When the oldest row that waits in memory was appended (monotonic seconds)."""
        with contextlib.suppress(IndexError):
            return self._journal.backlog[0].at
        return None

    def _ask_for_a_look(self) -> int:
        self._looks += 1
        return self._looks

    def _all_up_to(self, number: int) -> bool:
        oldest = self._journal.oldest_number()
        return oldest is None or oldest > number

    # -- the thread

    def _run(self, pid: int) -> None:
        try:
            self._work(pid)
        finally:
            self.running = False

    def _work(self, pid: int) -> None:
        looked_at = synced_at = 0.0
        chores_at = time.monotonic() + FIRST_CHORES_SECONDS
        self._wake.set()
        while not self._stop.is_set() and os.getpid() == pid:
            now = time.monotonic()
            try:
                if self._looked < self._looks or now - looked_at >= LOOK_SECONDS:
                    looked_at = now
                    self._look()
                if self._sync_seconds is not None and now - synced_at >= self._sync_seconds:
                    synced_at = now
                    self._journal.force()
                self._drain()
                if self._chores is not None and now >= chores_at:
                    chores_at = time.monotonic() + self._chores()
            except Stopped:
                return
            except Exception as error:
                logger.exception("The writer met what it did not expect and goes on.")
                self._failed(error)
                self._stop.wait(LONGEST_PAUSE)
            self._rest()

    def _rest(self) -> None:
        """Sleep until rows come, then a little longer, so that they come in company."""
        self._awake = False
        if not self._journal.backlog:
            self._wake.wait(min(LOOK_SECONDS, self._sync_seconds or LOOK_SECONDS))
        self._wake.clear()
        self._awake = True
        # Cleared before the look at what would have set it, so that nothing is missed, and what a flush that is over has
        # left does not count: a batch of few rows costs a busy service as much as one of many.
        self._full.clear()
        waiting = len(self._journal.backlog)
        if 0 < waiting < self._batch_size and not (self._hurry or self._stop.is_set()):
            self._full.wait(self._batch_seconds)

    def _drain(self) -> None:
        """Write all that waits in memory, then what waits in files alone."""
        if not self.failing and not self._journal.database_takes_rows:
            self.write([])  # nothing to write, but health shall know whether the database answers
        while entries := self._journal.take(self._batch_size * WHEN_BEHIND):
            with self.held(HELD_SECONDS):
                self.write(self._rows_of(entries))
                self._journal.settle(entries)
            self._made_progress()
        for segment in self._journal.spilled():
            self._write_spilled(segment)

    def _rows_of(self, entries: list[Entry]) -> list[Values]:
        """Return the rows of entries; a record that no row can be made of is set aside, and the others go on."""
        rows: list[Values] = []
        for entry in entries:
            try:
                rows.append(entry.values)
            except Exception as error:
                body = entry.row if isinstance(entry.row, bytes) else repr(entry.row).encode()
                where = "memory" if entry.segment is None else str(entry.segment.path)
                # Not the error's own words: they may quote what is in the record.
                self._set_aside.damage(where, body, f"no row can be made of it: {type(error).__name__}")
        return rows

    def _write_spilled(self, segment: Segment) -> None:
        from spend_middleware.store.recovery import finished_rows, write_in_parts

        write_in_parts(finished_rows(segment.path, self._set_aside), self.write)
        self._journal.settle_spilled(segment)
        self._made_progress()

    def _look(self) -> None:
        """Adopt what dead processes left, once."""
        asked = self._looks
        folder = self._journal.folder
        # Most processes are alone with their journal: each look at a file lets go of the interpreter, and a busy service
        # gives it back only after a while.
        if self._journal.look_around() and folder is not None:
            from spend_middleware.store.recovery import adopt

            for owner in orphans(folder, self._journal.owner_path):
                try:
                    self.recovered += adopt(owner, self.write, self._set_aside)
                except OSError as error:  # it stays where it is, and the living go on
                    note_fault("taking over what a dead process left", error)
                finally:
                    owner.release()
        self._looked = asked
        if not self._journal.backlog:  # else whoever waits is woken once, when the rows are written
            self._made_progress()

    def _made_progress(self) -> None:
        with self._progress:
            self._progress.notify_all()
