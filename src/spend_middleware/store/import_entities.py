"""LiteLLM's keys, teams, users, customers, budgets, tags and organizations taken over, each only once.

What an entity had spent by then is carried over as LiteLLM stored it, and calls count from the moment of the import
on: so the history may be imported before, after or not at all. Hashed tokens are the same sha256 here and there, so
every key goes on working.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from sqlmodel import select

from spend_middleware.store.directory import Desk, writing
from spend_middleware.store.directory_keys import hash_of
from spend_middleware.store.directory_members import ORGANIZATION, TEAM
from spend_middleware.store.entities import (
    Limited,
    SpendBudget,
    SpendEndUser,
    Spender,
    SpendKey,
    SpendMembership,
    SpendOrganization,
    SpendTag,
    SpendTeam,
    SpendUser,
)
from spend_middleware.store.import_rows import UnusableRow
from spend_middleware.store.import_values import Values
from spend_middleware.store.importing import Imported, Row, importer
from spend_middleware.store.ledger import Ledger

_AT_ONCE = 500
_DERIVED = "derived"
"""Marks a membership that a team or a user named; LiteLLM's own row of it, with spend and budget, may follow."""

Take = Callable[[Desk, Values], bool]
"""Takes one row; False when it is there already."""


def _taken(ledger: Ledger, rows: Iterable[Row], key: str, take: Take) -> Imported:
    """Take rows over, five hundred in one transaction."""
    result = Imported()
    numbered = enumerate(rows)
    while batch := list(islice(numbered, _AT_ONCE)):
        with writing(ledger.database.engine, int(time.time() * 1_000_000)) as desk:
            for position, row in batch:
                try:
                    fresh = take(desk, Values(row))
                except UnusableRow as error:
                    name = row.get(key) if hasattr(row, "get") else None
                    result.refuse(position, str(name or ""), str(error))
                    continue
                desk.session.flush()
                result.imported += fresh
                result.present += not fresh
    return result


@importer("LiteLLM_BudgetTable")
def import_budgets(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over budgets."""
    return _taken(ledger, rows, "budget_id", _take_budget)


@importer("LiteLLM_OrganizationTable")
def import_organizations(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over organizations."""
    return _taken(ledger, rows, "organization_id", _take_organization)


@importer("LiteLLM_UserTable")
def import_users(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over internal users, without their passwords, and who is in which team."""
    return _taken(ledger, rows, "user_id", _take_user)


@importer("LiteLLM_TeamTable")
def import_teams(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over teams and their members."""
    return _taken(ledger, rows, "team_id", _take_team)


@importer("LiteLLM_TeamMembership")
def import_team_memberships(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over what members have spent in their teams, and may."""
    return _taken(ledger, rows, "user_id", lambda desk, row: _take_membership(desk, row, TEAM, "team_id"))


@importer("LiteLLM_OrganizationMembership")
def import_organization_memberships(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over who is in which organization."""
    return _taken(
        ledger,
        rows,
        "user_id",
        lambda desk, row: _take_membership(desk, row, ORGANIZATION, "organization_id"),
    )


@importer("LiteLLM_EndUserTable")
def import_end_users(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over customers."""
    return _taken(ledger, rows, "user_id", _take_end_user)


@importer("LiteLLM_TagTable")
def import_tags(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over registered tags."""
    return _taken(ledger, rows, "tag_name", _take_tag)


@importer("LiteLLM_VerificationToken")
def import_keys(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over keys: their hashes go on working."""
    return _taken(ledger, rows, "key_name", _take_key)


def _take_budget(desk: Desk, row: Values) -> bool:
    budget = SpendBudget(
        budget_id=row.id("budget_id"),
        soft_budget=row.money("soft_budget"),
        tpd_limit=row.count("tpd_limit"),
        model_max_budget=row.optional_map("model_max_budget"),
        allowed_models=row.names("allowed_models"),
        temp_budget_increase=row.money("temp_budget_increase"),
        temp_budget_expiry=row.moment("temp_budget_expiry"),
        created_at=row.moment("created_at") or desk.now,
        updated_at=row.moment("updated_at") or desk.now,
        created_by=row.text("created_by") or "",
        updated_by=row.text("updated_by") or "",
    )
    _limit(budget, row)
    return _add(desk, budget, budget.budget_id)


def _take_organization(desk: Desk, row: Values) -> bool:
    organization = SpendOrganization(
        organization_id=row.id("organization_id"),
        organization_alias=row.text("organization_alias") or "",
        budget_id=row.text("budget_id"),
        organization_metadata=row.map("metadata"),
        models=row.names("models"),
        created_by=row.text("created_by") or "",
        updated_by=row.text("updated_by") or "",
        extras=row.extras("model_spend", "object_permission_id"),
    )
    _carry(desk, organization, row)
    return _add(desk, organization, organization.organization_id)


def _take_user(desk: Desk, row: Values) -> bool:
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
        extras=row.extras(
            "allowed_cache_controls",
            "policies",
            "model_spend",
            "model_max_budget",
            "object_permission_id",
            "password_reset_required",
            "last_breach_check_at",
        ),
    )
    _carry(desk, user, row)
    _limit(user, row)
    teams = [team for team in row.names("teams") if isinstance(team, str) and team]
    fresh = _add(desk, user, user.user_id)
    for position, team_id in enumerate(teams if fresh else ()):
        _join(desk, team_id, user.user_id, "user", user.user_email, position)
    return fresh


def _take_team(desk: Desk, row: Values) -> bool:
    team = SpendTeam(
        team_id=row.id("team_id"),
        team_alias=row.text("team_alias"),
        organization_id=row.text("organization_id"),
        team_metadata=row.map("metadata"),
        models=row.names("models"),
        soft_budget=row.money("soft_budget"),
        tpd_limit=row.count("tpd_limit"),
        blocked=bool(row.flag("blocked")),
        extras=row.extras(
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
        ),
    )
    _carry(desk, team, row)
    _limit(team, row)
    members = row.json("members_with_roles") or []
    fresh = _add(desk, team, team.team_id)
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


def _take_membership(desk: Desk, row: Values, kind: str, group: str) -> bool:
    group_id, user_id = row.id(group), row.id("user_id")
    known = desk.get(SpendMembership, (kind, group_id, user_id))
    if known is not None and not known.extras.get(_DERIVED):
        return False
    member = known or SpendMembership(kind=kind, group_id=group_id, user_id=user_id, role="user")
    member.budget_id, member.extras = row.text("budget_id"), {}
    member.role = row.text("user_role") or member.role
    _carry(desk, member, row)
    total = row.money("total_spend")
    member.total_since, member.total_carried = desk.now, member.spend_carried if total is None else total
    desk.session.add(member)
    return True


def _take_end_user(desk: Desk, row: Values) -> bool:
    customer = SpendEndUser(
        user_id=row.id("user_id"),
        alias=row.text("alias"),
        allowed_model_region=row.text("allowed_model_region"),
        default_model=row.text("default_model"),
        budget_id=row.text("budget_id"),
        blocked=bool(row.flag("blocked")),
        models=row.names("models"),
        extras=row.extras("object_permission_id"),
    )
    _carry(desk, customer, row)
    return _add(desk, customer, customer.user_id)


def _take_tag(desk: Desk, row: Values) -> bool:
    tag = SpendTag(
        tag_name=row.id("tag_name"),
        description=row.text("description"),
        models=row.names("models"),
        model_info=row.optional_map("model_info"),
        budget_id=row.text("budget_id"),
        created_by=row.text("created_by"),
    )
    _carry(desk, tag, row)
    return _add(desk, tag, tag.tag_name)


def _take_key(desk: Desk, row: Values) -> bool:
    token = hash_of(row.id("token"))
    key = SpendKey(
        token=token,
        key_name=row.text("key_name"),
        key_alias=row.text("key_alias"),
        user_id=row.text("user_id"),
        team_id=row.text("team_id"),
        organization_id=row.text("organization_id"),
        agent_id=row.text("agent_id"),
        project_id=row.text("project_id"),
        budget_id=row.text("budget_id"),
        key_type=row.text("key_type"),
        models=row.names("models"),
        allowed_routes=row.names("allowed_routes"),
        permissions=row.map("permissions"),
        key_metadata=row.map("metadata"),
        tpd_limit=row.count("tpd_limit"),
        blocked=row.flag("blocked"),
        expires=row.moment("expires"),
        created_by=row.text("created_by"),
        updated_by=row.text("updated_by"),
        settings_updated_at=row.moment("settings_updated_at"),
        rotation_count=row.count("rotation_count") or 0,
        last_rotation_at=row.moment("last_rotation_at"),
        extras=row.extras(
            "soft_budget_cooldown",
            "aliases",
            "config",
            "allowed_cache_controls",
            "model_spend",
            "model_max_budget",
            "object_permission_id",
            "auto_rotate",
            "key_rotation_at",
            "rotation_interval",
            "router_settings",
            "policies",
            "access_group_ids",
            "last_active",
            "budget_limits",
            "budget_fallbacks",
        ),
    )
    _carry(desk, key, row)
    _limit(key, row)
    total = row.money("total_spend")
    key.total_since, key.total_carried = desk.now, key.spend_carried if total is None else total
    if desk.get(SpendKey, token) is None and key.key_alias is not None:
        # LiteLLM's database does not hold aliases apart; ours does, and a key must not fail over its name.
        taken = desk.session.exec(select(SpendKey.token).where(SpendKey.key_alias == key.key_alias)).first()
        key.key_alias = key.key_alias if taken is None else f"{key.key_alias}-{token[:8]}"
    return _add(desk, key, token)


def _add(desk: Desk, entity: Any, name: str) -> bool:
    if desk.get(type(entity), name) is not None:
        return False
    desk.session.add(entity)
    return True


def _carry(desk: Desk, entity: Spender, row: Values) -> None:
    """Carry over what LiteLLM says was spent; calls count from now on."""
    spend = row.money("spend")
    entity.spend_since = desk.now
    if spend is not None:
        entity.spend_carried = spend
    entity.created_at = row.moment("created_at") or desk.now
    entity.updated_at = row.moment("updated_at") or desk.now


def _limit(limits: Limited, row: Values) -> None:
    limits.max_budget = row.money("max_budget")
    limits.budget_duration = row.text("budget_duration")
    limits.budget_reset_at = row.moment("budget_reset_at")
    limits.tpm_limit = row.count("tpm_limit")
    limits.rpm_limit = row.count("rpm_limit")
    limits.max_parallel_requests = row.count("max_parallel_requests")


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
