"""Calls grouped by session: the newest of each session of a key, found by walking along the calls, and how many there are.

A page is walked to from its place on, until enough sessions were met: what it costs does not grow with the calls of the
period. How many sessions a period has nothing knows without looking at its calls, so that only so many are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, case, func, literal, select, tuple_

from spend_middleware.store.report_hints import rare, sorted_after
from spend_middleware.store.report_reader import exactly
from spend_middleware.store.report_sources import LOGS, one_of
from spend_middleware.store.report_values import Scope
from spend_middleware.store.rows_filter import Place, conditions
from spend_middleware.store.rows_order import in_order
from spend_middleware.store.rows_sessions import Session
from spend_middleware.store.rows_values import Cursor, LogFilter, LogOrder

_COUNTED = 10_000
"""Calls whose sessions are counted."""

_STEPS = (500, 5_000)
"""Calls that the first and the later steps of a walk read."""

_NEARBY = 500
"""Calls just before a page in which the sessions that go on are looked for, before these are looked up."""

_AT_ONCE = 200

_HEAD = (LOGS.c.start_time, LOGS.c.id, func.coalesce(LOGS.c.session_id, ""), LOGS.c.api_key)


def walks(where: LogFilter, place: Place) -> bool:
    """Return whether a page can be walked to; in another order than newest first all calls must be looked at."""
    return bool(where.by_session) and place.order is LogOrder.START and place.descending


def count_sessions(connection: Connection, scope: Scope, where: LogFilter) -> tuple[int, bool]:
    """Return how many sessions the calls that match have, and whether there are more calls than were looked at."""
    calls = replace(where, by_session=None)
    columns = (LOGS.c.id.label("id"), _HEAD[2].label("session_id"), LOGS.c.api_key.label("api_key"))
    first = in_order(connection, scope, calls, Place(), _COUNTED + 1, columns).subquery()
    alone = case((first.c.session_id == "", first.c.id), else_="")
    group = (first.c.session_id, first.c.api_key, alone)
    each = select(func.count().label("calls")).select_from(first).group_by(*group).subquery()
    sessions, looked_at = connection.execute(
        select(func.count(), func.coalesce(func.sum(each.c.calls), 0)).select_from(each)
    ).one()
    return int(sessions), looked_at > _COUNTED


def newest_of_sessions(
    connection: Connection, scope: Scope, where: LogFilter, place: Place, limit: int
) -> list[str]:
    """Return the ids of a page: of each session's calls that match the newest, newest first."""
    calls = replace(where, by_session=None)
    shown = _nearby(connection, scope, calls, place)
    needed = place.offset + limit
    found: list[str] = []
    for lines in _steps(connection, scope, calls, place.after, 2 * needed):
        sessions = {(session, key) for _, _, session, key in lines if session} - shown
        shown |= _begun_before(connection, scope, calls, place, sorted(sessions))
        for _, id_, session, key in lines:
            if session and (session, key) in shown:
                continue
            shown.add((session, key))
            found.append(id_)
        if len(found) >= needed:
            break
    return found[place.offset : needed]


def _steps(
    connection: Connection, scope: Scope, calls: LogFilter, after: Cursor | None, first: int
) -> Iterator[Sequence[Any]]:
    """Yield the calls behind a place in a few large pieces, newest first."""
    least, most = _STEPS
    size = min(max(first, least), most)
    while True:
        lines = connection.execute(in_order(connection, scope, calls, Place(after), size, _HEAD)).all()
        yield lines
        if len(lines) < size:
            return
        after, size = Cursor(*lines[-1][:2]), most


def _nearby(connection: Connection, scope: Scope, calls: LogFilter, place: Place) -> set[Session]:
    """Return the sessions of the calls just before a page: those with very many calls are mostly among them."""
    if place.after is None:
        return set()
    before = Place(place.after, descending=False)
    lines = connection.execute(in_order(connection, scope, calls, before, _NEARBY, _HEAD))
    return {(session, key) for _, _, session, key in lines if session}


def _begun_before(
    connection: Connection, scope: Scope, calls: LogFilter, place: Place, sessions: list[Session]
) -> set[Session]:
    """Return those of some sessions that an earlier page has shown, because a newer call of theirs matches too."""
    found: set[Session] = set()
    if place.after is None:
        return found
    start, id_ = sorted_after(LOGS.c.start_time), exactly(connection, LOGS.c.id)
    newer = tuple_(start, id_) >= tuple_(literal(place.after.start_time), literal(place.after.id))
    until = [] if calls.until is None else [start < calls.until]
    asked = [newer, *until, *conditions(scope, replace(calls, since=None, until=None))]
    for first in range(0, len(sessions), _AT_ONCE):
        some = sessions[first : first + _AT_ONCE]
        ids, keys = (sorted({place[part] for place in some}) for part in (0, 1))
        having = [rare(one_of(LOGS.c.session_id, ids)), one_of(LOGS.c.api_key, keys)]
        statement = select(LOGS.c.session_id, LOGS.c.api_key).where(*having, *asked).distinct()
        found |= {(session, key) for session, key in connection.execute(statement)}
    return found & set(sessions)
