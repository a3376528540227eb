"""Reusable budgets, and what is linked to them: customers, tags and organizations."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func
from sqlmodel import col, select

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.directory import Desk
from spend_middleware.store.directory_limits import set_limits
from spend_middleware.store.directory_teams import ORGANIZATION
from spend_middleware.store.entities import (
    SpendBudget,
    SpendEndUser,
    SpendMembership,
    SpendOrganization,
    SpendTag,
    SpendTeam,
)

BUDGET_LIMITS = frozenset(
    ["max_budget", "soft_budget", "budget_duration", "tpm_limit", "rpm_limit", "tpd_limit", "max_parallel_requests"]
)
"""What makes a budget of its own when it is given for a customer, a tag or an organization."""

_BUDGET_MORE = frozenset(["model_max_budget", "allowed_models", "temp_budget_increase", "temp_budget_expiry"])


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


def _link_budget(desk: Desk, linked: str | None, wanted: Mapping[str, Any], *, own: bool) -> str | None:
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
    limits = {
        name: wanted[name]
        for name in (BUDGET_LIMITS | {"model_max_budget"}) & wanted.keys()
        if wanted[name] is not None
    }
    if not limits:
        return linked
    if linked is not None and own and not wanted.get("budget_id"):
        return change_budget(desk, linked, limits).budget_id
    if wanted.get("budget_id"):
        raise ConfigurationError("Set either budget_id or limits such as max_budget, not both.")
    return create_budget(desk, limits).budget_id


# -- customers


def create_customer(desk: Desk, wanted: Mapping[str, Any]) -> SpendEndUser:
    """Make a customer.

    Raises:
        TakenError: The id exists.
        ConfigurationError: A value cannot work.
    """
    user_id = wanted["user_id"]
    known = desk.get(SpendEndUser, user_id)
    if known is not None and not known.extras.get("deleted"):
        raise TakenError(f"Customer already exists, passed user_id={user_id}. Please pass a new user_id.")
    customer = known or SpendEndUser(user_id=user_id)
    customer.created_at, customer.extras, customer.budget_id = desk.now, {}, None
    if wanted.get("spend") is not None:
        customer.spend_carried = wanted["spend"]
    return _apply_customer(desk, customer, wanted)


def change_customer(desk: Desk, user_id: str, wanted: Mapping[str, Any]) -> SpendEndUser:
    """Change a customer, who may so far be known from the ledger alone."""
    customer = desk.get(SpendEndUser, user_id) or SpendEndUser(user_id=user_id, created_at=desk.now)
    customer.extras = {name: value for name, value in customer.extras.items() if name != "deleted"}
    return _apply_customer(desk, customer, wanted)


def delete_customer(desk: Desk, user_id: str) -> None:
    """Delete a customer, who is listed again from the next call on; the ledger stays.

    The row is kept as a mark of when, because the ledger goes on naming the customer.
    """
    customer = desk.get(SpendEndUser, user_id)
    if customer is not None:
        desk.session.delete(customer)
        desk.session.flush()
    desk.session.add(
        SpendEndUser(user_id=user_id, spend_since=desk.now, extras={"deleted": True}, created_at=desk.now)
    )


def list_customers(desk: Desk) -> list[SpendEndUser]:
    """Return the rows of customers, the marks of deleted ones too, ordered by id."""
    return list(desk.session.exec(select(SpendEndUser).order_by(col(SpendEndUser.user_id))).all())


def _apply_customer(desk: Desk, customer: SpendEndUser, wanted: Mapping[str, Any]) -> SpendEndUser:
    for name in ("alias", "allowed_model_region", "default_model", "blocked", "models"):
        if wanted.get(name) is not None:
            setattr(customer, name, wanted[name])
    if wanted.get("object_permission_id") is not None:
        customer.extras = {**customer.extras, "object_permission_id": wanted["object_permission_id"]}
    customer.budget_id = _link_budget(desk, customer.budget_id, wanted, own=True)
    customer.updated_at = desk.now
    desk.session.add(customer)
    return customer


# -- tags


def create_tag(desk: Desk, wanted: Mapping[str, Any]) -> SpendTag:
    """Register a tag.

    Raises:
        TakenError: The tag is registered.
        ConfigurationError: A value cannot work.
    """
    if desk.get(SpendTag, wanted["name"]) is not None:
        raise TakenError(f"Tag {wanted['name']} already exists")
    tag = SpendTag(tag_name=wanted["name"], created_at=desk.now, created_by=desk.actor)
    return _apply_tag(desk, tag, wanted)


def get_tag(desk: Desk, name: str) -> SpendTag:
    """Return a registered tag.

    Raises:
        NotFoundError: It is not registered.
    """
    tag = desk.get(SpendTag, name)
    if tag is None:
        raise NotFoundError(f"Tag {name} not found")
    return tag


def change_tag(desk: Desk, name: str, wanted: Mapping[str, Any]) -> SpendTag:
    """Change the fields of a tag that were given, and return it.

    Raises:
        NotFoundError: It is not registered.
        ConfigurationError: A value cannot work.
    """
    return _apply_tag(desk, get_tag(desk, name), wanted)


def delete_tag(desk: Desk, name: str) -> None:
    """Forget the registration of a tag; its calls stay in the ledger.

    Raises:
        NotFoundError: It is not registered.
    """
    desk.session.delete(get_tag(desk, name))


def list_tags(desk: Desk) -> list[SpendTag]:
    """Return the registered tags, ordered by name."""
    return list(desk.session.exec(select(SpendTag).order_by(col(SpendTag.tag_name))).all())


def _apply_tag(desk: Desk, tag: SpendTag, wanted: Mapping[str, Any]) -> SpendTag:
    for name in ("description", "models", "model_info"):
        if wanted.get(name) is not None:
            setattr(tag, name, wanted[name])
    tag.budget_id = _link_budget(desk, tag.budget_id, wanted, own=True)
    tag.updated_at = desk.now
    desk.session.add(tag)
    return tag


# -- organizations


def create_organization(desk: Desk, wanted: Mapping[str, Any]) -> SpendOrganization:
    """Make an organization; without an id it gets a new one, without a budget an empty one.

    Raises:
        TakenError: The id exists.
        ConfigurationError: A value cannot work.
    """
    organization_id = wanted.get("organization_id") or str(uuid.uuid4())
    if desk.get(SpendOrganization, organization_id) is not None:
        raise TakenError(f"Organization id = {organization_id} already exists. Please use a different one.")
    organization = SpendOrganization(
        organization_id=organization_id, created_at=desk.now, created_by=desk.actor
    )
    _apply_organization(desk, organization, wanted)
    if organization.budget_id is None:
        organization.budget_id = create_budget(desk, {}).budget_id
    return organization


def get_organization(desk: Desk, organization_id: str) -> SpendOrganization:
    """Return an organization.

    Raises:
        NotFoundError: There is no such organization.
    """
    organization = desk.get(SpendOrganization, organization_id)
    if organization is None:
        raise NotFoundError(f"Organization not found, passed organization_id={organization_id}")
    return organization


def change_organization(desk: Desk, organization_id: str, wanted: Mapping[str, Any]) -> SpendOrganization:
    """Change the fields of an organization that were given, and return it.

    Raises:
        NotFoundError: There is no such organization.
        ConfigurationError: A value cannot work.
    """
    return _apply_organization(desk, get_organization(desk, organization_id), wanted)


def delete_organizations(desk: Desk, organization_ids: Sequence[str]) -> list[SpendOrganization]:
    """Delete organizations with their memberships; teams in them go on without one.

    Raises:
        NotFoundError: One of them does not exist; then none is deleted.
    """
    found = [get_organization(desk, name) for name in dict.fromkeys(organization_ids)]
    for organization in found:
        for team in desk.some(SpendTeam, SpendTeam.organization_id, [organization.organization_id]):
            team.organization_id = None
            desk.session.add(team)
        desk.session.execute(
            delete_rows(SpendMembership).where(
                col(SpendMembership.kind) == ORGANIZATION,
                col(SpendMembership.group_id) == organization.organization_id,
            )
        )
        desk.session.delete(organization)
    return found


def list_organizations(
    desk: Desk,
    *,
    among: Sequence[str] | None,
    organization_id: str | None = None,
    alias_part: str | None = None,
) -> list[SpendOrganization]:
    """Return organizations, oldest first; `among` bounds what the caller may see."""
    chosen = select(SpendOrganization)
    if among is not None:
        chosen = chosen.where(col(SpendOrganization.organization_id).in_(among))
    if organization_id is not None:
        chosen = chosen.where(SpendOrganization.organization_id == organization_id)
    if alias_part:
        alias = func.lower(SpendOrganization.organization_alias)
        chosen = chosen.where(alias.icontains(alias_part, autoescape=True))
    order = (col(SpendOrganization.created_at), col(SpendOrganization.organization_id))
    return list(desk.session.exec(chosen.order_by(*order)).all())


def _apply_organization(
    desk: Desk, organization: SpendOrganization, wanted: Mapping[str, Any]
) -> SpendOrganization:
    for name in ("organization_alias", "models"):
        if wanted.get(name) is not None:
            setattr(organization, name, wanted[name])
    if wanted.get("metadata") is not None:
        organization.organization_metadata = dict(wanted["metadata"])
    if wanted.get("spend") is not None:
        organization.spend_since, organization.spend_carried = desk.now, wanted["spend"]
    organization.budget_id = _link_budget(desk, organization.budget_id, wanted, own=True)
    organization.updated_at, organization.updated_by = desk.now, desk.actor
    desk.session.add(organization)
    return organization
