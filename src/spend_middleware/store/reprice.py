"""Repricing: stored calls priced again, the differences listed, and entered as adjustments when they are wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from spend_middleware.call import Charge, Cost, from_pico, to_pico
from spend_middleware.store.adjust import AdjustmentKind, Entry, adjust
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_values import EVERYTHING
from spend_middleware.store.rows import every
from spend_middleware.store.rows_values import LogFilter, LogRow

_AT_ONCE = 500
_SHOWN = 1_000

Pricer = Callable[[LogRow], Cost | None]
"""Row -> what it costs today; None leaves the row alone."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One call whose price is another today.

    Args:
        before_pico: What it counts for so far, adjustments included; None when it has no price.
    """

    call_id: str
    model: str
    before_pico: int | None
    after_pico: int

    @property
    def change_pico(self) -> int:
        """What is added to the spend, in pico-dollars."""
        return self.after_pico - (self.before_pico or 0)


@dataclass(slots=True)
class Repricing:
    """What repricing found, and whether it was entered.

    Args:
        examined: Calls that were priced again.
        changed: Calls whose price is another.
        priced: Calls that had no price and have one now.
        unpriced: Calls that have no price still.
        by_model: Model -> pico-dollars added (negative: taken away).
        differences: The first thousand of them, newest call first.
    """

    dry_run: bool
    examined: int = 0
    changed: int = 0
    priced: int = 0
    unpriced: int = 0
    before_pico: int = 0
    after_pico: int = 0
    made: int = 0
    by_model: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


def reprice(
    ledger: Ledger,
    reader: Reader,
    price: Pricer,
    where: LogFilter,
    *,
    dry_run: bool = True,
    made_by: str = "",
    reason: str = "repriced",
) -> Repricing:
    """Price every row that matches again; the rows themselves are never changed.

    Doing it twice, or in two processes at once, enters each difference once: what a row counts for includes the
    entries made before, and an entry's key names the row, how many entries it had, and its new price.
    """
    result = Repricing(dry_run)
    found: list[Entry] = []
    for row in every(reader, EVERYTHING, where):
        cost = price(row)
        if cost is None:
            continue
        entry = _compare(row, cost, result, made_by, reason)
        if entry is not None:
            found.append(entry)
        if len(found) >= _AT_ONCE:
            _enter(ledger, found, result)
    _enter(ledger, found, result)
    return result


def _compare(row: LogRow, cost: Cost, result: Repricing, made_by: str, reason: str) -> Entry | None:
    """Count one row, and return the entry that brings it to its new price; None when nothing changes."""
    result.examined += 1
    before = row.spend_pico
    if cost.amount is None:
        result.unpriced += before is None
        result.before_pico += before or 0
        result.after_pico += before or 0
        return None
    after = to_pico(cost.amount)
    result.before_pico += before or 0
    result.after_pico += after
    if after == before:
        return None
    difference = Difference(row.columns["id"], row.columns["model"], before, after)
    result.changed += 1
    result.priced += before is None
    result.by_model[difference.model] = result.by_model.get(difference.model, 0) + difference.change_pico
    if len(result.differences) < _SHOWN:
        result.differences.append(difference)
    return Entry(
        log_id=difference.call_id,
        amount=from_pico(difference.change_pico),
        kind=AdjustmentKind.REPRICE,
        made_by=made_by,
        reason=reason,
        key=f"reprice:{difference.call_id}:{len(row.adjustments)}:{after}",
        price_key=cost.price_key,
        price_version=cost.price_version,
        charges=_charges(cost),
    )


def _charges(cost: Cost) -> str:
    lines = [[line.meter, *(format(part, "f") for part in _numbers(line))] for line in cost.charges]
    return json.dumps(lines, separators=(",", ":"))


def _numbers(line: Charge) -> tuple[Decimal, Decimal, Decimal]:
    return (line.quantity, line.unit_price, line.amount)


def _enter(ledger: Ledger, found: list[Entry], result: Repricing) -> None:
    if found and not result.dry_run:
        result.made += adjust(ledger, found).made
    found.clear()
