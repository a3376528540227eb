"""Do the rollups say what the rows say? Every difference is named, and mended on request."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, delete, select

from spend_middleware.store.alone import alone
from spend_middleware.store.dialects import tables_for
from spend_middleware.store.ledger import UTC_ZONE, Ledger
from spend_middleware.store.report_expected import DayRollups, amounts_for, expected_of, moves_for, stored_of
from spend_middleware.store.report_query import Moments
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_sources import (
    CUSTOMERS,
    DAILY,
    DAY_LINES,
    LOGS,
    NAMES,
    TAGS,
    TOTALS,
    stored_sums,
    sums_of,
)
from spend_middleware.store.report_values import Sums
from spend_middleware.store.row_tags import tag_columns, tags_in
from spend_middleware.store.rows import STORED
from spend_middleware.store.verify_spans import check_spans
from spend_middleware.store.zones import day_end, day_start, days_with_calls, rolled_zones, rows_since

_SHOWN = 1_000
_NO_SUMS = Sums()
_DAY_TABLES = (CUSTOMERS, DAILY, NAMES)


@dataclass(frozen=True, slots=True)
class Inequality:
    """One place where the ledger does not agree with itself.

    Args:
        table: The table that is wrong.
        key: Which of its rows: zone and day where it has them, then the names.
        stored: What it holds; for tags, how many of the row's tags are there.
        expected: What the calls say; for tags, how many there should be.
    """

    table: str
    key: tuple[str, ...]
    stored: Sums | int
    expected: Sums | int


@dataclass(slots=True)
class Verification:
    """What was compared and what was found.

    Args:
        calls: Rows that were added up.
        days: Days of all zones that were compared.
        unchecked_days: Days whose rows retention took away; only their sums among each other were compared.
        waiting: Finished calls that are in the journal and not yet in the database.
        set_aside: Records that the database refused, or that were damaged.
        count: All inequalities; `inequalities` holds the first thousand.
        repaired: The rollups and tags were mended.
    """

    calls: int = 0
    days: int = 0
    unchecked_days: int = 0
    waiting: int = 0
    set_aside: int = 0
    count: int = 0
    repaired: bool = False
    inequalities: list[Inequality] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """True when nothing was found, or all of it was mended."""
        return self.count == 0 or self.repaired

    def note(self, table: str, key: tuple[str, ...], stored: Sums | int, expected: Sums | int) -> None:
        """Count one inequality, and keep it while there are few."""
        self.count += 1
        if len(self.inequalities) < _SHOWN:
            self.inequalities.append(Inequality(table, key, stored, expected))


def verify(ledger: Ledger, reader: Reader, *, repair: bool = False) -> Verification:
    """Compare the rollups of every zone and day, the sums over spans and all time, and the tags with the rows.

    Each day is compared in one snapshot of its own. Repairing first compares again with all writers kept out.
    """
    found = Verification()
    with reader.reading() as connection:
        # UTC first: its days mend the tags too.
        zones = sorted(rolled_zones(connection), key=lambda zone: (zone != UTC_ZONE, zone))
        days = {zone: _days(connection, zone) for zone in zones}
        kept = rows_since(connection)
    for zone in zones:
        for day in days[zone]:
            _check_day(ledger, reader, found, (zone, day), kept, repair=repair)
        for table, key, old, new in check_spans(ledger, reader, zone, repair=repair):
            found.note(table, (zone, *key), old, new)
    _check_totals(ledger, reader, found, repair=repair)
    found.repaired = repair and found.count > 0
    return found


def _days(connection: Connection, zone: str) -> list[date]:
    """Return the days that have rollups in a zone, or calls."""
    texts: set[str] = set()
    for table in _DAY_TABLES:
        texts.update(connection.scalars(select(table.c.day).where(table.c.zone == zone).distinct()))
    return sorted({*map(date.fromisoformat, texts), *days_with_calls(connection, zone)})


def _check_day(
    ledger: Ledger,
    reader: Reader,
    found: Verification,
    place: tuple[str, date],
    kept: int | None,
    *,
    repair: bool,
) -> None:
    zone, day = place
    found.days += 1
    if kept is not None and day_start(day, zone) < kept:
        found.unchecked_days += 1
        with reader.reading() as connection:
            _check_among_each_other(found, place, stored_of(connection, zone, day))
        return
    moments = Moments(day_start(day, zone), day_end(day, zone))
    with reader.reading() as connection:
        expected, stored = expected_of(connection, moments), stored_of(connection, zone, day)
        tags = _tags_of(connection, moments) if zone == UTC_ZONE else []
    if zone == UTC_ZONE:
        found.calls += sum(sums.requests for sums in expected[DAILY.name].values())
    for name in expected:
        for key in sorted(expected[name].keys() | stored[name].keys()):
            old, new = stored[name].get(key, _NO_SUMS), expected[name].get(key, _NO_SUMS)
            if old != new:
                found.note(name, (zone, day.isoformat(), *key), old, new)
    for call_id, old_count, new_count in tags:
        found.note(TAGS.name, (zone, day.isoformat(), call_id), old_count, new_count)
    if repair and (expected != stored or tags):
        _mend_day(ledger, zone, day, moments)


def _check_among_each_other(found: Verification, place: tuple[str, date], stored: DayRollups) -> None:
    """Compare the sums of a day's rollups with each other, where the rows are gone."""
    zone, day = place
    kinds: dict[str, Sums] = {}
    for (kind, _), sums in stored[NAMES.name].items():
        kinds[kind] = kinds.get(kind, _NO_SUMS) + sums
    total = kinds.pop("total", _NO_SUMS)
    for overlapping in ("tag", "unpriced", "untagged"):
        kinds.pop(overlapping, None)
    for name in (CUSTOMERS.name, DAILY.name):
        kinds[name] = sum(stored[name].values(), _NO_SUMS)
    for kind, sums in sorted(kinds.items()):
        if sums != total:
            found.note(NAMES.name, (zone, day.isoformat(), kind), sums, total)


def _tags_of(connection: Connection, moments: Moments) -> list[tuple[str, int, int]]:
    """Return the rows of an interval whose tags are not those in the tags' own table: id, tags there, tags due."""
    columns = [LOGS.c[name] for name in ("id", "request_tags")]
    rows = connection.execute(select(*columns).where(*moments.within(LOGS.c.start_time)))
    due = {log_id: set(tags_in(stored)) for log_id, stored in rows}
    there: dict[str, set[str]] = {}
    for tag, log_id in connection.execute(
        select(TAGS.c.tag, TAGS.c.log_id).where(*moments.within(TAGS.c.start_time))
    ):
        there.setdefault(log_id, set()).add(tag)
    nothing: set[str] = set()
    return [
        (log_id, len(there.get(log_id, nothing)), len(due.get(log_id, nothing)))
        for log_id in sorted(due.keys() | there.keys())
        if there.get(log_id, nothing) != due.get(log_id, nothing)
    ]


def _mend_day(ledger: Ledger, zone: str, day: date, moments: Moments) -> None:
    tables = tables_for(ledger.database.address)
    with alone(ledger) as connection:
        if zone == UTC_ZONE:
            _mend_tags(connection, ledger, moments)
        for table in (*_DAY_TABLES, DAY_LINES):
            connection.execute(delete(table).where(table.c.zone == zone, table.c.day == day.isoformat()))
        tables.move(connection, moves_for(zone, day, expected_of(connection, moments)))


def _mend_tags(connection: Connection, ledger: Ledger, moments: Moments) -> None:
    wrong = [log_id for log_id, _, _ in _tags_of(connection, moments)]
    for first in range(0, len(wrong), _SHOWN):
        ids = wrong[first : first + _SHOWN]
        connection.execute(delete(TAGS).where(TAGS.c.log_id.in_(ids)))
        rows = [tuple(line) for line in connection.execute(select(*STORED).where(LOGS.c.id.in_(ids)))]
        tables_for(ledger.database.address).tag(connection, tag_columns(rows))


def _check_totals(ledger: Ledger, reader: Reader, found: Verification, *, repair: bool) -> None:
    """Compare the sums over all time with those over all days."""
    with reader.reading() as connection:
        wrong = _wrong_totals(connection)
    for key, old, new in wrong:
        found.note(TOTALS.name, key, old, new)
    if not repair or not wrong:
        return
    with alone(ledger) as connection:
        moves: list[tuple[str | int, ...]] = []
        for (kind, name), _, new in _wrong_totals(connection):
            connection.execute(delete(TOTALS).where(TOTALS.c.kind == kind, TOTALS.c.name == name))
            if new != _NO_SUMS:
                moves.append((kind, name, 0, *amounts_for(new)))
        if moves:
            tables_for(ledger.database.address).move(
                connection, {TOTALS.name: list(zip(*sorted(moves), strict=True))}
            )


def _wrong_totals(connection: Connection) -> list[tuple[tuple[str, str], Sums, Sums]]:
    sums: list[dict[tuple[str, str], Sums]] = []
    for table, when in ((TOTALS, []), (NAMES, [NAMES.c.zone == UTC_ZONE])):
        grouped = select(table.c.kind, table.c.name, *stored_sums(table)).where(*when)
        lines = connection.execute(grouped.group_by(table.c.kind, table.c.name))
        sums.append({(line[0], line[1]): sums_of(line) for line in lines})
    stored, expected = sums
    return [
        (key, stored.get(key, _NO_SUMS), expected.get(key, _NO_SUMS))
        for key in sorted(stored.keys() | expected.keys())
        if stored.get(key, _NO_SUMS) != expected.get(key, _NO_SUMS)
    ]
