"""What a batch of new rows adds to each rollup: sums by key, in an order that every writer shares."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from operator import itemgetter
from zoneinfo import ZoneInfo

from spend_middleware.call import Status, UsageSource
from spend_middleware.store.records import AT, Values, storable

MICRO = 1_000_000
"""Pico-dollars in a micro-dollar: where a rollup's spend is split."""

SUMS: tuple[str, ...] = (
    "spend_micros",
    "spend_rest",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "requests",
    "successes",
    "failures",
    "unpriced",
    "estimated",
    "duration",
)
"""The additive columns of every rollup, in order."""

KINDS: dict[str, str] = {
    "customer": "end_user",
    "key": "api_key",
    "model": "model",
    "model_group": "model_group",
    "organization": "organization_id",
    "provider": "provider",
    "tag": "",
    "team": "team_id",
    "total": "",
    "untagged": "",
    "user": "user_id",
}
"""Kinds of narrow rollups -> the row's column that holds the name.

`total` and `untagged` (rows without a tag) have the one name ''; a row has many tags.
"""

WIDE = ("api_key", "model", "team_id", "user_id", "organization_id", "model_group", "provider", "endpoint")
CUSTOMER = ("end_user", "api_key", "model", "team_id")

ROLLUPS: dict[str, tuple[str, ...]] = {
    "spend_customer_daily": ("zone", "day", *CUSTOMER, "slot"),
    "spend_daily": ("zone", "day", *WIDE, "slot"),
    "spend_name_daily": ("kind", "zone", "day", "name", "slot"),
    "spend_name_totals": ("kind", "name", "slot"),
}
"""Rollup table -> its key columns, in the order in which every writer moves them."""

Amounts = tuple[int, ...]
Moves = dict[str, list[tuple[str | int, ...]]]
"""Rollup table -> rows of key and sums to add."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILURES = frozenset((str(Status.FAILURE), str(Status.INTERRUPTED)))
_measured = itemgetter(
    *(
        AT[name]
        for name in (
            "spend",
            "prompt_tokens",
            "completion_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "reasoning_tokens",
            "status",
            "usage_source",
            "start_time",
            "end_time",
        )
    )
)
_wide = itemgetter(*(AT[name] for name in WIDE))
_customer = itemgetter(*(AT[name] for name in CUSTOMER))
_NAMED_KINDS = {
    kind: (WIDE.index(column), False) if column in WIDE else (CUSTOMER.index(column), True)
    for kind, column in KINDS.items()
    if column
}
_START, _TAGS, _ID = AT["start_time"], AT["request_tags"], AT["id"]


def amounts_of(values: Values) -> Amounts:
    """Return what one row adds to every rollup that it is in, in the order of `SUMS`."""
    spend, prompt, completion, read, written, reasoning, status, source, start, end = _measured(values)
    micros, rest = divmod(spend or 0, MICRO)
    failed = status in _FAILURES
    return (
        micros,
        rest,
        prompt,
        completion,
        read,
        written,
        reasoning,
        1,
        0 if failed else 1,
        1 if failed else 0,
        1 if spend is None else 0,
        1 if source == UsageSource.ESTIMATED else 0,
        max(0, end - start),
    )


def tags_of(values: Values) -> tuple[str, ...]:
    """Return a row's tags, each once."""
    stored = values[_TAGS]
    return _tags_in(stored) if stored and stored != "[]" else ()


@lru_cache(maxsize=4096)
def _tags_in(stored: str) -> tuple[str, ...]:
    try:
        tags = json.loads(stored)
    except ValueError:
        return ()
    return tuple(dict.fromkeys(storable(tag) for tag in tags if isinstance(tag, str)))


def tag_rows(rows: Iterable[Values]) -> list[tuple[str, int, str]]:
    """Return the (tag, start_time, log_id) of rows, sorted."""
    return sorted((tag, row[_START], row[_ID]) for row in rows for tag in tags_of(row))


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """Return a time zone by its IANA name."""
    return UTC if name == "UTC" else ZoneInfo(name)


def day_of(micros: int, zone: str) -> str:
    """Return the day, as YYYY-MM-DD in a zone, of a time in microseconds since the epoch."""
    # Every offset that a zone has had since 1970 is whole minutes, so that a minute never spans two days.
    return _day_of_minute(micros // 60_000_000, zone)


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
) -> Moves:
    """Return what rows add to each rollup.

    Sorted by zone, day and the rest of the key: all writers lock rows in one order, so none deadlock.

    Args:
        rows: Rows that are new to the database.
        zones: The zones that have rollups, in an order that all writers share; the first stands for all time too.
        slot: The slot of this writer.
        amounts: What each row adds, in the order of `SUMS`; the rows' own values when None.
        totals: Also move the sums over all time, which know no zone.
    """
    if amounts is None:
        amounts = list(map(amounts_of, rows))
    calls = list(zip(rows, amounts, map(tags_of, rows), strict=True))
    moves: Moves = {table: [] for table in ROLLUPS}
    ever: list[_Sorted] = []
    for zone in zones:
        days: defaultdict[str, list[_Call]] = defaultdict(list)
        for call in calls:
            days[day_of(call[0][_START], zone)].append(call)
        for day in sorted(days):
            wide, customers = _grouped(days[day], _wide), _grouped(days[day], _customer)
            named = sorted(_named_sums(days[day], wide, customers).items())
            moves["spend_customer_daily"] += [
                (zone, day, *key, slot, *sums) for key, sums in sorted(customers.items())
            ]
            moves["spend_daily"] += [(zone, day, *key, slot, *sums) for key, sums in sorted(wide.items())]
            moves["spend_name_daily"] += [
                (kind, zone, day, name, slot, *sums) for (kind, name), sums in named
            ]
            if totals and zone == zones[0]:
                ever.append(named)
    moves["spend_name_totals"] = [(*key, slot, *sums) for key, sums in _merged(ever)]
    return {table: moved for table, moved in moves.items() if moved}


_Call = tuple[Values, Amounts, tuple[str, ...]]
_Sums = dict[tuple[str, ...], Amounts]
_Sorted = list[tuple[tuple[str, ...], Amounts]]
_Groups = defaultdict[tuple[str, ...], list[Amounts]]


def _grouped(calls: Sequence[_Call], key_of: Callable[[Values], tuple[str, ...]]) -> _Sums:
    groups: _Groups = defaultdict(list)
    for row, amount, _ in calls:
        groups[key_of(row)].append(amount)
    return _added_up(groups)


def _named_sums(calls: Sequence[_Call], wide: _Sums, customers: _Sums) -> _Sums:
    """Return the sums by (kind, name): of groups that are added up already where these know the name."""
    sums: _Sums = {("total", ""): _added(list(wide.values()))}
    for kind, (position, of_customers) in _NAMED_KINDS.items():
        names: defaultdict[str, list[Amounts]] = defaultdict(list)
        for key, amounts in (customers if of_customers else wide).items():
            names[key[position]].append(amounts)
        for name, parts in names.items():
            sums[kind, name] = _added(parts)
    tagged: _Groups = defaultdict(list)
    for _, amount, tags in calls:
        for tag in tags:
            tagged["tag", tag].append(amount)
        if not tags:
            tagged["untagged", ""].append(amount)
    return sums | _added_up(tagged)


def _merged(days: Sequence[_Sorted]) -> _Sorted:
    if len(days) == 1:
        return days[0]
    groups: _Groups = defaultdict(list)
    for sums in days:
        for key, amounts in sums:
            groups[key].append(amounts)
    return sorted(_added_up(groups).items())


def _added_up(groups: _Groups) -> _Sums:
    return {key: _added(amounts) for key, amounts in groups.items()}


def _added(amounts: Sequence[Amounts]) -> Amounts:
    return amounts[0] if len(amounts) == 1 else tuple(map(sum, zip(*amounts, strict=True)))
