"""How long each report takes at growing sizes of one population, on SQLite and on PostgreSQL.

    python benchmarks/reports.py                      # SQLite, 100 thousand and 1 million calls
    python benchmarks/reports.py --calls 100000 1000000 10000000 --url postgresql://localhost/bench
    python benchmarks/reports.py --calls 100000 10000000 --keep ledgers --routes

The population is that of `loading.py`. Every size is a database of its own, which is thrown away afterwards: a file,
or a schema of PostgreSQL; with --keep a folder or a name of yours, it stays and is measured again the next time.
Ten million calls take 15 GB and a quarter of an hour. --routes asks the whole service over HTTP in place of the store.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from loading import FIRST_DAY, load
from spend_middleware.settings import Settings
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.report_values import EVERYTHING, By, Filter, Period
from spend_middleware.store.reports import Reports
from spend_middleware.store.rows_values import LogFilter

REPEATS = 7


def questions(reports: Reports) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by the name of its line."""
    last = date(2026, 8, 29)
    all_days, one_day = Period(start=FIRST_DAY.date(), end=last), Period(start=last, end=last)
    two_months = Period(start=date(2026, 7, 1), end=last)
    middle = Period(start=date(2026, 6, 12), end=date(2026, 8, 17))
    month = Period(start=date(2026, 8, 1), end=last)
    by, key, day = reports.by, Filter(api_key=("key-00500",)), By.DAY
    return {
        "tags, all time": lambda: reports.tags(EVERYTHING),
        "tags, 90 days": lambda: reports.tags(EVERYTHING, all_days),
        "tags, the last 60 days": lambda: reports.tags(EVERYTHING, two_months),
        "tags, 67 days in the middle": lambda: reports.tags(EVERYTHING, middle),
        "total by team": lambda: by([By.TEAM], EVERYTHING, all_days),
        "total by model": lambda: by([By.MODEL], EVERYTHING, all_days),
        "total by provider": lambda: by([By.PROVIDER], EVERYTHING, all_days),
        "total by key": lambda: by([By.KEY], EVERYTHING, all_days, limit=100),
        "total by user": lambda: by([By.USER], EVERYTHING, all_days, limit=100),
        "total by customer": lambda: by([By.END_USER], EVERYTHING, all_days, limit=100),
        "total by team, 60 days": lambda: by([By.TEAM], EVERYTHING, two_months),
        "total by key, 67 days": lambda: by([By.KEY], EVERYTHING, middle, limit=100),
        "total by customer, 67 days": lambda: by([By.END_USER], EVERYTHING, middle, limit=100),
        "total by day": lambda: by([day], EVERYTHING, all_days),
        "one tag by day": lambda: by([day], EVERYTHING, all_days, Filter(tag=("tag-00020",))),
        "one key by day": lambda: by([day], EVERYTHING, all_days, key),
        "one user by day": lambda: by([day], EVERYTHING, all_days, Filter(user_id=("user-00500",))),
        "one customer by day": lambda: by([day], EVERYTHING, all_days, Filter(end_user=("customer-00050",))),
        "one key, its models": lambda: list(reports.by_key(EVERYTHING, all_days, key)),
        "one user, its models": lambda: list(
            reports.by_key(EVERYTHING, middle, Filter(user_id=("user-00500",)))
        ),
        "one team, its models": lambda: list(
            reports.by_key(EVERYTHING, middle, Filter(team_id=("team-00020",)))
        ),
        "key's spend since a moment": lambda: reports.spend_since(
            By.KEY, "key-00500", datetime(2026, 8, 1, 13, 37, tzinfo=UTC), EVERYTHING
        ),
        "summary of a key": lambda: list(reports.daily_summary(EVERYTHING, all_days, key)),
        "one user's daily activity": lambda: reports.daily_activity(
            By.USER, EVERYTHING, month, Filter(user_id=("user-00500",))
        ),
        "everybody's daily activity": lambda: reports.daily_activity(By.USER, EVERYTHING, month),
        "newest 50 calls": lambda: reports.logs(EVERYTHING, LogFilter()),
        "newest 50 of a rare key": lambda: reports.logs(EVERYTHING, LogFilter(api_key=("key-01999",))),
        "newest 50 of a tag": lambda: reports.logs(EVERYTHING, LogFilter(tag=("tag-00020",))),
        "page 1,000 of the calls": lambda: reports.logs(EVERYTHING, LogFilter(), offset=49_950),
        "one request id": lambda: reports.logs(EVERYTHING, LogFilter(request_id=f"chatcmpl-{50_000:032d}")),
        "newest 50 of a user": lambda: reports.logs(EVERYTHING, LogFilter(user_id=("user-00500",))),
        "newest 50 of a customer": lambda: reports.logs(EVERYTHING, LogFilter(end_user=("customer-00050",))),
        "one session": lambda: reports.logs(EVERYTHING, LogFilter(session_id="session-000000101")),
        "newest 50 sessions": lambda: reports.logs(EVERYTHING, LogFilter(by_session=True)),
        "unpriced": lambda: reports.unpriced(EVERYTHING),
        "unpriced, 60 days": lambda: reports.unpriced(EVERYTHING, two_months),
        "team report, one day": lambda: list(reports.daily_groups([By.TEAM], EVERYTHING, one_day)),
        "customer report, one day": lambda: list(reports.daily_groups([By.END_USER], EVERYTHING, one_day)),
        "all keys, their models": lambda: list(reports.by_key(EVERYTHING, all_days)),
        "tags, 90 days of Kathmandu": lambda: reports.tags(
            EVERYTHING, Period(start=all_days.start, end=all_days.end, zone="Asia/Kathmandu")
        ),
    }


def measure(reports: Reports, clock: Callable[[], float]) -> dict[str, tuple[float, int]]:
    """Return the milliseconds of each question, and the size of its answer.

    The best of several: other work on the machine only adds.

    Args:
        clock: Of the processors that work for an answer.
    """
    found = {}
    for name, ask in questions(reports).items():
        took = []
        for _ in range(REPEATS):
            began = clock()
            answer = ask()
            took.append((clock() - began) * 1_000)
            if sum(took) > 10_000:
                break
        found[name] = min(took), len(pickle.dumps(answer))
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


@contextmanager
def ledger_of(url: str, count: int, keep: str | None) -> Iterator[Database]:
    """Give a database with so many calls; without `keep` it is thrown away afterwards.

    Args:
        url: A PostgreSQL; SQLite when empty.
        keep: The folder of the file, or what the schema's name begins with.
    """
    schema = f"{keep or 'spend_bench'}_{count}" if url else None
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Address(url or f"sqlite:///{Path(keep or folder) / f'{count}.db'}", schema))
        try:
            if not _is_there(database):
                seconds = load(Ledger(database), count)
                rate = count / seconds
                print(f"{count:,} calls written in {seconds:.0f} s ({rate:,.0f} rows/s)", file=sys.stderr)
            yield database
        finally:
            if schema and not keep:
                with database.engine.begin() as connection:
                    connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
            database.close()


def _is_there(database: Database) -> bool:
    return inspect(database.engine).has_table("spend_logs", schema=database.address.schema)


def compare(url: str, sizes: Sequence[int], keep: str | None = None) -> None:
    """Print a table: a line for each question, a column for each size, and how much slower the largest is."""
    columns = []
    for count in sizes:
        with ledger_of(url, count, keep) as database:
            reports = Reports(database.engine, Settings(database_url=url or "sqlite://"))
            columns.append(measure(reports, processors(database)))
    print(f"\n{url.rsplit('@', maxsplit=1)[-1] or 'SQLite'}, ms of CPU, best of {REPEATS}")
    table(sizes, columns)


def table(sizes: Sequence[int], columns: Sequence[dict[str, tuple[float, int]]]) -> None:
    """Print a line for each name: a column for each size, the ratio of each to the first, and how the answer has grown.

    An answer that took more than twice as long, and grew less than that, is marked.
    """
    ratios = "".join(f"{f'/ {sizes[0]:,}':>12}" for _ in sizes[1:])
    print(f"{'':40}" + "".join(f"{count:>14,}" for count in sizes) + ratios + f"{'answer':>12}")
    for name in columns[0]:
        cells = [column[name][0] for column in columns]
        grown = [cell / cells[0] for cell in cells[1:]] or [1.0]
        answer = columns[-1][name][1] / columns[0][name][1]
        line = "".join(f"{cell:14.2f}" for cell in cells) + "".join(f"{ratio:12.2f}" for ratio in grown)
        print(f"{name:40}{line}{answer:12.2f}" + ("  !" if grown[-1] > max(2, answer) else ""))


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--url", default="", help="a PostgreSQL; SQLite in a temporary folder without one")
    parser.add_argument("--keep", help="a folder (SQLite), or what the name of a schema begins with")
    parser.add_argument("--routes", action="store_true", help="ask over HTTP")
    arguments = parser.parse_args()
    if arguments.routes:
        import routes

        routes.compare(arguments.url, arguments.calls, arguments.keep)
    else:
        compare(arguments.url, arguments.calls, arguments.keep)


if __name__ == "__main__":
    main()
