"""LiteLLM's reports by day and by key, as streams whose memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby

from sqlalchemy import Connection

from spend_middleware.store.report_answers import DayGroup, DaySummary, Detail, Group, KeySpend
from spend_middleware.store.report_query import Question
from spend_middleware.store.report_reader import Reader, days_with_calls
from spend_middleware.store.report_stream import stream
from spend_middleware.store.report_sums import by_window, spent
from spend_middleware.store.report_values import By, Filter, Period, Scope, added
from spend_middleware.store.zones import Window

_DAYS_AT_ONCE = 92
_FEW_DAYS_AT_ONCE = 14
"""Days of a summary that are held in memory together: of one owner's calls, and of everybody's."""

_KEYS_AT_ONCE = 200
"""Keys whose models are read with one statement."""

_LINES_AT_ONCE = 10_000
"""Lines by key and model that are held in memory together."""


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
    days: dict[str, list[Group]] = {}
    with reader.reading() as connection:
        question = Question((By.DAY, By.KEY, By.USER, By.MODEL), scope, where)
        for line in by_window(connection, question, window):
            days.setdefault(line.keys[0], []).append(line)
    for day, lines in days.items():
        keys, users, models = (_spent_by(lines, place) for place in (1, 2, 3))
        yield DaySummary(day, added(line.sums for line in lines), keys, users, models)


def _spent_by(lines: Iterable[Group], place: int) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for line in lines:
        name = line.keys[place]
        amounts[name] = amounts.get(name, 0) + line.sums.spend_pico
    return amounts


def _summaries(reader: Reader, scope: Scope, window: Window, where: Filter) -> Iterator[DaySummary]:
    """Yield the summaries of everybody's calls, from the narrow rollups."""
    summaries: dict[str, DaySummary] = {}
    with reader.reading() as connection:
        for line in by_window(connection, Question((By.DAY,), scope, where), window):
            summaries[line.keys[0]] = DaySummary(line.keys[0], line.sums, {}, {}, {})
        for by, name in ((By.KEY, "keys"), (By.USER, "users"), (By.MODEL, "models")):
            for (day, value), amount in spent(connection, Question((By.DAY, by), scope, where), window):
                getattr(summaries[day], name)[value] = amount
    for _, summary in sorted(summaries.items()):
        yield summary


def by_key(reader: Reader, scope: Scope, period: Period, where: Filter) -> Iterator[KeySpend]:
    """Yield the keys with their models, greatest spend first."""
    if scope.nothing:
        return
    with reader.reading() as connection:
        window = reader.window(connection, period)
        if window.empty:
            return
        lines = _few_lines(connection, scope, window, where)
        by_spend = spent(connection, Question((By.KEY,), scope, where), window) if lines is None else ()
        keys = [key for (key,), _ in by_spend]
    if lines is not None:
        yield from sorted(_keys_of(lines), key=lambda key: (-key.sums.spend_pico, key.api_key))
        return
    # A customer's calls stand together, whatever their keys: they are read once.
    at_once = len(keys) if where.end_user else _KEYS_AT_ONCE
    for first in range(0, len(keys), max(at_once, 1)):
        chunk = keys[first : first + at_once]
        asked = where if where.end_user else replace(where, api_key=tuple(chunk))
        with reader.reading() as connection:
            models = list(by_window(connection, Question((By.KEY, By.MODEL), scope, asked), window))
        # Between the statements calls may have come in: a key's sums are always those of its models.
        found = {key.api_key: key for key in _keys_of(models)}
        yield from (found[key] for key in chunk if key in found)


def _few_lines(connection: Connection, scope: Scope, window: Window, where: Filter) -> list[Group] | None:
    """Return the keys and models of a few owners' calls; None where these may be too many to be held together."""
    if scope.everything and not where.parts():
        return None
    question = Question((By.KEY, By.MODEL), scope, where)
    lines = list(by_window(connection, question, window, _LINES_AT_ONCE + 1))
    return lines if len(lines) <= _LINES_AT_ONCE else None


def _keys_of(lines: Iterable[Group]) -> Iterator[KeySpend]:
    """Yield the keys of lines by key and model."""
    models: dict[str, list[Detail]] = {}
    for line in lines:
        models.setdefault(line.keys[0], []).append(Detail(line.keys[1], line.keys[0], line.sums))
    for key, details in models.items():
        yield KeySpend(
            key, added(detail.sums for detail in details), tuple(sorted(details, key=most_spend_first))
        )
