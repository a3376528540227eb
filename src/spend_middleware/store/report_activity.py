"""Daily activity: each day's sums, broken down by model, provider, endpoint, key and by what was asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection, func, select

from spend_middleware.store.day_lines import FINE, PARTS, lines_by_day, lines_by_name
from spend_middleware.store.report_answers import ActivityDay, ActivityPage, ActivityPart, Group
from spend_middleware.store.report_query import Question, adds_calls, answer
from spend_middleware.store.report_reader import Reader, days_with_calls, exactly
from spend_middleware.store.report_sums import fetch, total_of
from spend_middleware.store.report_values import By, Period, Sums, added
from spend_middleware.store.zones import Window

_FEW_CALLS = 50_000
"""Up to so many calls are added up one by one for a fine answer about tags and customers."""

_SOME_DAYS = 2
"""From so many days on one statement for all of them is quicker than one each."""


@dataclass(frozen=True, slots=True)
class _Lines:
    """What a page counts: lines of (day, entity, and all parts), or of (day, entity) alone where calls are many.

    Args:
        counts: The days that have lines and how many, newest first.
    """

    question: Question
    counts: tuple[tuple[date, int], ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)

    @property
    def fine(self) -> bool:
        """True when each line names the model, the key and so on."""
        return len(self.question.dimensions) > 1

    def on_page(self, page: int, size: int) -> Iterator[tuple[date, int, int]]:
        """Yield the days of a page with the offset and the number of the lines of each that are on it."""
        first, last, position = (page - 1) * size, page * size, 0
        for day, count in self.counts:
            offset, end = max(first - position, 0), min(last - position, count)
            if offset < end:
                yield day, offset, end - offset
            position += count


def daily_activity(
    reader: Reader, entity: By, question: Question, period: Period, *, page: int, size: int
) -> ActivityPage:
    """Return one page of days, newest first."""
    with reader.reading() as connection:
        window = reader.window(connection, period)
        if question.scope.nothing or window.empty:
            return ActivityPage((), Sums(), Sums(), page, 0, 0, False, window.zone)
        whole = _total(connection, entity, question, window)
        fine = replace(question, dimensions=(entity, *PARTS))
        lines = _lines(connection, entity, fine, window, calls=whole.requests, size=size)
        parts = list(lines.on_page(page, size))
        whole_days = _whole_days(connection, entity, lines, window, parts)
        days = [
            _day(connection, entity, lines, replace(window, start=day, end=day), (offset, count), whole_days)
            for day, offset, count in parts
        ]
        on_page = added(day.sums for day in days)
        by_call = adds_calls(replace(lines.question, dimensions=(By.DAY, *lines.question.dimensions)), window)
    pages = -(-lines.total // size)
    return ActivityPage(tuple(days), on_page, whole, page, pages, lines.total, by_call, window.zone)


def _total(connection: Connection, entity: By, question: Question, window: Window) -> Sums:
    """Return the sums over all calls that are meant, each once; about tags, those that have one."""
    whole = total_of(connection, question, window)
    if entity is By.TAG and not question.where.tag:
        whole -= total_of(connection, replace(question, untagged=True), window)
    return whole


def _lines(
    connection: Connection, entity: By, fine: Question, window: Window, *, calls: int, size: int
) -> _Lines:
    coarse = replace(fine, dimensions=(entity,))
    if fine.source(all_time=False) is None and calls > _FEW_CALLS:
        return _counted(connection, coarse, window)
    lines = _counted(connection, fine, window)
    # A call with two tags is on two lines: days can count it once only while all its lines are on one page.
    if entity is By.TAG and lines.total > size:
        return _counted(connection, coarse, window)
    return lines


def _counted(connection: Connection, question: Question, window: Window) -> _Lines:
    days = days_with_calls(connection, window)
    if window.rolled and question.source(all_time=False) is not None:
        lines_of = lines_by_day(connection, question, window.zone, days)
        found = [(date.fromisoformat(day), count) for day, count in lines_of.items()]
        return _Lines(question, tuple(sorted(found, reverse=True)))
    counts = []
    bare = replace(question, sums=("requests",))
    for day in reversed(days):
        lines = answer(bare, replace(window, start=day, end=day))
        count = connection.scalar(select(func.count()).select_from(lines).where(lines.c.requests > 0))
        if count:
            counts.append((day, count))
    return _Lines(question, tuple(counts))


def _whole_days(
    connection: Connection, entity: By, lines: _Lines, window: Window, parts: Sequence[tuple[date, int, int]]
) -> dict[date, list[Group]]:
    """Return the lines of the days that are on a page as a whole, read with one statement where rollups know days."""
    counts = dict(lines.counts)
    days = [day for day, _, count in parts if count == counts[day]]
    if len(days) < _SOME_DAYS or not lines.fine or entity is By.TAG or not window.rolled:
        return {}
    question = replace(lines.question, dimensions=(By.DAY, *lines.question.dimensions))
    if question.source(all_time=False) is None:
        return {}
    found: dict[date, list[Group]] = {day: [] for day in days}
    for group in _fetch(connection, question, replace(window, start=min(days), end=max(days))):
        found.setdefault(date.fromisoformat(group.keys[0]), []).append(Group(group.keys[1:], group.sums))
    return found


def _day(
    connection: Connection,
    entity: By,
    lines: _Lines,
    window: Window,
    part: tuple[int, int],
    whole_days: Mapping[date, list[Group]],
) -> ActivityDay:
    assert window.start is not None  # noqa: S101 - a day's window is bounded
    groups = whole_days.get(window.start)
    if groups is None:
        groups = _fetch(connection, *_narrowed(connection, entity, lines, window, part))
    entities = groups
    if not lines.fine or entity is By.TAG:
        values = tuple(sorted({group.keys[0] for group in groups}))
        asked = replace(lines.question, where=replace(lines.question.where, **{entity.value: values}))
        groups = _fetch(connection, replace(asked, dimensions=PARTS), window)
        groups = [Group(("", *group.keys), group.sums) for group in groups]
        if not lines.fine:
            entities = _fetch(connection, replace(asked, dimensions=(entity, By.KEY)), window)
    breakdown = {by.value: _parts(groups, column) for column, by in enumerate(PARTS, start=1)}
    breakdown["api_key"] = {name: ActivityPart(part.sums, {}) for name, part in breakdown["api_key"].items()}
    breakdown["entities"] = _parts(entities, 0)
    return ActivityDay(window.start.isoformat(), added(group.sums for group in groups), breakdown)


def _narrowed(
    connection: Connection, entity: By, lines: _Lines, window: Window, part: tuple[int, int]
) -> tuple[Question, Window, int, int]:
    """Return what to ask for a part of a day's lines: only the names that it holds, and where it begins among theirs."""
    day, question, (offset, count) = window.start, lines.question, part
    whole = day is None or dict(lines.counts)[day] == count
    if day is None or whole or not lines.fine or entity not in FINE or not window.rolled:
        return question, window, offset, count
    position, before, names = 0, 0, []
    for name, number in lines_by_name(connection, question, window.zone, day):
        if position + number <= offset:
            before += number
        elif position < offset + count:
            names.append(name)
        position += number
    if not names:
        return question, window, offset, count
    where = replace(question.where, **{entity.value: tuple(names)})
    return replace(question, where=where), window, offset - before, count


def _fetch(
    connection: Connection, question: Question, window: Window, offset: int = 0, count: int | None = None
) -> list[Group]:
    lines = answer(question, window)
    order = [exactly(connection, lines.c[by.value]) for by in question.dimensions]
    statement = select(lines).where(lines.c.requests > 0).order_by(*order).limit(count).offset(offset)
    return fetch(connection, question, statement)


def _parts(groups: Sequence[Group], column: int) -> dict[str, ActivityPart]:
    """Return the sums by the value of one column, and by key within each."""
    members: dict[str, dict[str, list[Sums]]] = {}
    for group in groups:
        own = members.setdefault(group.keys[column], {})
        own.setdefault(group.keys[1], []).append(group.sums)
    parts = {}
    for name in sorted(members):
        keys = {key: added(sums) for key, sums in members[name].items()}
        parts[name] = ActivityPart(added(keys.values()), keys)
    return parts
