"""Reusable budgets, and the linking of customers, tags and organizations to them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_limits import set_limits
from spend_middleware.store.entities import (
    SpendBudget,
)

BUDGET_LIMITS = frozenset(
    [
        "max_budget",
        "soft_budget",
        "budget_duration",
        "tpm_limit",
        "rpm_limit",
        "tpd_limit",
        "max_parallel_requests",
    ]
)
"""What makes a budget of its own when it is given for a customer, a tag or an organization."""

_BUDGET_MORE = frozenset(["model_max_budget", "allowed_models", "temp_budget_increase", "temp_budget_expiry"])

_OF_A_BUDGET = BUDGET_LIMITS | _BUDGET_MORE | {"budget_reset_at"}


# -- budgets


def create_budget(desk: Desk, wanted: Mapping[str, Any]) -> SpendBudget:
    """Make a budget; without an id it gets a new one.

    Raises:
        TakenError: The id exists.
        ConfigurationError: A value cannot work.
    """
    budget_id = wanted.get("budget_id") or str(uuid.uuid4())
    if desk.get(SpendBudget, budget_id) is not None:
        raise TakenError(f"Budget {budget_id} already exists. Use /budget/update to change it.")
    budget = SpendBudget(budget_id=budget_id, created_at=desk.now, created_by=desk.actor)
    return _apply_budget(desk, budget, wanted)


def get_budget(desk: Desk, budget_id: str) -> SpendBudget:
    """Return a budget.

    Raises:
        NotFoundError: There is no such budget.
    """
    budget = desk.get(SpendBudget, budget_id)
    if budget is None:
        raise NotFoundError(f"Budget {budget_id} not found.")
    return budget


def change_budget(desk: Desk, budget_id: str, wanted: Mapping[str, Any]) -> SpendBudget:
    """Change the fields of a budget that were given, and return it.

    Raises:
        NotFoundError: There is no such budget.
        ConfigurationError: A value cannot work.
    """
    return _apply_budget(desk, get_budget(desk, budget_id), wanted)


def delete_budget(desk: Desk, budget_id: str) -> SpendBudget | None:
    """Delete a budget and return it; what was linked to it has no budget then."""
    budget = desk.get(SpendBudget, budget_id)
    if budget is not None:
        desk.session.delete(budget)
    return budget


def list_budgets(desk: Desk) -> list[SpendBudget]:
    """Return all budgets, oldest first."""
    order = (col(SpendBudget.created_at), col(SpendBudget.budget_id))
    return list(desk.session.exec(select(SpendBudget).order_by(*order)).all())


def budgets_of(desk: Desk, entities: Sequence[Any]) -> dict[str, SpendBudget]:
    """Return the budgets that entities are linked to, by id."""
    wanted = [entity.budget_id for entity in entities if entity.budget_id]
    return {budget.budget_id: budget for budget in desk.some(SpendBudget, SpendBudget.budget_id, wanted)}


def _apply_budget(desk: Desk, budget: SpendBudget, wanted: Mapping[str, Any]) -> SpendBudget:
    if wanted.get("budget_reset_at") is not None and not wanted.get("budget_duration"):
        budget.budget_reset_at = wanted["budget_reset_at"]
    for name in _BUDGET_MORE & wanted.keys():
        if wanted[name] is not None or name != "allowed_models":
            setattr(budget, name, wanted[name])
    set_limits(desk, None, budget, {name: wanted[name] for name in BUDGET_LIMITS & wanted.keys()})
    budget.updated_at, budget.updated_by = desk.now, desk.actor
    desk.session.add(budget)
    desk.session.flush()
    return budget


def link_budget(desk: Desk, linked: str | None, wanted: Mapping[str, Any], *, own: bool) -> str | None:
    """Return the budget id that an entity has afterwards: the one named, or one made or changed by the limits given.

    Args:
        linked: The budget that it has so far.
        own: Change that budget where limits are given; False makes a new one.
    """
    if wanted.get("budget_id"):
        if desk.get(SpendBudget, wanted["budget_id"]) is None:
            raise ConfigurationError(
                f"budget_id '{wanted['budget_id']}' does not exist. Create it by /budget/new."
            )
        linked = wanted["budget_id"]
    limits = {name: wanted[name] for name in _OF_A_BUDGET & wanted.keys() if wanted[name] is not None}
    if not limits:
        return linked
    if linked is not None and own and not wanted.get("budget_id"):
        return change_budget(desk, linked, limits).budget_id
    if wanted.get("budget_id"):
        raise ConfigurationError("Set either budget_id or limits such as max_budget, not both.")
    return create_budget(desk, limits).budget_id
