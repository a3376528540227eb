"""How many rows match, and where a far page begins, without touching the rows where the rollups know."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import ColumnElement, Connection, func, select

from spend_middleware.store.columns import UTC_ZONE
from spend_middleware.store.report_query import Moments, Question
from spend_middleware.store.report_sources import LOGS, TAGS, one_of
from spend_middleware.store.report_sums import by_window, total_of
from spend_middleware.store.report_values import By, Scope
from spend_middleware.store.rows_filter import IN_ROLLUPS, Place, conditions, filter_of
from spend_middleware.store.rows_values import LogFilter, LogOrder
from spend_middleware.store.zones import Window, day_end, day_of, day_start

_COUNTED: dict[str | None, str] = {None: "requests", "success": "successes", "failure": "failures"}
_DAY = timedelta(days=1)
_DAY_MICROS = 86_400_000_000
_INDEXED = frozenset(("api_key", "user_id", "team_id", "end_user", "tag"))
"""Fields that an index puts in front of the start of calls."""

_NEAR = 1_000
"""Rows that are quicker skipped than counted."""


def _countable(scope: Scope, where: LogFilter) -> Question | None:
    """Return the question whose rollups count these rows, None when only the rows themselves can."""
    known = {*IN_ROLLUPS, "since", "until", "status"}
    others = (getattr(where, name) for name in LogFilter.__dataclass_fields__ if name not in known)
    if any(value is not None for value in others) or where.status not in _COUNTED:
        return None
    question = Question((), scope, filter_of(where))
    return None if question.source(all_time=False) is None else question


def count_of(connection: Connection, scope: Scope, where: LogFilter) -> int:
    """Return how many rows match: whole UTC days from the rollups, everything else from an index."""
    question = _countable(scope, where)
    if question is None:
        return _count_rows(connection, scope, where)
    since, until = where.since, where.until
    first = None if since is None else day_of(since - 1, UTC_ZONE) + _DAY
    last = None if until is None else day_of(until, UTC_ZONE) - _DAY
    if first is not None and last is not None and first > last:
        return _count_rows(connection, scope, where)
    sums = total_of(connection, question, Window(UTC_ZONE, True, first, last))
    counted = int(getattr(sums, _COUNTED[where.status]))
    if first is not None and since != day_start(first, UTC_ZONE):
        counted += _count_rows(connection, scope, replace(where, until=day_start(first, UTC_ZONE)))
    if last is not None and until != day_end(last, UTC_ZONE):
        counted += _count_rows(connection, scope, replace(where, since=day_end(last, UTC_ZONE)))
    return counted


def _count_rows(connection: Connection, scope: Scope, where: LogFilter) -> int:
    if len(where.tag) == 1:
        moments = Moments(where.since, where.until)
        asked = conditions(scope, replace(where, tag=()))
        tagged = [one_of(TAGS.c.tag, where.tag), *moments.within(TAGS.c.start_time)]
        rows = TAGS.join(LOGS, LOGS.c.id == TAGS.c.log_id)
        return int(connection.scalar(select(func.count()).select_from(rows).where(*tagged, *asked)) or 0)
    if where.tag and named_alone(scope, where) == ("tag",):
        moments = Moments(where.since, where.until)
        tagged = [one_of(TAGS.c.tag, where.tag), *moments.within(TAGS.c.start_time)]
        return int(connection.scalar(select(func.count(TAGS.c.log_id.distinct())).where(*tagged)) or 0)
    statement = select(func.count()).select_from(LOGS).where(*conditions(scope, where))
    return int(connection.scalar(statement) or 0)


def named_alone(scope: Scope, where: LogFilter) -> tuple[str, ...] | None:
    """Return the fields of a filter that ask for something besides times; None for whoever may not see all rows."""
    if not scope.everything:
        return None
    empty = LogFilter()
    named = (name for name in LogFilter.__dataclass_fields__ if name not in ("since", "until"))
    return tuple(name for name in named if getattr(where, name) != getattr(empty, name))


def skip_rows(
    connection: Connection, scope: Scope, where: LogFilter, place: Place
) -> tuple[LogFilter, Place]:
    """Return the same page without the rows that lie before it, which are counted along an index, not read."""
    named = named_alone(scope, where)
    if place.offset < _NEAR or place.after or place.order is not LogOrder.START or named is None:
        return where, place
    if named and (len(named) > 1 or named[0] not in _INDEXED or len(getattr(where, named[0])) > 1):
        return where, place
    start, asked = _in_order(scope, where)
    order = start.desc() if place.descending else start.asc()
    # The row that the page begins with, and the one before it: only rows of one moment have to be counted.
    around = select(start).where(*asked).order_by(order).limit(2).offset(place.offset - 1)
    starts = list(connection.scalars(around))
    if len(starts) < 2:  # beyond the last row
        return where, place
    before, at = starts
    skipped = place.offset
    if before == at:
        # Instead of a condition of its own: with two lower bounds SQLite may begin at the wrong one.
        start, asked = _in_order(
            scope, replace(where, since=at + 1) if place.descending else replace(where, until=at)
        )
        skipped = connection.scalar(select(func.count(start)).where(*asked)) or 0
    near = replace(place, offset=place.offset - skipped)
    return (replace(where, until=at + 1) if place.descending else replace(where, since=at)), near


def _in_order(scope: Scope, where: LogFilter) -> tuple[ColumnElement[int], list[ColumnElement[bool]]]:
    """Return the start of calls where an index has it for such a filter, and the conditions there."""
    if where.tag:
        start = TAGS.c.start_time
        return start, [one_of(TAGS.c.tag, where.tag), *Moments(where.since, where.until).within(start)]
    return LOGS.c.start_time, conditions(scope, where)


def skip_days(
    connection: Connection, scope: Scope, where: LogFilter, place: Place
) -> tuple[LogFilter, Place]:
    """Return the same page without the whole UTC days that lie before it, so that a far page costs what a near one does."""
    question = _countable(scope, where)
    if question is None or place.offset < _NEAR or place.after or place.order is not LogOrder.START:
        return where, place
    if any(at is not None and at % _DAY_MICROS for at in (where.since, where.until)):
        return where, place
    last = None if where.until is None else day_of(where.until - 1, UTC_ZONE)
    first = None if where.since is None else day_of(where.since, UTC_ZONE)
    by_day = replace(question, dimensions=(By.DAY,))
    days = list(by_window(connection, by_day, Window(UTC_ZONE, True, first, last)))
    offset = place.offset
    for line in reversed(days) if place.descending else days:
        count = getattr(line.sums, _COUNTED[where.status])
        if count > offset:
            day = date.fromisoformat(line.keys[0])
            near = replace(place, offset=offset)
            if place.descending:
                return replace(where, until=day_end(day, UTC_ZONE)), near
            return replace(where, since=day_start(day, UTC_ZONE)), near
        offset -= count
    return where, place
