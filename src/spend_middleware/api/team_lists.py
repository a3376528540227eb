"""The lists of teams, and what their users spent."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer, counted, number
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.desk import QueryPage, Search, TheDirectory, led_teams, own_teams, pages, sorted_by
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.parameters import EndDate, StartDate, Zone, dated, listed
from spend_middleware.api.refusals import detailed
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part
from spend_middleware.api.schemas_teams import (
    LiteLLM_TeamTable,
    TeamListed,
    TeamListResponse,
    TeamPaged,
    TeamUserSpendResponse,
)
from spend_middleware.api.team_rows import membership_rows, team_rows
from spend_middleware.store import directory_members, directory_teams
from spend_middleware.store.directory_members import TEAM
from spend_middleware.store.directory_teams import TeamQuery
from spend_middleware.store.entities import SpendTeam, SpendUser
from spend_middleware.store.report_values import EVERYTHING, By, Filter

routes = Routes("team management")

MOST_TEAMS = 10_000
"""Teams of `/team/list` at most; `/v2/team/list` pages through more."""


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


@routes.get("/team/spend/by_user", permission=Permission.ANY_KEY, response_model=TeamUserSpendResponse)
def get_team_spend_by_user(
    house: TheHouse,
    caller: TheCaller,
    team_ids: Annotated[str | None, Query(description="Teams, separated by commas.")] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Spend of each user within teams; whoever neither leads a team nor administers sees its own line."""
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    wanted = listed(team_ids)
    if not wanted:
        raise detailed(400, "Please provide team_ids")
    own = own_teams(caller)
    if not caller.sees_all and (outside := [team_id for team_id in wanted if team_id not in own]):
        raise detailed(
            403, f"User does not belong to Team={outside[0]}. Call `/team/info` to see user's teams."
        )
    report = house.store.reports.by([By.TEAM, By.USER], EVERYTHING, period, Filter(team_id=wanted))
    shown = [
        group
        for group in report.groups
        if caller.sees_all or group.keys[0] in led_teams(caller) or group.keys[1] == (caller.user_id or "\0")
    ]
    with house.directory.read() as desk:
        teams = {one.team_id: one for one in desk.some(SpendTeam, SpendTeam.team_id, wanted)}
        ids = [group.keys[1] for group in shown if group.keys[1]]
        users = {one.user_id: one for one in desk.some(SpendUser, SpendUser.user_id, ids)}
    rows = []
    for group in shown:
        team, user, sums = teams.get(group.keys[0]), users.get(group.keys[1]), group.sums
        rows.append(
            {
                "team_id": group.keys[0],
                "team_alias": team.team_alias if team is not None else None,
                "user_id": group.keys[1],
                "user_email": user.user_email if user is not None else None,
                "user_alias": user.user_alias if user is not None else None,
                "spend": number(sums.spend),
                "prompt_tokens": sums.prompt_tokens,
                "completion_tokens": sums.completion_tokens,
                "total_tokens": sums.total_tokens,
                "api_requests": sums.requests,
                "successful_requests": sums.successes,
                "failed_requests": sums.failures,
            }
        )
    unpriced, estimated = sum(g.sums.unpriced for g in shown), sum(g.sums.estimated for g in shown)
    content = {"start_date": start_date, "end_date": end_date, "results": rows}
    return answer(content, counted(unpriced, estimated))


def _among(caller: Caller, user_id: str | None) -> tuple[str, ...] | None:
    if caller.sees_all:
        return None
    if user_id is not None and user_id != caller.user_id:
        raise detailed(
            401,
            "Only admin users can query all teams/other teams. "
            f"Your user role={caller.role or 'unknown'}. Pass your own user_id, or none.",
        )
    return tuple(sorted(own_teams(caller)))
