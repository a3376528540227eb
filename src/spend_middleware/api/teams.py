"""The routes of teams: made, shown, changed, blocked and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import CHANGED_BY, TheDirectory, actor, led_teams, own_teams
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.refusals import AUTH, HANDLED, detailed, forbid, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Name, Part, budget_part
from spend_middleware.api.schemas_team_requests import (
    IN_METADATA,
    BlockTeamRequest,
    DeleteTeamRequest,
    NewTeamRequest,
    PatchTeamRequest,
    TeamModelAddRequest,
    TeamModelDeleteRequest,
    UpdateTeamRequest,
)
from spend_middleware.api.schemas_teams import (
    DeletedTeams,
    LiteLLM_TeamTable,
    TeamInfo,
    TeamInfoRow,
    TeamMembershipInfo,
    TeamRow,
    TeamUpdated,
)
from spend_middleware.api.team_rows import member_value, membership_rows, team_rows
from spend_middleware.store import directory_members, directory_teams
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_members import TEAM, Member
from spend_middleware.store.entities import SpendBudget, SpendKey, SpendTeam, SpendUser

routes = Routes("team management")


@routes.post(
    "/team/new", permission=Permission.ADMIN, response_model=LiteLLM_TeamTable, dependencies=CHANGED_BY
)
def new_team(directory: TheDirectory, caller: TheCaller, data: NewTeamRequest) -> Response:
    """Make a team; who makes it becomes its admin."""
    members = [Member(one.role, one.user_id, one.user_email) for one in data.members_with_roles]
    if caller.user_id and all(one.user_id != caller.user_id for one in members):
        members.append(Member("admin", caller.user_id))
    with refusing(), directory.write(actor(caller)) as desk:
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
        raise AUTH(422, "Malformed request. No team id passed in. Pass team_id=...")
    if not (caller.sees_all or asked in own_teams(caller)):
        forbid(f"You are not a member of team_id={asked}, so you may not see it.")
    with refusing(AUTH), directory.read() as desk:
        team = directory_teams.get(desk, asked)
        keys = _in_sight(caller, directory_teams.keys_of(desk, [asked])[asked])
        members = directory_members.members_of(desk, TEAM, [asked])[asked]
        users = desk.some(SpendUser, SpendUser.user_id, [one.user_id for one in members])
        shared = desk.get(SpendBudget, team.team_metadata.get("team_member_budget_id", ""))
    aliases = {user.user_id: user.user_alias for user in users}
    more = {
        "members_with_roles": [
            {**member_value(one), "user_alias": aliases.get(one.user_id)} for one in members
        ],
        "team_member_budget_table": budget_part(directory, shared),
        "caller_edit_access": {"kind": "full" if caller.is_admin else "none"},
    }
    default = None if shared is None else shared.budget_id
    return answer(
        {
            "team_id": asked,
            "team_info": team_rows(directory, [team], TeamInfoRow, {asked: more})[0],
            "keys": key_rows(directory, keys[:key_limit]),
            "team_memberships": membership_rows(directory, members, TeamMembershipInfo, default),
        }
    )


@routes.post("/team/update", permission=Permission.ADMIN, response_model=TeamUpdated, dependencies=CHANGED_BY)
def update_team(directory: TheDirectory, caller: TheCaller, data: UpdateTeamRequest) -> Response:
    """Change the fields of a team that are given."""
    team = _changed(directory, caller, data.team_id, data.given())
    return answer({"team_id": team.team_id, "data": team_rows(directory, [team], TeamRow)[0]})


@routes.patch(
    "/team/{team_id}", permission=Permission.ADMIN, response_model=LiteLLM_TeamTable, dependencies=CHANGED_BY
)
def patch_team(directory: TheDirectory, caller: TheCaller, team_id: Name, data: PatchTeamRequest) -> Response:
    """Change the fields of a team that are given."""
    if data.team_id not in (None, team_id):
        raise HANDLED(400, f"team_id in body ({data.team_id}) does not match team_id in path ({team_id})")
    team = _changed(directory, caller, team_id, data.given())
    return answer(team_rows(directory, [team])[0])


@routes.post("/team/model/add", permission=Permission.ADMIN, response_model=TeamRow)
def team_model_add(directory: TheDirectory, caller: TheCaller, data: TeamModelAddRequest) -> Response:
    """Add models to those that a team may call; stored and shown."""
    # In LiteLLM no model at all means every model, and so it stays when some are added.
    return _with_models(
        directory, caller, data.team_id, lambda had: sorted({*(had or ["all-proxy-models"]), *data.models})
    )


@routes.post("/team/model/delete", permission=Permission.ADMIN, response_model=TeamRow)
def team_model_delete(directory: TheDirectory, caller: TheCaller, data: TeamModelDeleteRequest) -> Response:
    """Take models from those that a team may call."""
    return _with_models(
        directory, caller, data.team_id, lambda had: [model for model in had if model not in data.models]
    )


@routes.post(
    "/team/delete", permission=Permission.ADMIN, response_model=DeletedTeams, dependencies=CHANGED_BY
)
def delete_team(directory: TheDirectory, caller: TheCaller, data: DeleteTeamRequest) -> Response:
    """Delete teams with their keys; their calls stay in the ledger."""
    with refusing(detailed), directory.write(actor(caller)) as desk:
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


def _in_sight(caller: Caller, keys: list[SpendKey]) -> list[SpendKey]:
    if caller.sees_all:
        return keys
    led = led_teams(caller)
    return [
        key
        for key in keys
        if key.team_id in led
        or key.token == caller.key_hash
        or (caller.user_id and key.user_id == caller.user_id)
    ]


def _changed(directory: Directory, caller: Caller, team_id: str, given: dict[str, Any]) -> SpendTeam:
    with refusing(), directory.write(actor(caller)) as desk:
        known = directory_teams.get(desk, team_id)
        given.pop("team_id", None)
        return directory_teams.change(desk, team_id, _wanted(given, known.team_metadata))


def _with_models(
    directory: Directory, caller: Caller, team_id: str, models: Callable[[list[str]], list[str]]
) -> Response:
    with refusing(detailed), directory.write(actor(caller)) as desk:
        known = directory_teams.get(desk, team_id)
        team = directory_teams.change(desk, team_id, {"models": models(list(known.models))})
    return answer(team_rows(directory, [team], TeamRow)[0])


def _blocked(directory: Directory, caller: Caller, team_id: str, blocked: bool) -> Response:
    with refusing(detailed), directory.write(actor(caller)) as desk:
        team = directory_teams.change(desk, team_id, {"blocked": blocked})
    return answer(team_rows(directory, [team], TeamRow)[0])


def _wanted(given: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields for the directory: what LiteLLM keeps in metadata goes there."""
    kept = {name: given.pop(name) for name in sorted(IN_METADATA & given.keys())}
    kept = {name: value for name, value in kept.items() if value is not None}
    if kept:
        said = given.get("metadata")
        given["metadata"] = {**(said if said is not None else metadata or {}), **kept}
    return given
