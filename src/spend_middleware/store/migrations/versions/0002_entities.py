"""Those who spend: keys, teams, users, customers, budgets, tags, organizations, memberships, shared settings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def names(*columns: str) -> list[sa.Column[str]]:
    """Return text columns that are never NULL: names, amounts and JSON."""
    return [sa.Column(column, sa.Text, nullable=False) for column in columns]


def texts(*columns: str) -> list[sa.Column[str]]:
    """Return text columns."""
    return [sa.Column(column, sa.Text) for column in columns]


def counts(*columns: str) -> list[sa.Column[int]]:
    """Return whole numbers that are never NULL."""
    return [sa.Column(column, sa.BigInteger, nullable=False) for column in columns]


def numbers(*columns: str) -> list[sa.Column[int]]:
    """Return whole numbers."""
    return [sa.Column(column, sa.BigInteger) for column in columns]


def switch(column: str, *, optional: bool = False) -> sa.Column[bool]:
    """Return a column of true and false."""
    return sa.Column(column, sa.Boolean, nullable=optional)


def spender() -> list[sa.Column[Any]]:
    """Return the columns of what has a spend of its own."""
    return [*counts("spend_since", "created_at", "updated_at"), *names("spend_carried", "extras")]


def limited() -> list[sa.Column[Any]]:
    """Return the columns of what has limits of its own."""
    return [
        *texts("max_budget", "budget_duration"),
        *numbers("budget_reset_at", "tpm_limit", "rpm_limit", "max_parallel_requests"),
    ]


def upgrade(op: Operations) -> None:
    """Make the tables."""
    schema = op.migration_context.opts.get("spend_schema")
    _keys(op, schema)
    _teams(op, schema)
    _users(op, schema)
    _customers(op, schema)
    _budgets(op, schema)
    _tags(op, schema)
    _organizations(op, schema)
    _memberships(op, schema)
    op.create_table(
        "spend_config",
        *names("name"),
        *texts("value"),
        *counts("version", "updated_at"),
        sa.PrimaryKeyConstraint("name"),
        schema=schema,
    )


def _keys(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_keys",
        *names("token"),
        *spender(),
        *limited(),
        *texts("key_name", "key_alias", "user_id", "team_id", "organization_id", "agent_id", "project_id"),
        *texts("budget_id", "key_type", "created_by", "updated_by"),
        *names("models", "allowed_routes", "permissions", "metadata", "total_carried"),
        *numbers("tpd_limit", "expires", "settings_updated_at", "last_rotation_at"),
        switch("blocked", optional=True),
        *counts("total_since", "rotation_count"),
        sa.PrimaryKeyConstraint("token"),
        schema=schema,
    )
    op.create_index("spend_keys_alias", "spend_keys", ["key_alias"], unique=True, schema=schema)
    op.create_index("spend_keys_user", "spend_keys", ["user_id"], schema=schema)
    op.create_index("spend_keys_team", "spend_keys", ["team_id"], schema=schema)


def _teams(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_teams",
        *names("team_id"),
        *spender(),
        *limited(),
        *texts("team_alias", "organization_id", "soft_budget"),
        *names("metadata", "models"),
        *numbers("tpd_limit"),
        switch("blocked"),
        sa.PrimaryKeyConstraint("team_id"),
        schema=schema,
    )
    op.create_index("spend_teams_alias", "spend_teams", ["team_alias"], schema=schema)
    op.create_index("spend_teams_organization", "spend_teams", ["organization_id"], schema=schema)


def _users(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_users",
        *names("user_id"),
        *spender(),
        *limited(),
        *texts("user_alias", "user_email", "user_role", "team_id", "organization_id", "sso_user_id"),
        *names("models", "metadata"),
        sa.PrimaryKeyConstraint("user_id"),
        schema=schema,
    )
    op.create_index("spend_users_email", "spend_users", ["user_email"], schema=schema)


def _customers(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_end_users",
        *names("user_id"),
        *spender(),
        *texts("alias", "allowed_model_region", "default_model", "budget_id"),
        switch("blocked"),
        *names("models"),
        sa.PrimaryKeyConstraint("user_id"),
        schema=schema,
    )


def _budgets(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_budgets",
        *names("budget_id"),
        *limited(),
        *texts("soft_budget", "model_max_budget", "temp_budget_increase"),
        *names("allowed_models", "created_by", "updated_by"),
        *numbers("tpd_limit", "temp_budget_expiry"),
        *counts("window_since", "created_at", "updated_at"),
        sa.PrimaryKeyConstraint("budget_id"),
        schema=schema,
    )


def _tags(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_tags",
        *names("tag_name"),
        *spender(),
        *texts("description", "model_info", "budget_id", "created_by"),
        *names("models"),
        sa.PrimaryKeyConstraint("tag_name"),
        schema=schema,
    )


def _organizations(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_organizations",
        *names("organization_id"),
        *spender(),
        *texts("budget_id"),
        *names("organization_alias", "metadata", "models", "created_by", "updated_by"),
        sa.PrimaryKeyConstraint("organization_id"),
        schema=schema,
    )


def _memberships(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_memberships",
        *names("kind", "group_id", "user_id"),
        *spender(),
        *texts("role", "user_email", "budget_id"),
        *counts("position", "total_since"),
        *names("total_carried"),
        sa.PrimaryKeyConstraint("kind", "group_id", "user_id"),
        schema=schema,
    )
    op.create_index("spend_memberships_user", "spend_memberships", ["user_id"], schema=schema)
