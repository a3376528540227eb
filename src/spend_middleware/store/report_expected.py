"""What the rollups of one day must hold, added up from single calls and their adjustments."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Connection, Select, select

from spend_middleware.store.report_query import Moments, Question, from_calls
from spend_middleware.store.report_sources import CUSTOMERS, DAILY, NAMES, stored_sums, sums_of
from spend_middleware.store.report_unpriced import unpriced_calls
from spend_middleware.store.report_values import EVERYTHING, By, Sums
from spend_middleware.store.rollups import (
    CUSTOMER,
    KINDS,
    MICRO,
    ROLLUPS,
    SUMS,
    WIDE,
    Amounts,
    Moves,
    unpriced_name,
)

Key = tuple[str, ...]
DayRollups = dict[str, dict[Key, Sums]]
"""Rollup table -> key without zone, day and slot -> sums."""

_NO_SUMS = Sums()
_KEYS: dict[str, Key] = {
    CUSTOMERS.name: CUSTOMER,
    DAILY.name: WIDE,
    NAMES.name: ("kind", "name"),
}
_TABLES = {table.name: table for table in (CUSTOMERS, DAILY, NAMES)}


def expected_of(connection: Connection, moments: Moments) -> DayRollups:
    """Return what the rollups of an interval must hold."""
    wide = _added(connection, tuple(By(name) for name in WIDE), moments)
    customers = _added(connection, tuple(By(name) for name in CUSTOMER), moments)
    named: dict[Key, Sums] = {}
    for kind, column in KINDS.items():
        if column:
            source, position = (
                (wide, WIDE.index(column)) if column in WIDE else (customers, CUSTOMER.index(column))
            )
            _add(named, ((kind, key[position]) for key in source), source.values())
    _add(named, (("total", "") for _ in wide), wide.values())
    tags = _added(connection, (By.TAG,), moments)
    _add(named, (("tag", *key) for key in tags), tags.values())
    untagged = _added(connection, (), moments, untagged=True)
    _add(named, (("untagged", "") for _ in untagged), untagged.values())
    unpriced = {
        ("unpriced", unpriced_name(*key)): sums
        for key, sums in _sums_by(connection, unpriced_calls(moments), 3).items()
    }
    return {CUSTOMERS.name: customers, DAILY.name: wide, NAMES.name: named | unpriced}


def _added(
    connection: Connection, dimensions: tuple[By, ...], moments: Moments, *, untagged: bool = False
) -> dict[Key, Sums]:
    question = Question(dimensions, EVERYTHING, untagged=untagged)
    return _sums_by(connection, from_calls(question, moments), len(dimensions))


def _sums_by(connection: Connection, parts: Iterable[Select[Any]], width: int) -> dict[Key, Sums]:
    found: dict[Key, Sums] = {}
    for part in parts:
        for line in connection.execute(part):
            key = tuple(line[:width])
            found[key] = found.get(key, _NO_SUMS) + sums_of(line)
    return {key: sums for key, sums in found.items() if sums != _NO_SUMS}


def _add(into: dict[Key, Sums], keys: Iterable[Key], sums: Iterable[Sums]) -> None:
    for key, more in zip(keys, sums, strict=True):
        into[key] = into.get(key, _NO_SUMS) + more


def stored_of(connection: Connection, zone: str, day: date) -> DayRollups:
    """Return what the rollups of one day hold."""
    stored: DayRollups = {}
    for name, table in _TABLES.items():
        columns = [table.c[key] for key in _KEYS[name]]
        statement = (
            select(*columns, *stored_sums(table))
            .where(table.c.zone == zone, table.c.day == day.isoformat())
            .group_by(*columns)
        )
        lines = connection.execute(statement)
        sums = {tuple(line[: len(columns)]): sums_of(line) for line in lines}
        stored[name] = {key: values for key, values in sums.items() if values != _NO_SUMS}
    return stored


def moves_for(zone: str, day: date, rollups: DayRollups) -> Moves:
    """Return the rows that put sums into the rollups of one day."""
    moves: Moves = {}
    for name, sums in rollups.items():
        fixed: dict[str, str | int] = {"zone": zone, "day": day.isoformat(), "slot": 0}
        own = _KEYS[name]
        rows: list[tuple[str | int, ...]] = []
        for key, values in sorted(sums.items()):
            named = {**fixed, **dict(zip(own, key, strict=True))}
            rows.append((*(named[column] for column in ROLLUPS[name]), *amounts_for(values)))
        if rows:
            moves[name] = list(zip(*rows, strict=True))
    return moves


def amounts_for(sums: Sums) -> Amounts:
    """Return sums in the order of a rollup's columns."""
    micros, rest = divmod(sums.spend_pico, MICRO)
    split = {"spend_micros": micros, "spend_rest": rest}
    return tuple(split[name] if name in split else getattr(sums, name) for name in SUMS)
