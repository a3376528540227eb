"""Who is in which team or organization, and what each member may spend there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func
from sqlmodel import col, select

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_limits import set_limits
from spend_middleware.store.entities import SpendBudget, SpendKey, SpendMembership, SpendUser

TEAM = "team"
ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Member:
    """One person to be put into a team or an organization, by user id or by e-mail address."""

    role: str
    user_id: str | None = None
    user_email: str | None = None


def members_of(desk: Desk, kind: str, group_ids: Sequence[str]) -> dict[str, list[SpendMembership]]:
    """Return the members of each team or organization, in the order they came."""
    found: dict[str, list[SpendMembership]] = {group_id: [] for group_id in group_ids}
    for member in desk.some(SpendMembership, SpendMembership.group_id, list(group_ids)):
        if member.kind == kind:
            found[member.group_id].append(member)
    return {group: sorted(some, key=lambda one: (one.position, one.user_id)) for group, some in found.items()}


def groups_of(desk: Desk, kind: str, user_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the teams or organizations of each user, in a stable order."""
    found: dict[str, list[str]] = {user_id: [] for user_id in user_ids}
    for member in desk.some(SpendMembership, SpendMembership.user_id, list(user_ids)):
        if member.kind == kind:
            found[member.user_id].append(member.group_id)
    return {user_id: sorted(groups) for user_id, groups in found.items()}


def add_members(
    desk: Desk, kind: str, group_id: str, members: Sequence[Member], max_budget: Decimal | None = None
) -> list[SpendMembership]:
    """Put people into a team or an organization; who is not known yet becomes a user.

    Raises:
        TakenError: One of them is a member already; then none is added.
    """
    place = desk.session.exec(
        select(func.max(SpendMembership.position)).where(
            SpendMembership.kind == kind, SpendMembership.group_id == group_id
        )
    ).one()
    added = []
    for position, member in enumerate(members, start=(place or 0) + 1):
        user = _user_of(desk, member)
        if desk.get(SpendMembership, (kind, group_id, user.user_id)) is not None:
            raise TakenError(f"User={user.user_id} is already a member of {kind}={group_id}.")
        row = SpendMembership(
            kind=kind,
            group_id=group_id,
            user_id=user.user_id,
            user_email=user.user_email or member.user_email,
            role=member.role,
            position=position,
            budget_id=None if max_budget is None else member_budget(desk, max_budget),
            created_at=desk.now,
            updated_at=desk.now,
        )
        desk.session.add(row)
        desk.session.flush()
        added.append(row)
    return added


def member(
    desk: Desk, kind: str, group_id: str, user_id: str | None, user_email: str | None
) -> SpendMembership:
    """Return a member by user id or e-mail address.

    Raises:
        NotFoundError: Nobody of that name is a member.
    """
    if user_id is None and user_email is not None:
        rows = members_of(desk, kind, [group_id])[group_id]
        found = next((row for row in rows if (row.user_email or "").lower() == user_email.lower()), None)
    else:
        found = desk.get(SpendMembership, (kind, group_id, user_id or ""))
    if found is None:
        raise NotFoundError(f"User={user_id or user_email} is not a member of {kind}={group_id}.")
    return found


def change_member(desk: Desk, row: SpendMembership, wanted: Mapping[str, Any]) -> SpendMembership:
    """Change a member's role and limits (`max_budget`, `tpm_limit`, `rpm_limit`, `budget_duration`, ...)."""
    if wanted.get("role") is not None:
        row.role = wanted["role"]
    limits = {name: value for name, value in wanted.items() if name != "role" and value is not None}
    if limits:
        budget = desk.get(SpendBudget, row.budget_id) if row.budget_id else None
        if budget is None or _is_shared(desk, row):
            row.budget_id = member_budget(desk, None)
            budget = desk.get(SpendBudget, row.budget_id)
            assert budget is not None  # noqa: S101 - it was added a line ago
        set_limits(desk, None, budget, limits)
        budget.updated_at, budget.updated_by = desk.now, desk.actor
        desk.session.add(budget)
    row.updated_at = desk.now
    desk.session.add(row)
    return row


def reset_spend(desk: Desk, row: SpendMembership, reset_to: Decimal) -> None:
    """Set what counts against a member; the total stays."""
    row.spend_since, row.spend_carried, row.updated_at = desk.now, reset_to, desk.now
    desk.session.add(row)


def users(desk: Desk) -> list[str]:
    """Return the id of every user, oldest first."""
    order = (col(SpendUser.created_at), col(SpendUser.user_id))
    return list(desk.session.exec(select(SpendUser.user_id).order_by(*order)).all())


def remove_member(desk: Desk, row: SpendMembership) -> None:
    """Take a member out, and delete the keys that the member has in the team."""
    if row.kind == TEAM:
        desk.session.execute(
            delete_rows(SpendKey).where(
                col(SpendKey.team_id) == row.group_id, col(SpendKey.user_id) == row.user_id
            )
        )
    desk.session.delete(row)


def _is_shared(desk: Desk, row: SpendMembership) -> bool:
    users = desk.session.exec(
        select(func.count()).select_from(SpendMembership).where(SpendMembership.budget_id == row.budget_id)
    ).one()
    return users > 1


def _user_of(desk: Desk, member: Member) -> SpendUser:
    if member.user_id is None and member.user_email is None:
        raise ConfigurationError("A member needs a user_id or a user_email.")
    user = desk.get(SpendUser, member.user_id) if member.user_id else None
    named = None
    if member.user_email is not None:
        lowered = func.lower(SpendUser.user_email)
        named = desk.session.exec(
            select(SpendUser).where(lowered == member.user_email.lower()).order_by(col(SpendUser.user_id))
        ).first()
    if named is not None and member.user_id not in (None, named.user_id):
        raise ConfigurationError(
            f"user_email '{member.user_email}' and user_id '{member.user_id}' do not belong to the same user."
        )
    user = user or named
    if user is None:
        user = SpendUser(
            user_id=member.user_id or str(uuid.uuid4()),
            user_email=member.user_email,
            user_role="internal_user",
            created_at=desk.now,
            updated_at=desk.now,
        )
        desk.session.add(user)
        desk.session.flush()
    return user


def member_budget(desk: Desk, max_budget: Decimal | None) -> str:
    """Make a budget for one member, or for all of a team, and return its id."""
    budget = SpendBudget(
        budget_id=str(uuid.uuid4()),
        created_at=desk.now,
        updated_at=desk.now,
        created_by=desk.actor,
        updated_by=desk.actor,
    )
    set_limits(desk, None, budget, {"max_budget": max_budget})
    desk.session.add(budget)
    desk.session.flush()
    return budget.budget_id
