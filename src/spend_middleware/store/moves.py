"""What a batch of new rows adds to each rollup: sums by key, in an order that every writer shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from spend_middleware.store.records import AT, Values
from spend_middleware.store.rollups import (
    CUSTOMER,
    KINDS,
    MOVED,
    SUMS,
    WIDE,
    Amounts,
    Moves,
    amounts_of,
    amounts_of_all,
    unpriced_name,
)
from spend_middleware.store.row_tags import tags_in
from spend_middleware.store.spans import settled_spans

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60_000_000
_START, _SPEND = AT["start_time"], AT["spend"]
_UNPRICED = SUMS.index("unpriced")
_why = itemgetter(AT["provider"], AT["model"], AT["unpriced_reason"])

# Calls that agree in all of this differ in no rollup: they are added up once, and every rollup from these sums.
_ALIKE = (*WIDE, "end_user", "request_tags")
_alike = itemgetter(*(AT[name] for name in _ALIKE))
_wide = itemgetter(*map(_ALIKE.index, WIDE))
_customer = itemgetter(*map(_ALIKE.index, CUSTOMER))
_tags = itemgetter(_ALIKE.index("request_tags"))
_NAMED_KINDS = {
    kind: (itemgetter(WIDE.index(column)), False)
    if column in WIDE
    else (itemgetter(CUSTOMER.index(column)), True)
    for kind, column in KINDS.items()
    if column
}

_NAMED = ("kind", "name")

_Key = tuple[str, ...]
_Sums = dict[_Key, Amounts]
_Moving = dict[str, list[list[Any]]]
_Late = defaultdict[tuple[str, str], tuple[list[_Sums], list[_Sums]]]
"""Zone and span -> what its days' late calls add by name, and to the wide rollup."""


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """Return a time zone by its IANA name."""
    return UTC if name == "UTC" else ZoneInfo(name)


def day_of(micros: int, zone: str) -> str:
    """Return the day, as YYYY-MM-DD in a zone, of a time in microseconds since the epoch."""
    # Every offset that a zone has had since 1970 is whole minutes, so that a minute never spans two days.
    return _day_of_minute(micros // _MINUTE, zone)


@lru_cache(maxsize=4096)
def _day_of_minute(minute: int, zone: str) -> str:
    moment = _EPOCH + timedelta(minutes=minute)
    return moment.astimezone(zone_named(zone)).date().isoformat()


def moves_of(
    rows: Sequence[Values],
    zones: Sequence[str],
    slot: int = 0,
    amounts: Sequence[Amounts] | None = None,
    *,
    totals: bool = True,
    settled: str = "",
) -> Moves:
    """Return what rows add to each rollup.

    Sorted by zone, day and the rest of the key: all writers lock rows in one order, so none deadlock.

    Args:
        rows: Rows that are new to the database.
        zones: The zones that have rollups, in an order that all writers share; the first stands for all time too.
        slot: The slot of this writer.
        amounts: What each row adds, in the order of `SUMS`; the rows' own values when None.
        totals: Also move the sums over all time, which know no zone.
        settled: Days before this one are in spans already, which are then moved too.
    """
    values, add = (rows, amounts_of_all) if amounts is None else (amounts, _added)
    moves: _Moving = {table: [[] for _ in (*key, *SUMS)] for table, key in MOVED.items()}
    ever: list[_Sums] = []
    late: _Late = defaultdict(lambda: ([], []))
    for zone in zones:
        for day, calls, own in _by_day(rows, values, zone):
            alike = _grouped(map(_alike, calls), own, add)
            wide = _grouped(map(_wide, alike), alike.values())
            customers = _grouped(map(_customer, alike), alike.values())
            named = _named(wide, customers) | _tagged(map(_tags, alike), alike.values())
            named |= _unpriced(calls, None if amounts is None else own)
            when: dict[str, str | int] = {"zone": zone, "day": day, "slot": slot}
            _put(moves, "spend_customer_daily", CUSTOMER, customers, when)
            _put(moves, "spend_daily", WIDE, wide, when)
            _put(moves, "spend_name_daily", _NAMED, named, when)
            if totals and zone == zones[0]:
                ever.append(named)
            for span in settled_spans(day, settled) if day < settled else ():
                of_names, of_wide = late[zone, span]
                of_names.append(named)
                of_wide.append(wide)
    if ever:
        _put(moves, "spend_name_totals", _NAMED, _merged(ever), {"slot": slot})
    for zone, span in sorted(late):
        of_names, of_wide = late[zone, span]
        _put(moves, "spend_name_spans", _NAMED, _merged(of_names), {"zone": zone, "span": span})
        _put(moves, "spend_spans", WIDE, _merged(of_wide), {"zone": zone, "span": span})
    return {table: columns for table, columns in moves.items() if columns[0]}


def _put(moves: _Moving, table: str, names: _Key, groups: _Sums, fixed: Mapping[str, str | int]) -> None:
    keys = sorted(groups)
    held: dict[str, Iterable[Any]] = {name: [value] * len(keys) for name, value in fixed.items()}
    held.update(zip(names, zip(*keys, strict=True), strict=True))
    held.update(zip(SUMS, zip(*map(groups.__getitem__, keys), strict=True), strict=True))
    for name, column in zip((*MOVED[table], *SUMS), moves[table], strict=True):
        column.extend(held[name])


def _by_day(
    rows: Sequence[Values], values: Sequence[Any], zone: str
) -> Iterator[tuple[str, Sequence[Values], Sequence[Any]]]:
    """Yield each day in a zone with its rows and their values, in order."""
    days = {minute: _day_of_minute(minute, zone) for minute in {row[_START] // _MINUTE for row in rows}}
    names = sorted(set(days.values()))
    if len(names) == 1:
        yield names[0], rows, values
        return
    parts: dict[str, tuple[list[Values], list[Any]]] = {name: ([], []) for name in names}
    for row, value in zip(rows, values, strict=True):
        own, beside = parts[days[row[_START] // _MINUTE]]
        own.append(row)
        beside.append(value)
    for name, part in parts.items():
        yield name, *part


def _added(amounts: Sequence[Amounts]) -> Amounts:
    return amounts[0] if len(amounts) == 1 else tuple(map(sum, zip(*amounts, strict=True)))


def _grouped(
    keys: Iterable[_Key], values: Iterable[Any], add: Callable[[Sequence[Any]], Amounts] = _added
) -> _Sums:
    groups = _lists(keys, values)
    return {key: add(found if type(found) is list else (found,)) for key, found in groups.items()}


def _lists(keys: Iterable[Any], values: Iterable[Any]) -> dict[Any, Any]:
    """Return key -> its value, or a list of its values where it has several; most have one."""
    groups: dict[Any, Any] = {}
    for key, value in zip(keys, values, strict=True):
        found = groups.get(key)
        if found is None:
            groups[key] = value
        elif type(found) is list:
            found.append(value)
        else:
            groups[key] = [found, value]
    return groups


def _named(wide: _Sums, customers: _Sums) -> _Sums:
    """Return the sums by (kind, name) where groups that are added up already know the name."""
    sums: _Sums = {("total", ""): _added(list(wide.values()))}
    for kind, (name_of, of_customers) in _NAMED_KINDS.items():
        groups = customers if of_customers else wide
        for name, found in _lists(map(name_of, groups), groups.values()).items():
            sums[kind, name] = _added(found) if type(found) is list else found
    return sums


def _tagged(stored: Iterable[str | None], sums: Iterable[Amounts]) -> _Sums:
    names: defaultdict[_Key, list[Amounts]] = defaultdict(list)
    for text, amounts in zip(stored, sums, strict=True):
        tags = tags_in(text)
        for tag in tags:
            names["tag", tag].append(amounts)
        if not tags:
            names["untagged", ""].append(amounts)
    return {key: _added(parts) for key, parts in names.items()}


def _unpriced(calls: Sequence[Values], amounts: Sequence[Amounts] | None) -> _Sums:
    """Return what is added to the calls without a cost: those that are new, less those that have got their price."""
    times = [(row, 1) for row in calls if row[_SPEND] is None]
    if amounts is not None:
        times = [
            (row, moved[_UNPRICED]) for row, moved in zip(calls, amounts, strict=True) if moved[_UNPRICED]
        ]
    names = [("unpriced", unpriced_name(*_why(row))) for row, _ in times]
    # A call whose price came later still has none in its row: what it adds has no money in it.
    sums = [tuple(part * number for part in amounts_of(row)) for row, number in times]
    return _grouped(names, sums)


def _merged(days: Sequence[_Sums]) -> _Sums:
    if len(days) == 1:
        return days[0]
    return _grouped((key for day in days for key in day), (sums for day in days for sums in day.values()))
