"""How many lines of daily activity a day has: counted once when the day is over, and again when calls came late.

A page of 50 lines says how many pages there are. Lines are not sums, so that no writer can keep count of them; what was
counted is good while the day has as many calls as it had then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, literal, select

from spend_middleware.store.report_query import Question
from spend_middleware.store.report_sources import DAILY, DAY_LINES, KIND_OF, NAMES, of_zone
from spend_middleware.store.report_values import EVERYTHING, By

PARTS = (By.KEY, By.MODEL, By.MODEL_GROUP, By.PROVIDER, By.ENDPOINT)
"""What a line names beside its day and its entity."""

FINE = (By.USER, By.TEAM, By.ORGANIZATION)
"""Entities whose lines with all parts stand in the wide rollup."""

COARSE = (By.END_USER, By.TAG)
"""Entities of which a line may be the entity alone."""

_MARK = ""
"""The kind of the row that says a day was counted."""


def count_day(connection: Connection, zone: str, day: str) -> None:
    """Count the lines of one day, in a transaction that keeps writers out."""
    own = (DAY_LINES.c.zone == zone, DAY_LINES.c.day == day)
    connection.execute(delete(DAY_LINES).where(*own))
    calls = _calls(connection, zone, [day]).get(day, 0)
    fixed = [literal(_MARK), literal(zone), literal(day)]
    _insert(connection, select(*fixed, literal(""), literal(0), literal(calls)))
    for by in FINE:
        lines = _lines(Question((by, *PARTS), EVERYTHING), zone, [day]).subquery("lines")
        name, fixed[0] = lines.c[by.value], literal(KIND_OF[by])
        _insert(connection, select(*fixed, name, func.count(), literal(calls)).group_by(name))
    for by in COARSE:
        lines = _lines(Question((by,), EVERYTHING), zone, [day]).subquery("lines")
        fixed[0] = literal(KIND_OF[by])
        _insert(connection, select(*fixed, literal(""), func.count(), literal(calls)).select_from(lines))


def _insert(connection: Connection, rows: Any) -> None:
    connection.execute(insert(DAY_LINES).from_select(["kind", "zone", "day", "name", "lines", "calls"], rows))


def _calls(connection: Connection, zone: str, days: Sequence[str] | None = None) -> dict[str, int]:
    """Return the days of a zone that have calls, and how many."""
    own = [NAMES.c.kind == "total", NAMES.c.zone == zone, NAMES.c.name == ""]
    if days:
        own += [NAMES.c.day >= min(days), NAMES.c.day <= max(days)]
    counted = select(NAMES.c.day, func.sum(NAMES.c.requests)).where(*own).group_by(NAMES.c.day)
    return {day: int(calls) for day, calls in connection.execute(counted)}


def uncounted(connection: Connection, zone: str, before: date) -> list[str]:
    """Return the days before one that were never counted, or had other calls then."""
    calls, counted = _calls(connection, zone), _counted(connection, zone)
    return sorted(day for day in calls if day < before.isoformat() and counted.get(day) != calls[day])


def _counted(connection: Connection, zone: str) -> dict[str, int]:
    own = (DAY_LINES.c.kind == _MARK, DAY_LINES.c.zone == zone)
    counted = connection.execute(select(DAY_LINES.c.day, DAY_LINES.c.calls).where(*own))
    return {day: int(calls) for day, calls in counted}


def lines_by_day(
    connection: Connection, question: Question, zone: str, days: Sequence[date]
) -> dict[str, int]:
    """Return how many lines each of the days has, of those that have any."""
    entity = question.dimensions[0]
    wanted = [day.isoformat() for day in days]
    known = _good(connection, zone, wanted) if _is_kept(question) else []
    found: dict[str, int] = {}
    if known:
        own = (
            DAY_LINES.c.kind == KIND_OF[entity],
            DAY_LINES.c.zone == zone,
            # Not a list: PostgreSQL without statistics would read all days and look each one up in it.
            DAY_LINES.c.day >= min(known),
            DAY_LINES.c.day <= max(known),
        )
        names = question.conditions({entity: DAY_LINES.c.name}) if entity in FINE else []
        statement = select(DAY_LINES.c.day, func.sum(DAY_LINES.c.lines)).where(*own, *names)
        counts = connection.execute(statement.group_by(DAY_LINES.c.day))
        found = {day: int(lines) for day, lines in counts if day in known}
    rest = sorted(set(wanted) - set(known))
    if rest:
        lines = _lines(question, zone, rest, By.DAY).subquery("lines")
        counts = connection.execute(select(lines.c.day, func.count()).group_by(lines.c.day))
        found |= {day: int(count) for day, count in counts}
    return {day: lines for day, lines in found.items() if lines}


def _good(connection: Connection, zone: str, days: Sequence[str]) -> list[str]:
    """Return the days that have been counted and have as many calls as they had then."""
    calls, counted = _calls(connection, zone, days), _counted(connection, zone)
    return [day for day in days if day in counted and counted[day] == calls.get(day)]


def _is_kept(question: Question) -> bool:
    """Return whether lines of such questions are counted ahead: of all names of an entity, or of some."""
    entity, *parts = question.dimensions
    named = set(question.named())
    if entity in FINE:
        return tuple(parts) == PARTS and named <= {entity}
    return not parts and not named


def lines_by_name(connection: Connection, question: Question, zone: str, day: date) -> list[tuple[str, int]]:
    """Return how many lines each name of the entity has on one day, in the order of the names."""
    entity, text = question.dimensions[0], day.isoformat()
    if _is_kept(question) and _good(connection, zone, [text]):
        own = (DAY_LINES.c.kind == KIND_OF[entity], DAY_LINES.c.zone == zone, DAY_LINES.c.day == text)
        names = question.conditions({entity: DAY_LINES.c.name})
        statement = select(DAY_LINES.c.name, DAY_LINES.c.lines).where(*own, *names)
    else:
        lines = _lines(question, zone, [text]).subquery("lines")
        name = lines.c[entity.value]
        statement = select(name, func.count()).group_by(name)
    return sorted((name, int(count)) for name, count in connection.execute(statement))


def _lines(question: Question, zone: str, days: Sequence[str], *more: By) -> Select[Any]:
    """Return the lines of some days, each once, without their sums.

    Every row of the wide rollup has calls, in one slot or another: it is not read, its key's index has all there is to
    know. A name may have been left without any.
    """
    source = question.source(all_time=False)
    assert source is not None  # noqa: S101 - asked of rollups alone
    when: list[ColumnElement[bool]] = [
        of_zone(source.table, zone, question.named()),
        source.columns[By.DAY].in_(days) if len(days) > 1 else source.columns[By.DAY] == days[0],
    ]
    if source.kind is not None:
        when += [source.table.c.kind == source.kind]
    if source.table is not DAILY:
        when += [source.table.c.requests > 0]
    columns = [source.columns[by].label(by.value) for by in (*more, *question.dimensions)]
    return select(*columns).where(*when, *question.conditions(source.columns)).distinct()
