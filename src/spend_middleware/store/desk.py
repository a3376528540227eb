"""One transaction on the directory, which every worker hears of when it has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, select

from spend_middleware.store.engine import WRITES
from spend_middleware.store.entities import SpendConfig

Row = TypeVar("Row", bound=SQLModel)

ENTITIES: Final = "entities"
"""The name of the counter that every write moves."""

MANY: Final = 500
"""Values in one IN list: below the variable limit of every SQLite."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One transaction on the directory.

    Args:
        now: When it began, in microseconds since the epoch.
        actor: The user id in whose name rows are written.
    """

    session: Session
    now: int
    zone: tzinfo
    actor: str

    def get(self, model: type[Row], key: Any) -> Row | None:
        """Return the row with a primary key, None when there is none."""
        return self.session.get(model, key)

    def some(self, model: type[Row], column: Any, values: Sequence[str]) -> list[Row]:
        """Return the rows whose column holds one of the values, in any number, ordered by that column."""
        found: list[Row] = []
        wanted = sorted(set(values))
        for start in range(0, len(wanted), MANY):
            chunk = wanted[start : start + MANY]
            found += self.session.exec(
                select(model).where(col(column).in_(chunk)).order_by(col(column))
            ).all()
        return found


@contextmanager
def writing(engine: Engine, now: int, zone: tzinfo = UTC, actor: str = "") -> Iterator[Desk]:
    """Open a transaction that writes and moves the counter of changes: all of it or nothing of it.

    Writers stand in line at the counter's row, so what one of them has checked holds until it commits.
    """
    with Session(engine.execution_options(**{WRITES: True}), expire_on_commit=False) as session:
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        row = insert(SpendConfig).values(name=ENTITIES, value=None, version=1, updated_at=now)
        change = {"version": SpendConfig.version + 1, "updated_at": now}
        session.execute(row.on_conflict_do_update(index_elements=["name"], set_=change))
        yield Desk(session, now, zone, actor)
        session.commit()
