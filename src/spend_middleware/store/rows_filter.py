"""Which rows of the ledger are asked for, as SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select

from spend_middleware.call import Status
from spend_middleware.store.records import storable
from spend_middleware.store.report_query import Moments, Question, calls_where
from spend_middleware.store.report_sources import ADJUSTMENTS, AMOUNT, FAILED, LOGS, SPEND, one_of
from spend_middleware.store.report_values import Filter, Scope
from spend_middleware.store.rows_values import Cursor, LogFilter, LogOrder

_LARGEST = (1 << 63) - 1

_ADJUSTED = func.coalesce(
    select(func.sum(AMOUNT)).where(ADJUSTMENTS.c.log_id == LOGS.c.id).correlate(LOGS).scalar_subquery(), 0
)
_SPENT = func.coalesce(SPEND, 0) + _ADJUSTED

ORDERS: dict[LogOrder, ColumnElement[Any]] = {
    LogOrder.START: LOGS.c.start_time,
    LogOrder.END: LOGS.c.end_time,
    LogOrder.SPEND: _SPENT,
    LogOrder.TOTAL_TOKENS: LOGS.c.total_tokens,
    LogOrder.DURATION: LOGS.c.end_time - LOGS.c.start_time,
    LogOrder.MODEL: LOGS.c.model,
    LogOrder.FIRST_TOKEN: func.coalesce(LOGS.c.completion_start_time - LOGS.c.start_time, 0),
}

IN_ROLLUPS = tuple(Filter.__dataclass_fields__)
"""The fields of a filter that rollups know too."""

_EQUAL = (
    "session_id",
    "trace_id",
    "key_alias",
    "call_type",
    "status_code",
    "error_type",
    "pricing_status",
)
_IDS = ("id", "request_id", "session_id", "trace_id")
_SEARCHED = (*_IDS[:3], "model", "model_group", "key_alias", "user_id", "team_id", "end_user")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins, and in which order rows come."""

    after: Cursor | None = None
    offset: int = 0
    order: LogOrder = LogOrder.START
    descending: bool = True


def names_ids(where: LogFilter) -> bool:
    """Return whether a filter names an id, which few calls have."""
    ids = (where.request_id, where.session_id, where.trace_id, where.session_ids)
    return any(value is not None for value in ids)


def conditions(scope: Scope, where: LogFilter) -> list[ColumnElement[bool]]:
    """Return what must hold for a row to be shown."""
    moments = Moments(where.since, where.until)
    found = moments.within(LOGS.c.start_time)
    found += calls_where(Question((), scope, filter_of(where)), moments)
    for name in _EQUAL:
        value = getattr(where, name)
        if value is not None:
            found.append(LOGS.c[name] == (storable(value) if isinstance(value, str) else _fitting(value)))
    if where.request_id is not None:
        found.append(_any_id(storable(where.request_id)))
    if where.status is not None:
        found.append(_status(where.status))
    if where.min_spend is not None:
        found.append(_fitting(where.min_spend) <= _SPENT)
    if where.max_spend is not None:
        found.append(_fitting(where.max_spend) >= _SPENT)
    if where.search:
        found.append(or_(*(contains(LOGS.c[name], where.search) for name in _SEARCHED)))
    if where.session_part:
        found.append(contains(LOGS.c.session_id, where.session_part))
    if where.session_ids is not None:
        found.append(one_of(LOGS.c.session_id, where.session_ids))
    if where.alias_part:
        found.append(contains(LOGS.c.key_alias, where.alias_part))
    if where.call_types is not None:
        found.append(one_of(LOGS.c.call_type, where.call_types))
    if where.other_call_types is not None:
        found.append(~one_of(LOGS.c.call_type, where.other_call_types))
    found += _as_litellm_kept_it(where)
    if where.by_session:
        found.append(LOGS.c.id.in_(_newest_of_sessions(scope, replace(where, by_session=None))))
    return found


def contains(column: ColumnElement[str], part: str) -> ColumnElement[bool]:
    """Return the condition that a column has a piece of text in it, in any case of letters."""
    return func.lower(column).contains(storable(part).lower(), autoescape=True)


_KEPT: ColumnElement[str] = func.coalesce(LOGS.c.metadata, "")

CACHE_HIT = contains(_KEPT, '"cache_hit": "true"')
"""LiteLLM answered out of its cache: only rows that were imported from there say so."""


def _as_litellm_kept_it(where: LogFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on LiteLLM's own columns, which imported rows keep as JSON text."""
    found = []
    if where.cache_hit is not None:
        found.append(CACHE_HIT if where.cache_hit else ~CACHE_HIT)
    if where.model_id is not None:
        found.append(contains(_KEPT, f'"model_id": {json.dumps(where.model_id)}'))
    return found


def _newest_of_sessions(scope: Scope, where: LogFilter) -> Select[Any]:
    session = func.coalesce(LOGS.c.session_id, "")
    alone = case((session == "", LOGS.c.id), else_="")
    newest = func.row_number().over(
        partition_by=(session, alone, LOGS.c.api_key), order_by=(LOGS.c.start_time.desc(), LOGS.c.id.desc())
    )
    numbered = select(LOGS.c.id, newest.label("place")).where(*conditions(scope, where)).subquery()
    return select(numbered.c.id).where(numbered.c.place == 1)


def filter_of(where: LogFilter) -> Filter:
    """Return the part of a filter that rollups know too."""
    return Filter(**{name: getattr(where, name) for name in IN_ROLLUPS})


def _fitting(number: int) -> int:
    return max(-_LARGEST, min(_LARGEST, number))


def _any_id(text: str) -> ColumnElement[bool]:
    return or_(*(LOGS.c[name] == text for name in _IDS))


def _status(status: str) -> ColumnElement[bool]:
    if status == Status.SUCCESS.value:
        return ~FAILED
    return FAILED if status == Status.FAILURE.value else LOGS.c.status == storable(status)
