"""LiteLLM's rows taken over: streamed, exact, and only once however often they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select

from spend_middleware.errors import ConfigurationError
from spend_middleware.store.import_rows import UnusableRow, row_of
from spend_middleware.store.ledger import Ledger, is_refusal, said
from spend_middleware.store.records import AT, Values
from spend_middleware.store.report_sources import LOGS
from spend_middleware.store.zones import rows_since

SPEND_LOGS = "LiteLLM_SpendLogs"

_AT_ONCE = 1_000
_SHOWN = 100
_ID, _REQUEST_ID, _START = AT["id"], AT["request_id"], AT["start_time"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not taken: its position in what was given, its id where it has one, and why."""

    position: int
    key: str
    reason: str


@dataclass(slots=True)
class Imported:
    """What became of one table's rows.

    Args:
        imported: Rows that are new.
        present: Rows that were there already.
        refused: Rows that cannot be used; `refusals` names the first hundred of them.
        reasons: Reason -> how many rows were refused for it.
    """

    imported: int = 0
    present: int = 0
    refused: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, position: int, key: str, reason: str) -> None:
        """Count one row that cannot be used."""
        self.refused += 1
        if reason in self.reasons or len(self.reasons) < _SHOWN:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if len(self.refusals) < _SHOWN:
            self.refusals.append(Refusal(position, key[:200], reason))


Importer = Callable[[Ledger, Iterable[Row]], Imported]

IMPORTERS: dict[str, Importer] = {}
"""LiteLLM's table name -> what takes its rows, in the order in which tables are taken."""


def importer(table: str) -> Callable[[Importer], Importer]:
    """Register what takes the rows of one of LiteLLM's tables; the last one registered wins."""

    def register(function: Importer) -> Importer:
        IMPORTERS[table] = function
        return function

    return register


def import_litellm(ledger: Ledger, tables: Mapping[str, Iterable[Row]]) -> dict[str, Imported]:
    """Take over the rows of LiteLLM's tables, given by table name.

    Raises:
        ConfigurationError: A table is not one that can be taken over; nothing was imported.
    """
    unknown = sorted(tables.keys() - IMPORTERS.keys())
    if unknown:
        known = ", ".join(sorted(IMPORTERS))
        raise ConfigurationError(f"{unknown[0]!r} cannot be imported: the tables that can are {known}")
    ledger.prepare()
    return {name: take(ledger, tables[name]) for name, take in IMPORTERS.items() if name in tables}


@importer(SPEND_LOGS)
def import_calls(ledger: Ledger, rows: Iterable[Row]) -> Imported:
    """Take over LiteLLM's spend logs: rows, tags and rollups in one transaction for each thousand."""
    result = Imported()
    with ledger.database.engine.connect() as connection:
        kept = rows_since(connection)
    numbered = _usable(rows, result, kept)
    while batch := list(islice(numbered, _AT_ONCE)):
        _write(ledger, batch, result)
    return result


def _usable(rows: Iterable[Row], result: Imported, kept: int | None) -> Iterator[tuple[int, Values]]:
    for position, row in enumerate(rows):
        try:
            values = row_of(row)
        except UnusableRow as error:
            result.refuse(position, error.request_id, str(error))
            continue
        if kept is not None and values[_START] < kept:
            # Its like may have been here and have gone; counting it again would be worse than leaving it out.
            result.refuse(
                position, values[_REQUEST_ID], "it is older than the rows that retention_days keeps"
            )
            continue
        yield position, values


def _write(ledger: Ledger, batch: list[tuple[int, Values]], result: Imported) -> None:
    """Write one batch; one that the database refuses is halved until the row that it means is found."""
    try:
        with ledger.database.writing.begin() as connection:
            fresh = _not_there(connection, [values for _, values in batch])
            written = ledger.write_in(connection, fresh) if fresh else 0
    except Exception as error:
        if not is_refusal(error):
            raise
        if len(batch) == 1:
            position, values = batch[0]
            result.refuse(position, values[_REQUEST_ID], said(error))
            return
        middle = len(batch) // 2
        _write(ledger, batch[:middle], result)
        _write(ledger, batch[middle:], result)
        return
    result.imported += written
    result.present += len(batch) - written


def _not_there(connection: Connection, batch: list[Values]) -> list[Values]:
    """Return a batch's rows that were not imported before, sorted by id, each once.

    An id is made from the request id and the start: its end tells that a request is here already, even if another
    export gave its start in another precision.
    """
    named = [values[_REQUEST_ID] for values in batch]
    found = connection.scalars(select(LOGS.c.id).where(LOGS.c.request_id.in_(named)))
    there = {_end(log_id) for log_id in found}
    fresh = {_end(values[_ID]): values for values in reversed(batch) if _end(values[_ID]) not in there}
    return sorted(fresh.values(), key=lambda values: str(values[_ID]))


def _end(log_id: str) -> str:
    return log_id[14:]
