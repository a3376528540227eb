"""Rows of the ledger in an order, from a place on: one SELECT, which reads them along an index where one has the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal, select, tuple_, union

from spend_middleware.store.report_hints import sorted_after
from spend_middleware.store.report_query import Moments
from spend_middleware.store.report_reader import exactly
from spend_middleware.store.report_sources import LOGS, TAGS, one_of
from spend_middleware.store.report_values import Scope
from spend_middleware.store.rows_filter import ORDERS, Place, conditions, names_ids
from spend_middleware.store.rows_values import LogFilter, LogOrder

_FEW_TAGS = 20
"""Tags whose rows are merged; the rows of more are looked through in their order."""


def in_order(
    connection: Connection,
    scope: Scope,
    where: LogFilter,
    place: Place,
    limit: int,
    columns: Sequence[ColumnElement[Any]],
) -> Select[Any]:
    """Return the rows that match, as many columns of each as are wanted."""
    merged = 0 < len(where.tag) <= _FEW_TAGS and not where.by_session  # whose newest calls have the tags too
    if merged and place.order is LogOrder.START:
        return _tagged(connection, scope, where, place, limit, columns)
    id_, start = exactly(connection, LOGS.c.id), LOGS.c.start_time
    first = sorted_after(start) if names_ids(where) else start
    order = [first, id_] if place.order is LogOrder.START else [ORDERS[place.order], start, id_]
    if place.order is LogOrder.MODEL:
        order[0] = exactly(connection, order[0])
    asked = [*conditions(scope, where), *_behind(place, start, id_)]
    return _sorted(select(*columns).where(*asked), place, order).limit(limit).offset(place.offset)


def _tagged(
    connection: Connection,
    scope: Scope,
    where: LogFilter,
    place: Place,
    limit: int,
    columns: Sequence[ColumnElement[Any]],
) -> Select[Any]:
    """Return the rows with one of some tags: each tag's rows stand in its own table in the order of a page."""
    start, id_ = TAGS.c.start_time, exactly(connection, TAGS.c.log_id)
    rows = TAGS.join(LOGS, LOGS.c.id == TAGS.c.log_id)
    asked = [
        *Moments(where.since, where.until).within(start),
        *conditions(scope, replace(where, tag=())),
        *_behind(place, start, id_),
    ]
    if len(where.tag) == 1:
        one = select(*columns).select_from(rows).where(one_of(TAGS.c.tag, where.tag), *asked)
        return _sorted(one, place, [start, id_]).limit(limit).offset(place.offset)
    # No page holds more of one tag's rows than of all.
    firsts = [
        _sorted(
            select(start, TAGS.c.log_id).select_from(rows).where(one_of(TAGS.c.tag, (tag,)), *asked),
            place,
            [start, id_],
        ).limit(place.offset + limit)
        for tag in where.tag
    ]
    first = union(*(select(part.subquery()) for part in firsts)).subquery("first")
    page = select(*columns).join(first, LOGS.c.id == first.c.log_id)
    order = [first.c.start_time, exactly(connection, first.c.log_id)]
    return _sorted(page, place, order).limit(limit).offset(place.offset)


def _behind(place: Place, start: ColumnElement[Any], id_: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the condition that rows come after the last one of the page before."""
    if place.after is None:
        return []
    end = tuple_(literal(place.after.start_time), literal(place.after.id))
    return [tuple_(start, id_) < end if place.descending else tuple_(start, id_) > end]


def _sorted(rows: Select[Any], place: Place, order: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return rows.order_by(*(part.desc() if place.descending else part.asc() for part in order))
