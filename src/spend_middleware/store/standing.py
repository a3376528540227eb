"""From when on an entity's calls count: resets, and budget windows that roll over by the clock without any job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from spend_middleware.errors import ConfigurationError
from spend_middleware.store.durations import Duration
from spend_middleware.store.entities import Limited, SpendBudget, Spender

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANY = 400
"""Windows that are walked one by one; what ended longer ago than this is skipped by arithmetic."""


def micros(at: datetime) -> int:
    """Return an instant as whole microseconds since the epoch."""
    return (at - EPOCH) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """Return microseconds since the epoch as an instant in UTC."""
    return EPOCH + timedelta(microseconds=at)


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts against an entity now: calls since a moment, an amount besides, and when that ends."""

    since: int
    carried: Decimal
    reset_at: int | None


def standing(
    entity: Spender, limits: Limited | None, budget: SpendBudget | None, now: int, zone: tzinfo = UTC
) -> Standing:
    """Return what counts against an entity at a moment.

    Args:
        limits: The entity itself where it has limits of its own.
        budget: The budget that it is linked to.
        now: Microseconds since the epoch.
    """
    ruling = limits if limits is not None and limits.budget_duration else budget
    start, end = window(ruling, now, zone) if ruling is not None else (0, None)
    if isinstance(ruling, SpendBudget):
        start = max(start, ruling.window_since)
    if start > entity.spend_since:
        return Standing(start, Decimal(0), end)
    return Standing(entity.spend_since, entity.spend_carried, end)


def window(limits: Limited, now: int, zone: tzinfo) -> tuple[int, int | None]:
    """Return when the window that holds a moment began (0: before the first reset) and when it ends."""
    end = limits.budget_reset_at
    if end is None or end > now or limits.budget_duration is None:
        return 0, end
    try:
        duration = Duration.parse(limits.budget_duration)
        length = micros(duration.added_to(EPOCH))
        begin, following = instant(end), instant(end)
        if now - end > _MANY * length:
            begin = duration.next_reset(instant(now - 3 * length), zone)
            following = begin
        while micros(following) <= now:
            begin, following = following, duration.next_reset(following, zone)
    except ConfigurationError:
        return end, None  # A duration that nothing can be made of: one reset, and no further one.
    return micros(begin), micros(following)


def next_reset(duration: str | None, now: int, zone: tzinfo = UTC) -> int | None:
    """Return when the window that begins with a moment ends; None without a duration.

    Raises:
        ConfigurationError: The duration is not one.
    """
    return None if duration is None else micros(Duration.parse(duration).next_reset(instant(now), zone))


def settle(
    entity: Spender, limits: Limited | None, budget: SpendBudget | None, now: int, zone: tzinfo
) -> None:
    """Write the standing of a moment into the entity, before its duration or budget changes."""
    at = standing(entity, limits, budget, now, zone)
    entity.spend_since, entity.spend_carried = at.since, at.carried
    if limits is not None:
        limits.budget_reset_at = at.reset_at if limits.budget_duration else limits.budget_reset_at
