"""The way into PostgreSQL: rows by COPY where they are many and as one JSON parameter where they are few."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from pydantic_core import to_json
from sqlalchemy.engine import Connection

from spend_middleware.store.moves import moves_of
from spend_middleware.store.records import AT, COLUMNS, DEFAULTS, Values
from spend_middleware.store.rollups import MOVED, SUMS, Moves
from spend_middleware.store.row_tags import tag_columns
from spend_middleware.store.spans import Rolled

MANY = 40
"""From so many rows on COPY pays: it takes more round trips and far less of the server."""

_Moved = Callable[[Sequence[Values]], Moves]

_ID = AT["id"]
_TAG_COLUMNS = ("tag", "start_time", "log_id")
_NUMBERS = frozenset(
    (
        *("spend", "reported_cost", "list_cost", "completion_start_time", "status_code"),
        *(name for name, default in DEFAULTS.items() if type(default) is int),
        *SUMS,
    )
)
_OIDS = {"bool": 16, "int8": 20, "text": 25}
"""Types -> their numbers, which are the same in every PostgreSQL (src/include/catalog/pg_type.dat)."""


def _type(name: str) -> str:
    if name in _NUMBERS:
        return "int8"
    if name == "slot":
        return "int2"
    return "bool" if name == "stream" else "text"


def _copy(table: str, columns: Sequence[str]) -> str:
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"


def _insert(table: str, columns: Sequence[str]) -> str:
    elements = ", ".join(f"(e->>{at})::{_type(name)}" for at, name in enumerate(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {elements} FROM jsonb_array_elements(%s::jsonb) AS batch(e)"
    )


@lru_cache(maxsize=1024)
def _upsert(prefix: str, table: str, alike: frozenset[str], idle: frozenset[str]) -> str:
    """Return the statement that adds to a rollup.

    Columns in which all rows are alike are one value each; of these, sums that are idle, 0, are not moved at all.
    """
    key = MOVED[table]
    columns = (*key, *SUMS)
    values = [f"%s::{_type(name)}" if name in alike else name for name in columns]
    values = ["0" if name in idle else value for name, value in zip(columns, values, strict=True)]
    unlike = [name for name in columns if name not in alike]
    arrays = ", ".join(f"%s::{_type(name)}[]" for name in unlike)
    rows = f" FROM unnest({arrays}) AS batch({', '.join(unlike)})" if unlike else ""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS if name not in idle)
    return (
        f"INSERT INTO {prefix}{table} AS {table} ({', '.join(columns)}) SELECT {', '.join(values)}{rows}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"
    )


def _is_one(column: Sequence[Any]) -> bool:
    return column[0] == column[-1] and column.count(column[0]) == len(column)


class PostgresTables:
    """The statements that write a batch, for PostgreSQL and what speaks its language.

    Args:
        schema: The schema of our tables, if it is not the connection's own.
    """

    def __init__(self, schema: str | None = None) -> None:
        self._prefix = prefix = f'"{schema}".' if schema else ""
        rows, tags = f"{prefix}spend_logs", f"{prefix}spend_log_tags"
        # FOR SHARE: whoever fills a new zone from the rows, or settles days, holds this row FOR UPDATE meanwhile.
        self._rolled = f"SELECT value FROM {prefix}spend_meta WHERE name = 'rollups' FOR SHARE"  # noqa: S608
        self._known = f"SELECT id FROM {rows} WHERE id = ANY(%s::text[])"  # noqa: S608
        self._rows = f"{_insert(rows, COLUMNS)} ON CONFLICT (id) DO NOTHING RETURNING id"
        self._tags = (
            f"INSERT INTO {tags} ({', '.join(_TAG_COLUMNS)})"  # noqa: S608
            " SELECT * FROM unnest(%s::text[], %s::int8[], %s::text[]) ON CONFLICT DO NOTHING"
        )
        self._copy_rows = _copy(rows, COLUMNS)
        self._copy_tags = _copy(tags, _TAG_COLUMNS)

    def rolled(self, connection: Connection) -> Rolled:
        """Return which zones have rollups, and which days are settled."""
        return Rolled.read(connection.exec_driver_sql(self._rolled).scalar())

    def write(
        self,
        connection: Connection,
        batch: Sequence[Values],
        zones: Sequence[str],
        slot: int,
        *,
        settled: str = "",
        new: bool = False,
    ) -> int:
        """Write a batch and all that it moves, and return how many of its rows were new.

        Raises:
            psycopg.errors.UniqueViolation: A row was there already, though all were called new.
        """
        raw: Any = connection.connection.driver_connection
        moved = partial(moves_of, zones=zones, slot=slot, settled=settled)
        if len(batch) < MANY or not _copies_fast():
            return self._write_few(raw, batch, moved)
        fresh = batch if new else self._not_there(raw, batch)
        if fresh:
            self._write_many(raw, fresh, moved)
        return len(fresh)

    def _write_few(self, raw: Any, batch: Sequence[Values], moved: _Moved) -> int:
        """Write a batch through the driver's pipeline.

        It sends a statement without waiting for the one before: the server inserts while this process adds up, and a
        distant server costs few round trips.
        """
        with raw.pipeline(), raw.cursor() as cursor:
            cursor.execute(self._rows, (_json(batch),))
            _send_all(raw)
            # As a rule all rows are new.
            tags, moves = tag_columns(batch), moved(batch)
            ids = {line[0] for line in cursor.fetchall()}
            if not ids:
                return 0
            if len(ids) < len(batch):
                fresh = [row for row in batch if row[_ID] in ids]
                tags, moves = tag_columns(fresh), moved(fresh)
            if tags[0]:
                cursor.execute(self._tags, [_array(column) for column in tags])
            for statement, parameters in self._upserts(moves):
                cursor.execute(statement, parameters)
        return len(ids)

    def _not_there(self, raw: Any, batch: Sequence[Values]) -> Sequence[Values]:
        with raw.cursor() as cursor:
            known = {line[0] for line in cursor.execute(self._known, (_array([row[_ID] for row in batch]),))}
        return [row for row in batch if row[_ID] not in known] if known else batch

    def _write_many(self, raw: Any, rows: Sequence[Values], moved: _Moved) -> None:
        """Write rows by COPY, which knows no conflicts: none of them may be there."""
        with raw.cursor() as cursor:
            with cursor.copy(self._copy_rows) as copy:
                _send(copy, COLUMNS, rows)
                # The server has most of the rows by now and inserts them meanwhile.
                tags, moves = tag_columns(rows), moved(rows)
            if tags[0]:
                with cursor.copy(self._copy_tags) as copy:
                    _send(copy, _TAG_COLUMNS, zip(*tags, strict=True))
            with raw.pipeline():
                for statement, parameters in self._upserts(moves):
                    cursor.execute(statement, parameters)

    def _upserts(self, moves: Moves) -> Iterator[tuple[str, list[Any]]]:
        """Yield the statements that move rollups, and their parameters."""
        for table, columns in moves.items():
            names = (*MOVED[table], *SUMS)
            alike = {name: column[0] for name, column in zip(names, columns, strict=True) if _is_one(column)}
            idle = frozenset(name for name in SUMS if alike.get(name) == 0)
            if len(idle) == len(SUMS):
                continue
            once = [value for name, value in alike.items() if name not in idle]
            arrays = [
                _array(column) for name, column in zip(names, columns, strict=True) if name not in alike
            ]
            yield _upsert(self._prefix, table, frozenset(alike), idle), once + arrays

    def insert(self, connection: Connection, rows: Sequence[Values]) -> Sequence[Values]:
        """Insert the rows that are not there yet, and return these."""
        raw: Any = connection.connection.driver_connection
        fresh = self._not_there(raw, rows)
        with raw.cursor() as cursor, cursor.copy(self._copy_rows) as copy:
            _send(copy, COLUMNS, fresh)
        return fresh

    def tag(self, connection: Connection, tags: Sequence[Sequence[Any]]) -> None:
        """Insert the tags of new rows, given as columns."""
        if tags[0]:
            connection.exec_driver_sql(self._tags, tuple(_array(column) for column in tags))

    def move(self, connection: Connection, moves: Moves) -> None:
        """Add to the rollups, table after table in the order that all writers share."""
        for statement, parameters in self._upserts(moves):
            connection.exec_driver_sql(statement, tuple(parameters))


def _copies_fast() -> bool:
    """Say whether the driver packs rows in C; in Python it takes longer than the server saves."""
    import psycopg

    return psycopg.pq.__impl__ != "python"


def _send(copy: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    copy.set_types([_OIDS[_type(name)] for name in columns])
    write = copy.write_row
    for row in rows:
        write(row)


def _json(values: Sequence[object]) -> str:
    return to_json(values).decode()


def _array(column: Sequence[Any]) -> str:
    """Return a column of a batch as one of PostgreSQL's array literals."""
    if not isinstance(column[0], str):
        return f"{{{_json(column)[1:-1]}}}"
    joined = '","'.join(column)
    if "\\" in joined or joined.count('"') > 2 * (len(column) - 1):
        joined = '","'.join(text.replace("\\", "\\\\").replace('"', '\\"') for text in column)
    return f'{{"{joined}"}}'


def _send_all(raw: Any) -> None:
    """Wait until the operating system has all that the driver has queued, or the server would wait for the rest."""
    while raw.pgconn.flush():
        select.select([], [raw], [])
