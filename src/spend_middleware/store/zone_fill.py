"""A zone named later: its rollups filled from the rows, so that its days cost no more than UTC's."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, delete, select

from spend_middleware.store.alone import Prepared, alone
from spend_middleware.store.columns import UTC_ZONE
from spend_middleware.store.dialects import tables_for
from spend_middleware.store.report_expected import expected_of, moves_for, stored_of
from spend_middleware.store.report_query import Moments
from spend_middleware.store.report_sources import CUSTOMERS, DAILY, DAY_LINES, NAME_SPANS, NAMES, SPANS
from spend_middleware.store.settle import settle_zone, write_rolled
from spend_middleware.store.spans import Rolled
from spend_middleware.store.zones import (
    day_end,
    day_of,
    day_start,
    days_with_calls,
    rolled,
    rolled_zones,
    rows_since,
    zone_of,
)

logger = logging.getLogger("spend_middleware.store")


def fill_zone(ledger: Prepared, name: str) -> int:
    """Give a zone rollups, from all calls so far and, with every batch from now on, those to come.

    All of it is one transaction that keeps writers out: calls wait in the journal meanwhile. Days whose rows retention
    took away are taken over as UTC cut them, so that totals are those of every other zone.

    Returns:
        The number of days that were filled; 0 when the zone has rollups already.

    Raises:
        ConfigurationError: There is no such zone.
    """
    zone = zone_of(name).key
    ledger.prepare()
    tables = tables_for(ledger.database.address)
    with alone(ledger) as connection:
        before = rolled(connection)
        if zone in (UTC_ZONE, *before.zones):
            return 0
        _empty(connection, zone)
        kept = rows_since(connection)
        filled = 0
        for day in _utc_days_before(connection, kept):
            tables.move(connection, moves_for(zone, day, stored_of(connection, UTC_ZONE, day)))
            filled += 1
        for day, moments in _days_of_rows(connection, zone, kept):
            moves = moves_for(zone, day, expected_of(connection, moments))
            tables.move(connection, moves)
            filled += bool(moves)
        settle_zone(connection, zone, before.settled)
        write_rolled(connection, Rolled(sorted([*before.zones, zone]), before.settled))
    return filled


def fill_missing_zones(ledger: Prepared, names: Iterable[str]) -> None:
    """Fill each named zone that has no rollups yet; a name that is no zone is an error of its own."""
    wanted = {zone_of(name).key for name in names}
    with ledger.database.engine.connect() as connection:
        missing = wanted - rolled_zones(connection)
    for name in sorted(missing):
        days = fill_zone(ledger, name)
        logger.info("The rollups of zone %s were filled: %d days.", name, days)


def drop_zone(ledger: Prepared, name: str) -> None:
    """Take a zone's rollups away; its days are added up from single calls from then on."""
    with alone(ledger) as connection:
        before = rolled(connection)
        if name not in before.zones:
            return
        _empty(connection, name)
        kept = [zone for zone in before.zones if zone != name]
        write_rolled(connection, Rolled(kept, before.settled))


def _empty(connection: Connection, zone: str) -> None:
    for table in (CUSTOMERS, DAILY, NAMES, SPANS, NAME_SPANS, DAY_LINES):
        connection.execute(delete(table).where(table.c.zone == zone))


def _utc_days_before(connection: Connection, kept: int | None) -> list[date]:
    if kept is None:
        return []
    first = day_of(kept, UTC_ZONE).isoformat()
    of_utc = (NAMES.c.kind == "total", NAMES.c.zone == UTC_ZONE, NAMES.c.day < first)
    return [
        date.fromisoformat(day) for day in connection.scalars(select(NAMES.c.day).where(*of_utc).distinct())
    ]


def _days_of_rows(connection: Connection, zone: str, kept: int | None) -> list[tuple[date, Moments]]:
    found = []
    for day in days_with_calls(connection, zone, kept):
        # The first day may begin before what retention keeps.
        start = day_start(day, zone) if kept is None else max(day_start(day, zone), kept)
        found.append((day, Moments(start, day_end(day, zone))))
    return found
