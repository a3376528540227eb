"""The calls whose cost is not known, by model and reason."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, select

from spend_middleware.store.columns import UTC_ZONE
from spend_middleware.store.report_answers import UnpricedModel
from spend_middleware.store.report_query import Moments, Question, answer, calls_where
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_sources import (
    ADJUSTMENTS,
    CALL_SUMS,
    LOGS,
    SPEND,
    sums_of,
    unpriced_source,
)
from spend_middleware.store.report_values import EVERYTHING, By, Period
from spend_middleware.store.zones import Window, day_of, rows_since

_NAMED: tuple[ColumnElement[Any], ...] = (
    LOGS.c.provider,
    LOGS.c.model,
    func.coalesce(LOGS.c.unpriced_reason, ""),
)
_MENDED = exists().where(and_(ADJUSTMENTS.c.log_id == LOGS.c.id, ADJUSTMENTS.c.priced > 0))
_UNPRICED = (SPEND.is_(None), ~_MENDED)


def unpriced_calls(moments: Moments) -> list[Select[Any]]:
    """Return the sums over single calls without a cost, by provider, model and reason."""
    times = moments.within(LOGS.c.start_time)
    statement: Select[Any] = select(*_NAMED, *CALL_SUMS).where(*_UNPRICED, *times).group_by(*_NAMED)
    return [statement]


def unpriced(reader: Reader, question: Question, period: Period) -> list[UnpricedModel]:
    """Return the models whose calls have no cost, most calls first; calls that retention took away are not meant."""
    with reader.reading() as connection:
        window = reader.window(connection, period)
        if question.scope.nothing or window.empty:
            return []
        kept = rows_since(connection)
        whole = (window.rolled or window.open) and (kept is None or window.zone == UTC_ZONE)
        if not whole or any(question.named()):
            models = _from_rows(connection, question, Moments(window.since, window.until))
        else:
            models = _from_rollup(connection, _since(window, kept))
    return sorted(models, key=lambda found: (-found.requests, found.provider, found.model, found.reason))


def _since(window: Window, kept: int | None) -> Window:
    """Return a window without the days whose rows are gone."""
    if kept is None:
        return window
    first = day_of(kept, UTC_ZONE)
    return replace(window, start=first if window.start is None else max(window.start, first))


def _from_rows(connection: Connection, question: Question, moments: Moments) -> list[UnpricedModel]:
    start = LOGS.c.start_time
    tokens = (LOGS.c.prompt_tokens, LOGS.c.completion_tokens)
    lines = connection.execute(
        select(*_NAMED, func.count(), *map(func.sum, tokens), func.min(start), func.max(start))
        .where(*_UNPRICED, *moments.within(start), *calls_where(question, moments))
        .group_by(*_NAMED)
    )
    return [UnpricedModel(*line[:3], *map(int, line[3:])) for line in lines]


def _from_rollup(connection: Connection, window: Window) -> list[UnpricedModel]:
    """Return the same from the sums of those calls, and two look-ups for each model."""
    question = Question((By.MODEL,), EVERYTHING)
    lines = answer(question, window, unpriced_source(all_time=window.open))
    models = []
    for line in connection.execute(select(lines).where(lines.c.requests > 0)).all():
        (provider, model, reason), sums = json.loads(line[0]), sums_of(line)
        began = _ends(connection, (provider, model, reason), Moments(window.since, window.until))
        if began:
            tokens = (sums.prompt_tokens, sums.completion_tokens)
            models.append(
                UnpricedModel(provider, model, reason, sums.requests, *tokens, min(began), max(began))
            )
    return models


def _ends(connection: Connection, named: tuple[str, str, str], moments: Moments) -> list[int]:
    """Return when the first and the last call without a cost of one model began."""
    provider, model, reason = named
    own = (LOGS.c.provider == provider, LOGS.c.model == model, *moments.within(LOGS.c.start_time))
    # Each by itself: a column that may hold nothing is looked up in an index in one way only.
    reasons = [LOGS.c.unpriced_reason == reason, *([] if reason else [LOGS.c.unpriced_reason.is_(None)])]
    found: list[int] = []
    for asked in reasons:
        for order in (LOGS.c.start_time.asc(), LOGS.c.start_time.desc()):
            start = select(LOGS.c.start_time).where(*_UNPRICED, *own, asked).order_by(order).limit(1)
            found += connection.scalars(start)
    return found
