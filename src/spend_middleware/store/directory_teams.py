"""Teams and the members of teams and organizations."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import false, func, or_
from sqlmodel import col, select

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.directory import Desk
from spend_middleware.store.directory_limits import set_limits
from spend_middleware.store.entities import (
    SpendBudget,
    SpendKey,
    SpendMembership,
    SpendOrganization,
    SpendTeam,
    SpendUser,
)

TEAM = "team"
ORGANIZATION = "organization"

_COLUMNS = frozenset(["team_alias", "organization_id", "models", "tpd_limit", "blocked"])
_LIMITS = frozenset(
    ["max_budget", "soft_budget", "budget_duration", "tpm_limit", "rpm_limit", "max_parallel_requests"]
)
_EXTRAS = frozenset(
    [
        "admins",
        "members",
        "team_member_permissions",
        "budget_limits",
        "router_settings",
        "access_group_ids",
        "default_team_member_models",
        "model_id",
        "model_spend",
        "model_max_budget",
        "policies",
        "allow_team_guardrail_config",
        "object_permission_id",
    ]
)
SORTABLE = ("team_id", "team_alias", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Member:
    """One person to be put into a team or an organization, by user id or by e-mail address."""

    role: str
    user_id: str | None = None
    user_email: str | None = None


def create(desk: Desk, wanted: Mapping[str, Any], members: Sequence[Member] = ()) -> SpendTeam:
    """Make a team with its members; without an id it gets a new one.

    Raises:
        TakenError: The id exists.
        ConfigurationError: A value cannot work.
    """
    team_id = wanted.get("team_id") or str(uuid.uuid4())
    if desk.get(SpendTeam, team_id) is not None:
        raise TakenError(f"Team id = {team_id} already exists. Please use a different team id.")
    team = SpendTeam(team_id=team_id, created_at=desk.now)
    _apply(desk, team, wanted)
    if wanted.get("team_member_budget") is not None:
        _shared_member_budget(
            desk, team, wanted["team_member_budget"], wanted.get("team_member_budget_duration")
        )
    desk.session.add(team)
    add_members(desk, TEAM, team_id, members)
    return team


def get(desk: Desk, team_id: str) -> SpendTeam:
    """Return a team.

    Raises:
        NotFoundError: There is no such team.
    """
    team = desk.get(SpendTeam, team_id)
    if team is None:
        raise NotFoundError(f"Team not found, passed team id: {team_id}.")
    return team


def change(desk: Desk, team_id: str, wanted: Mapping[str, Any]) -> SpendTeam:
    """Change the fields of a team that were given, and return it.

    Raises:
        NotFoundError: There is no such team.
        ConfigurationError: A value cannot work.
    """
    team = get(desk, team_id)
    _apply(desk, team, wanted)
    if wanted.get("team_member_budget") is not None:
        _shared_member_budget(
            desk, team, wanted["team_member_budget"], wanted.get("team_member_budget_duration")
        )
    desk.session.add(team)
    return team


def delete(desk: Desk, team_ids: Sequence[str]) -> list[SpendTeam]:
    """Delete teams with their keys and memberships; their calls stay in the ledger.

    Raises:
        NotFoundError: One of them does not exist; then none is deleted.
    """
    teams = [get(desk, team_id) for team_id in dict.fromkeys(team_ids)]
    for team in teams:
        desk.session.execute(delete_rows(SpendKey).where(col(SpendKey.team_id) == team.team_id))
        desk.session.execute(
            delete_rows(SpendMembership).where(
                col(SpendMembership.kind) == TEAM, col(SpendMembership.group_id) == team.team_id
            )
        )
        desk.session.delete(team)
    return teams


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamQuery:
    """Which teams are asked for; all that is given must hold.

    Args:
        among: Only these, because the caller may see no others; None for any.
    """

    among: tuple[str, ...] | None = None
    user_id: str | None = None
    organization_id: str | None = None
    team_id: str | None = None
    alias_part: str | None = None
    search: str | None = None
    search_whole_ids: bool = False


def find(
    desk: Desk,
    query: TeamQuery,
    *,
    sort_by: str = "created_at",
    descending: bool = False,
    offset: int = 0,
    limit: int | None = None,
) -> tuple[list[SpendTeam], int]:
    """Return one page of teams in a stable order, and how many match in all."""
    chosen = select(SpendTeam)
    if query.among is not None:
        chosen = chosen.where(col(SpendTeam.team_id).in_(query.among) if query.among else false())
    if query.user_id is not None:
        mine = select(SpendMembership.group_id).where(
            SpendMembership.kind == TEAM, SpendMembership.user_id == query.user_id
        )
        chosen = chosen.where(col(SpendTeam.team_id).in_(mine))
    if query.organization_id is not None:
        chosen = chosen.where(SpendTeam.organization_id == query.organization_id)
    if query.team_id is not None:
        chosen = chosen.where(SpendTeam.team_id == query.team_id)
    if query.alias_part:
        chosen = chosen.where(col(SpendTeam.team_alias).icontains(query.alias_part, autoescape=True))
    if query.search:
        alias, team_id = col(SpendTeam.team_alias), col(SpendTeam.team_id)
        named = team_id == query.search if query.search_whole_ids else _holds(team_id, query.search)
        chosen = chosen.where(or_(_holds(alias, query.search), named))
    total = desk.session.exec(select(func.count()).select_from(chosen.subquery())).one()
    column = col(getattr(SpendTeam, sort_by))
    order = (column.is_(None), column.desc() if descending else column.asc(), col(SpendTeam.team_id).asc())
    return list(desk.session.exec(chosen.order_by(*order).offset(offset).limit(limit)).all()), total


def _holds(column: Any, part: str) -> Any:
    return column.icontains(part, autoescape=True)


def keys_of(desk: Desk, team_ids: Sequence[str]) -> dict[str, list[SpendKey]]:
    """Return the keys of each team, oldest first."""
    found: dict[str, list[SpendKey]] = {team_id: [] for team_id in team_ids}
    for key in desk.some(SpendKey, SpendKey.team_id, list(team_ids)):
        found[key.team_id or ""].append(key)
    return {
        team_id: sorted(keys, key=lambda key: (key.created_at, key.token)) for team_id, keys in found.items()
    }


# -- members


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
            user_email=user.user_email,
            role=member.role,
            position=position,
            budget_id=None if max_budget is None else _member_budget(desk, max_budget),
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
            row.budget_id = _member_budget(desk, None)
            budget = desk.get(SpendBudget, row.budget_id)
            assert budget is not None  # noqa: S101 - it was added a line ago
        set_limits(desk, None, budget, limits)
        budget.updated_at, budget.updated_by = desk.now, desk.actor
        desk.session.add(budget)
    row.updated_at = desk.now
    desk.session.add(row)
    return row


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
    if user is None and member.user_id is None and member.user_email is not None:
        lowered = func.lower(SpendUser.user_email)
        user = desk.session.exec(
            select(SpendUser).where(lowered == member.user_email.lower()).order_by(col(SpendUser.user_id))
        ).first()
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


def _member_budget(desk: Desk, max_budget: Decimal | None) -> str:
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


def _shared_member_budget(desk: Desk, team: SpendTeam, amount: Decimal, duration: str | None) -> None:
    budget = desk.get(SpendBudget, team.team_metadata.get("team_member_budget_id", ""))
    if budget is None:
        budget_id = _member_budget(desk, amount)
        team.team_metadata = {**team.team_metadata, "team_member_budget_id": budget_id}
        budget = desk.get(SpendBudget, budget_id)
    if budget is not None:
        set_limits(desk, None, budget, {"max_budget": amount, "budget_duration": duration})


def _apply(desk: Desk, team: SpendTeam, wanted: Mapping[str, Any]) -> None:
    organization = wanted.get("organization_id")
    if organization and desk.get(SpendOrganization, organization) is None:
        raise ConfigurationError(f"organization_id '{organization}' does not exist. Create it first.")
    for name in _COLUMNS & wanted.keys():
        if wanted[name] is not None or name not in ("models", "blocked"):
            setattr(team, name, wanted[name])
    if wanted.get("metadata") is not None:
        kept = {k: v for k, v in team.team_metadata.items() if k == "team_member_budget_id"}
        team.team_metadata = {**kept, **wanted["metadata"]}
    team.extras = {**team.extras, **{name: wanted[name] for name in sorted(_EXTRAS & wanted.keys())}}
    set_limits(desk, team, team, {name: wanted[name] for name in _LIMITS & wanted.keys()})
    if team.soft_budget is not None and team.max_budget is not None and team.soft_budget >= team.max_budget:
        raise ConfigurationError(
            f"soft_budget ({team.soft_budget.normalize():f}) must be strictly lower than "
            f"max_budget ({team.max_budget.normalize():f})"
        )
    team.updated_at = desk.now
