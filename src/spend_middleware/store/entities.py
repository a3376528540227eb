"""The tables of those who spend: keys, teams, users, customers, budgets, tags, organizations and memberships.

A key is stored as its sha256 alone. What an entity has spent is never stored here: it is what the ledger holds since
`spend_since` plus `spend_carried`, so a reset moves these two and the ledger stays as it is. Amounts are whole
pico-dollars as text (a limit may exceed 64 bits), times are microseconds since the epoch in UTC, lists and maps are
JSON text. Fields that only a proxy acts on rest in `extras`, under LiteLLM's names.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Index, PrimaryKeyConstraint, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field

from spend_middleware.call import EXACT, from_pico, to_pico
from spend_middleware.store.columns import SpendModel


class JsonText(TypeDecorator[Any]):
    """Lists and maps as JSON text; None stays NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text of a value."""
        return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Return the value of a text."""
        return None if value is None else json.loads(value)


class Limit(TypeDecorator[Decimal]):
    """USD as `Decimal` in Python and as whole pico-dollars in text: a limit has no largest value."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the pico-dollars of an amount."""
        return None if value is None else str(to_pico(EXACT.create_decimal(value)))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Return the exact amount of stored pico-dollars."""
        return None if value is None else from_pico(int(value))


def _text(**more: Any) -> Any:
    return Field(sa_type=Text, **more)


def _optional_text(**more: Any) -> Any:
    return Field(default=None, sa_type=Text, **more)


def _count(default: int = 0) -> Any:
    return Field(default=default, sa_type=BigInteger, nullable=False)


def _optional_count() -> Any:
    return Field(default=None, sa_type=BigInteger)


def _limit() -> Any:
    return Field(default=None, sa_type=Limit)


def _names() -> Any:
    return Field(default_factory=list, sa_type=JsonText, nullable=False)


def _map() -> Any:
    return Field(default_factory=dict, sa_type=JsonText, nullable=False)


def _metadata() -> Any:
    # `metadata` is SQLAlchemy's own attribute on a mapped class, so the attribute has another name than its column.
    return Field(
        default_factory=dict, sa_type=JsonText, nullable=False, sa_column_kwargs={"name": "metadata"}
    )


class Spender(SpendModel):
    """What every entity with a spend of its own has.

    Args:
        spend_since: Calls that started then or later count.
        spend_carried: What counts besides: an imported or given spend.
    """

    spend_since: int = _count()
    spend_carried: Decimal = Field(default=Decimal(0), sa_type=Limit, nullable=False)
    created_at: int = _count()
    updated_at: int = _count()
    extras: dict[str, Any] = _map()


class Limited(SpendModel):
    """What every entity with limits of its own has."""

    max_budget: Decimal | None = _limit()
    budget_duration: str | None = _optional_text()
    budget_reset_at: int | None = _optional_count()
    tpm_limit: int | None = _optional_count()
    rpm_limit: int | None = _optional_count()
    max_parallel_requests: int | None = _optional_count()


class SpendKey(Spender, Limited, table=True):
    """A virtual key; `token` is the sha256 of its secret, which is shown once and kept nowhere.

    Args:
        total_since: As `spend_since`, for the spend of its whole life, which no reset touches.
    """

    __tablename__ = "spend_keys"
    __table_args__ = (
        Index("spend_keys_alias", "key_alias", unique=True),
        Index("spend_keys_user", "user_id"),
        Index("spend_keys_team", "team_id"),
    )

    token: str = _text(primary_key=True)
    key_name: str | None = _optional_text()
    key_alias: str | None = _optional_text()
    user_id: str | None = _optional_text()
    team_id: str | None = _optional_text()
    organization_id: str | None = _optional_text()
    agent_id: str | None = _optional_text()
    project_id: str | None = _optional_text()
    budget_id: str | None = _optional_text()
    key_type: str | None = _optional_text()
    models: list[str] = _names()
    allowed_routes: list[str] = _names()
    permissions: dict[str, Any] = _map()
    key_metadata: dict[str, Any] = _metadata()
    tpd_limit: int | None = _optional_count()
    blocked: bool | None = None
    expires: int | None = _optional_count()
    total_since: int = _count()
    total_carried: Decimal = Field(default=Decimal(0), sa_type=Limit, nullable=False)
    created_by: str | None = _optional_text()
    updated_by: str | None = _optional_text()
    settings_updated_at: int | None = _optional_count()
    rotation_count: int = _count()
    last_rotation_at: int | None = _optional_count()


class SpendTeam(Spender, Limited, table=True):
    """A team; its members are in `spend_memberships`."""

    __tablename__ = "spend_teams"
    __table_args__ = (
        Index("spend_teams_alias", "team_alias"),
        Index("spend_teams_organization", "organization_id"),
    )

    team_id: str = _text(primary_key=True)
    team_alias: str | None = _optional_text()
    organization_id: str | None = _optional_text()
    team_metadata: dict[str, Any] = _metadata()
    models: list[str] = _names()
    soft_budget: Decimal | None = _limit()
    tpd_limit: int | None = _optional_count()
    blocked: bool = Field(default=False, nullable=False)


class SpendUser(Spender, Limited, table=True):
    """An internal user: somebody who owns keys."""

    __tablename__ = "spend_users"
    __table_args__ = (Index("spend_users_email", "user_email"),)

    user_id: str = _text(primary_key=True)
    user_alias: str | None = _optional_text()
    user_email: str | None = _optional_text()
    user_role: str | None = _optional_text()
    team_id: str | None = _optional_text()
    organization_id: str | None = _optional_text()
    sso_user_id: str | None = _optional_text()
    models: list[str] = _names()
    user_metadata: dict[str, Any] = _metadata()


class SpendEndUser(Spender, table=True):
    """A customer: somebody for whom a service makes calls."""

    __tablename__ = "spend_end_users"

    user_id: str = _text(primary_key=True)
    alias: str | None = _optional_text()
    allowed_model_region: str | None = _optional_text()
    default_model: str | None = _optional_text()
    budget_id: str | None = _optional_text()
    blocked: bool = Field(default=False, nullable=False)
    models: list[str] = _names()


class SpendBudget(Limited, table=True):
    """A reusable set of limits.

    Args:
        window_since: When the window began in which the budget's duration was last changed.
    """

    __tablename__ = "spend_budgets"

    budget_id: str = _text(primary_key=True)
    soft_budget: Decimal | None = _limit()
    tpd_limit: int | None = _optional_count()
    model_max_budget: dict[str, Any] | None = Field(default=None, sa_type=JsonText)
    allowed_models: list[str] = _names()
    temp_budget_increase: Decimal | None = _limit()
    temp_budget_expiry: int | None = _optional_count()
    window_since: int = _count()
    created_at: int = _count()
    created_by: str = _text(default="", nullable=False)
    updated_at: int = _count()
    updated_by: str = _text(default="", nullable=False)


class SpendTag(Spender, table=True):
    """A tag that was registered, so that it can have a description and a budget."""

    __tablename__ = "spend_tags"

    tag_name: str = _text(primary_key=True)
    description: str | None = _optional_text()
    models: list[str] = _names()
    model_info: dict[str, Any] | None = Field(default=None, sa_type=JsonText)
    budget_id: str | None = _optional_text()
    created_by: str | None = _optional_text()


class SpendOrganization(Spender, table=True):
    """An organization: it holds teams and has a budget."""

    __tablename__ = "spend_organizations"

    organization_id: str = _text(primary_key=True)
    organization_alias: str = _text(default="", nullable=False)
    budget_id: str | None = _optional_text()
    organization_metadata: dict[str, Any] = _metadata()
    models: list[str] = _names()
    created_by: str = _text(default="", nullable=False)
    updated_by: str = _text(default="", nullable=False)


class SpendMembership(Spender, table=True):
    """One user in one team or organization (`kind` says which)."""

    __tablename__ = "spend_memberships"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "group_id", "user_id"),
        Index("spend_memberships_user", "user_id"),
    )

    kind: str = _text()
    group_id: str = _text()
    user_id: str = _text()
    role: str | None = _optional_text()
    user_email: str | None = _optional_text()
    position: int = _count()
    budget_id: str | None = _optional_text()
    total_since: int = _count()
    total_carried: Decimal = Field(default=Decimal(0), sa_type=Limit, nullable=False)


class SpendConfig(SpendModel, table=True):
    """One setting that every worker shares, such as the allowed addresses; `version` counts its changes."""

    __tablename__ = "spend_config"

    name: str = _text(primary_key=True)
    value: Any = Field(default=None, sa_type=JsonText, nullable=True)
    version: int = _count()
    updated_at: int = _count()


ENTITY_TABLES = (
    "spend_keys",
    "spend_teams",
    "spend_users",
    "spend_end_users",
    "spend_budgets",
    "spend_tags",
    "spend_organizations",
    "spend_memberships",
    "spend_config",
)


def entity_tables() -> Sequence[Table]:
    """Return the tables of this file, for the migrations."""
    return [SpendModel.metadata.tables[name] for name in ENTITY_TABLES]
