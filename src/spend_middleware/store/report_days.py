"""LiteLLM's reports by day and by key, as streams whose memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby

from spend_middleware.store.report_query import Question
from spend_middleware.store.report_reader import Reader, days_with_calls
from spend_middleware.store.report_sums import by_window, stream
from spend_middleware.store.report_values import (
    By,
    DayGroup,
    DaySummary,
    Detail,
    Filter,
    Group,
    KeySpend,
    Period,
    Scope,
    Sums,
    added,
)
from spend_middleware.store.zones import Window

_DAYS_AT_ONCE = 92
_FEW_DAYS_AT_ONCE = 14
"""Days of a summary that are held in memory together: of one owner's calls, and of everybody's."""

_KEYS_AT_ONCE = 200
"""Keys whose models are read with one statement."""


def most_spend_first(detail: Detail) -> tuple[int, str, str]:
    """Return the sorting key of details: greatest spend first, then model and key."""
    return (-detail.sums.spend_pico, detail.model, detail.api_key)


def daily_groups(
    reader: Reader, by: Sequence[By], scope: Scope, period: Period, where: Filter
) -> Iterator[DayGroup]:
    """Yield each day's groups with their details by model and key."""
    width = 1 + len(by)
    # The key before the model, as rollups are sorted: a day's customers are then read without sorting them.
    question = Question((By.DAY, *by, By.KEY, By.MODEL), scope, where)
    for keys, lines in groupby(stream(reader, question, period), lambda line: line.keys[:width]):
        details = [Detail(line.keys[width + 1], line.keys[width], line.sums) for line in lines]
        whole = added(detail.sums for detail in details)
        yield DayGroup(keys[0], keys[1:], whole, tuple(sorted(details, key=most_spend_first)))


def daily_summary(reader: Reader, scope: Scope, period: Period, where: Filter) -> Iterator[DaySummary]:
    """Yield each day's sums with the spend by key, user and model, ascending."""
    if scope.nothing:
        return
    with reader.reading() as connection:
        window = reader.window(connection, period)
        days = [] if window.empty else days_with_calls(connection, window)
    few = bool(where.parts() or not scope.everything)
    at_once = timedelta(_FEW_DAYS_AT_ONCE if not few else _DAYS_AT_ONCE)
    while days:
        last = next(day for day in reversed(days) if day < days[0] + at_once)
        part = replace(window, start=days[0], end=last)
        yield from (_folded if few else _summaries)(reader, scope, part, where)
        days = [day for day in days if day > last]


def _folded(reader: Reader, scope: Scope, window: Window, where: Filter) -> Iterator[DaySummary]:
    """Yield the summaries of a few owners' calls, from one wide reading."""
    summaries: dict[str, DaySummary] = {}
    with reader.reading() as connection:
        question = Question((By.DAY, By.KEY, By.USER, By.MODEL), scope, where)
        for line in by_window(connection, question, window):
            day, *named = line.keys
            summary = summaries.get(day) or DaySummary(day, Sums(), {}, {}, {})
            for spent, name in zip((summary.keys, summary.users, summary.models), named, strict=True):
                spent[name] = spent.get(name, 0) + line.sums.spend_pico
            summaries[day] = replace(summary, sums=summary.sums + line.sums)
    yield from summaries.values()


def _summaries(reader: Reader, scope: Scope, window: Window, where: Filter) -> Iterator[DaySummary]:
    """Yield the summaries of everybody's calls, from the narrow rollups."""
    summaries: dict[str, DaySummary] = {}
    with reader.reading() as connection:
        for line in by_window(connection, Question((By.DAY,), scope, where), window):
            summaries[line.keys[0]] = DaySummary(line.keys[0], line.sums, {}, {}, {})
        for by, name in ((By.KEY, "keys"), (By.USER, "users"), (By.MODEL, "models")):
            for line in by_window(connection, Question((By.DAY, by), scope, where), window):
                getattr(summaries[line.keys[0]], name)[line.keys[1]] = line.sums.spend_pico
    for _, summary in sorted(summaries.items()):
        yield summary


def by_key(reader: Reader, scope: Scope, period: Period, where: Filter) -> Iterator[KeySpend]:
    """Yield the keys with their models, greatest spend first."""
    if scope.nothing:
        return
    with reader.reading() as connection:
        window = reader.window(connection, period)
        keys = [] if window.empty else list(by_window(connection, Question((By.KEY,), scope, where), window))
    # A customer's calls stand together, whatever their keys: they are read once.
    at_once = len(keys) if where.end_user else _KEYS_AT_ONCE
    for first in range(0, len(keys), max(at_once, 1)):
        chunk = keys[first : first + at_once]
        models = _models_of(reader, chunk, scope, window, where)
        for line in chunk:
            details = models.get(line.keys[0], [])
            # Between the two statements calls may have come in: a key's sums are always those of its models.
            whole = added(detail.sums for detail in details)
            yield KeySpend(line.keys[0], whole, tuple(sorted(details, key=most_spend_first)))


def _models_of(
    reader: Reader, chunk: list[Group], scope: Scope, window: Window, where: Filter
) -> dict[str, list[Detail]]:
    asked = where if where.end_user else replace(where, api_key=tuple(line.keys[0] for line in chunk))
    models: dict[str, list[Detail]] = {}
    with reader.reading() as connection:
        for line in by_window(connection, Question((By.KEY, By.MODEL), scope, asked), window):
            models.setdefault(line.keys[0], []).append(Detail(line.keys[1], line.keys[0], line.sums))
    return models
