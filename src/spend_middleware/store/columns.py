"""What the tables of the ledger are made of: their base class, and the types of their columns."""

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Index, Text, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from spend_middleware.call import from_pico, to_pico

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


def text_field(**more: Any) -> Any:
    """Return a text that must be given."""
    return Field(sa_type=Name, **more)


def name_field() -> Any:
    """Return a text that is part of a rollup's key: '' stands for none."""
    return Field(default="", sa_type=Name, nullable=False)


def optional_text_field() -> Any:
    """Return a text that may be missing."""
    return Field(default=None, sa_type=Name)


def count_field() -> Any:
    """Return a number of 64 bits that begins at 0."""
    return Field(default=0, sa_type=BigInteger, nullable=False)


def optional_count_field() -> Any:
    """Return a number of 64 bits that may be missing."""
    return Field(default=None, sa_type=BigInteger)


def usd_field() -> Any:
    """Return an amount that may be unknown."""
    return Field(default=None, sa_type=Pico)


def room(percent: int) -> dict[str, Any]:
    """Return the option of PostgreSQL to fill a page so far only.

    A sum that is moved then finds room for its next version in its own page and no index changes
    (https://www.postgresql.org/docs/current/storage-hot.html).
    """
    return {"postgresql_with": {"fillfactor": percent}}


def partial_index(name: str, *columns: str, where: str) -> Index:
    """Return an index of some rows alone."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))
