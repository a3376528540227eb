"""Rows that are old enough go, in small batches; every rollup and every total stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from spend_middleware.store.ledger import UTC_ZONE, Ledger
from spend_middleware.store.report_sources import ADJUSTMENTS, LOGS, META, TAGS
from spend_middleware.store.row_tags import tags_in
from spend_middleware.store.zones import day_start, rows_since

_AT_ONCE = 500
_TAG_KEY = ("of_tag", "of_start", "of_log")
# By its whole key: no index finds tags by their row alone.
_ONE_TAG = delete(TAGS).where(
    TAGS.c.tag == bindparam("of_tag"),
    TAGS.c.start_time == bindparam("of_start"),
    TAGS.c.log_id == bindparam("of_log"),
)
_PAUSE = 0.02
"""Seconds between two batches, so that the writer and the host always come first."""


@dataclass(frozen=True, slots=True)
class Retained:
    """What was deleted, and from which moment on rows are kept (microseconds since the epoch, a UTC midnight)."""

    rows: int
    adjustments: int
    rows_since: int


def retain(
    ledger: Ledger,
    days: int,
    *,
    now: float | None = None,
    pause: float = _PAUSE,
    go_on: Callable[[], bool] = lambda: True,
) -> Retained:
    """Delete the rows, tags and adjustments of calls that started more than so many days ago.

    Whole UTC days go. First it is written down from which moment on rows are kept: from then on lists and counts of
    rows leave out what is older, so that they never disagree with each other while rows are going.

    Args:
        days: How many whole days are kept beside today.
        now: Seconds since the epoch; the current time when None.
        pause: Seconds between batches.
        go_on: Asked before each batch; False ends early, and the next run goes on there.
    """
    ledger.prepare()
    today = datetime.fromtimestamp(time.time() if now is None else now, UTC).date()
    cutoff = day_start(today - timedelta(days=days), UTC_ZONE)
    with ledger.database.writing.begin() as connection:
        cutoff = _keep_since(connection, cutoff)
    rows = adjustments = 0
    while go_on():
        with ledger.database.writing.begin() as connection:
            gone, entries = _delete_some(connection, cutoff)
        rows, adjustments = rows + gone, adjustments + entries
        if gone < _AT_ONCE:
            break
        time.sleep(pause)
    return Retained(rows, adjustments, cutoff)


def _keep_since(connection: Connection, cutoff: int) -> int:
    """Write down from when on rows are kept; it never goes back, because rows that went do not come again."""
    before = rows_since(connection)
    if before is not None and before >= cutoff:
        return before
    if before is None:
        connection.execute(insert(META).values(name="rows_since", value=str(cutoff)))
    else:
        connection.execute(update(META).where(META.c.name == "rows_since").values(value=str(cutoff)))
    return cutoff


def _delete_some(connection: Connection, cutoff: int) -> tuple[int, int]:
    columns = (LOGS.c.id, LOGS.c.start_time, LOGS.c.request_tags)
    old = select(*columns).where(LOGS.c.start_time < cutoff).order_by(LOGS.c.start_time).limit(_AT_ONCE)
    rows = connection.execute(old.with_for_update(skip_locked=True)).all()
    ids = [log_id for log_id, _, _ in rows]
    if not ids:
        return 0, 0
    # Adjustments are in the rollups since they were made, and go with the row that they belong to.
    entries = connection.execute(delete(ADJUSTMENTS).where(ADJUSTMENTS.c.log_id.in_(ids))).rowcount
    keys = [(tag, start, log_id) for log_id, start, stored in rows for tag in tags_in(stored)]
    if keys:
        connection.execute(_ONE_TAG, [dict(zip(_TAG_KEY, key, strict=True)) for key in keys])
    connection.execute(delete(LOGS).where(LOGS.c.id.in_(ids)))
    return len(ids), entries
