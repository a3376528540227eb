"""What each rollup knows, and the same sums taken from single calls: the two must always agree.

Sums are taken of whole micro-dollars and of the pico-dollars below them apart, and joined in Python, because one
64-bit sum of pico-dollars overflows past 9.2 million dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    and_,
    case,
    cast,
    column,
    false,
    func,
    literal,
    literal_column,
    or_,
    type_coerce,
)

from spend_middleware.call import Status, UsageSource
from spend_middleware.store.columns import Name, SpendModel
from spend_middleware.store.records import storable
from spend_middleware.store.report_hints import common, unfolded, unforeseen
from spend_middleware.store.report_values import By, Scope, Sums
from spend_middleware.store.rollups import KINDS, MICRO, SUMS
from spend_middleware.store.tables import OWNED

_TABLES = SpendModel.metadata.tables
LOGS: Table = _TABLES["spend_logs"]
TAGS: Table = _TABLES["spend_log_tags"]
DAILY: Table = _TABLES["spend_daily"]
CUSTOMERS: Table = _TABLES["spend_customer_daily"]
NAMES: Table = _TABLES["spend_name_daily"]
TOTALS: Table = _TABLES["spend_name_totals"]
SPANS: Table = _TABLES["spend_spans"]
NAME_SPANS: Table = _TABLES["spend_name_spans"]
DAY_LINES: Table = _TABLES["spend_day_lines"]
ADJUSTMENTS: Table = _TABLES["spend_adjustments"]
META: Table = _TABLES["spend_meta"]


_OWNED = frozenset(LOGS.c[name] for name in OWNED)
_NOTHING: ColumnElement[str] = literal_column("''")

_OWNERS = frozenset((By.USER, By.TEAM, By.ORGANIZATION))
_INDEXED = {
    DAILY: _OWNERS | {By.KEY},
    SPANS: _OWNERS,
    CUSTOMERS: frozenset((By.END_USER,)),
}
"""Rollups whose key begins with zone and day -> the dimensions that they have an index for."""


TAGS_OF_CALL = unfolded(LOGS.c.request_tags).table_valued(
    column("value", LOGS.c.request_tags.type), name="own_tags"
)
"""A call's tags, to be joined with its row."""


def _is_sought(table: Table, named: Iterable[By]) -> bool:
    return bool(_INDEXED.get(table, frozenset()) & frozenset(named))


def of_zone(table: Table, zone: str, named: Iterable[By]) -> ColumnElement[Any]:
    """Return the condition that a rollup's rows belong to a zone.

    Args:
        named: The dimensions of which certain values are asked for; an index of theirs is to be taken.
    """
    condition = table.c.zone == zone
    return common(condition) if _is_sought(table, named) else condition


def days_of(table: Table, days: Iterable[str], named: Iterable[By]) -> list[ColumnElement[str]]:
    """Return days, or names of spans, as what a rollup's column of them is compared with."""
    texts = [literal(day, Name) for day in days]
    return [unforeseen(text) for text in texts] if _is_sought(table, named) else list(texts)


@dataclass(frozen=True, slots=True)
class Source:
    """A rollup: its table, which columns hold which dimension, and the kind of its rows where it holds several.

    Args:
        spans: The table of the same sums over several days, whose columns have the same names.
    """

    table: Table
    columns: Mapping[By, ColumnElement[Any]]
    kind: str | None = None
    spans: Table | None = None

    @property
    def daily(self) -> bool:
        """False for the sums over all time."""
        return By.DAY in self.columns

    def over_spans(self) -> Source | None:
        """Return the same rollup over spans of days."""
        if self.spans is None:
            return None
        names: dict[By, ColumnElement[Any]] = {
            by: self.spans.c[column.name] for by, column in self.columns.items() if by is not By.DAY
        }
        return Source(self.spans, names, self.kind)


KIND_OF: dict[By, str] = {By(column): kind for kind, column in KINDS.items() if column} | {By.TAG: "tag"}
"""Dimension -> the kind of its narrow rollup."""

_WIDE = (
    By.DAY,
    By.KEY,
    By.MODEL,
    By.TEAM,
    By.USER,
    By.ORGANIZATION,
    By.MODEL_GROUP,
    By.PROVIDER,
    By.ENDPOINT,
)
_CUSTOMER = (By.DAY, By.END_USER, By.KEY, By.MODEL, By.TEAM)


def _narrow(kind: str, name: By | None, *, all_time: bool) -> Source:
    table = TOTALS if all_time else NAMES
    columns: dict[By, ColumnElement[Any]] = {} if name is None else {name: table.c.name}
    if not all_time:
        columns[By.DAY] = table.c.day
    return Source(table, columns, kind, None if all_time else NAME_SPANS)


def _all_narrow(*, all_time: bool) -> tuple[Source, ...]:
    named = (_narrow(kind, by, all_time=all_time) for by, kind in KIND_OF.items())
    return (_narrow("total", None, all_time=all_time), *named)


_OVER_ALL_TIME = _all_narrow(all_time=True)
_BY_DAY = (
    *_all_narrow(all_time=False),
    Source(DAILY, {by: DAILY.c[by.value] for by in _WIDE}, spans=SPANS),
    Source(CUSTOMERS, {by: CUSTOMERS.c[by.value] for by in _CUSTOMER}),
)


def source_for(dimensions: frozenset[By], *, all_time: bool) -> Source | None:
    """Return the smallest rollup that knows all of these dimensions; None when only single calls do."""
    candidates = (*_OVER_ALL_TIME, *_BY_DAY) if all_time else _BY_DAY
    return next((source for source in candidates if dimensions <= source.columns.keys()), None)


def unpriced_source(*, all_time: bool) -> Source:
    """Return the rollup of the calls whose cost is not known; their names stand in the place of a model."""
    return _narrow("unpriced", By.MODEL, all_time=all_time)


def untagged_source(*, all_time: bool) -> Source:
    """Return the rollup of the calls that have no tag."""
    return _narrow("untagged", None, all_time=all_time)


def own_sums(table: Table) -> tuple[ColumnElement[int], ...]:
    """Return the columns of a rollup that hold sums."""
    return tuple(table.c[name] for name in SUMS)


def _all_summed(parts: Mapping[str, ColumnElement[Any]]) -> tuple[ColumnElement[int], ...]:
    return tuple(cast(func.coalesce(func.sum(parts[name]), 0), BigInteger).label(name) for name in SUMS)


@cache
def stored_sums(table: Table) -> tuple[ColumnElement[int], ...]:
    """Return the sums over rows of a rollup."""
    return _all_summed({name: table.c[name] for name in SUMS})


SPEND = type_coerce(LOGS.c.spend, BigInteger)
"""A row's spend in whole pico-dollars."""

AMOUNT = type_coerce(ADJUSTMENTS.c.amount, BigInteger)
"""An adjustment in whole pico-dollars."""

FAILED = LOGS.c.status.in_([Status.FAILURE.value, Status.INTERRUPTED.value])


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


# SQL's quotient and remainder both cut towards zero, so that together they are the amount for a negative one too.
_OF_A_CALL: dict[str, ColumnElement[Any]] = {
    **{name: LOGS.c[name] for name in SUMS if name in LOGS.c},
    "spend_micros": SPEND // MICRO,
    "spend_rest": SPEND % MICRO,
    "requests": literal(1),
    "successes": _one_if(~FAILED),
    "failures": _one_if(FAILED),
    "unpriced": _one_if(SPEND.is_(None)),
    "estimated": _one_if(LOGS.c.usage_source == UsageSource.ESTIMATED.value),
    "duration": case((LOGS.c.end_time > LOGS.c.start_time, LOGS.c.end_time - LOGS.c.start_time), else_=0),
}
_OF_AN_ADJUSTMENT: dict[str, ColumnElement[Any]] = {
    **dict.fromkeys(SUMS, literal(0)),
    "spend_micros": AMOUNT // MICRO,
    "spend_rest": AMOUNT % MICRO,
    "unpriced": -ADJUSTMENTS.c.priced,
}


CALL_SUMS = _all_summed(_OF_A_CALL)
"""The sums over rows of `spend_logs`, named as in a rollup, without their adjustments."""

ADJUSTMENT_SUMS = _all_summed(_OF_AN_ADJUSTMENT)
"""The sums over rows of `spend_adjustments`, named as in a rollup."""

SUMS_OF_PARTS = _all_summed({name: column(name, BigInteger) for name in SUMS})
"""The sums over rows of any one thing that has a rollup's columns."""

RANKED = ("spend_micros", "spend_rest", "requests")
"""The sums that "greatest spend first" needs."""

_WIDTH = len(SUMS)
if SUMS[2:] != tuple(Sums.__dataclass_fields__)[1:]:
    raise AssertionError("the columns of a rollup and the fields of Sums must have one order")


def sums_of(values: Sequence[Any]) -> Sums:
    """Return the sums of one line of SQL, whose last columns are `SUMS` in order."""
    micros, rest, *others = values[-_WIDTH:]
    return Sums(micros * MICRO + rest, *others)


def spend_order(micros: ColumnElement[Any], rest: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return what to sort by for "greatest spend first", for sums whose rest may have grown beyond a micro-dollar."""
    whole = ((rest % MICRO) + MICRO) % MICRO
    return [(micros + (rest - whole) // MICRO).desc(), whole.desc()]


def one_of(column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values, as they would have been stored."""
    known = [storable(value) for value in values]
    if not known:
        return false()
    asked = column == known[0] if len(known) == 1 else column.in_(known)
    return and_(asked, column != _NOTHING) if column in _OWNED and "" not in known else asked


def visible(scope: Scope, columns: Mapping[By, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    """Return the condition of a scope as a list: empty for the administrator, never true for nobody."""
    if scope.everything:
        return []
    parts = [one_of(columns[by], values) for by, values in scope.parts()]
    return [or_(*parts)] if parts else [false()]
