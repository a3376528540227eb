"""The tables of the rollups: sums by day, by span of days and over all time.

Rollups hold only additive values (`Sums`): add them up over `slot`, `zone`'s days, or any group of keys. Their spend
is split in two, so that no sum overflows 64 bits: `spend_micros` whole micro-dollars and `spend_rest` pico-dollars;
the amount is `spend_micros * 1_000_000 + spend_rest` pico-dollars, put together in Python. An adjustment is added to
the rollups of its call's own day. Rollups exist for zone `UTC` and for the zones named in `spend_meta['rollups']`
(see `spans.Rolled`): a writer reads that row, locked FOR SHARE, in the transaction of every batch; whoever fills a new
zone from the rows locks it FOR UPDATE, fills, and adds the zone's name. In the same way days that are over are added
up into spans of 4, 16 and 64 days (`settle`); the row says up to which day, and who moves an earlier one moves its
spans too.
"""

from sqlalchemy import Index, PrimaryKeyConstraint, SmallInteger
from sqlmodel import Field

from spend_middleware.store.columns import (
    SpendModel,
    count_field,
    room,
    text_field,
)


class Sums(SpendModel):
    """The additive values of every rollup."""

    spend_micros: int = count_field()
    spend_rest: int = count_field()
    prompt_tokens: int = count_field()
    completion_tokens: int = count_field()
    cache_read_input_tokens: int = count_field()
    cache_creation_input_tokens: int = count_field()
    reasoning_tokens: int = count_field()
    requests: int = count_field()
    successes: int = count_field()
    failures: int = count_field()
    unpriced: int = count_field()
    estimated: int = count_field()
    duration: int = count_field()  # microseconds


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
        room(70),
    )

    zone: str = text_field()
    day: str = text_field()
    api_key: str = text_field()
    model: str = text_field()
    team_id: str = text_field()
    user_id: str = text_field()
    organization_id: str = text_field()
    model_group: str = text_field()
    provider: str = text_field()
    endpoint: str = text_field()
    slot: int = Field(sa_type=SmallInteger)


class SpendCustomerDaily(Sums, table=True):
    """A row a day for each combination of customer, key, model and team."""

    __tablename__ = "spend_customer_daily"
    __table_args__ = (
        PrimaryKeyConstraint("zone", "day", "end_user", "api_key", "model", "team_id", "slot"),
        Index("spend_customer_daily_end_user", "end_user", "zone", "day"),
        {"sqlite_with_rowid": False, **room(85)},
    )

    zone: str = text_field()
    day: str = text_field()
    end_user: str = text_field()
    api_key: str = text_field()
    model: str = text_field()
    team_id: str = text_field()
    slot: int = Field(sa_type=SmallInteger)


class SpendNameDaily(Sums, table=True):
    """The narrow rollups in one table: a row a day for each name of each kind (see `KINDS`)."""

    __tablename__ = "spend_name_daily"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "zone", "day", "name", "slot"),
        Index("spend_name_daily_name", "kind", "name", "zone", "day"),
        {"sqlite_with_rowid": False, **room(60)},
    )

    kind: str = text_field()
    zone: str = text_field()
    day: str = text_field()
    name: str = text_field()
    slot: int = Field(sa_type=SmallInteger)


class SpendNameTotal(Sums, table=True):
    """A row over all time for each name of each kind: what `/spend/tags` without dates, or a key's spend, asks for."""

    __tablename__ = "spend_name_totals"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "name", "slot"),
        {"sqlite_with_rowid": False, **room(50)},
    )

    kind: str = text_field()
    name: str = text_field()
    slot: int = Field(sa_type=SmallInteger)


class SpendNameSpan(Sums, table=True):
    """What `spend_name_daily` holds, over the days of a span (see `spans`)."""

    __tablename__ = "spend_name_spans"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "zone", "span", "name"),
        {"sqlite_with_rowid": False},
    )

    kind: str = text_field()
    zone: str = text_field()
    span: str = text_field()
    name: str = text_field()


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

    zone: str = text_field()
    span: str = text_field()
    api_key: str = text_field()
    model: str = text_field()
    team_id: str = text_field()
    user_id: str = text_field()
    organization_id: str = text_field()
    model_group: str = text_field()
    provider: str = text_field()
    endpoint: str = text_field()


class SpendDayLines(SpendModel, table=True):
    """How many lines of daily activity the names of a kind have on a day that is over (see `day_lines`)."""

    __tablename__ = "spend_day_lines"
    __table_args__ = (
        PrimaryKeyConstraint("kind", "zone", "day", "name"),
        {"sqlite_with_rowid": False},
    )

    kind: str = text_field()
    zone: str = text_field()
    day: str = text_field()
    name: str = text_field()
    lines: int = count_field()
    calls: int = count_field()  # that the day had when its lines were counted
