"""Whole sessions: what the calls of one under one key add up to, and which ones a piece of an id means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, select

from spend_middleware.store.report_query import Question, calls_where
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_sources import (
    ADJUSTMENT_SUMS,
    ADJUSTMENTS,
    CALL_SUMS,
    LOGS,
    one_of,
    sums_of,
)
from spend_middleware.store.report_values import EVERYTHING, Scope, Sums
from spend_middleware.store.rows_count import count_of, named_alone
from spend_middleware.store.rows_filter import contains
from spend_middleware.store.rows_values import LogFilter, SessionSums

Session = tuple[str, str]
"""A session id and the key whose session it is: two callers may use one id."""

_AT_ONCE = 500

_MANY_CALLS = 200_000
"""From so many calls on it is quicker to look through the ids of all sessions than through the calls."""

_FEW_SESSIONS = 100
"""Sessions that are named one by one."""


def sessions_of(reader: Reader, scope: Scope, wanted: Iterable[Session]) -> dict[Session, SessionSums]:
    """Return the sums of sessions, those that are in sight."""
    asked = sorted(set(wanted))
    if scope.nothing or not asked:
        return {}
    found: dict[Session, SessionSums] = {}
    with reader.reading() as connection:
        for first in range(0, len(asked), _AT_ONCE):
            found |= _some(connection, scope, asked[first : first + _AT_ONCE])
    return found


def _some(connection: Connection, scope: Scope, wanted: list[Session]) -> dict[Session, SessionSums]:
    sums: dict[Session, Sums] = {}
    types: dict[Session, dict[str, int]] = {}
    models: dict[Session, set[str]] = {}
    for session_id, key, call_type, model, *values in _lines(connection, scope, wanted):
        place = (session_id, key)
        line = sums_of(values)
        sums[place] = sums.get(place, Sums()) + line
        of_type = types.setdefault(place, {})
        of_type[call_type] = of_type.get(call_type, 0) + line.requests
        models.setdefault(place, set()).update([model] if model else [])
    return {
        place: SessionSums(sums[place], types[place], tuple(sorted(models[place])))
        for place in wanted
        if place in sums
    }


def _lines(connection: Connection, scope: Scope, wanted: list[Session]) -> list[Any]:
    ids, keys = ({place[part] for place in wanted} for part in (0, 1))
    where = [
        one_of(LOGS.c.session_id, sorted(ids)),
        one_of(LOGS.c.api_key, sorted(keys)),
        *calls_where(Question((), scope)),
    ]
    names = (LOGS.c.session_id, LOGS.c.api_key, LOGS.c.call_type, LOGS.c.model)
    calls: Select[Any] = select(*names, *CALL_SUMS).where(*where).group_by(*names)
    entries = (
        select(*names, *ADJUSTMENT_SUMS)
        .select_from(ADJUSTMENTS.join(LOGS, LOGS.c.id == ADJUSTMENTS.c.log_id))
        .where(*where)
        .group_by(*names)
    )
    return [*connection.execute(calls), *connection.execute(entries)]


def with_whole_ids(connection: Connection, scope: Scope, where: LogFilter) -> LogFilter:
    """Return a filter by a piece of a session id as one by whole ids, where calls are many and few sessions have it.

    The ids stand in an index, which is looked through once; whoever asks about an owner too has few calls anyhow.
    """
    if not where.session_part or named_alone(scope, where) != ("session_part",):
        return where
    if count_of(connection, EVERYTHING, LogFilter(since=where.since, until=where.until)) < _MANY_CALLS:
        return where
    session = LOGS.c.session_id
    having = select(session).where(session.is_not(None), contains(session, where.session_part))
    ids = tuple(connection.scalars(having.distinct().limit(_FEW_SESSIONS + 1)))
    if len(ids) > _FEW_SESSIONS:
        return where
    return replace(where, session_part=None, session_ids=ids)
