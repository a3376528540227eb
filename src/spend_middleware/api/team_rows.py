"""Teams as answers show them, many at a time: columns, members, what counts against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spend_middleware.api.answers import zulu
from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import budget_part, filled, limits_of, usd
from spend_middleware.api.schemas_teams import LiteLLM_TeamTable, TeamMembership, TeamRow
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import budgets_of
from spend_middleware.store.directory_limits import windows_now
from spend_middleware.store.directory_members import TEAM, members_of
from spend_middleware.store.entities import SpendMembership, SpendTeam
from spend_middleware.store.report_values import By


def team_rows(
    directory: Directory,
    teams: Sequence[SpendTeam],
    model: type[Answer] = LiteLLM_TeamTable,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return teams as rows of a model, in their order; `more` holds further fields by team id."""
    accounts = directory.accounts.of(By.TEAM, {team.team_id: team for team in teams})
    with directory.read() as desk:
        members = members_of(desk, TEAM, [team.team_id for team in teams])
    rows = []
    for team in teams:
        account = accounts[team.team_id]
        values = _columns(team) | {
            "spend": usd(account.spend),
            "budget_reset_at": zulu(account.reset_at) if team.budget_duration else None,
            "budget_limits": windows_now(team.extras.get("budget_limits"), directory.now(), directory.zone),
            "members_with_roles": [
                member_value(member, role_first=model is TeamRow) for member in members[team.team_id]
            ],
        }
        rows.append(filled(model, (more or {}).get(team.team_id, {}), values, team.extras))
    return rows


def member_value(member: SpendMembership, *, role_first: bool = False) -> dict[str, Any]:
    """Return a member as its team shows it."""
    role = {"role": member.role or "user"}
    who = {"user_id": member.user_id, "user_email": member.user_email}
    return role | who if role_first else who | role


def budget_source(member: SpendMembership, default: str | None) -> str:
    """Return whether a member's limits are its own, those of all members of the team, or none."""
    if member.budget_id is not None and member.budget_id != default:
        return "custom"
    return "none" if default is None else "team_default"


def membership_rows(
    directory: Directory,
    members: Sequence[SpendMembership],
    model: type[Answer] = TeamMembership,
    default: str | None = None,
) -> list[dict[str, Any]]:
    """Return what members have spent in their team, and may; `default` is the budget of all its members."""
    accounts, totals = directory.accounts.of_members(members), directory.accounts.member_totals(members)
    with directory.read() as desk:
        budgets = budgets_of(desk, members)
    rows = []
    for member in members:
        place = (member.group_id, member.user_id)
        values = {
            "user_id": member.user_id,
            "team_id": member.group_id,
            "budget_id": member.budget_id,
            "spend": usd(accounts[place].spend),
            "total_spend": usd(totals[place]),
            "litellm_budget_table": budget_part(directory, budgets.get(member.budget_id or "")),
            "budget_source": budget_source(member, default),
        }
        rows.append(filled(model, values))
    return rows


def _columns(team: SpendTeam) -> dict[str, Any]:
    return limits_of(team) | {
        "team_id": team.team_id,
        "team_alias": team.team_alias,
        "organization_id": team.organization_id,
        "metadata": team.team_metadata,
        "models": team.models,
        "soft_budget": usd(team.soft_budget),
        "tpd_limit": team.tpd_limit,
        "blocked": team.blocked,
        "created_at": zulu(team.created_at),
        "updated_at": zulu(team.updated_at),
    }
