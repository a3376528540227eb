"""The routes of organizations and their members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer, zulu
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import TheDirectory, actor
from spend_middleware.api.refusals import AUTH, detailed, forbid, refusing
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import Part, budget_part, filled, usd
from spend_middleware.api.schemas_organizations import (
    ORGANIZATION_METADATA,
    DeleteOrganizationRequest,
    LiteLLM_OrganizationMembershipTable,
    LiteLLM_OrganizationTableWithMembers,
    NewOrganizationRequest,
    NewOrganizationResponse,
    OrganizationAddMemberResponse,
    OrganizationMemberAddRequest,
    OrganizationMemberDeleteRequest,
    OrganizationMemberUpdateRequest,
    OrganizationRequest,
    OrganizationUpdate,
)
from spend_middleware.api.schemas_users import UserMember
from spend_middleware.api.team_rows import team_rows
from spend_middleware.api.user_rows import user_rows
from spend_middleware.store import directory_members, directory_organizations, directory_teams
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import budgets_of
from spend_middleware.store.directory_members import ORGANIZATION, Member
from spend_middleware.store.directory_teams import TeamQuery
from spend_middleware.store.entities import SpendMembership, SpendOrganization, SpendUser
from spend_middleware.store.report_values import By

routes = Routes("organization management")


@routes.post("/organization/new", permission=Permission.ADMIN, response_model=NewOrganizationResponse)
def new_organization(directory: TheDirectory, caller: TheCaller, data: NewOrganizationRequest) -> Response:
    """Make an organization with a budget."""
    with refusing(detailed), directory.write(actor(caller)) as desk:
        made = directory_organizations.create(desk, _wanted(data.wanted()))
    return answer(_rows(directory, [made], NewOrganizationResponse)[0])


@routes.patch(
    "/organization/update", permission=Permission.ADMIN, response_model=LiteLLM_OrganizationTableWithMembers
)
def update_organization(directory: TheDirectory, caller: TheCaller, data: OrganizationUpdate) -> Response:
    """Change the fields of an organization that are given."""
    with refusing(detailed), directory.write(actor(caller)) as desk:
        known = directory_organizations.get(desk, data.organization_id)
        changed = directory_organizations.change(
            desk, data.organization_id, _wanted(data.wanted(), known.organization_metadata)
        )
    return answer(_whole(directory, [changed])[0])


@routes.delete(
    "/organization/delete",
    permission=Permission.ADMIN,
    response_model=list[LiteLLM_OrganizationTableWithMembers],
)
def delete_organization(
    directory: TheDirectory, caller: TheCaller, data: DeleteOrganizationRequest
) -> Response:
    """Delete organizations, and show them a last time; their calls stay in the ledger."""
    with refusing(detailed), directory.read() as desk:
        found = [directory_organizations.get(desk, one) for one in dict.fromkeys(data.organization_ids)]
    shown = _whole(directory, found)
    with refusing(detailed), directory.write(actor(caller)) as desk:
        directory_organizations.delete(desk, data.organization_ids)
    return answer(shown)


@routes.get(
    "/organization/info", permission=Permission.ANY_KEY, response_model=LiteLLM_OrganizationTableWithMembers
)
def info_organization(
    directory: TheDirectory,
    caller: TheCaller,
    organization_id: Annotated[Part, Query(description="The organization.")],
) -> Response:
    """Tell all about an organization: columns, members and teams."""
    if not caller.sees_all and organization_id not in _own(directory, caller):
        forbid(f"You are not a member of organization_id={organization_id}, so you may not see it.", detailed)
    with refusing(detailed), directory.read() as desk:
        found = directory_organizations.get(desk, organization_id)
    return answer(_whole(directory, [found])[0])


@routes.post(
    "/organization/info",
    permission=Permission.READ_ALL,
    response_model=list[LiteLLM_OrganizationTableWithMembers],
)
def deprecated_info_organization(directory: TheDirectory, data: OrganizationRequest) -> Response:
    """Show several organizations; unknown ids are left out."""
    if not data.organizations:
        raise detailed(400, "Specify list of organization id's to query, in `organizations`.")
    with directory.read() as desk:
        found = desk.some(SpendOrganization, SpendOrganization.organization_id, data.organizations)
    return answer(_whole(directory, found))


@routes.get(
    "/organization/list",
    permission=Permission.ANY_KEY,
    response_model=list[LiteLLM_OrganizationTableWithMembers],
)
def list_organization(
    directory: TheDirectory,
    caller: TheCaller,
    org_id: Annotated[Part | None, Query(description="Only this organization.")] = None,
    org_alias: Annotated[Part | None, Query(description="A piece of the alias.")] = None,
) -> Response:
    """List organizations; who may not see all sees their own."""
    among = None if caller.sees_all else sorted(_own(directory, caller))
    with directory.read() as desk:
        found = directory_organizations.find(desk, among=among, organization_id=org_id, alias_part=org_alias)
    return answer(_whole(directory, found))


# -- members


@routes.post(
    "/organization/member_add", permission=Permission.ADMIN, response_model=OrganizationAddMemberResponse
)
def organization_member_add(
    directory: TheDirectory, caller: TheCaller, data: OrganizationMemberAddRequest
) -> Response:
    """Put people into an organization; who is not known yet becomes a user."""
    asked = data.member if isinstance(data.member, list) else [data.member]
    members = [Member(one.role, one.user_id, one.user_email) for one in asked]
    with refusing(AUTH), directory.write(actor(caller)) as desk:
        directory_organizations.get(desk, data.organization_id)
        added = directory_members.add_members(
            desk, ORGANIZATION, data.organization_id, members, data.max_budget_in_organization
        )
        users = desk.some(SpendUser, SpendUser.user_id, [one.user_id for one in added])
    return answer(
        {
            "organization_id": data.organization_id,
            "updated_users": user_rows(directory, users, UserMember),
            "updated_organization_memberships": _member_rows(directory, added),
        }
    )


@routes.patch(
    "/organization/member_update",
    permission=Permission.ADMIN,
    response_model=LiteLLM_OrganizationMembershipTable,
)
def organization_member_update(
    directory: TheDirectory, caller: TheCaller, data: OrganizationMemberUpdateRequest
) -> Response:
    """Change a member's role or budget in an organization."""
    wanted = {"role": data.role, "max_budget": data.max_budget_in_organization}
    with refusing(detailed), directory.write(actor(caller)) as desk:
        member = directory_members.member(
            desk, ORGANIZATION, data.organization_id, data.user_id, data.user_email
        )
        directory_members.change_member(desk, member, wanted)
    return answer(_member_rows(directory, [member])[0])


@routes.delete(
    "/organization/member_delete",
    permission=Permission.ADMIN,
    response_model=LiteLLM_OrganizationMembershipTable,
)
def organization_member_delete(
    directory: TheDirectory, caller: TheCaller, data: OrganizationMemberDeleteRequest
) -> Response:
    """Take a member out of an organization, and show the membership a last time."""
    with refusing(detailed), directory.write(actor(caller)) as desk:
        member = directory_members.member(
            desk, ORGANIZATION, data.organization_id, data.user_id, data.user_email
        )
        directory_members.remove_member(desk, member)
    return answer(_member_rows(directory, [member])[0])


def _own(directory: Directory, caller: Caller) -> frozenset[str]:
    with directory.read() as desk:
        user_id = caller.user_id or ""
        joined = directory_members.groups_of(desk, ORGANIZATION, [user_id])[user_id] if user_id else []
    return (
        frozenset(joined) | {caller.organization_id} - {None} if caller.organization_id else frozenset(joined)
    )


def _rows(
    directory: Directory,
    organizations: Sequence[SpendOrganization],
    model: type[Answer],
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    accounts = directory.accounts.of(By.ORGANIZATION, {one.organization_id: one for one in organizations})
    with directory.read() as desk:
        budgets = budgets_of(desk, organizations)
    return [
        filled(
            model,
            (more or {}).get(one.organization_id, {}),
            {
                "organization_id": one.organization_id,
                "organization_alias": one.organization_alias,
                "budget_id": one.budget_id,
                "spend": usd(accounts[one.organization_id].spend),
                "metadata": one.organization_metadata,
                "models": one.models,
                "created_by": one.created_by,
                "updated_by": one.updated_by,
                "litellm_budget_table": budget_part(directory, budgets.get(one.budget_id or "")),
                "created_at": zulu(one.created_at),
                "updated_at": zulu(one.updated_at),
            },
            one.extras,
        )
        for one in organizations
    ]


def _whole(directory: Directory, organizations: Sequence[SpendOrganization]) -> list[dict[str, Any]]:
    ids = [one.organization_id for one in organizations]
    with directory.read() as desk:
        members = directory_members.members_of(desk, ORGANIZATION, ids)
        teams = {one: directory_teams.find(desk, TeamQuery(organization_id=one))[0] for one in ids}
    more = {
        one: {"members": _member_rows(directory, members[one]), "teams": team_rows(directory, teams[one])}
        for one in ids
    }
    return _rows(directory, organizations, LiteLLM_OrganizationTableWithMembers, more)


def _member_rows(directory: Directory, members: Sequence[SpendMembership]) -> list[dict[str, Any]]:
    accounts = directory.accounts.of_members(members)
    with directory.read() as desk:
        budgets = budgets_of(desk, members)
    return [
        filled(
            LiteLLM_OrganizationMembershipTable,
            {
                "user_id": one.user_id,
                "organization_id": one.group_id,
                "user_role": one.role,
                "spend": usd(accounts[one.group_id, one.user_id].spend),
                "budget_id": one.budget_id,
                "created_at": zulu(one.created_at),
                "updated_at": zulu(one.updated_at),
                "litellm_budget_table": budget_part(directory, budgets.get(one.budget_id or "")),
            },
        )
        for one in members
    ]


def _wanted(given: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields for the directory: what LiteLLM keeps in metadata goes there."""
    kept = {name: given.pop(name) for name in sorted(ORGANIZATION_METADATA & given.keys())}
    kept = {name: value for name, value in kept.items() if value is not None}
    if kept:
        given["metadata"] = {**(given.get("metadata") or metadata or {}), **kept}
    return given
