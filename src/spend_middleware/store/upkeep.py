"""What changes the ledger beside the writer: adjusting, repricing, verifying, importing, retaining, forgetting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import Engine

from spend_middleware.guard import Guard
from spend_middleware.settings import Settings
from spend_middleware.store import import_entities  # noqa: F401 - registers its tables
from spend_middleware.store.adjust import Adjusted, Entry, adjust
from spend_middleware.store.desk import writing
from spend_middleware.store.forget import Forgotten, forget
from spend_middleware.store.importing import Imported, import_litellm
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.reprice import Pricer, Repricing, reprice
from spend_middleware.store.retention import Retained, retain
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.settle import settle
from spend_middleware.store.verify import Verification, verify
from spend_middleware.store.zone_fill import fill_zone

_telling = Guard("telling of a change")


class Kept(Protocol):
    """What these jobs need of the store whose ledger they keep."""

    @property
    def ledger(self) -> Ledger:
        """The database as the writer sees it."""
        ...

    @property
    def engine(self) -> Engine:
        """The engine for reading."""
        ...

    def flush(self) -> int:
        """Wait until the journal is in the database, and return how many calls are not."""
        ...

    def health(self) -> dict[str, Any]:
        """Return what waits and what was set aside, among other things."""
        ...


class Upkeep:
    """The rare jobs of a ledger; each works in small transactions and can be repeated without harm.

    Args:
        store: Whose ledger and journal.
        settings: Gives the default time zone and the retention.
    """

    def __init__(self, store: Kept, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    @property
    def _reader(self) -> Reader:
        # Never the replica: what is written next depends on what is read here.
        return Reader(self._store.engine, self._settings.timezone, seconds=3_600.0)

    def adjust(self, entries: Iterable[Entry]) -> Adjusted:
        """Make signed entries that change what calls count for."""
        found = adjust(self._store.ledger, entries)
        self._tell(found.made)
        return found

    def reprice(
        self,
        price: Pricer,
        where: LogFilter,
        *,
        dry_run: bool = True,
        made_by: str = "",
        reason: str = "repriced",
    ) -> Repricing:
        """Price rows again, and enter the differences unless it is a dry run."""
        found = reprice(
            self._store.ledger, self._reader, price, where, dry_run=dry_run, made_by=made_by, reason=reason
        )
        self._tell(found.made)
        return found

    def _tell(self, changes: int) -> None:
        """Move the counter of changes: what keys have spent is another amount now, for every worker that knows one."""
        if changes:
            # What was to be done is done, whether others hear of it now or later.
            with _telling, writing(self._store.engine, int(time.time() * 1_000_000)):
                pass

    def verify(self, *, repair: bool = False) -> Verification:
        """Compare rollups with rows, and say what waits in the journal and what was set aside."""
        found = verify(self._store.ledger, self._reader, repair=repair)
        health = self._store.health()
        found.waiting, found.set_aside = health["pending"], health["set_aside"]
        self._tell(int(repair))
        return found

    def forget(self, *, end_user: str) -> Forgotten:
        """Erase a person; what waits in the journal is written first, so that it is erased too."""
        self._store.flush()
        return forget(self._store.ledger, end_user)

    def import_litellm(self, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, Imported]:
        """Take over LiteLLM's rows, by table name."""
        found = import_litellm(self._store.ledger, tables)
        self._tell(sum(table.imported for table in found.values()))
        return found

    def fill_zone(self, name: str) -> int:
        """Give a time zone rollups."""
        return fill_zone(self._store.ledger, name)

    def settle(self, *, steps: int) -> int:
        """Add up days that are over, in so many steps at most, and return how many were due."""
        left = iter(range(steps))
        return settle(self._store.ledger, go_on=lambda: next(left, None) is not None)

    def retain(self, days: int | None = None) -> Retained | None:
        """Delete rows older than so many days, `settings.retention_days` when None; None when all rows are kept."""
        days = days or self._settings.retention_days
        return None if days is None else retain(self._store.ledger, days)
