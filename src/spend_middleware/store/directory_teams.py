"""Teams."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import false, func, or_
from sqlmodel import col, select

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_limits import new_windows, set_limits
from spend_middleware.store.directory_members import TEAM, Member, add_members, member_budget
from spend_middleware.store.entities import (
    SpendBudget,
    SpendKey,
    SpendMembership,
    SpendOrganization,
    SpendTeam,
)

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
    _set_member_budget(desk, team, wanted)
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
    _set_member_budget(desk, team, wanted)
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


def member_budget_of(desk: Desk, team_id: str) -> str | None:
    """Return the budget that a team has for all its members.

    Raises:
        NotFoundError: There is no such team.
    """
    budget_id = get(desk, team_id).team_metadata.get("team_member_budget_id")
    budget = desk.get(SpendBudget, budget_id) if isinstance(budget_id, str) else None
    return None if budget is None else budget.budget_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamQuery:
    """Which teams are asked for; all that is given must hold.

    Args:
        among: Only these, because the caller may see no others; None for any.
        search_whole_ids: Whether `search` must be a whole id; else an id that begins with it will do.
    """

    among: tuple[str, ...] | None = None
    user_id: str | None = None
    organization_id: str | None = None
    team_id: str | None = None
    alias_part: str | None = None
    search: str | None = None
    search_whole_ids: bool = True


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
        # Not LIKE: in SQLite it takes no notice of case.
        begins = team_id if query.search_whole_ids else func.substr(team_id, 1, len(query.search))
        named = begins == query.search
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


# LiteLLM's field of a team -> the field of the budget that all its members have.
_OF_MEMBERS = {
    "team_member_budget": "max_budget",
    "team_member_budget_duration": "budget_duration",
    "team_member_rpm_limit": "rpm_limit",
    "team_member_tpm_limit": "tpm_limit",
}


def _set_member_budget(desk: Desk, team: SpendTeam, wanted: Mapping[str, Any]) -> None:
    """Set the budget that all members of a team have, where one is asked for."""
    given = {_OF_MEMBERS[name]: wanted[name] for name in _OF_MEMBERS if wanted.get(name) is not None}
    if not given:
        return
    budget = desk.get(SpendBudget, team.team_metadata.get("team_member_budget_id", ""))
    if budget is None:
        budget_id = member_budget(desk, None)
        team.team_metadata = {**team.team_metadata, "team_member_budget_id": budget_id}
        budget = desk.get(SpendBudget, budget_id)
    if budget is not None:
        set_limits(desk, None, budget, given)


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
    if wanted.get("budget_limits"):
        team.extras = {**team.extras, "budget_limits": new_windows(desk, wanted["budget_limits"])}
    set_limits(desk, team, team, {name: wanted[name] for name in _LIMITS & wanted.keys()})
    if team.soft_budget is not None and team.max_budget is not None and team.soft_budget >= team.max_budget:
        raise ConfigurationError(
            f"soft_budget ({team.soft_budget.normalize():f}) must be strictly lower than "
            f"max_budget ({team.max_budget.normalize():f})"
        )
    team.updated_at = desk.now
