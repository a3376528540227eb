"""Reading transactions for reports: one snapshot each, read-only, and bounded in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ColumnElement

from spend_middleware.errors import StoreError
from spend_middleware.store.columns import UTC_ZONE
from spend_middleware.store.report_sources import NAMES
from spend_middleware.store.report_values import Period
from spend_middleware.store.zones import Known, Window, bounded, day_end, day_start, rolled, zone_of

_STEPS_BETWEEN_LOOKS = 20_000
"""SQLite's virtual machine instructions between two looks at the clock: about a millisecond."""

_PLANS = "set_config('jit', 'off', true), set_config('parallel_setup_cost', '100000', true)"
"""PostgreSQL's settings of a reading transaction.

Most answers take a few milliseconds, less than it takes to compile their statement or to start processes that share the
work, and a report should not occupy more than one of the server's. Where calls by the million are added up it still may.
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Where and how reports read.

    Args:
        engine: The database or its replica.
        zone: The zone of days when a report names none.
        seconds: How long one reading transaction may take on SQLite, or one statement on PostgreSQL.
    """

    engine: Engine
    zone: str = UTC_ZONE
    seconds: float = 60.0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection on which all statements see one state of the ledger and none can write.

        Raises:
            StoreError: The answer took too long, or the database cannot be read.
        """
        begin = _on_sqlite if self.engine.dialect.name == "sqlite" else _on_postgres
        try:
            with begin(self.engine, self.seconds) as connection:
                yield connection
        except DBAPIError as error:
            raise StoreError(self._reason(error)) from error

    def window(self, connection: Connection, period: Period) -> Window:
        """Return a period's days in its zone, and whether the rollups have them.

        A period that holds all calls is all time, which is answered from the sums that are kept over it.
        """
        zone = zone_of(period.zone or self.zone).key
        has = rolled(connection)
        is_rolled = zone in (UTC_ZONE, *has.zones)
        own = zone if is_rolled else UTC_ZONE
        known = _known(connection, own, has.settled)
        window = Window(zone, is_rolled, bounded(period.start), bounded(period.end), known)
        if window.open or window.empty or known is None or not _holds_all(window, known, own):
            return window
        return Window(zone, is_rolled, known=known)

    def _reason(self, error: DBAPIError) -> str:
        text = str(error.orig)
        if "interrupted" in text or "statement timeout" in text:
            return f"the report took longer than {self.seconds:g} s: ask for fewer days, or for one key, team or user"
        return f"the report could not be read: {text.strip().splitlines()[0]}"


def _known(connection: Connection, zone: str, settled: str) -> Known | None:
    of_zone = (NAMES.c.kind == "total", NAMES.c.zone == zone, NAMES.c.name == "")
    # Each by itself: SQLite finds one end of an index at once, and reads all of it for both.
    ends = [select(end(NAMES.c.day)).where(*of_zone).scalar_subquery() for end in (func.min, func.max)]
    first, last = connection.execute(select(*ends)).one()
    if first is None:
        return None
    return Known(
        date.fromisoformat(first), date.fromisoformat(last), date.fromisoformat(settled) if settled else None
    )


def _holds_all(window: Window, known: Known, zone: str) -> bool:
    begins, ends = window.since, window.until
    return (begins is None or begins <= day_start(known.first, zone)) and (
        ends is None or ends >= day_end(known.last, zone)
    )


@contextmanager
def _on_postgres(engine: Engine, seconds: float) -> Iterator[Connection]:
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        own = connection.execution_options(**options)
        with own.begin() as transaction:
            limit = f"set_config('statement_timeout', '{int(seconds * 1000)}', true)"
            own.exec_driver_sql(f"SELECT {limit}, {_PLANS}")
            yield own
            if transaction.is_active:
                transaction.rollback()


@contextmanager
def _on_sqlite(engine: Engine, seconds: float) -> Iterator[Connection]:
    with engine.connect() as connection, connection.begin() as transaction:
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            connection.exec_driver_sql("BEGIN")
        end = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
        driver.execute("PRAGMA query_only = ON")
        try:
            yield connection
        finally:
            driver.set_progress_handler(None, 0)
            driver.execute("PRAGMA query_only = OFF")
            if transaction.is_active:
                transaction.rollback()


def exactly(connection: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """Return a text column to sort or compare by, in the order of its code points on both databases."""
    return column if connection.dialect.name == "sqlite" else column.collate("C")


def days_with_calls(connection: Connection, window: Window) -> list[date]:
    """Return the days of a window that have calls, ascending; in a zone without rollups, those that may have some."""
    zone = window.zone if window.rolled else UTC_ZONE
    of_zone = (NAMES.c.kind == "total", NAMES.c.zone == zone, NAMES.c.name == "")
    stored = connection.execute(select(NAMES.c.day).where(*of_zone).distinct())
    days = {date.fromisoformat(text) for (text,) in stored}
    if not window.rolled:
        days |= {day + step for day in days for step in (timedelta(-1), timedelta(1))}
    return sorted(
        day
        for day in days
        if (window.start is None or day >= window.start) and (window.end is None or day <= window.end)
    )
