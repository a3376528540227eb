"""Days that are over, added up into spans: a report over months then adds up a few rows a name, not one a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from sqlalchemy import ColumnElement, Connection, Table, func, insert, literal, select, update

from spend_middleware.store.alone import Prepared, alone
from spend_middleware.store.columns import UTC_ZONE
from spend_middleware.store.day_lines import count_day, uncounted
from spend_middleware.store.report_sources import DAILY, META, NAME_SPANS, NAMES, SPANS, stored_sums
from spend_middleware.store.rollups import KINDS, SUMS, WIDE
from spend_middleware.store.spans import LENGTHS, OPEN_DAYS, Rolled, Span, ended, span_around
from spend_middleware.store.zones import rolled

_SHORTEST = LENGTHS[0]
_FIRST = date.fromordinal(_SHORTEST).isoformat()
"""The first day that is in a span."""


def settle(ledger: Prepared, *, today: date | None = None, go_on: Callable[[], bool] = lambda: True) -> int:
    """Add up the days that are over, in steps of a few days, count their lines, and return how many steps were made.

    Nothing that a report says changes, and it does not matter whether or when this is done: days that are not settled
    are added up by whoever asks. A call or an adjustment that comes later moves the spans of its day too.

    Args:
        today: In UTC; the current day when None.
        go_on: Asked before each step, which keeps writers out for a second at most.
    """
    ledger.prepare()
    now = today or datetime.now(UTC).date()
    limit = now.toordinal() - OPEN_DAYS + 1
    steps = 0
    while go_on():
        with ledger.database.engine.connect() as connection:
            due = _next(connection, rolled(connection), limit)
            lines = None if due else _next_lines(connection, now)
        if due is None and lines is None:
            break
        with alone(ledger) as connection:
            steps += 1
            if lines is not None:
                count_day(connection, *lines)
            else:
                _step(connection, limit)
    return steps


def _next_lines(connection: Connection, today: date) -> tuple[str, str] | None:
    """Return a zone and a day that is over and whose lines are to be counted."""
    for zone in (UTC_ZONE, *rolled(connection).zones):
        for day in uncounted(connection, zone, today):
            return zone, day
    return None


def _step(connection: Connection, limit: int) -> None:
    before = rolled(connection)
    due = _next(connection, before, limit)
    if due is None:  # another process was quicker
        return
    first, end = due
    for zone in (UTC_ZONE, *before.zones):
        for length in LENGTHS:
            for span in ended(first, end, length):
                add_up(connection, zone, span)
    write_rolled(connection, Rolled(before.zones, date.fromordinal(end).isoformat()))


def _next(connection: Connection, before: Rolled, limit: int) -> tuple[int, int] | None:
    """Return the first day that is not settled, and until which day to settle; None when nothing is due."""
    day, total = NAMES.c.day, (NAMES.c.kind == "total", NAMES.c.name == "")
    since = before.settled or _FIRST
    called = [
        connection.scalar(select(func.min(day)).where(*total, NAMES.c.zone == zone, day >= since))
        for zone in (UTC_ZONE, *before.zones)
    ]
    if not any(called):
        return None
    first = min(date.fromisoformat(text).toordinal() for text in called if text)
    first -= first % _SHORTEST
    end = first + _SHORTEST
    begin = date.fromisoformat(before.settled).toordinal() if before.settled else first
    return (begin, end) if end <= limit else None


def add_up(connection: Connection, zone: str, span: Span) -> None:
    """Write the sums of one span: from days where it is of the shortest, else from the spans within it."""
    length = span.end - span.first
    names, wide, parts = (
        NAMES,
        DAILY,
        [date.fromordinal(day).isoformat() for day in range(span.first, span.end)],
    )
    if length != _SHORTEST:
        names, wide, shorter = NAME_SPANS, SPANS, LENGTHS[LENGTHS.index(length) - 1]
        parts = [Span(at, at + shorter).name for at in range(span.first, span.end, shorter)]
    of_kinds = (names.c.kind.in_(KINDS),)  # what both indexes begin with
    _copy(connection, (names, NAME_SPANS), zone, span, ("kind", "name"), parts, of_kinds)
    _copy(connection, (wide, SPANS), zone, span, WIDE, parts)


def _copy(
    connection: Connection,
    tables: tuple[Table, Table],
    zone: str,
    span: Span,
    names: tuple[str, ...],
    parts: list[str],
    more: tuple[ColumnElement[bool], ...] = (),
) -> None:
    """Write the sums of a table over some days, or over some shorter spans, into another under a span's name."""
    source, target = tables
    when = source.c.day if "day" in source.c else source.c.span
    own = [source.c[name] for name in names]
    grouped = (
        select(literal(zone), literal(span.name), *own, *stored_sums(source))
        .where(*more, source.c.zone == zone, when.in_(parts))
        .group_by(*own)
    )
    connection.execute(insert(target).from_select(["zone", "span", *names, *SUMS], grouped))


def settle_zone(connection: Connection, zone: str, settled: str) -> None:
    """Write all spans of a zone that has none, in a transaction that keeps writers out."""
    for span in spans_due(connection, zone, settled):
        add_up(connection, zone, span)


def spans_due(connection: Connection, zone: str, settled: str) -> list[Span]:
    """Return the spans of a zone that have calls and are over, the short ones first."""
    own = (NAMES.c.kind == "total", NAMES.c.zone == zone, NAMES.c.day < settled)
    days = sorted(map(date.fromisoformat, connection.scalars(select(NAMES.c.day).where(*own).distinct())))
    around = {
        (length, span)
        for length in LENGTHS
        for day in days
        if (span := span_around(day.toordinal(), length)) is not None and span.ended(settled)
    }
    return [span for _, span in sorted(around)]


def write_rolled(connection: Connection, now: Rolled) -> None:
    """Write down what the rollups have."""
    connection.execute(update(META).where(META.c.name == "rollups").values(value=str(now)))
