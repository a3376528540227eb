"""What a batch of new rows adds to each rollup: sums by key, in an order that every writer shares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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

Key = tuple[str | int, ...]
Amounts = tuple[int, ...]
Moves = dict[str, list[tuple[str | int, ...]]]
"""Rollup table -> rows of key and sums to add, sorted by key."""

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
_names = itemgetter(*(AT[column] for column in KINDS.values() if column))
_NAMED_KINDS = tuple(kind for kind, column in KINDS.items() if column)
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
    if not stored or stored == "[]":
        return ()
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

    Args:
        rows: Rows that are new to the database.
        zones: The zones that have rollups.
        slot: The slot of this writer.
        amounts: What each row adds, in the order of `SUMS`; the rows' own values when None.
        totals: Also move the sums over all time, which know no zone.
    """
    if amounts is None:
        amounts = [amounts_of(row) for row in rows]
    customers: dict[Key, list[Amounts]] = {}
    wide: dict[Key, list[Amounts]] = {}
    named: dict[Key, list[Amounts]] = {}
    for row, amount in zip(rows, amounts, strict=True):
        names = _names_of(row)
        for zone in zones:
            day = day_of(row[_START], zone)
            customers.setdefault((zone, day, *_customer(row), slot), []).append(amount)
            wide.setdefault((zone, day, *_wide(row), slot), []).append(amount)
            for kind, name in names:
                named.setdefault((kind, zone, day, name, slot), []).append(amount)
    moves = {
        "spend_customer_daily": _added_up(customers),
        "spend_daily": _added_up(wide),
        "spend_name_daily": _added_up(named),
    }
    if totals:
        moves["spend_name_totals"] = _totals(rows, amounts, slot)
    return moves


def _names_of(row: Values) -> list[tuple[str, str]]:
    names = list(zip(_NAMED_KINDS, _names(row), strict=True))
    names.append(("total", ""))
    names.extend([("tag", tag) for tag in tags_of(row)] or [("untagged", "")])
    return names


def _totals(rows: Sequence[Values], amounts: Sequence[Amounts], slot: int) -> list[tuple[str | int, ...]]:
    sums: dict[Key, list[Amounts]] = {}
    for row, amount in zip(rows, amounts, strict=True):
        for kind, name in _names_of(row):
            sums.setdefault((kind, name, slot), []).append(amount)
    return _added_up(sums)


def _added_up(groups: dict[Key, list[Amounts]]) -> list[tuple[str | int, ...]]:
    """Return key and sums of each group, sorted by key: all writers lock rows in one order, so none deadlock."""
    return [
        (*key, *(amounts[0] if len(amounts) == 1 else map(sum, zip(*amounts, strict=True))))
        for key, amounts in sorted(groups.items())
    ]
