"""Budget durations such as "30d": what they mean, when the next window begins, and when a key expires."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from spend_middleware.errors import ConfigurationError

_NOTATION = re.compile(r"([0-9]{1,9})(s|m|hr|h|d|w|mo|y)")
_UNITS = {"s": "s", "m": "m", "h": "h", "hr": "h", "d": "d", "w": "w", "mo": "mo", "y": "y"}
_WORDS = {"hourly": "1h", "daily": "24h", "weekly": "7d", "monthly": "30d", "yearly": "1y"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Duration:
    """A count of one unit: s, m, h, d, w, mo or y."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return the duration that a text names.

        Raises:
            ConfigurationError: The text names none, or one of no length.
        """
        found = _NOTATION.fullmatch(_WORDS.get(text.lower(), text))
        if found is None or int(found[1]) == 0:
            raise ConfigurationError(
                f"Invalid budget_duration '{text}'. Use a format like '1h', '24h', '7d', or '30d'."
            )
        return cls(int(found[1]), _UNITS[found[2]])

    def added_to(self, at: datetime) -> datetime:
        """Return the instant this much later: months and years by the calendar, the rest by the clock.

        Raises:
            ConfigurationError: The instant lies beyond the calendar.
        """
        try:
            if self.unit in ("mo", "y"):
                return _months_later(at, self.count * (12 if self.unit == "y" else 1))
            return at + timedelta(seconds=self.count * _SECONDS[self.unit])
        except (OverflowError, ValueError) as error:
            raise ConfigurationError(
                f"The duration '{self.count}{self.unit}' ends after year 9999."
            ) from error

    def next_reset(self, after: datetime, zone: tzinfo = UTC) -> datetime:
        """Return when the window that holds an instant ends, aligned to the calendar of a zone.

        Days end at midnight, weeks on Monday, 30 days and months on the first of a month, years on the first of
        January; hours, minutes and seconds at multiples of themselves.

        Raises:
            ConfigurationError: The instant lies beyond the calendar.
        """
        try:
            return self._aligned(after.astimezone(zone)).astimezone(UTC)
        except (OverflowError, ValueError) as error:
            raise ConfigurationError(
                f"The duration '{self.count}{self.unit}' ends after year 9999."
            ) from error

    def _aligned(self, here: datetime) -> datetime:
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight.replace(day=1)
        days = self.count * {"d": 1, "w": 7}.get(self.unit, 0)
        if self.unit == "y":
            return first.replace(year=here.year + self.count, month=1)
        if self.unit == "mo":
            return _months_later(first, self.count)
        if days == 30:
            return _months_later(first, 1)
        if days == 7:
            return midnight + timedelta(days=7 - here.weekday())
        if days:
            return midnight + timedelta(days=days)
        return self._next_multiple(here, midnight)

    def _next_multiple(self, here: datetime, midnight: datetime) -> datetime:
        """Return the next multiple of hours since midnight, minutes since the hour, seconds since the minute."""
        start, step, passed = {
            "h": (midnight, timedelta(hours=1), here.hour),
            "m": (here.replace(minute=0, second=0, microsecond=0), timedelta(minutes=1), here.minute),
            "s": (here.replace(second=0, microsecond=0), timedelta(seconds=1), here.second),
        }[self.unit]
        return start + step * ((passed // self.count + 1) * self.count)


def _months_later(at: datetime, months: int) -> datetime:
    """Return the same day and time some months later, or the last day of a shorter month."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)
