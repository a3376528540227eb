"""The routes of the members of teams."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import TheDirectory, actor, led_teams
from spend_middleware.api.refusals import detailed, enveloped, forbid, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Name, filled, usd
from spend_middleware.api.schemas_keys import ResetSpendRequest
from spend_middleware.api.schemas_team_requests import (
    BulkTeamMemberAddRequest,
    TeamMemberAddRequest,
    TeamMemberDeleteRequest,
    TeamMemberUpdateRequest,
)
from spend_middleware.api.schemas_teams import (
    BulkTeamMemberAddResponse,
    LiteLLM_TeamTable,
    TeamAddMemberResponse,
    TeamMemberInfoResponse,
    TeamMemberReset,
    TeamMemberResetBudgetResponse,
    TeamMemberUpdateResponse,
)
from spend_middleware.api.schemas_users import UserMember
from spend_middleware.api.team_rows import budget_source, membership_rows, team_rows
from spend_middleware.api.user_rows import user_rows
from spend_middleware.store import directory_members, directory_teams
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_members import TEAM, Member
from spend_middleware.store.entities import SpendBudget, SpendMembership, SpendTeam, SpendUser

routes = Routes("team management")

MOST_MEMBERS = 500
"""People that are put into a team in one request, at most."""

_MEMBER_ALREADY = enveloped("team_member_already_in_team", "member")


@routes.post("/team/member_add", permission=Permission.OWN_KEYS, response_model=TeamAddMemberResponse)
def team_member_add(directory: TheDirectory, caller: TheCaller, data: TeamMemberAddRequest) -> Response:
    """Put people into a team; who is not known yet becomes a user."""
    _check_leader(caller, data.team_id)
    asked = data.member if isinstance(data.member, list) else [data.member]
    limits = {
        "max_budget": data.max_budget_in_team,
        "budget_duration": data.budget_duration,
        "allowed_models": data.allowed_models,
    }
    return answer(_added(directory, caller, data.team_id, [_member(one) for one in asked], limits))


@routes.post(
    "/team/bulk_member_add", permission=Permission.OWN_KEYS, response_model=BulkTeamMemberAddResponse
)
def bulk_team_member_add(
    directory: TheDirectory, caller: TheCaller, data: BulkTeamMemberAddRequest
) -> Response:
    """Put many people into a team: all of them or, where one cannot be, none."""
    _check_leader(caller, data.team_id)
    members = [_member(one) for one in data.members or ()]
    if data.all_users:
        if not caller.is_admin:
            forbid("`all_users=true` is for proxy admins. Name the members.", detailed)
        members = _everybody_else(directory, data.team_id)
    if not members:
        raise detailed(400, "At least one member is required")
    if len(members) > MOST_MEMBERS:
        raise detailed(400, f"Maximum {MOST_MEMBERS} members can be added at once")
    team = _added(directory, caller, data.team_id, members, {"max_budget": data.max_budget_in_team})
    results = _additions(team["updated_users"], team["updated_team_memberships"])
    return answer(
        {
            "team_id": data.team_id,
            "results": results,
            "total_requested": len(members),
            "successful_additions": len(results),
            "failed_additions": 0,
            "updated_team": team,
        }
    )


def _additions(users: list[dict[str, Any]], places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {user["user_id"]: user for user in users}
    return [
        {
            "user_id": place["user_id"],
            "user_email": known.get(place["user_id"], {}).get("user_email"),
            "success": True,
            "error": None,
            "updated_user": known.get(place["user_id"]),
            "updated_team_membership": place,
        }
        for place in places
    ]


@routes.post("/team/member_update", permission=Permission.OWN_KEYS, response_model=TeamMemberUpdateResponse)
def team_member_update(directory: TheDirectory, caller: TheCaller, data: TeamMemberUpdateRequest) -> Response:
    """Change a member's role or limits in a team, and say what was asked for."""
    _check_leader(caller, data.team_id)
    given = data.given()
    names = ("role", "tpm_limit", "rpm_limit", "budget_duration", "allowed_models", "temp_budget_increase")
    wanted = {name: given.get(name) for name in names}
    wanted |= {"max_budget": data.max_budget_in_team, "temp_budget_expiry": data.expiry()}
    with refusing(detailed, missing_status=400), directory.write(actor(caller)) as desk:
        directory_teams.get(desk, data.team_id)
        member = directory_members.member(desk, TEAM, data.team_id, data.user_id, data.user_email)
        directory_members.change_member(desk, member, wanted)
    shown: dict[str, Any] = {
        "user_id": member.user_id,
        "user_email": data.user_email,
        "team_id": member.group_id,
        "max_budget_in_team": usd(data.max_budget_in_team),
        "temp_budget_increase": usd(data.temp_budget_increase),
        "temp_budget_expiry": data.temp_budget_expiry and data.temp_budget_expiry.isoformat(),
    }
    return answer(filled(TeamMemberUpdateResponse, shown, wanted))


@routes.post("/team/member_delete", permission=Permission.OWN_KEYS, response_model=LiteLLM_TeamTable)
def team_member_delete(directory: TheDirectory, caller: TheCaller, data: TeamMemberDeleteRequest) -> Response:
    """Take a member out of a team, with the keys that the member has in it."""
    _check_leader(caller, data.team_id)
    with refusing(detailed, missing_status=400), directory.write(actor(caller)) as desk:
        team = directory_teams.get(desk, data.team_id)
        member = directory_members.member(desk, TEAM, data.team_id, data.user_id, data.user_email)
        directory_members.remove_member(desk, member)
    return answer(team_rows(directory, [team])[0])


@routes.get(
    "/team/{team_id}/members/me", permission=Permission.ANY_KEY, response_model=TeamMemberInfoResponse
)
def team_member_me(directory: TheDirectory, caller: TheCaller, team_id: Name) -> Response:
    """Tell the caller what it has spent in a team, and may."""
    if not caller.user_id:
        raise detailed(400, "API key has no associated user_id; cannot resolve 'me' for team membership.")
    with refusing(detailed), directory.read() as desk:
        member = directory_members.member(desk, TEAM, team_id, caller.user_id, None)
        team = desk.get(SpendTeam, team_id)
    more = {
        "role": member.role,
        "user_email": member.user_email,
        "team_alias": team.team_alias if team is not None else None,
    }
    row = membership_rows(directory, [member])[0]
    return answer(filled(TeamMemberInfoResponse, more, row))


@routes.post(
    "/team/{team_id}/member/{user_id}/reset_spend",
    permission=Permission.OWN_KEYS,
    response_model=TeamMemberReset,
)
def reset_team_member_spend_fn(
    directory: TheDirectory, caller: TheCaller, team_id: Name, user_id: Name, data: ResetSpendRequest
) -> Response:
    """Set what counts against a member of a team; the ledger and the member's total stay."""
    _check_leader(caller, team_id)
    if user_id == caller.user_id and not caller.is_admin:
        forbid("Cannot reset your own spend. Ask a proxy admin.", detailed)
    with refusing(detailed), directory.read() as desk:
        member = directory_members.member(desk, TEAM, team_id, user_id, None)
    previous = directory.accounts.of_members([member])[team_id, user_id].spend
    if not 0 <= data.reset_to <= previous:
        raise detailed(400, f"reset_to must be between 0 and the current spend, {previous.normalize():f}.")
    with refusing(detailed), directory.write(actor(caller)) as desk:
        directory_members.reset_spend(desk, member, data.reset_to)
        budget = desk.get(SpendBudget, member.budget_id) if member.budget_id else None
    shown = {"team_id": team_id, "user_id": user_id, "spend": usd(data.reset_to)}
    limit = None if budget is None else usd(budget.max_budget)
    return answer(shown | {"previous_spend": usd(previous), "max_budget": limit})


@routes.post(
    "/team/{team_id}/member/{user_id}/reset_budget",
    permission=Permission.OWN_KEYS,
    response_model=TeamMemberResetBudgetResponse,
)
def reset_team_member_budget_fn(
    directory: TheDirectory, caller: TheCaller, team_id: Name, user_id: Name
) -> Response:
    """Put a member back on the budget that the team has for all its members, if any; the spend stays."""
    _check_leader(caller, team_id)
    with refusing(detailed), directory.write(actor(caller)) as desk:
        member = directory_members.member(desk, TEAM, team_id, user_id, None)
        default = directory_teams.member_budget_of(desk, team_id)
        before, member.budget_id = member.budget_id, default
        member.updated_at = desk.now
        desk.session.add(member)
    return answer(
        {
            "team_id": team_id,
            "user_id": user_id,
            "budget_id": default,
            "previous_budget_id": before,
            "budget_source": budget_source(member, default),
        }
    )


def _member(asked: Any) -> Member:
    return Member(asked.role, asked.user_id, asked.user_email)


def _added(
    directory: Directory, caller: Caller, team_id: str, members: list[Member], limits: dict[str, Any]
) -> dict[str, Any]:
    with refusing(detailed, taken=_MEMBER_ALREADY), directory.write(actor(caller)) as desk:
        team = directory_teams.get(desk, team_id)
        max_budget = limits.pop("max_budget")
        added = directory_members.add_members(desk, TEAM, team_id, members, max_budget)
        for row in added:
            directory_members.change_member(desk, row, limits)
        users = desk.some(SpendUser, SpendUser.user_id, [one.user_id for one in added])
    more = {
        "updated_users": user_rows(directory, users, UserMember),
        "updated_team_memberships": membership_rows(directory, added),
    }
    return team_rows(directory, [team], TeamAddMemberResponse, {team.team_id: more})[0]


def _everybody_else(directory: Directory, team_id: str) -> list[Member]:
    with directory.read() as desk:
        there: list[SpendMembership] = directory_members.members_of(desk, TEAM, [team_id])[team_id]
        known = {member.user_id for member in there}
        return [Member("user", user_id) for user_id in directory_members.users(desk) if user_id not in known]


def _check_leader(caller: Caller, team_id: str) -> None:
    if not (caller.is_admin or team_id in led_teams(caller)):
        forbid(f"Only a proxy admin or an admin of team_id={team_id} may change its members.", detailed)
