"""How calls ended, by columns of theirs that no rollup has: their type, their status code, the host that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, Text, case, cast, func, select

from spend_middleware.store.report_reader import Reader, days_with_calls
from spend_middleware.store.report_sources import FAILED, LOGS
from spend_middleware.store.report_values import Period, Scope
from spend_middleware.store.rows_filter import CACHE_HIT, conditions
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.zones import Window


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Calls that are alike in some columns.

    Args:
        keys: The values of the columns, in the order asked for, "" where a call has none; the day before them.
        failures: Calls that did not end well.
        cache_hits: Imported calls that LiteLLM answered out of its cache.
        completion_tokens: Of all these calls; `cached_completion_tokens` of the cache hits among them.
    """

    keys: tuple[str, ...]
    requests: int
    failures: int
    cache_hits: int
    completion_tokens: int
    cached_completion_tokens: int

    def __add__(self, other: Outcomes) -> Outcomes:
        """Return the counts over both, under the first one's keys."""
        return Outcomes(
            self.keys,
            self.requests + other.requests,
            self.failures + other.failures,
            self.cache_hits + other.cache_hits,
            self.completion_tokens + other.completion_tokens,
            self.cached_completion_tokens + other.cached_completion_tokens,
        )


def outcomes(
    reader: Reader, names: Sequence[str], scope: Scope, period: Period, where: LogFilter, *, daily: bool
) -> list[Outcomes]:
    """Return the counts by these columns, in the order of their values; with `daily` by the day before them."""
    with reader.reading() as connection:
        window = reader.window(connection, period)
        if scope.nothing or window.empty:
            return []
        return [
            line
            for prefix, part in _parts(connection, window, daily=daily)
            for line in _lines(connection, names, scope, _within(where, part), prefix)
        ]


def _parts(
    connection: Connection, window: Window, *, daily: bool
) -> Iterator[tuple[tuple[str, ...], Window]]:
    if not daily:
        yield (), window
        return
    for day in days_with_calls(connection, window):
        yield (day.isoformat(),), replace(window, start=day, end=day)


def _within(where: LogFilter, window: Window) -> LogFilter:
    return replace(where, since=window.since, until=window.until)


def _lines(
    connection: Connection, names: Sequence[str], scope: Scope, where: LogFilter, prefix: tuple[str, ...]
) -> list[Outcomes]:
    columns: list[ColumnElement[str]] = [func.coalesce(cast(LOGS.c[name], Text), "") for name in names]
    tokens = LOGS.c.completion_tokens
    statement = (
        select(
            *columns,
            func.count(),
            func.sum(case((FAILED, 1), else_=0)),
            func.sum(case((CACHE_HIT, 1), else_=0)),
            func.sum(tokens),
            func.sum(case((CACHE_HIT, tokens), else_=0)),
        )
        .where(*conditions(scope, where))
        .group_by(*columns)
    )
    width = len(names)
    lines = connection.execute(statement).all() if names else [connection.execute(statement).one()]
    found = [
        Outcomes((*prefix, *line[:width]), *(int(value or 0) for value in line[width:])) for line in lines
    ]
    return sorted((line for line in found if line.requests), key=lambda line: line.keys)
