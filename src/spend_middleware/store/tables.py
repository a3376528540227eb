"""The tables of the ledger, on a registry of our own, so that a host's `create_all()` never makes or sees them.

Money is whole pico-dollars (1e-12 USD) in BIGINT, times are microseconds since the epoch in UTC, `''` stands for
"none" in every column that is part of a rollup's key, and days are text such as `2026-11-23`. The rollups' own tables
are in `rollup_tables`.
"""

from decimal import Decimal

from sqlalchemy import BigInteger, Index, PrimaryKeyConstraint, SmallInteger
from sqlmodel import Field

from spend_middleware.store import rollup_tables  # noqa: F401 - registers them
from spend_middleware.store.columns import (
    Name,
    Pico,
    SpendModel,
    count_field,
    name_field,
    optional_count_field,
    optional_text_field,
    partial_index,
    text_field,
    usd_field,
)

OWNED = ("user_id", "team_id", "end_user")
"""Columns that many services never fill: their indexes hold the rows that have something there.

A question must say so (`user_id <> ''` beside `user_id = 'x'`), or SQLite does not use them.
"""


class SpendLog(SpendModel, table=True):
    """One wire attempt of one call; never edited once it is written (see `SpendAdjustment`)."""

    __tablename__ = "spend_logs"
    __table_args__ = (
        Index("spend_logs_start", "start_time"),
        Index("spend_logs_key", "api_key", "start_time"),
        *(
            partial_index(
                f"spend_logs_{column.removesuffix('_id')}", column, "start_time", where=f"{column} <> ''"
            )
            for column in OWNED
        ),
        *(
            partial_index(f"spend_logs_{column.removesuffix('_id')}", column, where=f"{column} IS NOT NULL")
            for column in ("request_id", "session_id", "trace_id")
        ),
        partial_index(
            "spend_logs_unpriced",
            *("provider", "model", "unpriced_reason", "start_time"),
            where="spend IS NULL",
        ),
    )

    id: str = text_field(primary_key=True)
    request_id: str | None = optional_text_field()
    call_type: str = name_field()
    provider: str = name_field()
    model: str = name_field()
    model_group: str = name_field()
    api_base: str = name_field()
    endpoint: str = name_field()
    api_key: str = name_field()
    key_alias: str | None = optional_text_field()
    user_id: str = name_field()
    team_id: str = name_field()
    organization_id: str = name_field()
    end_user: str = name_field()
    spend: Decimal | None = usd_field()
    reported_cost: Decimal | None = usd_field()
    list_cost: Decimal | None = usd_field()
    prompt_tokens: int = count_field()
    completion_tokens: int = count_field()
    total_tokens: int = count_field()
    cache_read_input_tokens: int = count_field()
    cache_creation_input_tokens: int = count_field()
    reasoning_tokens: int = count_field()
    start_time: int = count_field()
    end_time: int = count_field()
    completion_start_time: int | None = optional_count_field()
    status: str = name_field()
    status_code: int | None = optional_count_field()
    error_type: str | None = optional_text_field()
    attempt: int = count_field()
    stream: bool = Field(default=False, nullable=False)
    finish_reason: str | None = optional_text_field()
    service_tier: str | None = optional_text_field()
    usage_source: str = name_field()
    usage_note: str | None = optional_text_field()
    pricing_status: str = name_field()
    unpriced_reason: str | None = optional_text_field()
    price_key: str | None = optional_text_field()
    price_version: str | None = optional_text_field()
    charges: str | None = optional_text_field()
    usage: str | None = optional_text_field()
    raw_usage: str | None = optional_text_field()
    request_tags: str | None = optional_text_field()
    # `metadata` is SQLAlchemy's own attribute on a mapped class, so the attribute has another name than its column.
    log_metadata: str | None = Field(default=None, sa_type=Name, sa_column_kwargs={"name": "metadata"})
    session_id: str | None = optional_text_field()
    trace_id: str | None = optional_text_field()
    agent_id: str | None = optional_text_field()
    requester_ip_address: str | None = optional_text_field()
    user_agent: str | None = optional_text_field()


class SpendLogTag(SpendModel, table=True):
    """One tag of one row: finds the rows of a tag; the tags of a row are in its `request_tags`."""

    __tablename__ = "spend_log_tags"
    __table_args__ = (
        PrimaryKeyConstraint("tag", "start_time", "log_id"),
        {"sqlite_with_rowid": False},
    )

    tag: str = text_field()
    start_time: int = Field(sa_type=BigInteger)
    log_id: str = text_field()


class SpendAdjustment(SpendModel, table=True):
    """A signed correction of one call's spend: who made it, when, why, and the row it belongs to."""

    __tablename__ = "spend_adjustments"
    __table_args__ = (
        Index("spend_adjustments_log", "log_id"),
        Index("spend_adjustments_start", "start_time"),
    )

    id: str = text_field(primary_key=True)
    log_id: str = text_field()
    kind: str = text_field()  # reprice, refund, correction, write_off
    amount: Decimal = Field(sa_type=Pico)
    made_at: int = Field(sa_type=BigInteger)
    made_by: str = name_field()
    reason: str = name_field()
    # Of the call: its start, so that the day of a correction is the day of the call in every zone.
    start_time: int = Field(sa_type=BigInteger)
    # 1 where a call without a price got its first one (the rollups' `unpriced` fell by one), else 0.
    priced: int = Field(default=0, sa_type=SmallInteger, nullable=False)
    price_key: str | None = optional_text_field()
    price_version: str | None = optional_text_field()
    charges: str | None = optional_text_field()


class SpendMeta(SpendModel, table=True):
    """Facts about the ledger itself, such as the zones that have rollups."""

    __tablename__ = "spend_meta"
    __table_args__ = ({"sqlite_with_rowid": False},)

    name: str = text_field(primary_key=True)
    value: str = name_field()
