"""Transactions in which no writer moves a rollup: for repairing, settling, filling a zone, forgetting a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import Connection, select

from spend_middleware.store.engine import Database
from spend_middleware.store.report_sources import META


class Prepared(Protocol):
    """A ledger as far as jobs on its tables need it: the writer's own `Ledger` calls some of them."""

    @property
    def database(self) -> Database:
        """Where the tables are."""
        ...

    def prepare(self) -> None:
        """Connect, and bring the schema up to date."""
        ...


@contextmanager
def alone(ledger: Prepared) -> Iterator[Connection]:
    """Give a transaction that every writer waits for.

    On SQLite any writing transaction is alone. On PostgreSQL each batch holds the row `rollups` of `spend_meta` FOR SHARE, so
    holding it FOR UPDATE keeps them all out; calls wait in the journal meanwhile.
    """
    ledger.prepare()
    with ledger.database.writing.begin() as connection:
        connection.execute(select(META.c.value).where(META.c.name == "rollups").with_for_update())
        yield connection
