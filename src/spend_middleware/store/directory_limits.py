"""Limits of entities and budgets: checked, set, and their windows begun."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from spend_middleware.errors import ConfigurationError
from spend_middleware.store.directory import Desk
from spend_middleware.store.entities import Limited, SpendBudget, Spender
from spend_middleware.store.standing import next_reset, settle, standing

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
