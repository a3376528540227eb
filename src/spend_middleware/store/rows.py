"""Rows of the ledger: pages by keyset or by number, and each call's adjustments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, select, type_coerce

from spend_middleware.store.records import COLUMNS, storable
from spend_middleware.store.report_reader import Reader, exactly
from spend_middleware.store.report_sources import ADJUSTMENTS, AMOUNT, LOGS
from spend_middleware.store.report_values import Scope
from spend_middleware.store.rows_count import count_of, skip_days, skip_rows
from spend_middleware.store.rows_filter import Place, conditions
from spend_middleware.store.rows_grouped import count_sessions, newest_of_sessions, walks
from spend_middleware.store.rows_order import in_order
from spend_middleware.store.rows_sessions import with_whole_ids
from spend_middleware.store.rows_values import Adjustment, Cursor, LogFilter, LogPage, LogRow
from spend_middleware.store.zones import rows_since

_AT_ONCE = 1_000
"""Rows that a stream reads at a time, and ids in one list of a statement."""

_MONEY = ("spend", "reported_cost", "list_cost")
STORED = [type_coerce(LOGS.c[name], BigInteger) if name in _MONEY else LOGS.c[name] for name in COLUMNS]
"""All columns of a row in the order of `COLUMNS`, money as whole pico-dollars."""


def page(reader: Reader, scope: Scope, where: LogFilter, place: Place, *, limit: int, count: bool) -> LogPage:
    """Return one page of rows, and how many there are in all."""
    if scope.nothing:
        return LogPage((), 0 if count else -1, None)
    with reader.reading() as connection:
        kept = with_whole_ids(connection, scope, _kept(connection, where))
        total, capped = _count(connection, scope, kept) if count else (-1, False)
        rows = [] if total == 0 else _read(connection, scope, kept, place, limit + 1)
    last = rows[limit - 1].columns if len(rows) > limit else None
    following = None if last is None else Cursor(last["start_time"], last["id"])
    return LogPage(tuple(rows[:limit]), total, following, capped)


def every(reader: Reader, scope: Scope, where: LogFilter) -> Iterator[LogRow]:
    """Yield all rows that match, newest first; each page is a transaction of its own."""
    with reader.reading() as connection:
        where = with_whole_ids(connection, scope, where)
    place: Place | None = Place()
    while place is not None:
        found = page(reader, scope, where, place, limit=_AT_ONCE, count=False)
        yield from found.rows
        place = None if found.next is None else Place(found.next)


def _kept(connection: Connection, where: LogFilter) -> LogFilter:
    """Return the filter without the days whose rows retention takes away: they are gone, or will be in a moment."""
    first = rows_since(connection)
    return where if first is None else replace(where, since=max(first, where.since or first))


def _count(connection: Connection, scope: Scope, where: LogFilter) -> tuple[int, bool]:
    if where.by_session:
        return count_sessions(connection, scope, where)
    return count_of(connection, scope, where), False


def _read(connection: Connection, scope: Scope, where: LogFilter, place: Place, limit: int) -> list[LogRow]:
    if walks(where, place):
        ids = newest_of_sessions(connection, scope, where, place, limit)
        found = _rows(connection, select(*STORED).where(LOGS.c.id.in_(ids)))
        by_id = {row.columns["id"]: row for row in found}
        return [by_id[id_] for id_ in ids]
    near, begin = skip_rows(connection, scope, *skip_days(connection, scope, where, place))
    return _rows(connection, in_order(connection, scope, near, begin, limit, STORED))


def _rows(connection: Connection, statement: Select[Any]) -> list[LogRow]:
    lines = connection.execute(statement).all()
    entries = adjustments_of(connection, [line[0] for line in lines])
    return [LogRow(dict(zip(COLUMNS, line, strict=True)), tuple(entries.get(line[0], ()))) for line in lines]


def adjustments_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Adjustment]]:
    """Return the adjustments of rows, in the order they were made."""
    own = ADJUSTMENTS.c
    found: dict[str, list[Adjustment]] = {}
    for first in range(0, len(ids), _AT_ONCE):
        statement = (
            select(own.id, own.log_id, AMOUNT, own.kind, own.made_by, own.reason, own.made_at)
            .where(own.log_id.in_(ids[first : first + _AT_ONCE]))
            .order_by(own.made_at, exactly(connection, own.id))
        )
        for line in connection.execute(statement):
            found.setdefault(line[1], []).append(Adjustment(*line))
    return found


def one(reader: Reader, scope: Scope, call_id: str) -> LogRow | None:
    """Return the row with this call id."""
    if scope.nothing:
        return None
    with reader.reading() as connection:
        asked = [LOGS.c.id == storable(call_id), *conditions(scope, LogFilter())]
        line = connection.execute(select(*STORED).where(*asked)).first()
        if line is None:
            return None
        entries = adjustments_of(connection, [line[0]]).get(line[0], ())
    return LogRow(dict(zip(COLUMNS, line, strict=True)), tuple(entries))
