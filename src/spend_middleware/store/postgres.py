"""The way into PostgreSQL: each statement takes a whole batch as one JSON parameter."""

from __future__ import annotations

import json
import select
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy.engine import Connection

from spend_middleware.store.records import AT, COLUMNS, DEFAULTS, Values
from spend_middleware.store.rollups import ROLLUPS, SUMS, Moves, moves_of, tag_rows

_ID = AT["id"]
_NUMBERS = frozenset(
    (
        *("spend", "reported_cost", "list_cost", "completion_start_time", "status_code"),
        *(name for name, default in DEFAULTS.items() if type(default) is int),
        *SUMS,
    )
)


def _element(position: int, name: str) -> str:
    if name in _NUMBERS:
        return f"(e->>{position})::bigint"
    if name == "slot":
        return f"(e->>{position})::smallint"
    return f"(e->>{position})::boolean" if name == "stream" else f"e->>{position}"


def _insert(table: str, columns: Sequence[str]) -> str:
    elements = ", ".join(_element(position, name) for position, name in enumerate(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {elements} FROM jsonb_array_elements(%s::jsonb) AS batch(e)"
    )


def _upsert(prefix: str, table: str, key: Sequence[str]) -> str:
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    insert = _insert(f"{prefix}{table} AS {table}", (*key, *SUMS))
    return f"{insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


class PostgresTables:
    """The statements that write a batch, for PostgreSQL and what speaks its language.

    Args:
        schema: The schema of our tables, if it is not the connection's own.
    """

    def __init__(self, schema: str | None = None) -> None:
        prefix = f'"{schema}".' if schema else ""
        # FOR SHARE: whoever fills a new zone from the rows holds this row FOR UPDATE meanwhile.
        self._zones = f"SELECT value FROM {prefix}spend_meta WHERE name = 'zones' FOR SHARE"  # noqa: S608
        self._rows = f"{_insert(f'{prefix}spend_logs', COLUMNS)} ON CONFLICT (id) DO NOTHING RETURNING id"
        self._tags = (
            f"{_insert(f'{prefix}spend_log_tags', ('tag', 'start_time', 'log_id'))} ON CONFLICT DO NOTHING"
        )
        self._upserts = {table: _upsert(prefix, table, key) for table, key in ROLLUPS.items()}

    def zones(self, connection: Connection) -> list[str]:
        """Return the zones besides UTC that have rollups."""
        return list(json.loads(connection.exec_driver_sql(self._zones).scalar() or "[]"))

    def write(self, connection: Connection, batch: Sequence[Values], zones: Sequence[str], slot: int) -> int:
        """Write a batch and all that it moves, and return how many of its rows were new.

        The driver's pipeline sends a statement without waiting for the one before: the server inserts while this
        process adds up, and a distant server costs few round trips.
        """
        raw: Any = connection.connection.driver_connection
        with raw.pipeline(), raw.cursor() as cursor:
            cursor.execute(self._rows, (_json(batch),))
            _send_all(raw)
            # As a rule all rows are new.
            tags, moves = tag_rows(batch), moves_of(batch, zones, slot)
            ids = {line[0] for line in cursor.fetchall()}
            if not ids:
                return 0
            if len(ids) < len(batch):
                fresh = [row for row in batch if row[_ID] in ids]
                tags, moves = tag_rows(fresh), moves_of(fresh, zones, slot)
            if tags:
                cursor.execute(self._tags, (_json(tags),))
            for table, rows in moves.items():
                cursor.execute(self._upserts[table], (_json(rows),))
        return len(ids)

    def insert(self, connection: Connection, rows: Sequence[Values]) -> Sequence[Values]:
        """Insert the rows that are not there yet, and return these."""
        ids = set(connection.exec_driver_sql(self._rows, (_json(rows),)).scalars())
        return rows if len(ids) == len(rows) else [row for row in rows if row[_ID] in ids]

    def tag(self, connection: Connection, tags: list[tuple[str, int, str]]) -> None:
        """Insert the tags of new rows."""
        connection.exec_driver_sql(self._tags, (_json(tags),))

    def move(self, connection: Connection, moves: Moves) -> None:
        """Add to the rollups, table after table in the order that all writers share."""
        for table, rows in moves.items():
            connection.exec_driver_sql(self._upserts[table], (_json(rows),))


def _json(rows: Sequence[Sequence[object]]) -> str:
    return to_json(rows).decode()


def _send_all(raw: Any) -> None:
    """Wait until the operating system has all that the driver has queued, or the server would wait for the rest."""
    while raw.pgconn.flush():
        select.select([], [raw], [])
