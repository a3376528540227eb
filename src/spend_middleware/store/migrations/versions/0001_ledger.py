"""The ledger: rows, tags, rollups, adjustments and facts about the ledger itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SUMS = (
    "spend_micros",
    "spend_rest",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "requests",
    "successes",
    "failures",
    "unpriced",
    "estimated",
    "duration",
)
WIDE = ("api_key", "model", "team_id", "user_id", "organization_id", "model_group", "provider", "endpoint")


# Compared byte by byte: quick in an index, and the same order on every database.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def names(*columns: str) -> list[sa.Column[str]]:
    """Return text columns that are never NULL."""
    return [sa.Column(column, Name, nullable=False) for column in columns]


def texts(*columns: str) -> list[sa.Column[str]]:
    """Return text columns."""
    return [sa.Column(column, Name) for column in columns]


def counts(*columns: str) -> list[sa.Column[int]]:
    """Return whole numbers that are never NULL."""
    return [sa.Column(column, sa.BigInteger, nullable=False) for column in columns]


def numbers(*columns: str) -> list[sa.Column[int]]:
    """Return whole numbers."""
    return [sa.Column(column, sa.BigInteger) for column in columns]


def small(column: str) -> sa.Column[int]:
    """Return a small whole number that is never NULL."""
    return sa.Column(column, sa.SmallInteger, nullable=False)


def upgrade(op: Operations) -> None:
    """Make the tables."""
    schema = op.migration_context.opts.get("spend_schema")
    _rows(op, schema)
    _tags(op, schema)
    _wide(op, schema)
    _customers(op, schema)
    _narrow(op, schema)
    _spans(op, schema)
    _adjustments(op, schema)
    meta = op.create_table(
        "spend_meta",
        *names("name", "value"),
        sa.PrimaryKeyConstraint("name"),
        schema=schema,
        sqlite_with_rowid=False,
    )
    op.bulk_insert(meta, [{"name": "rollups", "value": "{}"}])


def _rows(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_logs",
        sa.Column("id", Name, primary_key=True),
        *texts("request_id"),
        *names("call_type", "provider", "model", "model_group", "api_base", "endpoint", "api_key"),
        *texts("key_alias"),
        *names("user_id", "team_id", "organization_id", "end_user"),
        *numbers("spend", "reported_cost", "list_cost"),
        *counts("prompt_tokens", "completion_tokens", "total_tokens"),
        *counts("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens"),
        *counts("start_time", "end_time"),
        *numbers("completion_start_time"),
        *names("status"),
        *numbers("status_code"),
        *texts("error_type"),
        *counts("attempt"),
        sa.Column("stream", sa.Boolean, nullable=False),
        *texts("finish_reason", "service_tier"),
        *names("usage_source"),
        *texts("usage_note"),
        *names("pricing_status"),
        *texts(
            "unpriced_reason", "price_key", "price_version", "charges", "usage", "raw_usage", "request_tags"
        ),
        *texts("metadata", "session_id", "trace_id", "agent_id", "requester_ip_address", "user_agent"),
        schema=schema,
    )
    op.create_index("spend_logs_start", "spend_logs", ["start_time"], schema=schema)
    op.create_index("spend_logs_key", "spend_logs", ["api_key", "start_time"], schema=schema)
    # Many services fill none of these columns: rows that say nothing there cost nothing.
    for index, column in (("user", "user_id"), ("team", "team_id"), ("end_user", "end_user")):
        _partial_index(op, schema, index, [column, "start_time"], f"{column} <> ''")
    for index in ("request", "session", "trace"):
        _partial_index(op, schema, index, [f"{index}_id"], f"{index}_id IS NOT NULL")
    why = ["provider", "model", "unpriced_reason"]
    _partial_index(op, schema, "unpriced", [*why, "start_time"], "spend IS NULL")


def _partial_index(op: Operations, schema: str | None, name: str, columns: list[str], where: str) -> None:
    op.create_index(
        f"spend_logs_{name}",
        "spend_logs",
        columns,
        schema=schema,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def _tags(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_log_tags",
        *names("tag"),
        *counts("start_time"),
        *names("log_id"),
        sa.PrimaryKeyConstraint("tag", "start_time", "log_id"),
        schema=schema,
        sqlite_with_rowid=False,
    )


# Keys stand before values: SQLite's integrity_check takes other tables WITHOUT ROWID for damaged (seen in 3.40).
def _wide(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_daily",
        *names("zone", "day", *WIDE),
        small("slot"),
        *counts(*SUMS),
        sa.PrimaryKeyConstraint("zone", "day", *WIDE, "slot"),
        schema=schema,
        postgresql_with={"fillfactor": 70},  # room for the next version of a sum, so that no index changes
    )
    for index, column in (
        ("key", "api_key"),
        ("user", "user_id"),
        ("team", "team_id"),
        ("organization", "organization_id"),
    ):
        op.create_index(f"spend_daily_{index}", "spend_daily", [column, "zone", "day"], schema=schema)


def _customers(op: Operations, schema: str | None) -> None:
    key = ("zone", "day", "end_user", "api_key", "model", "team_id")
    op.create_table(
        "spend_customer_daily",
        *names(*key),
        small("slot"),
        *counts(*SUMS),
        sa.PrimaryKeyConstraint(*key, "slot"),
        schema=schema,
        postgresql_with={"fillfactor": 85},
        sqlite_with_rowid=False,
    )
    op.create_index(
        "spend_customer_daily_end_user", "spend_customer_daily", ["end_user", "zone", "day"], schema=schema
    )


def _narrow(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_name_daily",
        *names("kind", "zone", "day", "name"),
        small("slot"),
        *counts(*SUMS),
        sa.PrimaryKeyConstraint("kind", "zone", "day", "name", "slot"),
        schema=schema,
        postgresql_with={"fillfactor": 60},
        sqlite_with_rowid=False,
    )
    op.create_index(
        "spend_name_daily_name", "spend_name_daily", ["kind", "name", "zone", "day"], schema=schema
    )
    op.create_table(
        "spend_name_totals",
        *names("kind", "name"),
        small("slot"),
        *counts(*SUMS),
        sa.PrimaryKeyConstraint("kind", "name", "slot"),
        schema=schema,
        postgresql_with={"fillfactor": 50},
        sqlite_with_rowid=False,
    )


# The sums of several days, written when these are over: filled once, hardly ever changed.
def _spans(op: Operations, schema: str | None) -> None:
    key = ("kind", "zone", "span", "name")
    op.create_table(
        "spend_name_spans",
        *names(*key),
        *counts(*SUMS),
        sa.PrimaryKeyConstraint(*key),
        schema=schema,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spend_spans",
        *names("zone", "span", *WIDE),
        *counts(*SUMS),
        sa.PrimaryKeyConstraint("zone", "span", *WIDE),
        schema=schema,
    )
    for index, column in (("user", "user_id"), ("team", "team_id"), ("organization", "organization_id")):
        op.create_index(f"spend_spans_{index}", "spend_spans", [column, "zone", "span"], schema=schema)
    op.create_table(
        "spend_day_lines",
        *names("kind", "zone", "day", "name"),
        *counts("lines", "calls"),
        sa.PrimaryKeyConstraint("kind", "zone", "day", "name"),
        schema=schema,
        sqlite_with_rowid=False,
    )


def _adjustments(op: Operations, schema: str | None) -> None:
    op.create_table(
        "spend_adjustments",
        sa.Column("id", Name, primary_key=True),
        *names("log_id", "kind"),
        *counts("amount", "made_at"),
        *names("made_by", "reason"),
        *counts("start_time"),
        small("priced"),
        *texts("price_key", "price_version", "charges"),
        schema=schema,
    )
    op.create_index("spend_adjustments_log", "spend_adjustments", ["log_id"], schema=schema)
    op.create_index("spend_adjustments_start", "spend_adjustments", ["start_time"], schema=schema)
