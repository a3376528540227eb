"""What the rollups are, and what one call adds to each that it is in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import itemgetter, le
from typing import Any

from spend_middleware.call import Status, UsageSource
from spend_middleware.store.records import AT, Values

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
    "unpriced": "",
    "untagged": "",
    "user": "user_id",
}
"""Kinds of narrow rollups -> the row's column that holds the name.

`total` and `untagged` (rows without a tag) have the one name ''; a row has many tags; `unpriced` holds the calls whose
cost is not known, under a name made of provider, model and reason (`unpriced_name`).
"""

WIDE = ("api_key", "model", "team_id", "user_id", "organization_id", "model_group", "provider", "endpoint")
CUSTOMER = ("end_user", "api_key", "model", "team_id")

ROLLUPS: dict[str, tuple[str, ...]] = {
    "spend_customer_daily": ("zone", "day", *CUSTOMER, "slot"),
    "spend_daily": ("zone", "day", *WIDE, "slot"),
    "spend_name_daily": ("kind", "zone", "day", "name", "slot"),
    "spend_name_totals": ("kind", "name", "slot"),
}
"""Rollup table -> its key columns; each of them holds every call."""

MOVED: dict[str, tuple[str, ...]] = {
    **ROLLUPS,
    "spend_name_spans": ("kind", "zone", "span", "name"),
    "spend_spans": ("zone", "span", *WIDE),
}
"""All tables of sums, in the order in which every writer moves them; spans hold the calls of settled days."""

Amounts = tuple[int, ...]
"""What is added to a rollup's row, in the order of `SUMS`."""

Moves = dict[str, Sequence[Sequence[Any]]]
"""Rollup table -> what to add to it, as columns: those of its key, then those of the sums.

Rows would be one Python object each, and the garbage collector of the host would go through them all.
"""

_FAILURES = frozenset((str(Status.FAILURE), str(Status.INTERRUPTED)))
_ESTIMATED = str(UsageSource.ESTIMATED)
_MEASURED = (
    *(
        "spend",
        "prompt_tokens",
        "completion_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ),
    *("reasoning_tokens", "status", "usage_source", "start_time", "end_time"),
)
_measured = itemgetter(*map(AT.__getitem__, _MEASURED))
_spend, *_tokens, _status, _source, _start, _end = [itemgetter(AT[name]) for name in _MEASURED]


def unpriced_name(provider: str, model: str, reason: str | None) -> str:
    """Return the name under which the calls without a cost of one model, for one reason, are added up."""
    return json.dumps([provider, model, reason or ""], separators=(",", ":"))


def amounts_of(values: Values) -> Amounts:
    """Return what one row adds to every rollup that it is in, in the order of `SUMS`."""
    spend, prompt, completion, read, written, reasoning, status, source, start, end = _measured(values)
    micros, rest = divmod(spend, MICRO) if spend else (0, 0)
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
        1 if source == _ESTIMATED else 0,
        end - start if end > start else 0,
    )


def amounts_of_all(rows: Sequence[Values]) -> Amounts:
    """Return what rows add together: column by column, which is quick for many."""
    if len(rows) == 1:
        return amounts_of(rows[0])
    # Through `map` and not `zip(*rows)`, which makes an object a row for the host's garbage collector to follow.
    spends, statuses, starts, ends = (list(map(of, rows)) for of in (_spend, _status, _start, _end))
    micros, rest = divmod(sum(filter(None, spends)), MICRO)
    failures = sum(map(_FAILURES.__contains__, statuses))
    if all(map(le, starts, ends)):
        duration = sum(ends) - sum(starts)
    else:
        duration = sum(max(0, end - start) for start, end in zip(starts, ends, strict=True))
    return (
        micros,
        rest,
        *[sum(map(of, rows)) for of in _tokens],
        len(rows),
        len(rows) - failures,
        failures,
        spends.count(None),
        sum(map(_ESTIMATED.__eq__, map(_source, rows))),
        duration,
    )
