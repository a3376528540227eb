"""Internal users as answers show them, many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spend_middleware.api.answers import zulu
from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import filled, limits_of, usd
from spend_middleware.api.schemas_users import UserRow
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_members import TEAM, groups_of
from spend_middleware.store.entities import SpendUser
from spend_middleware.store.report_values import By


def user_rows(
    directory: Directory,
    users: Sequence[SpendUser],
    model: type[Answer] = UserRow,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return users as rows of a model, in their order; `more` holds further fields by user id."""
    accounts = directory.accounts.of(By.USER, {user.user_id: user for user in users})
    with directory.read() as desk:
        teams = groups_of(desk, TEAM, [user.user_id for user in users])
    rows = []
    for user in users:
        account = accounts[user.user_id]
        values = _columns(user) | {
            "teams": teams[user.user_id],
            "spend": usd(account.spend),
            "budget_reset_at": zulu(account.reset_at) if user.budget_duration else None,
        }
        rows.append(filled(model, (more or {}).get(user.user_id, {}), values, user.extras))
    return rows


def _columns(user: SpendUser) -> dict[str, Any]:
    return limits_of(user) | {
        "user_id": user.user_id,
        "user_alias": user.user_alias,
        "user_email": user.user_email,
        "user_role": user.user_role,
        "team_id": user.team_id,
        "organization_id": user.organization_id,
        "sso_user_id": user.sso_user_id,
        "models": user.models,
        "metadata": user.user_metadata,
        "created_at": zulu(user.created_at),
        "updated_at": zulu(user.updated_at),
    }
