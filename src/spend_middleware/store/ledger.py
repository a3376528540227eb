"""Batches of rows into the database: rows, tags and rollups in one transaction, whatever the database."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, MetaData, Table, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, StatementError

from spend_middleware.errors import SpendError
from spend_middleware.store.dialects import tables_for
from spend_middleware.store.engine import Database
from spend_middleware.store.migrate import migrate
from spend_middleware.store.records import AT, Values
from spend_middleware.store.row_tags import with_plain_tags
from spend_middleware.store.spans import OPEN_DAYS

logger = logging.getLogger("spend_middleware.store")

UTC_ZONE = "UTC"
_ID = AT["id"]
# What the writer asks of it needs no more than names; the tables as classes are slow to import. A `Table`, for the
# schema of PostgreSQL is put before nothing less.
_DAYS = Table(
    "spend_name_daily",
    MetaData(),
    *map(Column, ("kind", "zone", "day", "name")),
    Column("requests", BigInteger),
)
_UNFIT = (OverflowError, ValueError, TypeError)  # out of range or of no type that a database knows
_REFUSALS = (
    "22",
    "23",
    "54",
)  # SQLSTATE classes: data exception, integrity violation, a limit of the program


_UNIQUE_VIOLATION = "23505"
_NAMED_REFUSALS = frozenset(("IntegrityError", "DataError", "InterfaceError", "ProgrammingError"))
"""Errors of SQLite's driver, and of psycopg's where it cannot pack a value, that have no SQLSTATE."""


class Ledger:
    """The database as the writer sees it.

    Args:
        database: Where.
        auto_migrate: Bring the schema up to date before the first batch.
        slots: Over how many rollup rows writers spread.
        zones: Zones besides UTC that get rollups; one that is new is filled from the rows before the first batch.
    """

    def __init__(
        self, database: Database, *, auto_migrate: bool = True, slots: int = 1, zones: tuple[str, ...] = ()
    ) -> None:
        self.database = database
        self._auto_migrate = auto_migrate
        self._named_zones = zones
        self._slot = secrets.randbelow(slots)
        self._tables = tables_for(database.address)
        self._ready = False
        self._preparing = threading.Lock()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone."""
        self._preparing = threading.Lock()
        self.database.after_fork()

    def prepare(self) -> None:
        """Connect, and bring the schema up to date, once; again where the file has become another one.

        Raises:
            SchemaError: The schema is not one that this version can use.
        """
        if self._ready and not self.database.moved():
            return
        with self._preparing:
            if self._ready and self.database.moved():
                logger.error(
                    "The file of %s was removed or replaced: it is opened anew.", self.database.address
                )
                self.database.close()
                self._ready = False
            due = not self._ready
            if due:
                migrate(self.database, auto=self._auto_migrate)
                self.database.opened()
                self._ready = True
        if due and self._named_zones:
            # The tables as classes are slow to import, and most ledgers name no zone.
            from spend_middleware.store.zone_fill import fill_missing_zones

            fill_missing_zones(self, self._named_zones)

    def write(self, rows: Iterable[Values]) -> int:
        """Write rows that may or may not be there already, in one transaction, and return how many were new.

        The database has been prepared.
        """
        last = {row[_ID]: row for row in rows}  # the last record of a call wins
        batch = [last[call_id] for call_id in sorted(last)]
        try:
            with self.database.batch() as connection:
                return self.write_in(connection, batch, new=True)
        except Exception as error:
            if not _is_repetition(error):
                raise
        with self.database.batch() as connection:
            return self.write_in(connection, batch)

    def write_in(self, connection: Connection, batch: list[Values], *, new: bool = False) -> int:
        """Write a batch, sorted by id and each id once, in a transaction that is under way.

        Args:
            new: As a rule none of the rows is there; if one is, this may fail.
        """
        rolled = self._tables.rolled(connection)
        zones = [UTC_ZONE, *rolled.zones]
        return self._tables.write(
            connection, with_plain_tags(batch), zones, self._slot, settled=rolled.settled, new=new
        )

    def calls_over(self) -> int:
        """Return how many calls there are on days that are over long enough to be settled."""
        self.prepare()
        last = datetime.now(UTC).date() - timedelta(days=OPEN_DAYS)
        kept = _DAYS.c
        total = (kept.kind == "total", kept.zone == UTC_ZONE, kept.name == "", kept.day <= last.isoformat())
        with self.database.engine.connect() as connection:
            return int(connection.scalar(select(func.sum(kept.requests)).where(*total)) or 0)

    def answers(self) -> bool:
        """Say whether the database answers now."""
        try:
            with self.database.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except Exception:
            return False
        return True


def _is_repetition(error: Exception) -> bool:
    return getattr(error, "sqlstate", None) == _UNIQUE_VIOLATION


def is_refusal(error: Exception) -> bool:
    """Say whether a database refused what a row holds, so that trying again is no use."""
    if isinstance(error, SpendError):  # the schema or the settings, not the row
        return False
    if isinstance(error, DBAPIError):
        return not error.connection_invalidated and _refuses(error.orig)
    if isinstance(error, StatementError):
        return isinstance(error.orig, _UNFIT)
    return _refuses(error)


def _refuses(error: BaseException | None) -> bool:
    """Say so of a driver's own error."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_REFUSALS)
    return isinstance(error, _UNFIT) or type(error).__name__ in _NAMED_REFUSALS


def said(error: BaseException) -> str:
    """Return what an error says in one line, without the statement and its parameters (they may be private)."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    # PostgreSQL's own line alone: its details show the row.
    stated = getattr(getattr(cause, "diag", None), "message_primary", None)
    text = " ".join((stated or str(cause)).split())
    return f"{type(cause).__name__}: {text}"[:500]
