"""Which statements write to a database: the same few for each dialect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy.engine import Connection

from spend_middleware.store.engine import Address
from spend_middleware.store.postgres import PostgresTables
from spend_middleware.store.records import Values
from spend_middleware.store.rollups import Moves
from spend_middleware.store.spans import Rolled
from spend_middleware.store.sqlite import SqliteTables


class Tables(Protocol):
    """The statements that write a batch, in one database's dialect."""

    def rolled(self, connection: Connection) -> Rolled:
        """Return which zones have rollups, and which days are settled."""
        ...

    def write(
        self,
        connection: Connection,
        batch: Sequence[Values],
        zones: Sequence[str],
        slot: int,
        *,
        settled: str = "",
        new: bool = False,
    ) -> int:
        """Write a batch and all that it moves, and return how many of its rows were new.

        Where `new` is set, all of them are believed to be new; the database may fail on one that is not.
        """
        ...

    def insert(self, connection: Connection, rows: list[Values]) -> Iterable[Values]:
        """Insert the rows that are not there yet, and return these."""
        ...

    def tag(self, connection: Connection, tags: Sequence[Sequence[Any]]) -> None:
        """Insert the tags of new rows, given as columns."""
        ...

    def move(self, connection: Connection, moves: Moves) -> None:
        """Add to the rollups."""
        ...


def tables_for(address: Address) -> Tables:
    """Return the statements for a database."""
    return SqliteTables() if address.is_sqlite else PostgresTables(address.schema)
