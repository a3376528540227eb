"""Adjustments: signed entries that change what a call counts for, while its row stays as it was written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from spend_middleware.call import to_pico
from spend_middleware.errors import ConfigurationError
from spend_middleware.ids import new_call_id
from spend_middleware.store.dialects import tables_for
from spend_middleware.store.ledger import UTC_ZONE, Ledger
from spend_middleware.store.moves import moves_of
from spend_middleware.store.records import AT, Values, storable
from spend_middleware.store.report_sources import ADJUSTMENTS, LOGS
from spend_middleware.store.rollups import MICRO, SUMS, Amounts
from spend_middleware.store.rows import STORED

_AT_ONCE = 500
_LARGEST = (1 << 63) - 1
_ID, _SPEND, _START = AT["id"], AT["spend"], AT["start_time"]


class AdjustmentKind(StrEnum):
    """Why a call counts for another amount than its row says."""

    REPRICE = "reprice"
    REFUND = "refund"
    CORRECTION = "correction"
    WRITE_OFF = "write_off"


_PRICING = frozenset((AdjustmentKind.REPRICE, AdjustmentKind.CORRECTION))
"""Kinds that give an unpriced call a price: it counts as priced from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One adjustment to be made.

    Args:
        log_id: The call's own id, the row's primary key.
        amount: USD to add to what the call counts for; negative for a refund.
        made_by: Who decided so.
        reason: Why.
        key: Makes the entry idempotent: a second entry with the same key changes nothing.
        charges: The charge lines of a new price, as JSON text.
    """

    log_id: str
    amount: Decimal
    kind: AdjustmentKind
    made_by: str = ""
    reason: str = ""
    key: str | None = None
    price_key: str | None = None
    price_version: str | None = None
    charges: str | None = None


@dataclass(slots=True)
class Adjusted:
    """What became of entries: made, there already, or refused because no row has the id.

    Args:
        refused: The ids without a row, the first thousand of them.
    """

    made: int = 0
    present: int = 0
    amount_pico: int = 0
    refused_count: int = 0
    refused: tuple[str, ...] = ()

    def refuse(self, log_id: str) -> None:
        """Count one entry whose row is not there."""
        self.refused_count += 1
        if len(self.refused) < 1_000:
            self.refused = (*self.refused, log_id)


def adjust(ledger: Ledger, entries: Iterable[Entry], at: float | None = None) -> Adjusted:
    """Make entries, and move the rollups of their calls' own days in the same transaction.

    Args:
        at: When they are made, in seconds since the epoch; now when None.

    Raises:
        ConfigurationError: An amount is beyond what a row can hold.
    """
    ledger.prepare()
    made_at = int((time.time() if at is None else at) * 1_000_000)
    result = Adjusted()
    remaining = iter(entries)
    while batch := list(islice(remaining, _AT_ONCE)):
        with ledger.database.writing.begin() as connection:
            _adjust(ledger, connection, batch, made_at, result)
    return result


def _adjust(
    ledger: Ledger, connection: Connection, batch: Sequence[Entry], made_at: int, result: Adjusted
) -> None:
    tables = tables_for(ledger.database.address)
    rolled = tables.rolled(connection)
    rows = rows_locked(connection, {entry.log_id for entry in batch})
    unpriced = _still_unpriced(connection, rows)
    moved: list[Values] = []
    amounts: list[Amounts] = []
    for entry in batch:
        row = rows.get(storable(entry.log_id))
        if row is None:
            result.refuse(entry.log_id)
            continue
        pico = _pico(entry)
        prices = row[_ID] in unpriced and entry.kind in _PRICING
        if not _insert(connection, entry, row, made_at, prices):
            result.present += 1
            continue
        unpriced -= {row[_ID]} if prices else set()
        result.made += 1
        result.amount_pico += pico
        moved.append(row)
        amounts.append(_amounts(pico, prices))
    if moved:
        zones = [UTC_ZONE, *rolled.zones]
        tables.move(connection, moves_of(moved, zones, 0, amounts, settled=rolled.settled))


def rows_locked(connection: Connection, ids: Iterable[str]) -> dict[str, Values]:
    """Return rows by id, which nobody else can adjust or delete until this transaction ends."""
    statement = (
        select(*STORED)
        .where(LOGS.c.id.in_([storable(log_id) for log_id in ids]))
        .order_by(LOGS.c.id)
        .with_for_update()  # SQLite has none and needs none: this transaction writes alone
    )
    return {line[_ID]: tuple(line) for line in connection.execute(statement)}


def _still_unpriced(connection: Connection, rows: dict[str, Values]) -> set[str]:
    without = {log_id for log_id, row in rows.items() if row[_SPEND] is None}
    if not without:
        return without
    own = ADJUSTMENTS.c
    priced = connection.scalars(select(own.log_id).where(own.log_id.in_(without), own.priced > 0))
    return without - set(priced)


def _pico(entry: Entry) -> int:
    pico = to_pico(entry.amount)
    if abs(pico) > _LARGEST:
        raise ConfigurationError(f"an adjustment of {entry.amount} USD is beyond 9.2 million USD")
    return pico


def _insert(connection: Connection, entry: Entry, row: Values, made_at: int, prices: bool) -> bool:
    """Insert one entry; False when its key is there already."""
    values = {
        "id": storable(entry.key) if entry.key else new_call_id(made_at / 1_000_000),
        "log_id": row[_ID],
        "kind": entry.kind.value,
        "amount": entry.amount,
        "made_at": made_at,
        "made_by": storable(entry.made_by),
        "reason": storable(entry.reason),
        "start_time": row[_START],
        "priced": int(prices),
        "price_key": storable(entry.price_key),
        "price_version": storable(entry.price_version),
        "charges": storable(entry.charges),
    }
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(ADJUSTMENTS).values(values).on_conflict_do_nothing(index_elements=["id"])
    # Not the row count: psycopg gives none where SQLAlchemy fetches defaults with the insert.
    return connection.execute(statement.returning(ADJUSTMENTS.c.id)).first() is not None


def _amounts(pico: int, prices: bool) -> Amounts:
    micros, rest = divmod(pico, MICRO)
    moved = {"spend_micros": micros, "spend_rest": rest, "unpriced": -1 if prices else 0}
    return tuple(moved.get(name, 0) for name in SUMS)
