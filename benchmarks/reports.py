"""How long each report takes at growing sizes of one population, on SQLite and on PostgreSQL.

    python benchmarks/reports.py                      # SQLite, 100 thousand and 1 million calls
    python benchmarks/reports.py --calls 100000 1000000 10000000 --url postgresql://localhost/bench

The population is that of a middling company: 90 days, 40 models, 50 teams, 1,000 users, 2,000 keys, 20,000 customers
and 500 tags, the popular ones far more often than the others, 1 to 4 tags a call. Every size is a database of its own;
PostgreSQL gets a schema of its own that is dropped afterwards.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Table, func, insert, literal, select, text

from spend_middleware.call import new_call_id
from spend_middleware.settings import Settings
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.ledger import Ledger, tables_for
from spend_middleware.store.records import Values, values_of
from spend_middleware.store.report_sources import CALL_SUMS, CUSTOMERS, DAILY, LOGS, NAMES, TAGS, TOTALS
from spend_middleware.store.report_values import EVERYTHING, By, Filter, LogFilter, Period
from spend_middleware.store.reports import Reports
from spend_middleware.store.rollups import CUSTOMER, KINDS, SUMS, WIDE
from spend_middleware.store.row_tags import tag_columns

FIRST_DAY = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 90
BATCH = 5_000
REPEATS = 7


class Zipf:
    """Names of which the first are far more frequent than the last."""

    def __init__(self, prefix: str, count: int, dice: random.Random) -> None:
        self.names = [f"{prefix}-{number:05d}" for number in range(count)]
        self._shares = list(accumulate(1 / (rank + 1) for rank in range(count)))
        self._dice = dice

    def draw(self) -> str:
        """Return one of the names."""
        return self.names[bisect(self._shares, self._dice.random() * self._shares[-1])]


def population(count: int, seed: int = 7) -> Iterator[Values]:
    """Yield calls in the order of their start."""
    dice = random.Random(seed)
    models, keys = Zipf("model", 40, dice), Zipf("key", 2_000, dice)
    customers, tags = Zipf("customer", 20_000, dice), Zipf("tag", 500, dice)
    start, span = int(FIRST_DAY.timestamp() * 1_000_000), DAYS * 86_400_000_000
    for number in range(count):
        at = start + span * number // count
        key, model = keys.draw(), models.draw()
        owner = int(key[-5:])
        yield values_of(
            {
                "id": new_call_id(at / 1e6, dice.randbytes(10)),
                "request_id": f"chatcmpl-{number:032d}",
                "call_type": "completion",
                "provider": f"provider-{int(model[-5:]) % 6}",
                "model": model,
                "model_group": model,
                "endpoint": "/v1/chat/completions",
                "api_key": key,
                "user_id": f"user-{owner % 1_000:05d}",
                "team_id": f"team-{owner % 50:05d}",
                "organization_id": f"organization-{owner % 5}",
                "end_user": customers.draw(),
                "spend": dice.randrange(50_000_000_000),
                "prompt_tokens": dice.randrange(5_000),
                "completion_tokens": dice.randrange(800),
                "total_tokens": 1_000,
                "start_time": at,
                "end_time": at + dice.randrange(8_000_000),
                "usage_source": "reported",
                "pricing_status": "priced",
                "request_tags": json.dumps(list({tags.draw() for _ in range(dice.randint(1, 4))})),
            }
        )


def fill(ledger: Ledger, count: int) -> float:
    """Write a population, rows first and then every rollup with one statement, and return the seconds it took."""
    began = time.perf_counter()
    ledger.prepare()
    tables = tables_for(ledger.database.address)
    calls = population(count)
    while batch := list(islice(calls, BATCH)):
        with ledger.database.writing.begin() as connection:
            tables.insert(connection, batch)
            tables.tag(connection, tag_columns(batch))
    with ledger.database.writing.begin() as connection:
        roll_up(connection)
    return time.perf_counter() - began


def roll_up(connection: Connection) -> None:
    """Fill the rollups of UTC from the rows."""
    seconds = LOGS.c.start_time // 1_000_000
    if connection.dialect.name == "sqlite":
        day = func.strftime("%Y-%m-%d", seconds, "unixepoch")
    else:
        day = func.to_char(func.timezone("UTC", func.to_timestamp(seconds)), "YYYY-MM-DD")
    for table, names in ((DAILY, WIDE), (CUSTOMERS, CUSTOMER)):
        own = [LOGS.c[name] for name in names]
        _insert(connection, table, (literal("UTC"), day), ("zone", "day"), names, own, LOGS)
    for kind, column in KINDS.items():
        rows: FromClause = LOGS
        name: ColumnElement[str] = LOGS.c[column] if column else literal("")
        if kind == "tag":
            rows, name = LOGS.join(TAGS, TAGS.c.log_id == LOGS.c.id), TAGS.c.tag
        if kind != "untagged":
            _insert(
                connection,
                NAMES,
                (literal(kind), literal("UTC"), day),
                ("kind", "zone", "day"),
                ("name",),
                [name],
                rows,
            )
    sums = [func.sum(NAMES.c[name]) for name in SUMS]
    totals = select(NAMES.c.kind, NAMES.c.name, literal(0), *sums).group_by(NAMES.c.kind, NAMES.c.name)
    connection.execute(insert(TOTALS).from_select(["kind", "name", "slot", *SUMS], totals))


def _insert(
    connection: Connection,
    table: Table,
    fixed: Sequence[ColumnElement[Any]],
    fixed_names: Sequence[str],
    names: Sequence[str],
    own: Sequence[ColumnElement[Any]],
    rows: FromClause,
) -> None:
    key = [*fixed, *own]
    grouped = (
        select(*key, literal(0), *CALL_SUMS)
        .select_from(rows)
        .group_by(*(text(str(at + 1)) for at in range(len(key))))
    )
    connection.execute(insert(table).from_select([*fixed_names, *names, "slot", *SUMS], grouped))


def questions(reports: Reports) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by the name of its line."""
    last = date(2026, 8, 29)
    all_days, one_day = Period(start=FIRST_DAY.date(), end=last), Period(start=last, end=last)
    two_months = Period(start=date(2026, 7, 1), end=last)
    month = Period(start=date(2026, 8, 1), end=last)
    by, key, day = reports.by, Filter(api_key=("key-00500",)), By.DAY
    return {
        "tags, all time": lambda: reports.tags(EVERYTHING),
        "tags, 90 days": lambda: reports.tags(EVERYTHING, all_days),
        "tags, the last 60 days": lambda: reports.tags(EVERYTHING, two_months),
        "total by team": lambda: by([By.TEAM], EVERYTHING, all_days),
        "total by model": lambda: by([By.MODEL], EVERYTHING, all_days),
        "total by provider": lambda: by([By.PROVIDER], EVERYTHING, all_days),
        "total by key": lambda: by([By.KEY], EVERYTHING, all_days, limit=100),
        "total by team, 60 days": lambda: by([By.TEAM], EVERYTHING, two_months),
        "total by day": lambda: by([day], EVERYTHING, all_days),
        "one tag by day": lambda: by([day], EVERYTHING, all_days, Filter(tag=("tag-00020",))),
        "one key by day": lambda: by([day], EVERYTHING, all_days, key),
        "one user by day": lambda: by([day], EVERYTHING, all_days, Filter(user_id=("user-00500",))),
        "one customer by day": lambda: by([day], EVERYTHING, all_days, Filter(end_user=("customer-00050",))),
        "one key, its models": lambda: list(reports.by_key(EVERYTHING, all_days, key)),
        "key's spend since a moment": lambda: reports.spend_since(
            By.KEY, "key-00500", datetime(2026, 8, 1, 13, 37, tzinfo=UTC), EVERYTHING
        ),
        "summary of a key": lambda: list(reports.daily_summary(EVERYTHING, all_days, key)),
        "one user's daily activity": lambda: reports.daily_activity(
            By.USER, EVERYTHING, month, Filter(user_id=("user-00500",))
        ),
        "newest 50 calls": lambda: reports.logs(EVERYTHING, LogFilter()),
        "newest 50 of a rare key": lambda: reports.logs(EVERYTHING, LogFilter(api_key=("key-01999",))),
        "newest 50 of a tag": lambda: reports.logs(EVERYTHING, LogFilter(tag=("tag-00020",))),
        "page 1,000 of the calls": lambda: reports.logs(EVERYTHING, LogFilter(), offset=49_950),
        "one request id": lambda: reports.logs(EVERYTHING, LogFilter(request_id=f"chatcmpl-{50_000:032d}")),
        "team report, one day": lambda: list(reports.daily_groups([By.TEAM], EVERYTHING, one_day)),
        "customer report, one day": lambda: list(reports.daily_groups([By.END_USER], EVERYTHING, one_day)),
        "all keys, their models": lambda: list(reports.by_key(EVERYTHING, all_days)),
        "tags, 90 days of Kathmandu": lambda: reports.tags(
            EVERYTHING, Period(start=all_days.start, end=all_days.end, zone="Asia/Kathmandu")
        ),
    }


def measure(reports: Reports, clock: Callable[[], float]) -> dict[str, float]:
    """Return the milliseconds of each question, the best of several: other work on the machine only adds.

    Args:
        clock: Of the processors that work for an answer.
    """
    found = {}
    for name, ask in questions(reports).items():
        took = []
        for _ in range(REPEATS):
            began = clock()
            ask()
            took.append((clock() - began) * 1_000)
            if sum(took) > 10_000:
                break
        found[name] = min(took)
    return found


def processors(database: Database) -> Callable[[], float]:
    """Return a clock of the processor time of this process and of a PostgreSQL's on this machine; else of the wall.

    The reports use one connection, and so one process of the server's.
    """
    if database.address.is_sqlite:
        return time.process_time
    with database.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        title = connection.execute(text("SHOW cluster_name")).scalar() or "postgres"
    used, command = Path(f"/proc/{pid}/schedstat"), Path(f"/proc/{pid}/cmdline")
    if not used.exists() or title not in command.read_text():
        print("PostgreSQL is on another machine: times are the wall's", file=sys.stderr)
        return time.perf_counter
    return lambda: time.process_time() + int(used.read_text().split()[0]) / 1e9


def at_size(url: str, count: int) -> tuple[dict[str, float], float]:
    """Return the milliseconds of each question over so many calls, and the seconds that writing them took."""
    with tempfile.TemporaryDirectory() as folder:
        schema = f"spend_bench_{count}" if url else None
        database = Database(Address(url or f"sqlite:///{Path(folder) / 'spend.db'}", schema))
        ledger = Ledger(database)
        try:
            seconds = fill(ledger, count)
            if schema:  # what its autovacuum does within a minute; nobody does it for SQLite
                with database.engine.connect() as connection:
                    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
            reports = Reports(database.engine, Settings(database_url=url or "sqlite://"))
            return measure(reports, processors(database)), seconds
        finally:
            if schema:
                with database.engine.begin() as connection:
                    connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
            database.close()


def compare(url: str, sizes: Sequence[int]) -> None:
    """Print a table: a line for each question, a column for each size, and how much slower the largest is."""
    columns = []
    for count in sizes:
        answers, seconds = at_size(url, count)
        print(f"{count:,} calls written in {seconds:.0f} s ({count / seconds:,.0f} rows/s)", file=sys.stderr)
        columns.append(answers)
    print(f"\n{url.rsplit('@', maxsplit=1)[-1] or 'SQLite'}, ms of CPU, best of {REPEATS}")
    print(f"{'report':28}" + "".join(f"{count:>14,}" for count in sizes) + f"{'ratio':>9}")
    for name in columns[0]:
        cells = [column[name] for column in columns]
        print(f"{name:28}" + "".join(f"{cell:14.2f}" for cell in cells) + f"{cells[-1] / cells[0]:9.2f}")


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--url", default="", help="a PostgreSQL; SQLite in a temporary folder without one")
    arguments = parser.parse_args()
    compare(arguments.url, arguments.calls)


if __name__ == "__main__":
    main()
