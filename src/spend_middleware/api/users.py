"""The routes of internal users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import (
    CHANGED_BY,
    TheDirectory,
    actor,
    paged,
    sorted_by,
)
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import key_rows, new_key
from spend_middleware.api.parameters import listed
from spend_middleware.api.refusals import AUTH, HANDLED, detailed, forbid, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part, filled
from spend_middleware.api.schemas_lists import UsersAsked
from spend_middleware.api.schemas_teams import LiteLLM_TeamTable
from spend_middleware.api.schemas_users import (
    USER_METADATA,
    BulkUpdateUserRequest,
    BulkUpdateUserResponse,
    DeleteUserRequest,
    KeyOfUser,
    NewUserRequest,
    NewUserResponse,
    TeamOfUser,
    UpdateUserRequest,
    UserInfoResponse,
    UserInfoRow,
    UserInfoV2Response,
    UserListed,
    UserListResponse,
    UserRow,
    UserUpdated,
)
from spend_middleware.api.team_rows import team_rows
from spend_middleware.api.user_rows import user_rows
from spend_middleware.store import directory_keys, directory_members, directory_teams, directory_users
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_members import ORGANIZATION, TEAM, Member
from spend_middleware.store.directory_users import UserQuery
from spend_middleware.store.entities import SpendTeam, SpendUser

routes = Routes("Internal User management")

_OF_THE_KEY = frozenset(
    [
        "aliases",
        "config",
        "permissions",
        "blocked",
        "duration",
        "key_alias",
        "agent_id",
        "budget_limits",
        "budget_fallbacks",
    ]
)


MOST_USERS = 500
"""Users that change in one request, at most."""


@routes.post("/user/new", permission=Permission.ADMIN, response_model=NewUserResponse)
def new_user(directory: TheDirectory, caller: TheCaller, data: NewUserRequest) -> Response:
    """Make a user and, unless auto_create_key is false, a key, which is shown this once."""
    given = _wanted(data.given())
    of_key = {name: given.pop(name) for name in sorted(_OF_THE_KEY & given.keys())}
    given.setdefault("user_role", "internal_user_viewer")
    asked = [*(data.teams or ()), *([data.team_id] if data.team_id else ())]
    teams = [one if isinstance(one, TeamOfUser) else TeamOfUser(team_id=one) for one in asked]
    key = secret = None
    with refusing(taken_status=409), directory.write(actor(caller)) as desk:
        user = directory_users.create(desk, given)
        desk.session.flush()
        for team in {one.team_id: one for one in teams}.values():
            directory_teams.get(desk, team.team_id)
            _join(desk, TEAM, team.team_id, user, team)
        for organization in dict.fromkeys(data.organizations or ()):
            directory_members.add_members(
                desk, ORGANIZATION, organization, [Member("internal_user", user.user_id)]
            )
        if data.auto_create_key:
            key, secret = directory_keys.generate(desk, {**of_key, "user_id": user.user_id})
    row = user_rows(directory, [user])[0]
    made: dict[str, Any] = {"policies": None}
    if key is not None and secret is not None:
        shown = new_key(directory, key, secret, data.duration)
        made |= {
            name: shown[name]
            for name in ("key", "key_name", "key_alias", "duration", "expires", "router_settings")
        }
    return answer(filled(NewUserResponse, made, row | {"teams": row["teams"] or None}))


@routes.get("/user/info", permission=Permission.ANY_KEY, response_model=UserInfoResponse)
def user_info(
    directory: TheDirectory,
    caller: TheCaller,
    user_id: Annotated[Part | None, Query(description="The caller's own user when absent.")] = None,
) -> Response:
    """Tell all about a user: columns, keys and teams."""
    asked = _asked(caller, user_id)
    with refusing(), directory.read() as desk:
        user = desk.get(SpendUser, asked or "") if user_id is None else directory_users.get(desk, user_id)
        keys = directory_users.keys_of(desk, asked) if asked else []
        joined = directory_members.groups_of(desk, TEAM, [asked])[asked] if asked else []
        teams = desk.some(SpendTeam, SpendTeam.team_id, joined)
        names = {
            team.team_id: team.team_alias
            for team in desk.some(SpendTeam, SpendTeam.team_id, [key.team_id for key in keys if key.team_id])
        }
    shown = [
        key_rows(directory, [key], KeyOfUser, team_alias=names.get(key.team_id or "") or "None")
        for key in keys
    ]
    row = None
    if user is not None:
        more: dict[str, dict[str, Any]] = {user.user_id: {"organization_memberships": []}}
        row = user_rows(directory, [user], UserInfoRow, more)[0]
    return answer(
        {
            "user_id": asked if user_id is not None or user is not None else None,
            "user_info": row,
            "keys": [one[0] for one in shown],
            "teams": team_rows(directory, teams, LiteLLM_TeamTable),
        }
    )


@routes.get("/v2/user/info", permission=Permission.ANY_KEY, response_model=UserInfoV2Response)
def user_info_v2(
    directory: TheDirectory,
    caller: TheCaller,
    user_id: Annotated[Part | None, Query(description="The caller's own user when absent.")] = None,
) -> Response:
    """Tell about a user without its keys."""
    asked = _asked(caller, user_id)
    if not asked:
        raise HANDLED(400, "user_id is required. Pass it, or use a key that belongs to a user.")
    with refusing(), directory.read() as desk:
        user = directory_users.get(desk, asked)
    return answer(user_rows(directory, [user], UserInfoV2Response)[0])


@routes.post("/user/update", permission=Permission.ADMIN, response_model=UserUpdated)
def user_update(directory: TheDirectory, caller: TheCaller, data: UpdateUserRequest) -> Response:
    """Change the fields of a user that are given."""
    user = _changed(directory, caller, data)
    return answer({"user_id": user.user_id, "data": user_rows(directory, [user], UserRow)[0]})


@routes.post(
    "/user/bulk_update",
    permission=Permission.ADMIN,
    response_model=BulkUpdateUserResponse,
    dependencies=CHANGED_BY,
)
def bulk_user_update(directory: TheDirectory, caller: TheCaller, data: BulkUpdateUserRequest) -> Response:
    """Change many users, each as it says, or all in the same way; one refusal stops no other."""
    wanted = list(data.users or ())
    if data.all_users and data.user_updates is not None:
        given = data.user_updates.given()
        with directory.read() as desk:
            wanted = [
                UpdateUserRequest(**given, user_id=user_id) for user_id in directory_members.users(desk)
            ]
    if not wanted:
        raise detailed(400, "Name the users to update in `users`, or pass all_users with user_updates.")
    if len(wanted) > MOST_USERS:
        raise detailed(400, f"Maximum {MOST_USERS} users can be updated at once. Found {len(wanted)} users.")
    results: list[dict[str, Any]] = []
    for one in wanted:
        result: dict[str, Any] = {"user_id": one.user_id, "user_email": one.user_email, "success": True}
        try:
            user = _changed(directory, caller, one)
        except ProxyError as error:
            results.append(result | {"success": False, "error": error.message, "updated_user": None})
        else:
            shown = user_rows(directory, [user], UserRow)[0]
            results.append(result | {"error": None, "updated_user": shown})
    done = sum(result["success"] for result in results)
    return answer(
        {
            "results": results,
            "total_requested": len(wanted),
            "successful_updates": done,
            "failed_updates": len(wanted) - done,
        }
    )


@routes.post("/user/delete", permission=Permission.ADMIN, response_model=int, dependencies=CHANGED_BY)
def delete_user(directory: TheDirectory, caller: TheCaller, data: DeleteUserRequest) -> Response:
    """Delete users with their keys, and tell how many; their calls stay in the ledger."""
    with refusing(detailed), directory.write(actor(caller)) as desk:
        deleted = directory_users.delete(desk, data.user_ids)
    return answer(deleted)


@routes.get("/user/list", permission=Permission.READ_ALL, response_model=UserListResponse)
def get_users(directory: TheDirectory, asked: Annotated[UsersAsked, Query()]) -> Response:
    """List users page by page, newest first unless asked otherwise."""
    query = UserQuery(
        role=asked.role,
        user_ids=listed(asked.user_ids),
        sso_user_ids=listed(asked.sso_user_ids),
        email_part=asked.user_email,
        search=asked.search,
        team=asked.team,
        organization_ids=listed(asked.organization_ids),
    )
    with directory.read() as desk:
        users, total = directory_users.find(
            desk,
            query,
            sort_by=sorted_by(asked.sort_by, directory_users.SORTABLE, "created_at"),
            descending=asked.sort_by is None or asked.sort_order == "desc",
            offset=(asked.page - 1) * asked.page_size,
            limit=asked.page_size,
        )
        counts = directory_users.key_counts(desk, [user.user_id for user in users])
    more = {user.user_id: {"key_count": counts.get(user.user_id, 0)} for user in users}
    return paged("users", user_rows(directory, users, UserListed, more), total, asked.page, asked.page_size)


def _changed(directory: Directory, caller: Caller, data: UpdateUserRequest) -> SpendUser:
    with refusing(AUTH), directory.write(actor(caller)) as desk:
        if data.user_id is not None:
            user = directory_users.get(desk, data.user_id)
        elif data.user_email is not None:
            user = directory_users.by_email(desk, data.user_email)
        else:
            raise AUTH(400, "Pass the user_id, or the user_email, of the user to change.")
        given = {name: value for name, value in data.given().items() if name not in _OF_THE_KEY}
        return directory_users.change(desk, user, _wanted(given, user.user_metadata))


def _wanted(given: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields for the directory: what LiteLLM keeps in metadata goes there, a password nowhere."""
    given.pop("password", None)
    kept = {name: given.pop(name) for name in sorted(USER_METADATA & given.keys())}
    kept = {name: value for name, value in kept.items() if value is not None}
    if kept:
        said = given.get("metadata")
        given["metadata"] = {**(said if said is not None else metadata or {}), **kept}
    return given


def _join(desk: Desk, kind: str, group_id: str, user: SpendUser, place: TeamOfUser) -> None:
    member = Member(place.user_role, user.user_id)
    directory_members.add_members(desk, kind, group_id, [member], place.max_budget_in_team)


def _asked(caller: Caller, user_id: str | None) -> str | None:
    """Return the user that is asked about, or refuse to tell of somebody else."""
    if user_id is not None and not caller.sees_all and user_id != caller.user_id:
        forbid("key not allowed to access this user's info. It belongs to somebody else.")
    return user_id or caller.user_id
