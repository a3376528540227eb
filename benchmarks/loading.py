"""A ledger of any size in minutes: the calls of a middling company, written in bulk with their tags and rollups.

90 days, 40 models, 50 teams, 1,000 users, 2,000 keys, 20,000 customers and 500 tags, the popular ones far more often
than the others, 1 to 4 tags a call; two calls in a hundred failed, the four rarest models have no price, and half of
the calls belong to sessions of twenty. Rows are as wide as those of a service. Another count is the same company
with more calls.

Rollups are what the ledger itself would have added (`moves_of`), a day at a time; indexes that nothing needs
meanwhile are made when the rows are there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import Any

from sqlalchemy import Connection

from spend_middleware.ids import new_call_id
from spend_middleware.store.dialects import Tables, tables_for
from spend_middleware.store.engine import Address
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.moves import moves_of
from spend_middleware.store.records import AT, Values, values_of
from spend_middleware.store.row_tags import tag_columns
from spend_middleware.store.settle import settle

FIRST_DAY = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 90
BATCH = 5_000
MODELS, KEYS, CUSTOMERS, TAGS = 40, 2_000, 20_000, 500
UNPRICED = 36
"""The first model without a price."""

_DAY = 86_400_000_000
_START = int(FIRST_DAY.timestamp() * 1_000_000)
_USUAL = values_of(
    {
        "call_type": "completion",
        "api_base": "https://api.openai.com/v1",
        "endpoint": "/v1/chat/completions",
        "total_tokens": 1_000,
        "status_code": 200,
        "finish_reason": "stop",
        "usage_source": "reported",
        "pricing_status": "priced",
        "price_key": "openai/gpt-4o-mini",
        "price_version": "2026-11-01",
        "charges": json.dumps([["input", "812", "0.00000015", "0.0001218"]] * 2),
        "usage": json.dumps({"input_tokens": 812, "output_tokens": 188}),
        "raw_usage": json.dumps({"prompt_tokens": 812, "completion_tokens": 188, "total_tokens": 1_000}),
        "metadata": "{}",
        "user_agent": "OpenAI/Python 3.54.0",
    }
)
_OWN = (
    *("id", "request_id", "provider", "model", "model_group", "api_key", "user_id", "team_id"),
    *("organization_id", "end_user", "spend", "prompt_tokens", "completion_tokens", "start_time", "end_time"),
    *("status", "request_tags", "session_id", "trace_id"),
)
_PLACES = tuple(AT[name] for name in _OWN)


def _shares(names: int) -> list[float]:
    return list(accumulate(1 / (rank + 1) for rank in range(names)))


def _names(prefix: str, names: int) -> list[str]:
    return [f"{prefix}-{number:05d}" for number in range(names)]


class Population:
    """The calls of one company, as many as asked for, in the order of their start.

    Args:
        count: Calls in all.
    """

    def __init__(self, count: int, seed: int = 7) -> None:
        self.count = count
        self._dice = Random(seed)
        self._models, self._keys = _names("model", MODELS), _names("key", KEYS)
        self._customers, self._tags = _names("customer", CUSTOMERS), _names("tag", TAGS)
        self._shares = {size: _shares(size) for size in (MODELS, KEYS, CUSTOMERS, TAGS)}

    def days(self) -> Iterator[list[Values]]:
        """Yield the calls of each day."""
        done = 0
        for day in range(DAYS):
            end = -(-self.count * (day + 1) // DAYS)  # the first call of the next day
            yield self._some(done, end)
            done = end

    def _draw(self, size: int, times: int) -> list[int]:
        return self._dice.choices(range(size), cum_weights=self._shares[size], k=times)

    def _some(self, first: int, end: int) -> list[Values]:
        times = end - first
        drawn = zip(
            range(first, end),
            self._draw(MODELS, times),
            self._draw(KEYS, times),
            self._draw(CUSTOMERS, times),
            self._dice.choices((1, 2, 3, 4), k=times),
            strict=True,
        )
        tags = iter(self._draw(TAGS, times * 4))
        return [self._call(*parts, {self._tags[next(tags)] for _ in range(parts[-1])}) for parts in drawn]

    def _call(self, number: int, model: int, key: int, customer: int, _: int, tags: set[str]) -> Values:
        random = self._dice.random
        at = _START + DAYS * _DAY * number // self.count
        values: list[Any] = list(_USUAL)
        own = (
            new_call_id(at / 1e6, self._dice.randbytes(10)),
            f"chatcmpl-{number:032d}",
            f"provider-{model % 6}",
            self._models[model],
            self._models[model],
            self._keys[key],
            f"user-{key % 1_000:05d}",
            f"team-{key % 50:05d}",
            f"organization-{key % 5}",
            self._customers[customer],
            int(random() * 50_000_000_000),
            int(random() * 5_000),
            int(random() * 800),
            at,
            at + int(random() * 8_000_000),
            "success" if random() > 0.02 else "failure",
            json.dumps(sorted(tags)),
            f"session-{number // 20:09d}" if number // 20 % 2 else None,
            f"{number:032x}",
        )
        for place, value in zip(_PLACES, own, strict=True):
            values[place] = value
        if model >= UNPRICED:
            values[AT["spend"]], values[AT["pricing_status"]] = None, "unpriced"
            values[AT["unpriced_reason"]] = "no price is known for this model"
        return tuple(values)


def load(ledger: Ledger, count: int) -> float:
    """Write a population with its tags and rollups, and return the seconds it took."""
    began = time.perf_counter()
    ledger.prepare()
    address = ledger.database.address
    tables = tables_for(address)
    with ledger.database.engine.connect() as connection:
        in_bulk = _sqlite_in_bulk(connection) if address.is_sqlite else _postgres_in_bulk(connection, address)
        with in_bulk:
            for rows in Population(count).days():
                _write_day(connection, tables, rows)
                connection.commit()
    settle(ledger)  # what a running service does within minutes
    return time.perf_counter() - began


def _write_day(connection: Connection, tables: Tables, rows: list[Values]) -> None:
    for first in range(0, len(rows), BATCH):
        tables.insert(connection, rows[first : first + BATCH])
    tags = sorted(zip(*tag_columns(rows), strict=True))  # where they will stand
    for part in _parts(list(zip(*tags, strict=True))):
        tables.tag(connection, part)
    for table, columns in moves_of(rows, ["UTC"]).items():
        for some in _parts(columns):
            tables.move(connection, {table: some})


def _parts(columns: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    for first in range(0, len(columns[0]), BATCH):
        yield [column[first : first + BATCH] for column in columns]


@contextmanager
def _sqlite_in_bulk(connection: Connection) -> Iterator[None]:
    """Do without the journal and the indexes, and with more memory, while rows are written."""
    driver: Any = connection.connection.driver_connection
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = FILE"):
        driver.execute(f"PRAGMA {pragma}")
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    indexes = connection.exec_driver_sql(found).all()
    with _without(connection, indexes):
        yield
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        driver.execute(f"PRAGMA {pragma}")


@contextmanager
def _postgres_in_bulk(connection: Connection, address: Address) -> Iterator[None]:
    """Do without the indexes and without waiting for the disk, and gather statistics at the end."""
    found = """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE NOT indisprimary AND nspname = coalesce(%(schema)s, current_schema()) AND starts_with(relname, 'spend_')
    """
    connection.exec_driver_sql("SET synchronous_commit = off")
    connection.exec_driver_sql("SET maintenance_work_mem = '1GB'")
    indexes = connection.exec_driver_sql(found, {"schema": address.schema}).all()
    with _without(connection, indexes):
        yield
    connection.commit()
    connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
    connection.invalidate()  # with its settings


@contextmanager
def _without(connection: Connection, indexes: Sequence[Any]) -> Iterator[None]:
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    connection.commit()
    yield
    for _, statement in indexes:
        connection.exec_driver_sql(statement)
        connection.commit()
