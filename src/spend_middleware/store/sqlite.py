"""The way into SQLite: statements of many rows, given to the driver itself, inside one BEGIN IMMEDIATE."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy.engine import Connection

from spend_middleware.store.moves import moves_of
from spend_middleware.store.records import AT, COLUMNS, DEFAULTS, Values
from spend_middleware.store.rollups import MOVED, SUMS, Moves
from spend_middleware.store.row_tags import tag_columns
from spend_middleware.store.spans import Rolled

_ID = AT["id"]
_OPTIONAL = {AT[name]: itemgetter(AT[name]) for name, default in DEFAULTS.items() if default is None}


TOGETHER = 128
"""Rows that one statement writes, at most; fewer are written by halves of it. SQLite keeps each statement in memory."""


class Insert:
    """A statement that inserts rows, as many at a time as it is given.

    The driver lets go of the interpreter's lock for each statement that it runs, and the threads of a busy service take
    it at once: a statement for each row, as `executemany` runs them, would hand it over and back for each row, at the
    cost of the service's threads as well as of the writer's.

    Args:
        table: Where to.
        columns: Of which columns.
        then: What stands behind the values.
    """

    def __init__(self, table: str, columns: Sequence[str], then: str = "") -> None:
        self._start = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608
        self._row = f"({', '.join('?' * len(columns))})"
        self._width = len(columns)
        self._then = then
        self._texts: dict[int, str] = {}

    def run(
        self,
        driver: sqlite3.Connection,
        rows: Sequence[Sequence[Any]],
        take: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    ) -> None:
        """Insert rows in their order; of those that one statement writes all or none are in.

        Args:
            driver: The connection.
            rows: What holds the values of each row.
            take: What takes them out of it; None where it is the values themselves.
        """
        done, size = 0, TOGETHER
        while size * self._width > driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER):
            size //= 2
        while (left := len(rows) - done) > 0:
            while size > left:
                size //= 2
            part = rows[done : done + size]
            driver.execute(self._text(size), tuple(chain.from_iterable(map(take, part) if take else part)))
            done += size

    def _text(self, size: int) -> str:
        if size not in self._texts:
            self._texts[size] = f"{self._start}{', '.join([self._row] * size)} {self._then}"
        return self._texts[size]


def _upsert(table: str, key: Sequence[str]) -> Insert:
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
    return Insert(table, (*key, *SUMS), f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}")


@lru_cache(maxsize=64)
def _insert_without(absent: frozenset[int]) -> tuple[Insert, Callable[[Sequence[Any]], Any]]:
    """Return the statement that inserts rows without some columns, and what takes the others from a row."""
    kept = [position for position in range(len(COLUMNS)) if position not in absent]
    return Insert("spend_logs", [COLUMNS[position] for position in kept]), itemgetter(*kept)


class SqliteTables:
    """The statements that write a batch, for SQLite.

    A batch goes past SQLAlchemy, to the driver: for a few rows its own work would outweigh the database's.
    """

    insert_tags = Insert("spend_log_tags", ("tag", "start_time", "log_id"))
    upserts = {table: _upsert(table, key) for table, key in MOVED.items()}  # noqa: RUF012

    def rolled(self, connection: Connection) -> Rolled:
        """Return which zones have rollups, and which days are settled."""
        found = _driver(connection).execute("SELECT value FROM spend_meta WHERE name = 'rollups'").fetchone()
        return Rolled.read(found[0] if found else None)

    def write(
        self,
        connection: Connection,
        batch: Sequence[Values],
        zones: Sequence[str],
        slot: int,
        *,
        settled: str = "",
        new: bool = False,  # noqa: ARG002 - looking is cheap here
    ) -> int:
        """Write a batch and all that it moves, and return how many of its rows were new."""
        fresh = self.insert(connection, batch)
        if fresh:
            self.tag(connection, tag_columns(fresh))
            self.move(connection, moves_of(fresh, zones, slot, settled=settled))
        return len(fresh)

    def insert(self, connection: Connection, rows: Sequence[Values]) -> Sequence[Values]:
        """Insert the rows that are not there yet, and return these."""
        # No INSERT OR IGNORE: it would also swallow a row that breaks another constraint. As a rule all rows are new,
        # so that those that are not are looked for only when one is met; nobody can come between, because the
        # transaction began as a writing one.
        driver = _driver(connection)
        before = driver.total_changes
        try:
            _insert_rows(driver, rows)
        except sqlite3.IntegrityError:
            done = driver.total_changes - before
            rest = _not_there(driver, rows[done:])
            _insert_rows(driver, rest)
            return [*rows[:done], *rest]
        return rows

    def tag(self, connection: Connection, tags: Sequence[Sequence[Any]]) -> None:
        """Insert the tags of new rows, given as columns."""
        self.insert_tags.run(_driver(connection), list(zip(*tags, strict=True)))

    def move(self, connection: Connection, moves: Moves) -> None:
        """Add to the rollups, table after table in the order that all writers share."""
        driver = _driver(connection)
        for table, columns in moves.items():
            self.upserts[table].run(driver, list(zip(*columns, strict=True)))


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    return driver  # type: ignore[no-any-return]


def _insert_rows(driver: sqlite3.Connection, rows: Sequence[Values]) -> None:
    """Insert rows, without the columns that are NULL in all of them: the driver takes long to bind a None."""
    if not rows:
        return
    # Column by column: all of them at once, by `zip`, are objects by the row for the host's garbage collector to follow.
    first = rows[0]
    absent = frozenset(
        [
            at
            for at, of in _OPTIONAL.items()
            if first[at] is None and [*map(of, rows)].count(None) == len(rows)
        ]
    )
    statement, take = _insert_without(absent)
    statement.run(driver, rows, take)


def _not_there(driver: sqlite3.Connection, rows: Sequence[Values]) -> list[Values]:
    ids = json.dumps([row[_ID] for row in rows])
    known = driver.execute("SELECT id FROM spend_logs WHERE id IN (SELECT value FROM json_each(?))", (ids,))
    there = {found[0] for found in known}
    return [row for row in rows if row[_ID] not in there]
