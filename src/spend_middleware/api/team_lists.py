"""The lists of teams, and what their users spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer, counted, number
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.desk import TheDirectory, led_teams, own_teams, paged, sorted_by
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.names import entity_names
from spend_middleware.api.parameters import EndDate, StartDate, Zone, dated, listed
from spend_middleware.api.refusals import detailed
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part
from spend_middleware.api.schemas_lists import TeamsAsked
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
from spend_middleware.store.report_answers import Group
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
    directory: TheDirectory, caller: TheCaller, asked: Annotated[TeamsAsked, Query()]
) -> Response:
    """List teams page by page; who may not see all sees their own."""
    query = TeamQuery(
        among=() if asked.status == "deleted" else _among(caller, asked.user_id),
        user_id=asked.user_id,
        organization_id=asked.organization_id,
        team_id=asked.team_id,
        alias_part=asked.team_alias,
        search=asked.search,
        search_whole_ids=asked.search_team_id_match == "exact",
    )
    with directory.read() as desk:
        teams, total = directory_teams.find(
            desk,
            query,
            sort_by=sorted_by(asked.sort_by, directory_teams.SORTABLE, "created_at"),
            descending=asked.sort_order == "desc",
            offset=(asked.page - 1) * asked.page_size,
            limit=asked.page_size,
        )
        ids = [team.team_id for team in teams]
        keys = directory_teams.keys_of(desk, ids)
        members = directory_members.members_of(desk, TEAM, ids)
    more = {one: {"members_count": len(members[one]), "keys_count": len(keys[one])} for one in ids}
    return paged("teams", team_rows(directory, teams, TeamPaged, more), total, asked.page, asked.page_size)


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
    unpriced, estimated = sum(g.sums.unpriced for g in shown), sum(g.sums.estimated for g in shown)
    content = {"start_date": start_date, "end_date": end_date, "results": _by_user(house, shown)}
    return answer(content, counted(unpriced, estimated))


def _by_user(house: House, groups: Sequence[Group]) -> list[dict[str, Any]]:
    teams = entity_names(house, By.TEAM, {group.keys[0] for group in groups})
    users = entity_names(house, By.USER, {group.keys[1] for group in groups})
    return [
        {
            "team_id": team_id,
            "team_alias": teams.get(team_id, {}).get("team_alias"),
            "user_id": user_id,
            "user_email": users.get(user_id, {}).get("user_email"),
            "user_alias": users.get(user_id, {}).get("user_alias"),
            "spend": number(sums.spend),
            "prompt_tokens": sums.prompt_tokens,
            "completion_tokens": sums.completion_tokens,
            "total_tokens": sums.total_tokens,
            "api_requests": sums.requests,
            "successful_requests": sums.successes,
            "failed_requests": sums.failures,
        }
        for (team_id, user_id), sums in ((group.keys, group.sums) for group in groups)
    ]


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
