"""The tables of the ledger, on a registry of our own, so that a host's `create_all()` never makes or sees them.

Money is whole pico-dollars (1e-12 USD) in BIGINT, times are microseconds since the epoch in UTC, `''` stands for
"none" in every column that is part of a rollup's key, and days are text such as `2026-11-23`.

Rollups hold only additive values (`Sums`): add them up over `slot`, `zone`'s days, or any group of keys. Their spend
is split in two, so that no sum overflows 64 bits: `spend_micros` whole micro-dollars and `spend_rest` pico-dollars;
the amount is `spend_micros * 1_000_000 + spend_rest` pico-dollars, put together in Python. An adjustment is added to
the rollups of its call's own day. Rollups exist for zone `UTC` and for the zones named in `spend_meta['rollups']`
(see `spans.Rolled`): a writer reads that row, locked FOR SHARE, in the transaction of every batch; whoever fills a new
zone from the rows locks it FOR UPDATE, fills, and adds the zone's name. In the same way days that are over are added
up into spans of 4, 16 and 64 days (`settle`); the row says up to which day, and who moves an earlier one moves its
spans too.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Index, PrimaryKeyConstraint, SmallInteger, Text, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from spend_middleware.call import from_pico, to_pico
from spend_middleware.store.rollups import KINDS, MICRO, SUMS

__all__ = [
    "KINDS",
    "MICRO",
    "SUMS",
    "UTC_ZONE",
    "Name",
    "Pico",
    "SpendAdjustment",
    "SpendCustomerDaily",
    "SpendDaily",
    "SpendDayLines",
    "SpendLog",
    "SpendLogTag",
    "SpendMeta",
    "SpendModel",
    "SpendNameDaily",
    "SpendNameSpan",
    "SpendNameTotal",
    "SpendSpan",
    "Sums",
]

UTC_ZONE = "UTC"
"""The zone whose days every rollup has."""


Name = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that both databases compare byte by byte: quick in an index, and the same order everywhere."""


class Pico(TypeDecorator[Decimal]):
    """USD as `Decimal` in Python and as whole pico-dollars in a BIGINT column."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return the pico-dollars of an amount."""
        return None if value is None else to_pico(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Return the exact amount of stored pico-dollars."""
        return None if value is None else from_pico(value)


class SpendModel(SQLModel, registry=registry()):
    """The base class of every table of this package."""


def _text(**more: Any) -> Any:
    return Field(sa_type=Name, **more)


def _name() -> Any:
    return Field(default="", sa_type=Name, nullable=False)


def _optional_text() -> Any:
    return Field(default=None, sa_type=Name)


def _count() -> Any:
    return Field(default=0, sa_type=BigInteger, nullable=False)


def _optional_count() -> Any:
    return Field(default=None, sa_type=BigInteger)


def _usd() -> Any:
    return Field(default=None, sa_type=Pico)


def _room(percent: int) -> dict[str, Any]:
    """Return the option of PostgreSQL to fill a page so far only.

    A sum that is moved then finds room for its next version in its own page and no index changes
    (https://www.postgresql.org/docs/current/storage-hot.html).
    """
    return {"postgresql_with": {"fillfactor": percent}}


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


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
            _partial(
                f"spend_logs_{column.removesuffix('_id')}", column, "start_time", where=f"{column} <> ''"
            )
            for column in OWNED
        ),
        *(
            _partial(f"spend_logs_{column.removesuffix('_id')}", column, where=f"{column} IS NOT NULL")
            for column in ("request_id", "session_id", "trace_id")
        ),
        _partial(
            "spend_logs_unpriced",
            *("provider", "model", "unpriced_reason", "start_time"),
            where="spend IS NULL",
        ),
    )

    id: str = _text(primary_key=True)
    request_id: str | None = _optional_text()
    call_type: str = _name()
    provider: str = _name()
    model: str = _name()
    model_group: str = _name()
    api_base: str = _name()
    endpoint: str = _name()
    api_key: str = _name()
    key_alias: str | None = _optional_text()
    user_id: str = _name()
    team_id: str = _name()
    organization_id: str = _name()
    end_user: str = _name()
    spend: Decimal | None = _usd()
    reported_cost: Decimal | None = _usd()
    list_cost: Decimal | None = _usd()
    prompt_tokens: int = _count()
    completion_tokens: int = _count()
    total_tokens: int = _count()
    cache_read_input_tokens: int = _count()
    cache_creation_input_tokens: int = _count()
    reasoning_tokens: int = _count()
    start_time: int = _count()
    end_time: int = _count()
    completion_start_time: int | None = _optional_count()
    status: str = _name()
    status_code: int | None = _optional_count()
    error_type: str | None = _optional_text()
    attempt: int = _count()
    stream: bool = Field(default=False, nullable=False)
    finish_reason: str | None = _optional_text()
    service_tier: str | None = _optional_text()
    usage_source: str = _name()
    usage_note: str | None = _optional_text()
    pricing_status: str = _name()
    unpriced_reason: str | None = _optional_text()
    price_key: str | None = _optional_text()
    price_version: str | None = _optional_text()
    charges: str | None = _optional_text()
    usage: str | None = _optional_text()
    raw_usage: str | None = _optional_text()
    request_tags: str | None = _optional_text()
    # `metadata` is SQLAlchemy's own attribute on a mapped class, so the attribute has another name than its column.
    log_metadata: str | None = Field(default=None, sa_type=Name, sa_column_kwargs={"name": "metadata"})
    session_id: str | None = _optional_text()
    trace_id: str | None = _optional_text()
    agent_id: str | None = _optional_text()
    requester_ip_address: str | None = _optional_text()
    user_agent: str | None = _optional_text()


class SpendLogTag(SpendModel, table=True):
    """One tag of one row: finds the rows of a tag; the tags of a row are in its `request_tags`."""

    __tablename__ = "spend_log_tags"
    __table_args__ = (
        PrimaryKeyConstraint("tag", "start_time", "log_id"),
        {"sqlite_with_rowid": False},
    )

    tag: str = _text()
    start_time: int = Field(sa_type=BigInteger)
    log_id: str = _text()


class Sums(SpendModel):
    """The additive values of every rollup."""

    spend_micros: int = _count()
    spend_rest: int = _count()
    prompt_tokens: int = _count()
    completion_tokens: int = _count()
    cache_read_input_tokens: int = _count()
    cache_creation_input_tokens: int = _count()
    reasoning_tokens: int = _count()
    requests: int = _count()
    successes: int = _count()
    failures: int = _count()
    unpriced: int = _count()
    estimated: int = _count()
    duration: int = _count()  # microseconds


class SpendDaily(Sums, table=True):
    """The wide rollup: a row a day for each combination of owner, model and endpoint, for drilling down."""

    # An ordinary table: five indexes that each repeat a nine-column key would outweigh the row itself.
    __tablename__ = "spend_daily"
    __table_args__ = (
        PrimaryKeyConstraint(
            "zone",
            "day",
            "api_key",
            "model",
            "team_id",
            "user_id",
            "organization_id",
            "model_group",
            "provider",
            "endpoint",
            "slot",
        ),
        Index("spend_daily_key", "api_key", "zone", "day"),
        Index("spend_daily_user", "user_id", "zone", "day"),
        Index("spend_daily_team", "team_id", "zone", "day"),
        Index("spend_daily_organization", "organization_id", "zone", "day"),
        _room(70),
    )

    zone: str = _text()
    day: str = _text()
    api_key: str = _text()
    model: str = _text()
    team_id: str = _text()
    user_id: str = _text()
    organization_id: str = _text()
    model_group: str = _text()
    provider: str = _text()
    endpoint: str = _text()
    slot: int = Field(sa_type=SmallInteger)


class SpendCustomerDaily(Sums, table=True):
    """A row a day for each combination of customer, key, model and team."""

    __tablename__ = "spend_customer_daily"
    __table_args__ = (
        PrimaryKeyConstraint("zone", "day", "end_user", "api_key", "model", "team_id", "slot"),
        Index("spend_customer_daily_end_user", "end_user", "zone", "day"),
        {"sqlite_with_rowid": False, **_room(85)},
    )

    zone: str = _text()
    day: str = _text()
    end_user: str = _text()
    api_key: str = _text()
    model: str = _text()
    team_id: str = _text()
    slot: int = Field(sa_type=SmallInteger)


class SpendNameDaily(Sums, table=True):
    """The narrow rollups in one table: a row a day for each name of each kind (see `KINDS`)."""

    __tablename__ = "spend_name_daily"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "zone", "day", "name", "slot"),
        Index("spend_name_daily_name", "kind", "name", "zone", "day"),
        {"sqlite_with_rowid": False, **_room(60)},
    )

    kind: str = _text()
    zone: str = _text()
    day: str = _text()
    name: str = _text()
    slot: int = Field(sa_type=SmallInteger)


class SpendNameTotal(Sums, table=True):
    """A row over all time for each name of each kind: what `/spend/tags` without dates, or a key's spend, asks for."""

    __tablename__ = "spend_name_totals"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "name", "slot"),
        {"sqlite_with_rowid": False, **_room(50)},
    )

    kind: str = _text()
    name: str = _text()
    slot: int = Field(sa_type=SmallInteger)


class SpendNameSpan(Sums, table=True):
    """What `spend_name_daily` holds, over the days of a span (see `spans`)."""

    __tablename__ = "spend_name_spans"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "zone", "span", "name"),
        {"sqlite_with_rowid": False},
    )

    kind: str = _text()
    zone: str = _text()
    span: str = _text()
    name: str = _text()


class SpendSpan(Sums, table=True):
    """What `spend_daily` holds, over the days of a span."""

    __tablename__ = "spend_spans"
    __table_args__ = (
        PrimaryKeyConstraint(
            "zone",
            "span",
            "api_key",
            "model",
            "team_id",
            "user_id",
            "organization_id",
            "model_group",
            "provider",
            "endpoint",
        ),
        Index("spend_spans_user", "user_id", "zone", "span"),
        Index("spend_spans_team", "team_id", "zone", "span"),
        Index("spend_spans_organization", "organization_id", "zone", "span"),
    )

    zone: str = _text()
    span: str = _text()
    api_key: str = _text()
    model: str = _text()
    team_id: str = _text()
    user_id: str = _text()
    organization_id: str = _text()
    model_group: str = _text()
    provider: str = _text()
    endpoint: str = _text()


class SpendDayLines(SpendModel, table=True):
    """How many lines of daily activity the names of a kind have on a day that is over (see `day_lines`)."""

    __tablename__ = "spend_day_lines"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "zone", "day", "name"),
        {"sqlite_with_rowid": False},
    )

    kind: str = _text()
    zone: str = _text()
    day: str = _text()
    name: str = _text()
    lines: int = _count()
    calls: int = _count()  # that the day had when its lines were counted


class SpendAdjustment(SpendModel, table=True):
    """A signed correction of one call's spend: who made it, when, why, and the row it belongs to."""

    __tablename__ = "spend_adjustments"
    __table_args__ = (
        Index("spend_adjustments_log", "log_id"),
        Index("spend_adjustments_start", "start_time"),
    )

    id: str = _text(primary_key=True)
    log_id: str = _text()
    kind: str = _text()  # reprice, refund, correction, write_off
    amount: Decimal = Field(sa_type=Pico)
    made_at: int = Field(sa_type=BigInteger)
    made_by: str = _name()
    reason: str = _name()
    # Of the call: its start, so that the day of a correction is the day of the call in every zone.
    start_time: int = Field(sa_type=BigInteger)
    # 1 where a call without a price got its first one (the rollups' `unpriced` fell by one), else 0.
    priced: int = Field(default=0, sa_type=SmallInteger, nullable=False)
    price_key: str | None = _optional_text()
    price_version: str | None = _optional_text()
    charges: str | None = _optional_text()


class SpendMeta(SpendModel, table=True):
    """Facts about the ledger itself, such as the zones that have rollups."""

    __tablename__ = "spend_meta"
    __table_args__ = ({"sqlite_with_rowid": False},)

    name: str = _text(primary_key=True)
    value: str = _name()
