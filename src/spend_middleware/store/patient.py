"""Writing rows for as long as it takes: what fails is tried again, and what the database refuses is set aside."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from spend_middleware.store.journal import Journal
from spend_middleware.store.records import Values, without_nulls
from spend_middleware.store.setaside import SetAside

if TYPE_CHECKING:
    from spend_middleware.store.ledger import Ledger

logger = logging.getLogger("spend_middleware.store")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0

HELD_SECONDS = 1.0
"""How long a batch waits for who holds the writer."""

SILENT_SECONDS = 30.0
"""A database that has not answered for so long does not take rows: one that hangs gives no error."""


class Stopped(Exception):
    """The writer was told to stop before its rows could be written; they stay in the journal."""


class PatientWriter:
    """Writes rows into a ledger, whatever becomes of the database meanwhile.

    Args:
        journal: Is told whether the database takes rows.
        make_ledger: Gives the database; called where rows are written, because SQLAlchemy is slow to import.
        set_aside: Where records go that the database refuses.
    """

    def __init__(self, journal: Journal, make_ledger: Callable[[], Ledger], set_aside: SetAside) -> None:
        self._journal = journal
        self._make_ledger = make_ledger
        self._set_aside = set_aside

    def reset(self) -> None:
        """Start with nothing written: at first, and in a forked child."""
        self.last_error: str | None = None
        self.retries = 0
        self.written = 0
        self.failing = False
        self._prepared = False
        self._began: float | None = None
        self._stop = threading.Event()
        self.fork_lock = threading.RLock()

    def after_fork(self) -> None:
        """In a forked child: nobody holds the lock, whoever held it in the parent."""
        self.fork_lock = threading.RLock()

    @property
    def trouble(self) -> str | None:
        """What keeps the database from taking rows, if anything does."""
        began = self._began
        silent = 0.0 if began is None else time.monotonic() - began
        if self.last_error is None and silent > SILENT_SECONDS:
            return f"the database has not answered for {silent:.0f} s"
        return self.last_error

    @contextlib.contextmanager
    def held(self, patience: float) -> Iterator[None]:
        """Keep batches and whoever else holds the writer apart, within a bound, while the database takes rows."""
        mine = not self.failing and self.fork_lock.acquire(timeout=patience)
        try:
            yield
        finally:
            if mine:
                self.fork_lock.release()

    def write(self, rows: list[Values]) -> None:
        """Write rows, trying again for as long as it takes; what the database refuses is set aside.

        Raises:
            Stopped: The writer was told to stop.
        """
        from spend_middleware.store.ledger import is_refusal, said

        pause = FIRST_PAUSE
        while True:
            error = self._attempt(rows)
            if error is None:
                return
            if self._prepared and is_refusal(error) and rows:
                if len(rows) == 1:
                    mended = without_nulls(rows[0])
                    if mended == rows[0]:
                        self._set_aside.row(rows[0], said(error))
                    else:
                        self.write([mended])
                else:
                    half = len(rows) // 2
                    self.write(rows[:half])
                    self.write(rows[half:])
                return
            self._failed(error)
            self.retries += 1
            if self._stop.wait(pause * random.uniform(0.5, 1.5)):  # noqa: S311
                raise Stopped
            pause = min(pause * 2, LONGEST_PAUSE)

    def _attempt(self, rows: list[Values]) -> Exception | None:
        """Write rows once; return what went wrong."""
        if self._stop.is_set() and self.failing:
            raise Stopped
        self._prepared = False
        try:
            # No fork in the middle of a transaction: what SQLite knows of its locks is copied with the process, and a
            # child would wait for ever for a lock that nobody in it holds (https://www.sqlite.org/howtocorrupt.html,
            # section 2.6, "Carrying an open database across a fork").
            with self.held(HELD_SECONDS):
                ledger = self._make_ledger()
                ledger.prepare()
                self._prepared = True
                self._began = time.monotonic()  # now, as a migration takes its time
                if rows:
                    self.written += ledger.write(rows)
        except Exception as error:
            return error
        finally:
            self._began = None
        if self.failing:
            logger.warning("The database takes rows again.")
        self.failing = False
        self.last_error = None
        self._journal.database_takes_rows = True
        return None

    def _failed(self, error: Exception) -> None:
        from spend_middleware.store.ledger import said

        self.last_error = said(error)
        self._journal.database_takes_rows = False
        if not self.failing:
            self.failing = True
            kept = "in memory" if self._journal.folder is None else f"in the journal ({self._journal.folder})"
            logger.error(
                "The database cannot be written to: %s. Calls are kept %s meanwhile.", self.last_error, kept
            )
