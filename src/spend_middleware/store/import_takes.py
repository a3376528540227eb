"""What a row of LiteLLM's keys, customers, budgets, tags and organizations becomes here."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_keys import hash_of
from spend_middleware.store.entities import (
    Limited,
    SpendBudget,
    SpendEndUser,
    Spender,
    SpendKey,
    SpendOrganization,
    SpendTag,
)
from spend_middleware.store.import_values import Values

# LiteLLM's columns that have no column here and are kept as they are.
_OF_KEYS = (
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
)


def take_budget(desk: Desk, row: Values) -> bool:
    """Take a budget over."""
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
    limit(budget, row)
    return add(desk, budget, budget.budget_id)


def take_organization(desk: Desk, row: Values) -> bool:
    """Take an organization over."""
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
    carry(desk, organization, row)
    return add(desk, organization, organization.organization_id)


def take_end_user(desk: Desk, row: Values) -> bool:
    """Take a customer over."""
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
    carry(desk, customer, row)
    return add(desk, customer, customer.user_id)


def take_tag(desk: Desk, row: Values) -> bool:
    """Take a registered tag over."""
    tag = SpendTag(
        tag_name=row.id("tag_name"),
        description=row.text("description"),
        models=row.names("models"),
        model_info=row.optional_map("model_info"),
        budget_id=row.text("budget_id"),
        created_by=row.text("created_by"),
    )
    carry(desk, tag, row)
    return add(desk, tag, tag.tag_name)


def take_key(desk: Desk, row: Values) -> bool:
    """Take a key over."""
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
        extras=row.extras(*_OF_KEYS),
    )
    carry(desk, key, row)
    limit(key, row)
    total = row.money("total_spend")
    key.total_since, key.total_carried = desk.now, key.spend_carried if total is None else total
    if desk.get(SpendKey, token) is None and key.key_alias is not None:
        key.key_alias = _free_alias(desk, key.key_alias, token)
    return add(desk, key, token)


def _free_alias(desk: Desk, alias: str, token: str) -> str:
    """LiteLLM's database does not hold aliases apart; ours does, and a key must not fail over its name."""
    taken = desk.session.exec(select(SpendKey.token).where(SpendKey.key_alias == alias)).first()
    return alias if taken is None else f"{alias}-{token[:8]}"


def add(desk: Desk, entity: Any, name: str) -> bool:
    """Add an entity; False when there is one of that name."""
    if desk.get(type(entity), name) is not None:
        return False
    desk.session.add(entity)
    return True


def carry(desk: Desk, entity: Spender, row: Values) -> None:
    """Carry over what LiteLLM says was spent; calls count from now on."""
    spend = row.money("spend")
    entity.spend_since = desk.now
    if spend is not None:
        entity.spend_carried = spend
    entity.created_at = row.moment("created_at") or desk.now
    entity.updated_at = row.moment("updated_at") or desk.now


def limit(limits: Limited, row: Values) -> None:
    """Take over what an entity may spend and send."""
    limits.max_budget = row.money("max_budget")
    limits.budget_duration = row.text("budget_duration")
    limits.budget_reset_at = row.moment("budget_reset_at")
    limits.tpm_limit = row.count("tpm_limit")
    limits.rpm_limit = row.count("rpm_limit")
    limits.max_parallel_requests = row.count("max_parallel_requests")
