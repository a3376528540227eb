"""Days of time zones as half-open intervals of microseconds, and which zones have rollups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, func, select

from spend_middleware.errors import ConfigurationError
from spend_middleware.store import tables  # noqa: F401 - registers them
from spend_middleware.store.columns import UTC_ZONE, SpendModel
from spend_middleware.store.spans import Rolled

_META = SpendModel.metadata.tables["spend_meta"]
_LOGS = SpendModel.metadata.tables["spend_logs"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_MICRO = timedelta(microseconds=1)
# Where nothing can have been called yet, or ever: days beyond stand for an open end, so that no arithmetic overflows.
_FIRST, _LAST = date(1, 1, 3), date(9999, 12, 29)


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Return the zone of an IANA name.

    Raises:
        ConfigurationError: There is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"{name!r} is not a time zone: use an IANA name such as 'UTC' or 'Europe/Berlin'"
        ) from error


@lru_cache(maxsize=8192)
def day_start(day: date, zone: str) -> int:
    """Return the first microsecond of a day in a zone, counted from the epoch in UTC.

    A midnight that clocks jump over stands for the moment of the jump, one that they show twice for its first time
    (PEP 495, fold=0), so that days always touch and never overlap. A day that a zone leaves out is empty.
    """
    if zone == UTC_ZONE:
        return (day - _EPOCH.date()).days * 86_400_000_000
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone_of(zone))
    return (midnight.astimezone(UTC) - _EPOCH) // _MICRO


def day_end(day: date, zone: str) -> int:
    """Return the first microsecond after a day in a zone."""
    return day_start(day + _DAY, zone)


def day_of(moment: int, zone: str) -> date:
    """Return the day of a moment in a zone."""
    return (_EPOCH + timedelta(microseconds=moment)).astimezone(zone_of(zone)).date()


def days_between(start: date, end: date) -> Iterator[date]:
    """Yield the days from start to end, both included."""
    for number in range((end - start).days + 1):
        yield start + timedelta(days=number)


def days_with_calls(connection: Connection, zone: str, since: int | None = None) -> list[date]:
    """Return the days of a zone that have calls, in order; one look-up each, however far apart they are.

    Args:
        since: Only calls from this moment on.
    """
    days: list[date] = []
    start = _LOGS.c.start_time
    first = select(func.min(start)) if since is None else select(func.min(start)).where(start >= since)
    moment = connection.scalar(first)
    while moment is not None:
        days.append(day_of(moment, zone))
        moment = connection.scalar(select(func.min(start)).where(start >= day_end(days[-1], zone)))
    return days


def moment_of(at: datetime) -> int:
    """Return microseconds since the epoch; a datetime without a zone counts as UTC."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICRO


@dataclass(frozen=True, slots=True)
class Known:
    """The first and the last day of a zone that has calls, and the first day that is not settled (see `spans`)."""

    first: date
    last: date
    settled: date | None


@dataclass(frozen=True, slots=True)
class Window:
    """A period whose zone is known: whole days, and whether rollups have them.

    Args:
        rolled: The rollups have the days of this zone.
        known: What the rollups have, of this zone's days or UTC's.
    """

    zone: str
    rolled: bool
    start: date | None = None
    end: date | None = None
    known: Known | None = None

    @property
    def since(self) -> int | None:
        """The first microsecond, None for an open start."""
        return None if self.start is None else day_start(self.start, self.zone)

    @property
    def until(self) -> int | None:
        """The first microsecond after it, None for an open end."""
        return None if self.end is None else day_end(self.end, self.zone)

    @property
    def empty(self) -> bool:
        """True when the end lies before the start."""
        return self.start is not None and self.end is not None and self.end < self.start

    @property
    def open(self) -> bool:
        """True when it is all time."""
        return self.start is None and self.end is None


def bounded(day: date | None) -> date | None:
    """Return the day, moved within what can be computed with."""
    return None if day is None else min(max(day, _FIRST), _LAST)


def rows_since(connection: Connection) -> int | None:
    """Return the moment before which rows are deleted by retention, a UTC midnight; None when all rows are kept."""
    stored = connection.scalar(select(_META.c.value).where(_META.c.name == "rows_since"))
    return int(stored) if stored else None


def rolled(connection: Connection) -> Rolled:
    """Return which zones besides UTC the rollups are cut for, and which days are settled."""
    return Rolled.read(connection.scalar(select(_META.c.value).where(_META.c.name == "rollups")))


def rolled_zones(connection: Connection) -> frozenset[str]:
    """Return the zones that the rollups are cut for."""
    return frozenset([UTC_ZONE, *rolled(connection).zones])
