"""The routes of teams and their members."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import (
    QueryPage,
    Search,
    TheDirectory,
    actor,
    forbid,
    led_teams,
    own_teams,
    pages,
    refusing,
    sorted_by,
)
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part, budget_part, filled, usd
from spend_middleware.api.schemas_teams import (
    BlockTeamRequest,
    DeletedTeams,
    DeleteTeamRequest,
    LiteLLM_TeamTable,
    NewTeamRequest,
    TeamAddMemberResponse,
    TeamInfo,
    TeamInfoRow,
    TeamListed,
    TeamListResponse,
    TeamMemberAddRequest,
    TeamMemberDeleteRequest,
    TeamMembershipInfo,
    TeamMemberUpdateRequest,
    TeamMemberUpdateResponse,
    TeamPaged,
    TeamRow,
    TeamUpdated,
    UpdateTeamRequest,
)
from spend_middleware.api.schemas_users import UserMember
from spend_middleware.api.team_rows import member_value, membership_rows, team_rows
from spend_middleware.api.user_rows import user_rows
from spend_middleware.store import directory_members, directory_teams
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_members import TEAM, Member
from spend_middleware.store.directory_teams import TeamQuery
from spend_middleware.store.entities import SpendBudget, SpendTeam, SpendUser

routes = Routes("team management")

_IN_METADATA = ("tags", "guardrails", "prompts")
MOST_TEAMS = 10_000
"""Teams of `/team/list` at most; `/v2/team/list` pages through more."""


@routes.post("/team/new", permission=Permission.ADMIN, response_model=LiteLLM_TeamTable)
def new_team(directory: TheDirectory, caller: TheCaller, data: NewTeamRequest) -> Response:
    """Make a team; who makes it becomes its admin."""
    members = [Member(one.role, one.user_id, one.user_email) for one in data.members_with_roles]
    if caller.user_id and all(one.user_id != caller.user_id for one in members):
        members.append(Member("admin", caller.user_id))
    with refusing("team_id"), directory.write(actor(caller)) as desk:
        team = directory_teams.create(desk, _wanted(data.given()), members)
    return answer(team_rows(directory, [team])[0])


@routes.get("/team/info", permission=Permission.ANY_KEY, response_model=TeamInfo)
def team_info(
    directory: TheDirectory,
    caller: TheCaller,
    team_id: Annotated[Part | None, Query(description="The caller's own team when absent.")] = None,
    key_limit: Annotated[int | None, Query(ge=1, le=10_000, description="Keys shown at most.")] = None,
) -> Response:
    """Tell all about a team: columns, members, keys, and what each member has spent in it."""
    asked = team_id or caller.team_id
    if not asked:
        raise ProxyError(422, "No team id passed in. Pass team_id=...", param="team_id")
    if not (caller.sees_all or asked in own_teams(caller)):
        forbid(f"You are not a member of team_id={asked}, so you may not see it.")
    with refusing("team_id"), directory.read() as desk:
        team = directory_teams.get(desk, asked)
        keys = directory_teams.keys_of(desk, [asked])[asked]
        members = directory_members.members_of(desk, TEAM, [asked])[asked]
        names = {
            user.user_id: user.user_alias
            for user in desk.some(SpendUser, SpendUser.user_id, [one.user_id for one in members])
        }
        shared = desk.get(SpendBudget, team.team_metadata.get("team_member_budget_id", ""))
    if not caller.sees_all and asked not in led_teams(caller):
        keys = [
            key
            for key in keys
            if key.token == caller.key_hash or (caller.user_id and key.user_id == caller.user_id)
        ]
    more = {
        "members_with_roles": [
            {**member_value(one), "user_alias": names.get(one.user_id)} for one in members
        ],
        "team_member_budget_table": budget_part(directory, shared),
        "caller_edit_access": {"kind": "full" if caller.is_admin else "none"},
    }
    return answer(
        {
            "team_id": asked,
            "team_info": team_rows(directory, [team], TeamInfoRow, {asked: more})[0],
            "keys": key_rows(directory, keys[:key_limit]),
            "team_memberships": membership_rows(directory, members, TeamMembershipInfo),
        }
    )


@routes.post("/team/update", permission=Permission.ADMIN, response_model=TeamUpdated)
def update_team(directory: TheDirectory, caller: TheCaller, data: UpdateTeamRequest) -> Response:
    """Change the fields of a team that are given."""
    with refusing("team_id"), directory.write(actor(caller)) as desk:
        known = directory_teams.get(desk, data.team_id)
        team = directory_teams.change(desk, data.team_id, _wanted(data.given(), known.team_metadata))
    return answer({"team_id": team.team_id, "data": team_rows(directory, [team], TeamRow)[0]})


@routes.post("/team/delete", permission=Permission.ADMIN, response_model=DeletedTeams)
def delete_team(directory: TheDirectory, caller: TheCaller, data: DeleteTeamRequest) -> Response:
    """Delete teams with their keys; their calls stay in the ledger."""
    with refusing("team_ids"), directory.write(actor(caller)) as desk:
        teams = directory_teams.delete(desk, data.team_ids)
    return answer({"deleted_teams": [team.team_id for team in teams]})


@routes.post("/team/block", permission=Permission.ADMIN, response_model=TeamRow)
def block_team(directory: TheDirectory, caller: TheCaller, data: BlockTeamRequest) -> Response:
    """Block all keys of a team."""
    return _blocked(directory, caller, data.team_id, True)


@routes.post("/team/unblock", permission=Permission.ADMIN, response_model=TeamRow)
def unblock_team(directory: TheDirectory, caller: TheCaller, data: BlockTeamRequest) -> Response:
    """Accept the keys of a blocked team again."""
    return _blocked(directory, caller, data.team_id, False)


@routes.get("/team/list", permission=Permission.ANY_KEY, response_model=list[TeamListed])
def list_team(
    directory: TheDirectory,
    caller: TheCaller,
    user_id: Annotated[Part | None, Query(description="Teams that this user is a member of.")] = None,
    organization_id: Part | None = None,
) -> Response:
    """List teams with their keys; who may not see all sees their own."""
    query = TeamQuery(among=_among(caller, user_id), user_id=user_id, organization_id=organization_id)
    with directory.read() as desk:
        teams, _ = directory_teams.find(desk, query, limit=MOST_TEAMS)
        ids = [team.team_id for team in teams]
        keys = directory_teams.keys_of(desk, ids)
        members = directory_members.members_of(desk, TEAM, ids)
    if not caller.sees_all:
        keys = {
            team_id: [key for key in some if key.token == caller.key_hash or team_id in led_teams(caller)]
            for team_id, some in keys.items()
        }
    more = {
        team_id: {
            "team_memberships": membership_rows(directory, members[team_id]),
            "keys": key_rows(directory, keys[team_id]),
        }
        for team_id in ids
    }
    return answer(team_rows(directory, teams, TeamListed, more))


@routes.get("/v2/team/list", permission=Permission.ANY_KEY, response_model=TeamListResponse)
def list_team_v2(
    directory: TheDirectory,
    caller: TheCaller,
    user_id: Annotated[Part | None, Query(description="Teams that this user is a member of.")] = None,
    organization_id: Part | None = None,
    team_id: Part | None = None,
    team_alias: Annotated[Part | None, Query(description="A piece of the alias.")] = None,
    search: Search = None,
    search_team_id_match: Annotated[
        Literal["exact", "contains"], Query(description="How `search` is compared with ids.")
    ] = "exact",
    status: Annotated[
        Literal["deleted"] | None, Query(description="Deleted teams are not kept: none.")
    ] = None,
    page: QueryPage = 1,
    page_size: Annotated[int, Query(ge=1, le=100, description="Teams a page.")] = 10,
    sort_by: Part | None = None,
    sort_order: Literal["asc", "desc"] = "asc",
) -> Response:
    """List teams page by page; who may not see all sees their own."""
    query = TeamQuery(
        among=() if status == "deleted" else _among(caller, user_id),
        user_id=user_id,
        organization_id=organization_id,
        team_id=team_id,
        alias_part=team_alias,
        search=search,
        search_whole_ids=search_team_id_match == "exact",
    )
    with directory.read() as desk:
        teams, total = directory_teams.find(
            desk,
            query,
            sort_by=sorted_by(sort_by, directory_teams.SORTABLE, "created_at"),
            descending=sort_order == "desc",
            offset=(page - 1) * page_size,
            limit=page_size,
        )
        ids = [team.team_id for team in teams]
        keys = directory_teams.keys_of(desk, ids)
        members = directory_members.members_of(desk, TEAM, ids)
    more = {one: {"members_count": len(members[one]), "keys_count": len(keys[one])} for one in ids}
    return answer(
        {
            "teams": team_rows(directory, teams, TeamPaged, more),
            "total": total,
            "page": page,
            "page_size": page_size,
            "total_pages": pages(total, page_size),
        }
    )


@routes.get("/team/available", permission=Permission.ANY_KEY, response_model=list[LiteLLM_TeamTable])
def list_available_teams() -> Response:
    """List the teams that anybody may join: none, members are put into a team by an admin."""
    return answer([])


# -- members


@routes.post("/team/member_add", permission=Permission.OWN_KEYS, response_model=TeamAddMemberResponse)
def team_member_add(directory: TheDirectory, caller: TheCaller, data: TeamMemberAddRequest) -> Response:
    """Put people into a team; who is not known yet becomes a user."""
    _check_leader(caller, data.team_id)
    asked = data.member if isinstance(data.member, list) else [data.member]
    members = [Member(one.role, one.user_id, one.user_email) for one in asked]
    with refusing("member"), directory.write(actor(caller)) as desk:
        team = directory_teams.get(desk, data.team_id)
        added = directory_members.add_members(desk, TEAM, data.team_id, members, data.max_budget_in_team)
        users = desk.some(SpendUser, SpendUser.user_id, [one.user_id for one in added])
    more = {
        "updated_users": user_rows(directory, users, UserMember),
        "updated_team_memberships": membership_rows(directory, added),
    }
    return answer(team_rows(directory, [team], TeamAddMemberResponse, {team.team_id: more})[0])


@routes.post("/team/member_update", permission=Permission.OWN_KEYS, response_model=TeamMemberUpdateResponse)
def team_member_update(directory: TheDirectory, caller: TheCaller, data: TeamMemberUpdateRequest) -> Response:
    """Change a member's role or limits in a team."""
    _check_leader(caller, data.team_id)
    given = data.given()
    wanted = {
        name: given.get(name)
        for name in ("role", "tpm_limit", "rpm_limit", "budget_duration", "allowed_models")
    }
    wanted["max_budget"] = data.max_budget_in_team
    with refusing("user_id"), directory.write(actor(caller)) as desk:
        directory_teams.get(desk, data.team_id)
        member = directory_members.member(desk, TEAM, data.team_id, data.user_id, data.user_email)
        directory_members.change_member(desk, member, wanted)
    shown: dict[str, Any] = {
        "user_id": member.user_id,
        "user_email": member.user_email,
        "team_id": member.group_id,
    }
    shown["max_budget_in_team"] = usd(data.max_budget_in_team)
    return answer(filled(TeamMemberUpdateResponse, shown, wanted))


@routes.post("/team/member_delete", permission=Permission.OWN_KEYS, response_model=LiteLLM_TeamTable)
def team_member_delete(directory: TheDirectory, caller: TheCaller, data: TeamMemberDeleteRequest) -> Response:
    """Take a member out of a team, with the keys that the member has in it."""
    _check_leader(caller, data.team_id)
    with refusing("user_id"), directory.write(actor(caller)) as desk:
        team = directory_teams.get(desk, data.team_id)
        member = directory_members.member(desk, TEAM, data.team_id, data.user_id, data.user_email)
        directory_members.remove_member(desk, member)
    return answer(team_rows(directory, [team])[0])


def _blocked(directory: Directory, caller: Caller, team_id: str, blocked: bool) -> Response:
    with refusing("team_id"), directory.write(actor(caller)) as desk:
        team: SpendTeam = directory_teams.change(desk, team_id, {"blocked": blocked})
    return answer(team_rows(directory, [team], TeamRow)[0])


def _among(caller: Caller, user_id: str | None) -> tuple[str, ...] | None:
    if caller.sees_all:
        return None
    if user_id is not None and user_id != caller.user_id:
        raise ProxyError(
            401,
            "Only admin users can query all teams/other teams. "
            f"Your user role={caller.role or 'unknown'}. Pass your own user_id, or none.",
            "auth_error",
            "user_id",
        )
    return tuple(sorted(own_teams(caller)))


def _check_leader(caller: Caller, team_id: str) -> None:
    if not (caller.is_admin or team_id in led_teams(caller)):
        forbid(f"Only a proxy admin or an admin of team_id={team_id} may change its members.")


def _wanted(given: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields for the directory: what LiteLLM keeps in metadata goes there."""
    kept = {name: given.pop(name) for name in _IN_METADATA if given.get(name) is not None}
    if kept:
        said = given.get("metadata")
        given["metadata"] = {**(said if said is not None else metadata or {}), **kept}
    return given
