"""Rows of the ledger: pages by keyset or by number, and each call's adjustments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import BigInteger, Connection, FromClause, literal, select, tuple_, type_coerce

from spend_middleware.store.records import COLUMNS, storable
from spend_middleware.store.report_query import Moments
from spend_middleware.store.report_reader import Reader, exactly
from spend_middleware.store.report_sources import ADJUSTMENTS, AMOUNT, LOGS, TAGS, one_of
from spend_middleware.store.report_values import (
    Adjustment,
    Cursor,
    LogFilter,
    LogOrder,
    LogPage,
    LogRow,
    Scope,
)
from spend_middleware.store.rows_count import count_of, skip_days, skip_rows
from spend_middleware.store.rows_filter import ORDERS, Place, conditions
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
        kept = _kept(connection, where)
        total = count_of(connection, scope, kept) if count else -1
        near = skip_rows(connection, scope, *skip_days(connection, scope, kept, place))
        rows = [] if total == 0 else _read(connection, scope, *near, limit + 1)
    last = rows[limit - 1].columns if len(rows) > limit else None
    following = None if last is None else Cursor(last["start_time"], last["id"])
    return LogPage(tuple(rows[:limit]), total, following)


def every(reader: Reader, scope: Scope, where: LogFilter) -> Iterator[LogRow]:
    """Yield all rows that match, newest first; each page is a transaction of its own."""
    place: Place | None = Place()
    while place is not None:
        found = page(reader, scope, where, place, limit=_AT_ONCE, count=False)
        yield from found.rows
        place = None if found.next is None else Place(found.next)


def _kept(connection: Connection, where: LogFilter) -> LogFilter:
    """Return the filter without the days whose rows retention takes away: they are gone, or will be in a moment."""
    first = rows_since(connection)
    return where if first is None else replace(where, since=max(first, where.since or first))


def _read(connection: Connection, scope: Scope, where: LogFilter, place: Place, limit: int) -> list[LogRow]:
    id_, start = exactly(connection, LOGS.c.id), LOGS.c.start_time
    rows: FromClause = LOGS
    asked = conditions(scope, where)
    if len(where.tag) == 1 and place.order is LogOrder.START:
        # One tag's rows stand in its own table in this very order.
        id_, start = exactly(connection, TAGS.c.log_id), TAGS.c.start_time
        rows = TAGS.join(LOGS, LOGS.c.id == TAGS.c.log_id)
        moments = Moments(where.since, where.until)
        asked = [
            one_of(TAGS.c.tag, where.tag),
            *moments.within(start),
            *conditions(scope, replace(where, tag=())),
        ]
    if place.after is not None:
        end = tuple_(literal(place.after.start_time), literal(place.after.id))
        asked.append(tuple_(start, id_) < end if place.descending else tuple_(start, id_) > end)
    order = [start, id_] if place.order is LogOrder.START else [ORDERS[place.order], start, id_]
    if place.order is LogOrder.MODEL:
        order[0] = exactly(connection, order[0])
    statement = (
        select(*STORED)
        .select_from(rows)
        .where(*asked)
        .order_by(*(part.desc() if place.descending else part.asc() for part in order))
        .limit(limit)
        .offset(place.offset)
    )
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
