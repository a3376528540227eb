"""Rows of the ledger: pages by keyset or by number, and each call's adjustments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    literal,
    select,
    tuple_,
    type_coerce,
    union,
)

from spend_middleware.store.records import COLUMNS, storable
from spend_middleware.store.report_hints import sorted_after
from spend_middleware.store.report_query import Moments
from spend_middleware.store.report_reader import Reader, exactly
from spend_middleware.store.report_sources import ADJUSTMENTS, AMOUNT, LOGS, TAGS, one_of
from spend_middleware.store.report_values import Scope
from spend_middleware.store.rows_count import count_of, skip_days, skip_rows
from spend_middleware.store.rows_filter import ORDERS, Place, conditions, names_ids
from spend_middleware.store.rows_sessions import with_whole_ids
from spend_middleware.store.rows_values import Adjustment, Cursor, LogFilter, LogOrder, LogPage, LogRow
from spend_middleware.store.zones import rows_since

_AT_ONCE = 1_000
"""Rows that a stream reads at a time, and ids in one list of a statement."""

_FEW_TAGS = 20
"""Tags whose rows are merged; the rows of more are looked through in their order."""

_MONEY = ("spend", "reported_cost", "list_cost")
STORED = [type_coerce(LOGS.c[name], BigInteger) if name in _MONEY else LOGS.c[name] for name in COLUMNS]
"""All columns of a row in the order of `COLUMNS`, money as whole pico-dollars."""


def page(reader: Reader, scope: Scope, where: LogFilter, place: Place, *, limit: int, count: bool) -> LogPage:
    """Return one page of rows, and how many there are in all."""
    if scope.nothing:
        return LogPage((), 0 if count else -1, None)
    with reader.reading() as connection:
        kept = with_whole_ids(connection, scope, _kept(connection, where))
        total = count_of(connection, scope, kept) if count else -1
        near = skip_rows(connection, scope, *skip_days(connection, scope, kept, place))
        rows = [] if total == 0 else _read(connection, scope, *near, limit + 1)
    last = rows[limit - 1].columns if len(rows) > limit else None
    following = None if last is None else Cursor(last["start_time"], last["id"])
    return LogPage(tuple(rows[:limit]), total, following)


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


def _read(connection: Connection, scope: Scope, where: LogFilter, place: Place, limit: int) -> list[LogRow]:
    if where.tag and len(where.tag) <= _FEW_TAGS and place.order is LogOrder.START:
        statement = _tagged(connection, scope, where, place, limit)
    else:
        id_, start = exactly(connection, LOGS.c.id), LOGS.c.start_time
        first = sorted_after(start) if names_ids(where) else start
        order = [first, id_] if place.order is LogOrder.START else [ORDERS[place.order], start, id_]
        if place.order is LogOrder.MODEL:
            order[0] = exactly(connection, order[0])
        asked = [*conditions(scope, where), *_behind(place, start, id_)]
        statement = _sorted(select(*STORED).where(*asked), place, order).limit(limit).offset(place.offset)
    lines = connection.execute(statement).all()
    entries = adjustments_of(connection, [line[0] for line in lines])
    return [LogRow(dict(zip(COLUMNS, line, strict=True)), tuple(entries.get(line[0], ()))) for line in lines]


def _tagged(connection: Connection, scope: Scope, where: LogFilter, place: Place, limit: int) -> Select[Any]:
    """Return the rows with one of some tags: each tag's rows stand in its own table in the order of a page."""
    start, id_ = TAGS.c.start_time, exactly(connection, TAGS.c.log_id)
    rows = TAGS.join(LOGS, LOGS.c.id == TAGS.c.log_id)
    asked = [
        *Moments(where.since, where.until).within(start),
        *conditions(scope, replace(where, tag=())),
        *_behind(place, start, id_),
    ]
    if len(where.tag) == 1:
        one = select(*STORED).select_from(rows).where(one_of(TAGS.c.tag, where.tag), *asked)
        return _sorted(one, place, [start, id_]).limit(limit).offset(place.offset)
    # No page holds more of one tag's rows than of all.
    firsts = [
        _sorted(
            select(start, TAGS.c.log_id).select_from(rows).where(one_of(TAGS.c.tag, (tag,)), *asked),
            place,
            [start, id_],
        ).limit(place.offset + limit)
        for tag in where.tag
    ]
    first = union(*(select(part.subquery()) for part in firsts)).subquery("first")
    page = select(*STORED).join(first, LOGS.c.id == first.c.log_id)
    order = [first.c.start_time, exactly(connection, first.c.log_id)]
    return _sorted(page, place, order).limit(limit).offset(place.offset)


def _behind(place: Place, start: ColumnElement[Any], id_: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the condition that rows come after the last one of the page before."""
    if place.after is None:
        return []
    end = tuple_(literal(place.after.start_time), literal(place.after.id))
    return [tuple_(start, id_) < end if place.descending else tuple_(start, id_) > end]


def _sorted(rows: Select[Any], place: Place, order: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return rows.order_by(*(part.desc() if place.descending else part.asc() for part in order))


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
