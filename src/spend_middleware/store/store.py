"""The store: takes finished calls from any thread without ever blocking or raising, and has them in the database soon."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spend_middleware.call import Call
from spend_middleware.costs import MeteredCall
from spend_middleware.settings import Settings
from spend_middleware.store.chores import Chores
from spend_middleware.store.facts import Started, encode_call, encode_metered, encode_started
from spend_middleware.store.journal import Journal
from spend_middleware.store.lane import Lane
from spend_middleware.store.parts import Parts
from spend_middleware.store.places import journal_folder
from spend_middleware.store.records import (
    COLUMNS,
    MARK,
    PROVISIONAL,
    ROW,
    UNMARK,
    Values,
    encode_row,
    values_of,
)
from spend_middleware.store.segments import folder_bytes, prepare_folder
from spend_middleware.store.setaside import SetAside
from spend_middleware.store.writer import Writer

if TYPE_CHECKING:
    from spend_middleware.store.upkeep import Upkeep

logger = logging.getLogger("spend_middleware.store")

CLOSE_SECONDS = 5.0
"""How long `close` waits for the database; what is not written by then stays in the journal."""

EXIT_SECONDS = 2.0

HELD_SECONDS = 0.25
"""How long who wants the writer to hold still waits for the end of its batch."""


class Store(Parts):
    """Journal, writer and database of one `Spend`; several may share one database, in one process or many.

    Args:
        settings: The knobs under "the database and the journal".
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._pid = os.getpid()
        self._ready = False
        self._failures = 0
        self._chores = Chores(retains=bool(settings.retention_days))
        self._journal: Journal
        self._lane: Lane
        self._writer: Writer
        self.folder: Path | None = None
        _stores.add(self)

    # -- lifecycle

    def start(self) -> None:
        """Open the journal and start the writer thread; idempotent, and done by the first `append` otherwise."""
        with self._opening:
            if not self._ready:
                self._open()
                self._import()
            self._writer.start()

    def _open(self) -> None:
        settings = self._settings
        self.folder = self._usable_folder()
        sync = settings.journal_sync
        self._journal = Journal(self.folder, max_bytes=settings.journal_max_bytes, sync=sync)
        self._lane = Lane(self._journal)
        self._set_aside = SetAside(self.folder)
        self._writer = Writer(
            self._journal,
            lambda: self.ledger,
            self._set_aside,
            batch_size=settings.batch_size,
            batch_seconds=settings.batch_seconds,
            sync_seconds=sync if isinstance(sync, float | int) else None,
            chores=self._do_chores,
        )
        self._ready = True
        atexit.register(_close_at_exit, weakref.ref(self))

    def _import(self) -> None:
        """Import SQLAlchemy and the driver here, on the caller's thread, and not on the writer's.

        Two threads that import parts of one package at the same time may get half a module each (Python breaks their
        deadlock so), and the other thread may well be the host's, on its way through `from sqlalchemy.orm import ...`.
        """
        # What is wrong with the database is the writer's to say.
        with contextlib.suppress(Exception):
            _ = self.ledger

    def _do_chores(self) -> float:
        return self._chores(self.ledger, lambda: self.upkeep)

    def _usable_folder(self) -> Path | None:
        try:
            folder = journal_folder(self._settings)
            if folder is None:
                logger.warning(
                    "The database is in memory: so is the journal, and nothing survives this process."
                )
                return None
            prepare_folder(folder)
        except Exception as error:
            logger.warning("No journal, calls that wait are kept in memory only: %s", error)
            return None
        return folder

    def after_fork(self) -> None:
        """In a forked child: everything is the parent's, begin anew."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._opening = threading.RLock()
        if self._ready:
            self._journal.after_fork()
            self._lane.reset()
            self._writer.reset()
            self._set_aside.after_fork()
        if self._ledger is not None:
            self._ledger.after_fork()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what waits, within a bound, and let go; what is not written stays in the journal. Idempotent."""
        if self._pid != os.getpid():
            return
        if self._ready:
            if self._writer.running:
                self._settle_provisional()
                # A database that does not answer is not waited for: the journal has all that it misses.
                if self.folder is None or not self._writer.failing:
                    self.flush(timeout)
                self._writer.stop(timeout)
            self._journal.close()
        if self._database is not None and not (self._ready and self._writer.alive):
            self._database.close()

    def _settle_provisional(self) -> None:
        """Let provisional rows count as they are: who closes knows that no better ones follow."""
        waiting = self._journal.provisional_paths()
        if waiting:
            from spend_middleware.store.recovery import provisional_rows

            for values in provisional_rows(waiting, self._set_aside):
                self.append(dict(zip(COLUMNS, values, strict=True)))

    # -- recording

    def append(self, row: Mapping[str, Any], *, provisional: bool = False) -> None:
        """Take one finished call: in the journal when this returns, in the database soon; never raises.

        Args:
            row: Columns of `spend_logs`; missing ones get their defaults.
            provisional: A better row with the same id follows: this one is kept in the journal alone and is written
                only if the process dies before.
        """
        try:
            body, values = encode_row(values_of(row))
            self._take(PROVISIONAL if provisional else ROW, values[0], body, values)
        except Exception as error:
            self._not_taken(error)

    def append_call(self, call: Call, *, provisional: bool = False) -> None:
        """Take one finished call; as `append`, but its row is made by the writer, off the caller's path."""
        try:
            body = encode_call(call)
            self._take(PROVISIONAL if provisional else ROW, call.call_id, body, body)
        except Exception as error:
            self._not_taken(error)

    def append_metered(self, call: MeteredCall) -> None:
        """Take one finished call; as `append_call`, but its cost is multiplied by the writer too."""
        try:
            body = encode_metered(call)
            self._take(ROW, call.call_id, body, body)
        except Exception as error:
            self._not_taken(error)

    def _take(self, kind: bytes, call_id: str, body: bytes, row: Values | bytes) -> None:
        if not self._ready:
            self._begin()
        if self._lane.put(kind, call_id, body, row):
            self._writer.notice(len(self._journal.backlog))
        else:
            self._refused("the journal is full")
        if not self._writer.running:
            with contextlib.suppress(Exception):  # no thread can start while the interpreter ends
                self._begin()

    def _not_taken(self, error: Exception) -> None:
        self._failures += 1
        self._refused(repr(error))

    def mark(self, started: Started) -> None:
        """Note that a call goes out, so that a row says so if this process dies before it ends; never raises."""
        try:
            if not self._ready:
                self._begin()
            self._lane.put(MARK, started[0], encode_started(started), None)
        except Exception as error:
            logger.debug("A start mark was not written: %s", error)

    def unmark(self, call_id: str) -> None:
        """Note that a call that was marked leaves no row after all; never raises."""
        try:
            if self._ready and self._pid == os.getpid():
                self._lane.put(UNMARK, call_id, call_id.encode(), None)
        except Exception as error:
            logger.debug("A start mark was not taken back: %s", error)

    def _begin(self) -> None:
        self.after_fork()
        self.start()

    def _refused(self, reason: str) -> None:
        count = self._journal.refused + self._failures if self._ready else self._failures
        if count & (count - 1) == 0:  # the first, second, fourth, eighth ... of them
            logger.error("%d finished call(s) could not be recorded, the latest because %s.", count, reason)

    # -- asking

    @property
    def upkeep(self) -> Upkeep:
        """What changes the ledger beside the writer: adjusting, verifying, importing, forgetting."""
        from spend_middleware.store.upkeep import Upkeep

        return Upkeep(self, self._settings)

    def flush(self, timeout: float = 5.0) -> int:
        """Wait until all calls appended so far, and what dead processes left, are in the database.

        Returns:
            0, or how many calls are not in the database after `timeout` seconds; these stay in the journal.
        """
        until = time.monotonic() + timeout
        if self._ready and self._pid == os.getpid() and self._writer.alive and not self._writer.running:
            self._writer.stop(timeout)  # it is just ending: let it, and start another one
        self._begin()
        while (self._lane.waiting() or self._journal.provisional()) and time.monotonic() < until:
            time.sleep(0.005)
        done = self._writer.wait(self._journal.number, max(0.0, until - time.monotonic()))
        left = self.pending()
        return left if not done else min(left, self._lane.waiting() + self._journal.provisional())

    def pending(self) -> int:
        """Return how many finished calls are not in the database yet."""
        if not self._ready:
            return 0
        waiting = len(self._journal.backlog)
        return waiting + self._journal.spilled_rows() + self._journal.provisional() + self._lane.waiting()

    @contextlib.contextmanager
    def held(self) -> Iterator[float]:
        """Keep the writer from writing for a block, within a bound.

        Gives the moment (monotonic) since which finished calls are not in the database.
        """
        if not self.is_open:
            yield time.monotonic()
            return
        with self._writer.held(HELD_SECONDS):
            now = time.monotonic()
            oldest = self._writer.oldest_at
            yield now if oldest is None else oldest

    @property
    def is_open(self) -> bool:
        """Whether the journal is open and the writer at work."""
        return self._ready and self._pid == os.getpid() and self._writer.running

    def health(self) -> dict[str, Any]:
        """Return how the store is: the database, the queue, the journal, and what went wrong."""
        if not self._ready:
            self._begin()
        journal, writer = self._journal, self._writer
        oldest, trouble = writer.oldest_at, writer.trouble
        journal_bytes = journal.bytes if self.folder is None else folder_bytes(self.folder)
        return {
            "database": "unreachable"
            if trouble
            else "connected"
            if journal.database_takes_rows
            else "starting",
            "database_reachable": journal.database_takes_rows and trouble is None,
            "pending": self.pending(),
            "queue": len(journal.backlog),
            "calls_under_way": journal.calls_under_way,
            "journal": None if self.folder is None else str(self.folder),
            "journal_bytes": journal_bytes,
            "oldest_seconds": 0.0 if oldest is None else max(0.0, time.monotonic() - oldest),
            "written": writer.written,
            "recovered": writer.recovered,
            "retries": writer.retries,
            "set_aside": len(self._set_aside),
            "refused": journal.refused + self._failures,
            "unjournaled": journal.unjournaled,
            "degraded": self._lane.degraded,
            "last_error": trouble or journal.last_error,
        }


_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store.after_fork()


def _close_at_exit(reference: Callable[[], Store | None]) -> None:
    store = reference()
    if store is not None:
        with contextlib.suppress(Exception):
            store.close(EXIT_SECONDS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
