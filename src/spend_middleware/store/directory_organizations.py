"""Organizations: they hold teams and have a budget."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlmodel import col, select

from spend_middleware.errors import NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_budgets import create_budget, link_budget
from spend_middleware.store.directory_members import ORGANIZATION
from spend_middleware.store.entities import SpendMembership, SpendOrganization, SpendTeam


def create(desk: Desk, wanted: Mapping[str, Any]) -> SpendOrganization:
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
    _apply(desk, organization, wanted)
    if organization.budget_id is None:
        organization.budget_id = create_budget(desk, {}).budget_id
    return organization


def get(desk: Desk, organization_id: str) -> SpendOrganization:
    """Return an organization.

    Raises:
        NotFoundError: There is no such organization.
    """
    organization = desk.get(SpendOrganization, organization_id)
    if organization is None:
        raise NotFoundError(f"Organization not found, passed organization_id={organization_id}")
    return organization


def change(desk: Desk, organization_id: str, wanted: Mapping[str, Any]) -> SpendOrganization:
    """Change the fields of an organization that were given, and return it.

    Raises:
        NotFoundError: There is no such organization.
        ConfigurationError: A value cannot work.
    """
    return _apply(desk, get(desk, organization_id), wanted)


def delete(desk: Desk, organization_ids: Sequence[str]) -> list[SpendOrganization]:
    """Delete organizations with their memberships; teams in them go on without one.

    Raises:
        NotFoundError: One of them does not exist; then none is deleted.
    """
    found = [get(desk, name) for name in dict.fromkeys(organization_ids)]
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


def find(
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
        alias = col(SpendOrganization.organization_alias)
        chosen = chosen.where(alias.icontains(alias_part, autoescape=True))
    order = (col(SpendOrganization.created_at), col(SpendOrganization.organization_id))
    return list(desk.session.exec(chosen.order_by(*order)).all())


def _apply(desk: Desk, organization: SpendOrganization, wanted: Mapping[str, Any]) -> SpendOrganization:
    for name in ("organization_alias", "models"):
        if wanted.get(name) is not None:
            setattr(organization, name, wanted[name])
    if wanted.get("metadata") is not None:
        organization.organization_metadata = dict(wanted["metadata"])
    if wanted.get("spend") is not None:
        organization.spend_since, organization.spend_carried = desk.now, wanted["spend"]
    organization.budget_id = link_budget(desk, organization.budget_id, wanted, own=True)
    organization.updated_at, organization.updated_by = desk.now, desk.actor
    desk.session.add(organization)
    return organization
