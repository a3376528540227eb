"""Do the sums over spans of days say what the days say?"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, delete, select

from spend_middleware.store.alone import alone
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_sources import DAILY, NAME_SPANS, NAMES, SPANS, stored_sums, sums_of
from spend_middleware.store.report_values import Sums
from spend_middleware.store.rollups import WIDE
from spend_middleware.store.settle import add_up, spans_due
from spend_middleware.store.spans import Span
from spend_middleware.store.zones import rolled

Key = tuple[str, ...]
Difference = tuple[str, Key, Sums, Sums]
"""Table, key (the span and the names), what is stored, what the days say."""

_NO_SUMS = Sums()
_PAIRS: tuple[tuple[Table, Table, Key], ...] = (
    (NAME_SPANS, NAMES, ("kind", "name")),
    (SPANS, DAILY, WIDE),
)
"""Spans, the days that they are made of, and the names in both."""


def check_spans(ledger: Ledger, reader: Reader, zone: str, *, repair: bool) -> list[Difference]:
    """Return where spans differ from their days, and write such spans anew if that is asked for."""
    with reader.reading() as connection:
        due = spans_due(connection, zone, rolled(connection).settled)
        names = [span.name for span in due]
        found = _without_days(connection, zone, names)
    for span in due:
        with reader.reading() as connection:
            wrong = _differences(connection, zone, span)
        found += wrong
        if repair and wrong:
            with alone(ledger) as connection:
                _delete(connection, zone, SPANS.c.span == span.name, NAME_SPANS.c.span == span.name)
                add_up(connection, zone, span)
    if repair and found:
        with alone(ledger) as connection:
            _delete(connection, zone, SPANS.c.span.not_in(names), NAME_SPANS.c.span.not_in(names))
    return found


def _differences(connection: Connection, zone: str, span: Span) -> list[Difference]:
    first, last = (day.isoformat() for day in span.dates)
    found: list[Difference] = []
    for spans, days, names in _PAIRS:
        stored = _sums(connection, spans, names, (spans.c.zone == zone, spans.c.span == span.name))
        due = _sums(connection, days, names, (days.c.zone == zone, days.c.day >= first, days.c.day <= last))
        for key in sorted(stored.keys() | due.keys()):
            old, new = stored.get(key, _NO_SUMS), due.get(key, _NO_SUMS)
            if old != new:
                found.append((spans.name, (span.name, *key), old, new))
    return found


def _without_days(connection: Connection, zone: str, names: list[str]) -> list[Difference]:
    """Return the spans that are there though they have no days, or are not over."""
    found: list[Difference] = []
    for spans, _, _ in _PAIRS:
        columns = (spans.c.span,)
        there = _sums(connection, spans, ("span",), (spans.c.zone == zone, columns[0].not_in(names)))
        found += [(spans.name, key, sums, _NO_SUMS) for key, sums in sorted(there.items())]
    return found


def _sums(
    connection: Connection, table: Table, names: Key, when: tuple[ColumnElement[bool], ...]
) -> dict[Key, Sums]:
    columns = [table.c[name] for name in names]
    grouped = select(*columns, *stored_sums(table)).where(*when).group_by(*columns)
    sums = {tuple(line[: len(names)]): sums_of(line) for line in connection.execute(grouped)}
    return {key: value for key, value in sums.items() if value != _NO_SUMS}


def _delete(connection: Connection, zone: str, wide: ColumnElement[bool], named: ColumnElement[bool]) -> None:
    connection.execute(delete(SPANS).where(SPANS.c.zone == zone, wide))
    connection.execute(delete(NAME_SPANS).where(NAME_SPANS.c.zone == zone, named))
