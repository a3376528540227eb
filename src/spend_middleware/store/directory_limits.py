"""Limits of entities and budgets: checked, set, and their windows begun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from spend_middleware.errors import ConfigurationError
from spend_middleware.store.desk import Desk
from spend_middleware.store.entities import Limited, SpendBudget, Spender
from spend_middleware.store.standing import instant, micros, next_reset, settle, standing, window

_EMPTY = Spender()


def set_limits(desk: Desk, entity: Spender | None, limits: Limited, wanted: Mapping[str, Any]) -> None:
    """Set the limits that were given; a new duration begins a new window and keeps what was spent.

    Args:
        entity: Who spends against the limits; None for a budget, which many may be linked to.

    Raises:
        ConfigurationError: A budget is negative, or a duration is not one.
    """
    for name in ("max_budget", "soft_budget"):
        amount: Decimal | None = wanted.get(name)
        if amount is not None and amount < 0:
            raise ConfigurationError(f"{name} cannot be negative. Received: {amount}")
    if "budget_duration" in wanted:
        if entity is not None:
            settle(entity, limits, None, desk.now, desk.zone)
        elif isinstance(limits, SpendBudget):
            limits.window_since = standing(_EMPTY, None, limits, desk.now, desk.zone).since
    for name, value in wanted.items():
        setattr(limits, name, value)
    if "budget_duration" in wanted:
        reset_limits(desk, limits)


def reset_limits(desk: Desk, limits: Limited) -> None:
    """Begin the window of a duration.

    Raises:
        ConfigurationError: The duration is not one.
    """
    limits.budget_reset_at = next_reset(limits.budget_duration, desk.now, desk.zone)


def new_windows(desk: Desk, given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return several budgets of one key or team as they are kept, each with the end of its window.

    Raises:
        ConfigurationError: A budget is negative, or a duration is not one.
    """
    kept = []
    for one in given:
        if one["max_budget"] < 0:
            raise ConfigurationError(
                f"budget_limits: max_budget cannot be negative. Received: {one['max_budget']}"
            )
        end = next_reset(one["budget_duration"], desk.now, desk.zone) or desk.now
        kept.append(
            {
                "budget_duration": one["budget_duration"],
                "max_budget": float(one["max_budget"]),
                "reset_at": instant(end).isoformat(),
            }
        )
    return kept


def windows_now(kept: Any, now: int, zone: tzinfo) -> Any:
    """Return kept budgets with the ends of the windows that hold a moment; what cannot be read stays as it is."""
    if not isinstance(kept, list):
        return kept
    return [_window_now(one, now, zone) if isinstance(one, Mapping) else one for one in kept]


def _window_now(kept: Mapping[str, Any], now: int, zone: tzinfo) -> dict[str, Any]:
    try:
        stored = datetime.fromisoformat(str(kept.get("reset_at")))
        end = micros(stored if stored.tzinfo is not None else stored.replace(tzinfo=UTC))
    except ValueError:
        return dict(kept)
    limits = Limited(budget_duration=str(kept.get("budget_duration")), budget_reset_at=end)
    following = window(limits, now, zone)[1]
    return {**kept, "reset_at": instant(end if following is None else following).isoformat()}
