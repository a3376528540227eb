"""What a row of LiteLLM's users, teams and memberships becomes here."""

from __future__ import annotations

from collections.abc import Mapping

from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_members import TEAM
from spend_middleware.store.entities import SpendMembership, SpendTeam, SpendUser
from spend_middleware.store.import_takes import add, carry, limit
from spend_middleware.store.import_values import Values

_DERIVED = "derived"
"""Marks a membership that a team or a user named; LiteLLM's own row of it, with spend and budget, may follow."""

# LiteLLM's columns that have no column here and are kept as they are.
_OF_USERS = (
    "allowed_cache_controls",
    "policies",
    "model_spend",
    "model_max_budget",
    "object_permission_id",
    "password_reset_required",
    "last_breach_check_at",
)
_OF_TEAMS = (
    "admins",
    "members",
    "model_spend",
    "model_max_budget",
    "model_id",
    "team_member_permissions",
    "object_permission_id",
    "router_settings",
    "policies",
    "allow_team_guardrail_config",
    "access_group_ids",
    "budget_limits",
    "default_team_member_models",
)


def take_user(desk: Desk, row: Values) -> bool:
    """Take a user, and put it into its teams over."""
    user = SpendUser(
        user_id=row.id("user_id"),
        user_alias=row.text("user_alias"),
        user_email=row.text("user_email"),
        user_role=row.text("user_role"),
        team_id=row.text("team_id"),
        organization_id=row.text("organization_id"),
        sso_user_id=row.text("sso_user_id"),
        models=row.names("models"),
        user_metadata=row.map("metadata"),
        extras=row.extras(*_OF_USERS),
    )
    carry(desk, user, row)
    limit(user, row)
    teams = [team for team in row.names("teams") if isinstance(team, str) and team]
    fresh = add(desk, user, user.user_id)
    for position, team_id in enumerate(teams if fresh else ()):
        _join(desk, team_id, user.user_id, "user", user.user_email, position)
    return fresh


def take_team(desk: Desk, row: Values) -> bool:
    """Take a team, and its members into it over."""
    team = SpendTeam(
        team_id=row.id("team_id"),
        team_alias=row.text("team_alias"),
        organization_id=row.text("organization_id"),
        team_metadata=row.map("metadata"),
        models=row.names("models"),
        soft_budget=row.money("soft_budget"),
        tpd_limit=row.count("tpd_limit"),
        blocked=bool(row.flag("blocked")),
        extras=row.extras(*_OF_TEAMS),
    )
    carry(desk, team, row)
    limit(team, row)
    members = row.json("members_with_roles") or []
    fresh = add(desk, team, team.team_id)
    for position, member in enumerate(members if fresh and isinstance(members, list) else ()):
        if isinstance(member, Mapping) and isinstance(member.get("user_id"), str) and member["user_id"]:
            role, email = str(member.get("role") or "user"), member.get("user_email")
            _join(
                desk,
                team.team_id,
                member["user_id"],
                role,
                email if isinstance(email, str) else None,
                position,
            )
    return fresh


def take_membership(desk: Desk, row: Values, kind: str, group: str) -> bool:
    """Take what a member has spent in its group, and may over."""
    group_id, user_id = row.id(group), row.id("user_id")
    known = desk.get(SpendMembership, (kind, group_id, user_id))
    if known is not None and not known.extras.get(_DERIVED):
        return False
    member = known or SpendMembership(kind=kind, group_id=group_id, user_id=user_id, role="user")
    member.budget_id, member.extras = row.text("budget_id"), {}
    member.role = row.text("user_role") or member.role
    carry(desk, member, row)
    total = row.money("total_spend")
    member.total_since, member.total_carried = desk.now, member.spend_carried if total is None else total
    desk.session.add(member)
    return True


def _join(desk: Desk, team_id: str, user_id: str, role: str, email: str | None, position: int) -> None:
    known = desk.get(SpendMembership, (TEAM, team_id, user_id))
    if known is None:
        known = SpendMembership(
            kind=TEAM, group_id=team_id, user_id=user_id, created_at=desk.now, extras={_DERIVED: True}
        )
    elif role == "user":
        return  # What is known says more.
    known.role, known.position, known.updated_at = role, position, desk.now
    known.user_email = email or known.user_email
    desk.session.add(known)
    desk.session.flush()
