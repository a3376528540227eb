"""Long answers in the order of their keys, read in chunks, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, literal, select, tuple_

from spend_middleware.store.report_answers import Group
from spend_middleware.store.report_query import Question, answer, rollup_parts
from spend_middleware.store.report_reader import Reader, days_with_calls, exactly
from spend_middleware.store.report_sums import fetch
from spend_middleware.store.report_values import By, Period
from spend_middleware.store.zones import Window

_CHUNK = 10_000
"""Lines that are fetched at a time."""


def stream(reader: Reader, question: Question, period: Period) -> Iterator[Group]:
    """Yield the groups ordered by their keys.

    A grouping by day (its first dimension) is read day by day and in chunks, each in a transaction of its own: memory
    stays flat however long the answer is, and a slow taker never holds a snapshot open, which would let SQLite's
    write-ahead log grow.
    """
    if question.scope.nothing:
        return
    with reader.reading() as connection:
        window = reader.window(connection, period)
        days = [] if window.empty else days_with_calls(connection, window)
    if question.dimensions[:1] != (By.DAY,):
        yield from _chunks(reader, question, window)
        return
    for day in days:
        one_day = replace(window, start=day, end=day)
        yield from _chunks(reader, question.without_day(), one_day, (day.isoformat(),))


def _chunks(
    reader: Reader, question: Question, window: Window, prefix: tuple[str, ...] = ()
) -> Iterator[Group]:
    after: tuple[str, ...] | None = None
    while True:
        with reader.reading() as connection:
            statement = _behind(connection, question, window, after).limit(_CHUNK)
            groups = fetch(connection, question, statement, prefix)
        yield from groups
        if len(groups) < _CHUNK or not question.dimensions:
            return
        after = groups[-1].keys[len(prefix) :]


def _behind(
    connection: Connection, question: Question, window: Window, after: tuple[str, ...] | None
) -> Select[Any]:
    """Return the groups whose keys come after some, in their order."""
    parts = rollup_parts(question, window)
    if parts is not None and len(parts) == 1:
        # Sorted where it is grouped: along the rollup's key a database then stops at the end of the chunk.
        (statement,) = parts
        columns = statement.selected_columns
        names: list[Any] = [columns[by.value].element for by in question.dimensions]
        statement = statement.having(columns["requests"].element > 0)
    else:
        if after is not None:
            question = replace(question, beginning=(question.dimensions[0], after[0]))
        lines = answer(question, window)
        names = [exactly(connection, lines.c[by.value]) for by in question.dimensions]
        statement = select(lines).where(lines.c.requests > 0)
    if after is not None:
        statement = statement.where(tuple_(*names) > tuple_(*(literal(key) for key in after)))
    return statement.order_by(*names)
