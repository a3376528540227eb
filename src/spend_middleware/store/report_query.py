"""One SELECT for any grouping: from the narrowest rollup that knows it, and from single calls where none does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, Table, func, select, true, union_all

from spend_middleware.store.report_sources import (
    ADJUSTMENT_SUMS,
    ADJUSTMENTS,
    BY_NAME,
    CALL_SUMS,
    LOGS,
    TAGS,
    TAGS_OF_CALL,
    Source,
    one_of,
    rare,
    source_for,
    stored_sums,
    untagged_source,
    visible,
)
from spend_middleware.store.report_values import NO_FILTER, By, Filter, Scope
from spend_middleware.store.tables import UTC_ZONE
from spend_middleware.store.zones import Window, day_end, day_of, day_start

_DAY = timedelta(days=1)

CALL_COLUMNS: dict[By, ColumnElement[Any]] = {
    By.TAG: TAGS_OF_CALL.c.value,
    **{by: LOGS.c[by.value] for by in By if by not in {By.DAY, By.TAG}},
}
"""Where single calls hold each dimension."""


@dataclass(frozen=True, slots=True)
class Moments:
    """A half-open interval of microseconds; None is an open end."""

    since: int | None = None
    until: int | None = None

    def within(self, column: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Return the conditions that a column of times lies in it."""
        low = [] if self.since is None else [column >= self.since]
        return low if self.until is None else [*low, column < self.until]


ANY_TIME = Moments()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the grouping, who asks, and about which calls; when is said apart.

    Args:
        untagged: Only calls without a tag.
    """

    dimensions: tuple[By, ...]
    scope: Scope
    where: Filter = NO_FILTER
    untagged: bool = False

    def needs(self) -> frozenset[By]:
        """Return every dimension that a source must know to answer."""
        asked = () if self.scope.everything else self.scope.parts()
        return frozenset((*self.dimensions, *(by for by, _ in (*self.where.parts(), *asked))))

    def without_day(self) -> Question:
        """Return the same question for one day."""
        return replace(self, dimensions=tuple(by for by in self.dimensions if by is not By.DAY))

    def source(self, *, all_time: bool) -> Source | None:
        """Return the rollup that answers, None when only single calls can."""
        needed = self.needs()
        if self.untagged:
            return untagged_source(all_time=all_time and not needed) if needed <= {By.DAY} else None
        if len(self.where.tag) > 1 and By.TAG not in self.dimensions:
            return None  # a call that has two of the tags must count once
        return source_for(needed, all_time=all_time)

    def conditions(self, columns: Mapping[By, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
        """Return what must hold in a source with these columns."""
        asked = [one_of(columns[by], values) for by, values in self.where.parts() if by in columns]
        return [*asked, *visible(self.scope, columns)]


def answer(question: Question, window: Window) -> Subquery:
    """Return the grouped sums as a subquery, whose columns are the dimensions and then `SUMS`.

    In a zone without rollups a grouping by day must be asked day by day (see `days_with_calls`).
    """
    source = question.source(all_time=window.open)
    if source is None or (source.daily and not _has_days(question, window)):
        return answer_between(question, Moments(window.since, window.until))
    zone = window.zone if window.rolled else UTC_ZONE
    when = _days(source, zone, window.start, window.end) if source.daily else []
    return _from_rollup(question, source, when).subquery("answer")


def _has_days(question: Question, window: Window) -> bool:
    return window.rolled or (window.open and By.DAY not in question.dimensions)


def adds_calls(question: Question, window: Window) -> bool:
    """Say whether single calls have to be added up for an answer, because no rollup has these days."""
    source = question.source(all_time=window.open)
    return source is None or (source.daily and not _has_days(question, window))


def answer_between(question: Question, moments: Moments) -> Subquery:
    """Return the same for any interval: whole UTC days from a rollup, what is left at both ends from calls."""
    source = question.source(all_time=False)
    parts = from_calls(question, moments) if source is None else _inside_and_ends(question, source, moments)
    if len(parts) == 1:
        return parts[0].subquery("answer")
    every = union_all(*parts).subquery("parts")
    names = [every.c[by.value] for by in question.dimensions]
    return select(*names, *stored_sums(every)).group_by(*names).subquery("answer")


def _inside_and_ends(question: Question, source: Source, moments: Moments) -> list[Select[Any]]:
    since, until = moments.since, moments.until
    first = None if since is None else day_of(since - 1, UTC_ZONE) + _DAY
    last = None if until is None else day_of(until, UTC_ZONE) - _DAY
    if first is not None and last is not None and first > last:
        return from_calls(question, moments)
    parts = [_from_rollup(question, source, _days(source, UTC_ZONE, first, last))]
    if first is not None and since != (start := day_start(first, UTC_ZONE)):
        parts += from_calls(question, Moments(since, start))
    if last is not None and until != (end := day_end(last, UTC_ZONE)):
        parts += from_calls(question, Moments(end, until))
    return parts


def _days(source: Source, zone: str, start: date | None, end: date | None) -> list[ColumnElement[bool]]:
    day, conditions = source.columns[By.DAY], [source.table.c.zone == zone]
    if start is not None:
        conditions.append(day >= start.isoformat())
    if end is not None:
        conditions.append(day <= end.isoformat())
    return conditions


def _from_rollup(question: Question, source: Source, when: list[ColumnElement[bool]]) -> Select[Any]:
    names = [source.columns[by].label(by.value) for by in question.dimensions]
    kind = [] if source.kind is None else [source.table.c.kind == source.kind]
    asked = question.conditions(source.columns)
    if source.table in BY_NAME:
        asked = [rare(condition) for condition in asked]
    return (
        select(*names, *stored_sums(source.table))
        .where(*kind, *when, *asked)
        .group_by(*(source.columns[by] for by in question.dimensions))
    )


def from_calls(question: Question, moments: Moments) -> list[Select[Any]]:
    """Return the sums over single calls, and those over their adjustments."""
    calls = _grouped(question, CALL_SUMS, LOGS, LOGS, moments)
    joined = ADJUSTMENTS.join(LOGS, LOGS.c.id == ADJUSTMENTS.c.log_id)
    return [calls, _grouped(question, ADJUSTMENT_SUMS, joined, ADJUSTMENTS, moments)]


def _grouped(
    question: Question, sums: tuple[ColumnElement[int], ...], rows: FromClause, timed: Table, moments: Moments
) -> Select[Any]:
    when = moments.within(timed.c.start_time)
    if By.TAG in question.dimensions:
        rows = rows.join(TAGS_OF_CALL, true())
    names = [CALL_COLUMNS[by] for by in question.dimensions]
    return (
        select(*(name.label(by.value) for by, name in zip(question.dimensions, names, strict=True)), *sums)
        .select_from(rows)
        .where(*when, *calls_where(question, moments))
        .group_by(*names)
    )


def calls_where(question: Question, moments: Moments = ANY_TIME) -> list[ColumnElement[bool]]:
    """Return the conditions of a question on single calls; times only help to find the tags."""
    columns = dict(CALL_COLUMNS)
    conditions: list[ColumnElement[bool]] = []
    if By.TAG not in question.dimensions:
        del columns[By.TAG]
    if question.where.tag:
        tagged = [one_of(TAGS.c.tag, question.where.tag), *moments.within(TAGS.c.start_time)]
        conditions.append(LOGS.c.id.in_(select(TAGS.c.log_id).where(*tagged)))
    if question.untagged:
        conditions.append(func.coalesce(LOGS.c.request_tags, "[]") == "[]")
    return [*conditions, *question.conditions(columns)]
