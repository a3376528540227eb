"""Keys as answers show them, many at a time: their columns, what counts against them, their budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spend_middleware.api.answers import zulu
from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import budget_row, filled, limits_of, usd
from spend_middleware.api.schemas_key_rows import GenerateKeyResponse, KeyObject, KeyRow
from spend_middleware.api.schemas_keys import IN_METADATA
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import budgets_of
from spend_middleware.store.directory_limits import windows_now
from spend_middleware.store.entities import SpendBudget, SpendKey, SpendTeam, SpendUser
from spend_middleware.store.report_values import By

# What LiteLLM answers for a key without settings of its own for its router.
_ROUTER_SETTINGS: dict[str, Any] = {
    **dict.fromkeys(
        (
            "routing_strategy_args",
            "routing_strategy",
            "routing_groups",
            "retry_policy",
            "model_group_retry_policy",
            "model_group_affinity_config",
            "allowed_fails",
            "cooldown_time",
            "num_retries",
            "timeout",
            "max_retries",
            "retry_after",
            "fallbacks",
            "context_window_fallbacks",
        )
    ),
    "model_group_alias": {},
    **dict.fromkeys(("enable_tag_filtering", "weights", "tag_routing_prefix", "optional_pre_call_checks")),
}


def key_rows(
    directory: Directory, keys: Sequence[SpendKey], model: type[Answer] = KeyRow, **more: Any
) -> list[dict[str, Any]]:
    """Return keys as rows of a model, in their order."""
    return [
        filled(model, more, values, key.extras)
        for key, values in zip(keys, _values(directory, keys), strict=True)
    ]


def full_keys(directory: Directory, keys: Sequence[SpendKey]) -> list[dict[str, Any]]:
    """Return keys as /key/list shows them in full: with what their teams and users allow."""
    with directory.read() as desk:
        teams = {
            team.team_id: team
            for team in desk.some(SpendTeam, SpendTeam.team_id, [key.team_id for key in keys if key.team_id])
        }
        users = {
            user.user_id: user
            for user in desk.some(SpendUser, SpendUser.user_id, [key.user_id for key in keys if key.user_id])
        }
    rows = []
    for key, values in zip(keys, _values(directory, keys), strict=True):
        team, user = teams.get(key.team_id or ""), users.get(key.user_id or "")
        more = {**(_team_part(team) if team else {}), **(_user_part(user) if user else {})}
        rows.append(filled(KeyObject, more, values, key.extras))
    return rows


def new_key(
    directory: Directory,
    key: SpendKey,
    secret: str,
    duration: str | None,
    model: type[Answer] = GenerateKeyResponse,
) -> dict[str, Any]:
    """Return a key with its secret, which is shown this once."""
    values = _values(directory, [key])[0]
    shown = {
        "key": secret,
        "token_id": key.token,
        "duration": duration,
        "router_settings": {**_ROUTER_SETTINGS, **(key.extras.get("router_settings") or {})},
        "policies": key.extras.get("policies"),
    }
    kept = {name: key.key_metadata[name] for name in sorted(IN_METADATA & key.key_metadata.keys())}
    return filled(model, shown, values, kept, key.extras)


def standing_word(key: SpendKey, now: int) -> str:
    """Return how a key stands."""
    if key.blocked:
        return "blocked"
    return "expired" if key.expires is not None and key.expires <= now else "active"


def _values(directory: Directory, keys: Sequence[SpendKey]) -> list[dict[str, Any]]:
    accounts = directory.accounts.of(By.KEY, {key.token: key for key in keys})
    totals = directory.accounts.lifetime(keys)
    with directory.read() as desk:
        budgets = budgets_of(desk, keys)
    return [
        _columns(directory, key, budgets.get(key.budget_id or ""))
        | {
            "spend": usd(accounts[key.token].spend),
            "total_spend": usd(totals[key.token]),
            "budget_reset_at": zulu(accounts[key.token].reset_at) if key.budget_duration else None,
            "budget_limits": windows_now(key.extras.get("budget_limits"), directory.now(), directory.zone),
        }
        for key in keys
    ]


def _columns(directory: Directory, key: SpendKey, budget: SpendBudget | None) -> dict[str, Any]:
    return limits_of(key) | {
        "token": key.token,
        "key_name": key.key_name,
        "key_alias": key.key_alias,
        "expires": zulu(key.expires),
        "models": key.models,
        "user_id": key.user_id,
        "team_id": key.team_id,
        "agent_id": key.agent_id,
        "project_id": key.project_id,
        "permissions": key.permissions,
        "metadata": key.key_metadata,
        "blocked": key.blocked,
        "tpd_limit": key.tpd_limit,
        "allowed_routes": key.allowed_routes,
        "key_type": key.key_type,
        "budget_id": key.budget_id,
        "soft_budget": usd(budget.soft_budget) if budget else None,
        "organization_id": key.organization_id,
        "org_id": key.organization_id,
        "created_at": zulu(key.created_at),
        "created_by": key.created_by,
        "updated_at": zulu(key.updated_at),
        "updated_by": key.updated_by,
        "settings_updated_at": zulu(key.settings_updated_at),
        "rotation_count": key.rotation_count,
        "last_rotation_at": zulu(key.last_rotation_at),
        "litellm_budget_table": budget_row(directory, budget),
    }


def _team_part(team: SpendTeam) -> dict[str, Any]:
    return {
        "team_alias": team.team_alias,
        "team_tpm_limit": team.tpm_limit,
        "team_rpm_limit": team.rpm_limit,
        "team_tpd_limit": team.tpd_limit,
        "team_max_budget": usd(team.max_budget),
        "team_soft_budget": usd(team.soft_budget),
        "team_models": team.models,
        "team_blocked": team.blocked,
        "team_metadata": team.team_metadata,
    }


def _user_part(user: SpendUser) -> dict[str, Any]:
    return {
        "user_role": user.user_role,
        "user_email": user.user_email,
        "user_tpm_limit": user.tpm_limit,
        "user_rpm_limit": user.rpm_limit,
        "user_max_budget": usd(user.max_budget),
    }
