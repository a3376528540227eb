"""The way into SQLite: the driver's own executemany, inside one BEGIN IMMEDIATE."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from spend_middleware.store.records import AT, COLUMNS, Values
from spend_middleware.store.rollups import ROLLUPS, SUMS, Moves, moves_of, tag_rows

_ID = AT["id"]


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def _upsert(table: str, key: Sequence[str]) -> str:
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
    return f"{_insert(table, (*key, *SUMS))} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


class SqliteTables:
    """The statements that write a batch, for SQLite."""

    insert_rows = _insert("spend_logs", COLUMNS)
    insert_tags = _insert("spend_log_tags", ("tag", "start_time", "log_id"))
    upserts = {table: _upsert(table, key) for table, key in ROLLUPS.items()}  # noqa: RUF012

    def zones(self, connection: Connection) -> list[str]:
        """Return the zones besides UTC that have rollups."""
        stored = connection.exec_driver_sql("SELECT value FROM spend_meta WHERE name = 'zones'").scalar()
        return list(json.loads(stored or "[]"))

    def write(self, connection: Connection, batch: Sequence[Values], zones: Sequence[str], slot: int) -> int:
        """Write a batch and all that it moves, and return how many of its rows were new."""
        fresh = self.insert(connection, batch)
        if fresh:
            tags = tag_rows(fresh)
            if tags:
                self.tag(connection, tags)
            self.move(connection, moves_of(fresh, zones, slot))
        return len(fresh)

    def insert(self, connection: Connection, rows: Sequence[Values]) -> Sequence[Values]:
        """Insert the rows that are not there yet, and return these."""
        # No INSERT OR IGNORE: it would also swallow a row that breaks another constraint. Nobody can come between
        # this question and the insert, because the transaction began as a writing one.
        ids = json.dumps([row[_ID] for row in rows])
        known = connection.exec_driver_sql(
            "SELECT id FROM spend_logs WHERE id IN (SELECT value FROM json_each(?))", (ids,)
        ).scalars()
        present = set(known)
        fresh = [row for row in rows if row[_ID] not in present] if present else rows
        if fresh:
            connection.exec_driver_sql(self.insert_rows, list(fresh))
        return fresh

    def tag(self, connection: Connection, tags: list[tuple[str, int, str]]) -> None:
        """Insert the tags of new rows."""
        connection.exec_driver_sql(self.insert_tags, tags)

    def move(self, connection: Connection, moves: Moves) -> None:
        """Add to the rollups, table after table in the order that all writers share."""
        for table, rows in moves.items():
            connection.exec_driver_sql(self.upserts[table], rows)
