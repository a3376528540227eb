"""One SELECT for any grouping: from the narrowest rollup that knows it, and from single calls where none does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    Text,
    column,
    func,
    select,
    true,
    union_all,
)

from spend_middleware.store.columns import UTC_ZONE
from spend_middleware.store.report_hints import rare, unsought
from spend_middleware.store.report_sources import (
    ADJUSTMENT_SUMS,
    ADJUSTMENTS,
    CALL_SUMS,
    LOGS,
    NAMES,
    SUMS_OF_PARTS,
    TAGS,
    TAGS_OF_CALL,
    Source,
    days_of,
    of_zone,
    one_of,
    own_sums,
    source_for,
    stored_sums,
    untagged_source,
    visible,
)
from spend_middleware.store.report_values import NO_FILTER, By, Filter, Scope
from spend_middleware.store.rollups import SUMS
from spend_middleware.store.spans import Span, apart
from spend_middleware.store.zones import Known, Window, day_end, day_of, day_start

_DAY = timedelta(days=1)

Ends = tuple[date | None, date | None]
"""The first and the last day of a period; None is an open end."""

CALL_COLUMNS: dict[By, ColumnElement[Any]] = {
    By.TAG: TAGS_OF_CALL.c.value,
    **{by: LOGS.c[by.value] for by in By if by not in {By.DAY, By.TAG}},
    By.AGENT: func.coalesce(LOGS.c.agent_id, ""),
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
        beginning: A dimension and where its values begin: those that sort before are left out.
        sums: Which sums are wanted; the fewer, the less is added up for each group.
    """

    dimensions: tuple[By, ...]
    scope: Scope
    where: Filter = NO_FILTER
    untagged: bool = False
    beginning: tuple[By, str] | None = None
    sums: tuple[str, ...] = SUMS

    def needs(self) -> frozenset[By]:
        """Return every dimension that a source must know to answer."""
        return frozenset((*self.dimensions, *self.named()))

    def named(self) -> Iterator[By]:
        """Yield the dimensions of which certain values are asked for."""
        asked = () if self.scope.everything else self.scope.parts()
        for by, _ in (*self.where.parts(), *asked):
            yield by

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

    def wanted(self, sums: Sequence[ColumnElement[int]]) -> list[ColumnElement[int]]:
        """Return those of all sums that are wanted."""
        return [one for one in sums if one.name in self.sums]

    def conditions(self, columns: Mapping[By, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
        """Return what must hold in a source with these columns."""
        asked = [one_of(columns[by], values) for by, values in self.where.parts() if by in columns]
        if self.beginning is not None:
            asked.append(columns[self.beginning[0]] >= self.beginning[1])
        return [*asked, *visible(self.scope, columns)]


def answer(question: Question, window: Window, source: Source | None = None) -> Subquery:
    """Return the grouped sums as a subquery, whose columns are the dimensions and then the sums that are wanted.

    In a zone without rollups a grouping by day must be asked day by day (see `days_with_calls`).

    Args:
        source: The rollup to read; the smallest that answers when None.
    """
    parts = rollup_parts(question, window, source)
    if parts is None:
        return answer_between(question, Moments(window.since, window.until), window.known)
    return _joined(question, parts)


def rollup_parts(
    question: Question, window: Window, source: Source | None = None
) -> list[Select[Any]] | None:
    """Return the selections from rollups that make up an answer, a single one grouped; None where calls are needed."""
    source = source or question.source(all_time=window.open)
    if source is None or (source.daily and not _has_days(question, window)):
        return None
    if not source.daily:
        return [_from_rollup(question, source, [])]
    zone = window.zone if window.rolled else UTC_ZONE
    return _whole_days(question, source, zone, (window.start, window.end), window.known)


def _has_days(question: Question, window: Window) -> bool:
    return window.rolled or (window.open and By.DAY not in question.dimensions)


def adds_calls(question: Question, window: Window) -> bool:
    """Say whether single calls have to be added up for an answer, because no rollup has these days."""
    source = question.source(all_time=window.open)
    return source is None or (source.daily and not _has_days(question, window))


def answer_between(question: Question, moments: Moments, known: Known | None = None) -> Subquery:
    """Return the same for any interval: whole UTC days from a rollup, what is left at both ends from calls.

    Args:
        known: What the rollups have of UTC's days; days are added up one by one where it is not said.
    """
    source = question.source(all_time=False)
    if source is None:
        return _joined(question, from_calls(question, moments))
    return _joined(question, _inside_and_ends(question, source, moments, known))


def _joined(question: Question, parts: list[Select[Any]]) -> Subquery:
    if len(parts) == 1:
        return parts[0].subquery("answer")
    every = union_all(*parts).subquery("parts")
    names = [column(by.value, Text) for by in question.dimensions]
    return (
        select(*names, *question.wanted(SUMS_OF_PARTS)).select_from(every).group_by(*names).subquery("answer")
    )


def _inside_and_ends(
    question: Question, source: Source, moments: Moments, known: Known | None
) -> list[Select[Any]]:
    since, until = moments.since, moments.until
    first = None if since is None else day_of(since - 1, UTC_ZONE) + _DAY
    last = None if until is None else day_of(until, UTC_ZONE) - _DAY
    if first is not None and last is not None and first > last:
        return from_calls(question, moments)
    parts = _whole_days(question, source, UTC_ZONE, (first, last), known)
    if first is not None and since != (start := day_start(first, UTC_ZONE)):
        parts += from_calls(question, Moments(since, start))
    if last is not None and until != (end := day_end(last, UTC_ZONE)):
        parts += from_calls(question, Moments(end, until))
    return parts


def _whole_days(
    question: Question, source: Source, zone: str, ends: Ends, known: Known | None
) -> list[Select[Any]]:
    """Return the sums over whole days: over spans of days as far as these are settled and days are not asked for."""
    spanned = source.over_spans()
    parts = None if known is None or By.DAY in question.dimensions else _apart(ends, known)
    if spanned is None or parts is None:
        return [_from_rollup(question, source, _days(question, source, zone, *ends))]
    spans, days = parts
    of_spans = [
        of_zone(spanned.table, zone, question.named()),
        spanned.table.c.span.in_(days_of(spanned.table, [span.name for span in spans], question.named())),
    ]
    if not days:
        return [_from_rollup(question, spanned, of_spans)]
    # Not added up one by one: whoever joins the parts does so once.
    return [
        _rows_of(question, spanned, of_spans),
        *(_rows_of(question, source, _days(question, source, zone, *part.dates)) for part in days),
    ]


def _apart(ends: Ends, known: Known) -> tuple[list[Span], list[Span]] | None:
    """Return the spans and stretches of days of a period; None where no span lies within."""
    start, end = ends
    first = known.first if start is None else max(start, known.first)
    last = known.last if end is None else min(end, known.last)
    if known.settled is None:
        return None
    spans, days = apart(first.toordinal(), last.toordinal() + 1, known.settled.toordinal())
    return (spans, days) if spans else None


def _days(
    question: Question, source: Source, zone: str, start: date | None, end: date | None
) -> list[ColumnElement[bool]]:
    day, conditions = source.columns[By.DAY], [of_zone(source.table, zone, question.named())]
    ends = [end.isoformat() for end in (start, end) if end is not None]
    said = days_of(source.table, ends, question.named())
    if start is not None and start == end:
        return [*conditions, day == said[0]]
    if start is not None:
        conditions.append(day >= said[0])
    if end is not None:
        conditions.append(day <= said[-1])
    return conditions


def _from_rollup(question: Question, source: Source, when: list[ColumnElement[bool]]) -> Select[Any]:
    rows = _rows_of(question, source, when, stored_sums(source.table))
    return rows.group_by(*(source.columns[by] for by in question.dimensions))


def _rows_of(
    question: Question,
    source: Source,
    when: list[ColumnElement[bool]],
    sums: Sequence[ColumnElement[int]] = (),
) -> Select[Any]:
    names = [source.columns[by].label(by.value) for by in question.dimensions]
    kind = [] if source.kind is None else [source.table.c.kind == source.kind]
    asked = question.conditions(source.columns)
    if source.table is NAMES:
        asked = [rare(condition) for condition in asked]
    return select(*names, *question.wanted(sums or own_sums(source.table))).where(*kind, *when, *asked)


def from_calls(question: Question, moments: Moments) -> list[Select[Any]]:
    """Return the sums over single calls, and those over their adjustments."""
    calls = _grouped(question, CALL_SUMS, LOGS, LOGS, moments)
    # Adjustments are few: whose they are is looked up, not whether each call has one.
    joined = ADJUSTMENTS.join(LOGS, LOGS.c.id == unsought(ADJUSTMENTS.c.log_id))
    return [calls, _grouped(question, ADJUSTMENT_SUMS, joined, ADJUSTMENTS, moments)]


def _grouped(
    question: Question, sums: tuple[ColumnElement[int], ...], rows: FromClause, timed: Table, moments: Moments
) -> Select[Any]:
    when = moments.within(timed.c.start_time)
    if By.TAG in question.dimensions:
        rows = rows.join(TAGS_OF_CALL, true())
    names = [CALL_COLUMNS[by] for by in question.dimensions]
    return (
        select(
            *(name.label(by.value) for by, name in zip(question.dimensions, names, strict=True)),
            *question.wanted(sums),
        )
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
