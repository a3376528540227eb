"""Hours at which a price is lower: LiteLLM's `off_peak_pricing` block."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES = 24 * 60

Window = tuple[int, int, frozenset[int] | None]
"""First minute of the UTC day, the minute after the last, and the ISO weekdays (None: every day)."""


def _minute(text: str) -> int:
    hours, minutes = text.strip().split(":")
    minute = int(hours) * 60 + int(minutes)
    if not 0 <= minute < _MINUTES:
        raise ValueError(text)
    return minute


def _weekdays(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    days = set()
    for day in value if isinstance(value, list | tuple) else ():
        if isinstance(day, str) and day.strip().lower()[:3] in _DAYS:
            days.add(_DAYS.index(day.strip().lower()[:3]) + 1)
        elif isinstance(day, int) and not isinstance(day, bool):
            days.add(day)
    return frozenset(days)


def _windows(hours: Any, weekdays: Any) -> list[Window]:
    out: list[Window] = []
    for span in [hours] if isinstance(hours, str) else hours or ():
        try:
            first, last = span.split("-")
            out.append((_minute(first), _minute(last), _weekdays(weekdays)))
        except (ValueError, AttributeError):
            continue  # an unreadable window is no discount
    return out


class OffPeak:
    """The windows of one row: start inclusive, end exclusive, past midnight when the end is earlier."""

    __slots__ = ("_windows", "_zone", "block")

    def __init__(self, block: Mapping[str, Any]) -> None:
        self.block = block
        self._windows = _windows(block.get("hours_utc"), None)
        rules = block.get("windows")
        for rule in rules if isinstance(rules, list) else ():
            if isinstance(rule, Mapping):
                self._windows += _windows(rule.get("hours_utc"), rule.get("weekdays"))
        self._zone = _zone(block.get("weekday_timezone"))

    def covers(self, at: float) -> bool:
        """Return whether a time, in seconds since the epoch, is off-peak."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
        minute = moment.hour * 60 + moment.minute
        weekday = moment.astimezone(self._zone).isoweekday()
        for first, last, weekdays in self._windows:
            if weekdays is not None and weekday not in weekdays:
                continue
            if first <= minute < last if first < last else minute >= first or minute < last:
                return True
        return False


def _zone(name: Any) -> tzinfo:
    try:
        return ZoneInfo(name.strip()) if isinstance(name, str) and name.strip() else UTC
    except (KeyError, ValueError, OSError):
        return UTC
