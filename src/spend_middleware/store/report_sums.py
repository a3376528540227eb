"""Sums over any grouping, by tag, and since a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Subquery, select

from spend_middleware.store.report_answers import Group, Report, TagReport, TagSpend
from spend_middleware.store.report_query import (
    Moments,
    Question,
    adds_calls,
    answer,
    answer_between,
)
from spend_middleware.store.report_reader import Reader, days_with_calls, exactly
from spend_middleware.store.report_sources import RANKED, spend_order, sums_of
from spend_middleware.store.report_values import By, Filter, Period, Scope, Sums, added
from spend_middleware.store.rollups import MICRO
from spend_middleware.store.zones import Window, moment_of

_FEW = 500
"""Groups whose sums are quicker added up here than with another statement."""


def total(reader: Reader, question: Question, period: Period) -> Sums:
    """Return the sums over all calls that match, each once."""
    with reader.reading() as connection:
        return total_of(connection, question, reader.window(connection, period))


def total_of(connection: Connection, question: Question, window: Window) -> Sums:
    """Return the sums over a window."""
    if question.scope.nothing or window.empty:
        return Sums()
    return sums_of(connection.execute(select(answer(replace(question, dimensions=()), window))).one())


def by(reader: Reader, question: Question, period: Period, limit: int | None) -> Report:
    """Return the sums by the question's dimensions, and the total."""
    with reader.reading() as connection:
        window = reader.window(connection, period)
        if question.scope.nothing or window.empty:
            return Report((), Sums(), False, window.zone)
        groups = tuple(by_window(connection, question, window, limit))
        parts = limit is None and By.TAG not in question.dimensions and len(groups) <= _FEW
        whole = added(group.sums for group in groups) if parts else total_of(connection, question, window)
        return Report(groups, whole, adds_calls(question, window), window.zone)


def by_window(
    connection: Connection, question: Question, window: Window, limit: int | None = None
) -> Iterator[Group]:
    """Yield the sums by the question's dimensions, greatest spend first, within each day if days are asked for."""
    for asked, part, prefix in _days_of(connection, question, window):
        if limit is not None and limit <= _FEW and not adds_calls(asked, part):
            asked = _of_the_first(connection, asked, part, limit)
        lines = answer(asked, part)
        groups = fetch(connection, asked, _greatest_first(connection, asked, lines).limit(limit), prefix)
        yield from groups
        if limit is not None:
            limit -= len(groups)
            if limit <= 0:
                return


def _days_of(
    connection: Connection, question: Question, window: Window
) -> Iterator[tuple[Question, Window, tuple[str, ...]]]:
    """Yield what to ask: one question, or one for each day where only single calls know the days."""
    if By.DAY not in question.dimensions or (window.rolled and question.source(all_time=False)):
        yield question, window, ()
        return
    for day in days_with_calls(connection, window):
        yield question.without_day(), replace(window, start=day, end=day), (day.isoformat(),)


def _of_the_first(connection: Connection, question: Question, window: Window, limit: int) -> Question:
    """Return the question about those names alone that come first, so that no other sums are added up for the rest."""
    if len(question.dimensions) != 1 or By.DAY in question.dimensions:
        return question
    (by,) = question.dimensions
    names = tuple(name for (name,), _ in spent(connection, question, window, limit))
    # Without names anything would be meant.
    return replace(question, where=replace(question.where, **{by.value: names})) if names else question


def spent(
    connection: Connection, question: Question, window: Window, limit: int | None = None
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the keys of each group and its spend in pico-dollars, in the order of `by_window`, without other sums."""
    for asked, part, prefix in _days_of(connection, question, window):
        ranked = replace(asked, sums=RANKED)
        statement = _greatest_first(connection, ranked, answer(ranked, part)).limit(limit)
        for *names, micros, rest, _ in connection.execute(statement):
            yield (*prefix, *names), micros * MICRO + rest


def _greatest_first(connection: Connection, question: Question, lines: Subquery) -> Select[Any]:
    names = [exactly(connection, lines.c[each.value]) for each in question.dimensions]
    first = [name for name, each in zip(names, question.dimensions, strict=True) if each is By.DAY]
    return (
        select(lines)
        .where(lines.c.requests > 0)
        .order_by(*first, *spend_order(lines.c.spend_micros, lines.c.spend_rest), *names)
    )


def fetch(
    connection: Connection, question: Question, statement: Select[Any], prefix: tuple[str, ...] = ()
) -> list[Group]:
    """Return the lines of a statement as groups, with a day before their keys if one is given."""
    width = len(question.dimensions)
    return [
        Group((*prefix, *line[:width]), sums_of(line))
        for line in connection.execute(statement)
        if width or line.requests
    ]


def tags(reader: Reader, scope: Scope, period: Period, where: Filter, limit: int | None) -> TagReport:
    """Return spend by tag, the total over calls, and what has no tag."""
    question = Question((By.TAG,), scope, where)
    every = Question((), scope, replace(where, tag=()))
    with reader.reading() as connection:
        window = reader.window(connection, period)
        groups: Iterable[Group] = (
            () if scope.nothing or window.empty else by_window(connection, question, window, limit)
        )
        rows = tuple(TagSpend(group.keys[0], group.sums) for group in groups)
        whole = total_of(connection, every, window)
        untagged = None if where.tag else total_of(connection, replace(every, untagged=True), window)
    return TagReport(rows, whole, untagged, adds_calls(question, window), window.zone)


def spend_since(
    reader: Reader, name: By, values: Sequence[str], since: datetime, scope: Scope
) -> dict[str, Sums]:
    """Return what each of the values has spent since a moment: whole days from rollups, the rest from calls."""
    if scope.nothing or not values:
        return {}
    question = Question((name,), scope, Filter(**{name.value: tuple(values)}))
    with reader.reading() as connection:
        lines = answer_between(question, Moments(moment_of(since), None))
        groups = fetch(connection, question, select(lines).where(lines.c.requests > 0))
    return {group.keys[0]: group.sums for group in groups}


def names(reader: Reader, name: By, scope: Scope, period: Period) -> list[str]:
    """Return the distinct values of a dimension, sorted."""
    question = Question((name,), scope, sums=("requests",))
    with reader.reading() as connection:
        window = reader.window(connection, period)
        if scope.nothing or window.empty:
            return []
        lines = answer(question, window)
        named = select(lines.c[name.value]).where(lines.c.requests > 0, lines.c[name.value] != "")
        return sorted(connection.scalars(named))
