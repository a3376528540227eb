"""What the ledger costs and carries: journal appends, rows per second into each database, and reports from it.

    python benchmarks/ledger.py [--rows 40000] [--processes 1 2 4] [--calls 100000 1000000 10000000]
        [--postgres postgresql://...]

`--calls` without a number leaves the reports out; they are those of `benchmarks/reports.py`.

Absolute figures belong to the machine; the ratio of ours (rows, tags and rollups) to a bare insert of the same rows,
measured in the same run, is what to compare.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reports import compare
from spend_middleware.call import new_call_id
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.records import Values, values_of

DAYS = 90
START = 1_795_435_200


def population(count: int, seed: int, whole: int = 10_000_000) -> Iterator[dict[str, Any]]:
    """Yield calls of 40 models, 50 teams, 1,000 users, 2,000 keys, 20,000 customers and 500 tags, in order of time.

    They are as dense in time as `whole` calls in 90 days are.
    """
    chance = random.Random(seed)
    zipf = [1 / (rank + 1) for rank in range(500)]
    tags = chance.choices(range(500), weights=zipf, k=count * 2)
    step = DAYS * 86400 / whole
    for number in range(count):
        start = START + number * step
        user = min(int(chance.paretovariate(1.1) * 10), 999)
        model = min(int(chance.paretovariate(1.2)), 40)
        prompt, completion = chance.randrange(50, 4000), chance.randrange(5, 900)
        micros = int(start * 1e6)
        usage = {"input_tokens": prompt, "output_tokens": completion}
        yield {
            "id": new_call_id(start),
            "request_id": f"chatcmpl-{chance.getrandbits(96):024x}",
            "call_type": "completion",
            "provider": f"provider-{model % 8}",
            "model": f"model-{model}",
            "model_group": f"model-{model}",
            "api_base": "https://api.openai.com/v1",
            "endpoint": "/v1/chat/completions",
            "api_key": f"{user * 2 + number % 2:064x}",
            "user_id": f"user-{user}",
            "team_id": f"team-{user % 50}",
            "end_user": f"customer-{min(int(chance.paretovariate(0.8) * 20), 19_999)}",
            "spend": prompt * 150_000 + completion * 600_000,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "start_time": micros,
            "end_time": micros + 900_000,
            "status_code": 200,
            "usage_source": "reported",
            "pricing_status": "priced",
            "price_key": "openai/gpt-4o-mini",
            "price_version": "2026-11-01",
            "charges": json.dumps([["input", str(prompt), "0.00000015", "0.0002"]]),
            "usage": json.dumps(usage),
            "raw_usage": json.dumps(
                {**usage, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}
            ),
            "request_tags": json.dumps([f"tag-{tags[number * 2]}", f"tag-{tags[number * 2 + 1]}"]),
            "metadata": "{}",
            "trace_id": f"{chance.getrandbits(128):032x}",
            "user_agent": "OpenAI/Python 3.54.0",
        }


def journal(folder: Path, count: int) -> None:
    """Print what one append and one start mark cost, without the writer beside them."""
    from spend_middleware.call import Attribution
    from spend_middleware.store.facts import encode_facts, started_facts
    from spend_middleware.store.journal import Journal
    from spend_middleware.store.lane import Lane
    from spend_middleware.store.records import MARK, ROW, encode_row

    rows = list(population(count, 1))
    owner = Attribution(key_hash="k" * 64, tags=("tag-1", "tag-2"))
    where = "api.openai.com", "/v1/chat/completions"
    marks = [
        started_facts(
            row["id"], "chat", row["provider"], row["model_group"], *where, row["start_time"], 0, owner
        )
        for row in rows
    ]
    for sync in ("off", "always"):
        part = rows if sync == "off" else rows[:2000]
        lane = Lane(Journal(folder / f"journal-{sync}", sync=sync))
        took, size = [], 0
        for row in part:
            began = time.perf_counter()
            body, values = encode_row(values_of(row))
            lane.put(ROW, values[0], body, values)
            took.append(time.perf_counter() - began)
            size += len(body)
        report(f"append, sync {sync}, {size // len(part)} B a record", took)
        if sync == "off":
            took = []
            for row, mark in zip(part, marks, strict=True):
                began = time.perf_counter()
                lane.put(MARK, row["id"], encode_facts(mark), None)
                took.append(time.perf_counter() - began)
            report("start mark", took)


def report(what: str, took: list[float]) -> None:
    micros = sorted(seconds * 1e6 for seconds in took)
    at = micros[int(len(micros) * 0.99)]
    print(f"{what:48} p50 {statistics.median(micros):7.1f} us   p99 {at:7.1f} us")


def batches(rows: list[Values], size: int = 2000) -> Iterator[list[Values]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def bare(database: Database, rows: list[Values]) -> float:
    """Return rows per second of inserting rows alone, in the way that we insert them."""
    ledger = Ledger(database)
    ledger.prepare()
    began = time.perf_counter()
    for batch in batches(rows):
        with database.writing.begin() as connection:
            ledger._tables.insert(connection, batch)
    return len(rows) / (time.perf_counter() - began)


def ours(url: str, seed: int, count: int, gate: Any, out: Any) -> None:
    """Write rows, tags and rollups from one process; the clock starts when all processes are ready."""
    rows = [values_of(row) for row in population(count, seed)]
    database = Database(Address(url))
    ledger = Ledger(database)
    ledger.prepare()
    gate.wait()
    began, cpu, waits, retries = time.perf_counter(), time.process_time(), [], 0
    for batch in batches(rows):
        start = time.perf_counter()
        while True:
            try:
                ledger.write(batch)
                break
            except Exception as error:
                retries += 1
                print(f"   retry: {type(error).__name__}", file=sys.stderr)
        waits.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / len(rows)
    out.put((began, time.perf_counter(), sorted(waits)[int(len(waits) * 0.99)], retries, cpu))
    database.close()


def several(url: str, processes: int, count: int) -> tuple[float, float, int, float]:
    context = multiprocessing.get_context("spawn")
    gate, out = context.Barrier(processes), context.Queue()
    each = count // processes
    workers = [context.Process(target=ours, args=(url, 100 + n, each, gate, out)) for n in range(processes)]
    for worker in workers:
        worker.start()
    found = [out.get() for _ in workers]
    for worker in workers:
        worker.join()
    begins, ends, waits, retries, cpus = zip(*found, strict=True)
    return each * processes / (max(ends) - min(begins)), max(waits), sum(retries), max(cpus)


def writing(name: str, urls: Iterator[str], count: int, processes: list[int]) -> None:
    database = Database(Address(next(urls)))
    rate = bare(database, [values_of(row) for row in population(count, 1)])
    database.close()
    print(f"{name + ', bare insert, 1 process':48} {rate:9,.0f} rows/s")
    for number in processes:
        full, wait, retries, cpu = several(next(urls), number, count)
        print(
            f"{f'{name}, with tags and rollups, {number} process(es)':48} {full:9,.0f} rows/s"
            f"   {full / rate:.2f} of bare   batch p99 {wait * 1e3:.0f} ms   retries {retries}"
            f"   CPU of a writer {cpu * 1e6:.0f} us a row"
        )


def sqlite_urls(folder: Path) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"sqlite:///{folder / f'bench-{number}.db'}"


def postgres_urls(server: str) -> Iterator[str]:
    import psycopg

    while True:
        schema = f"bench_{os.getpid()}_{random.getrandbits(32):x}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--calls", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--postgres", default=os.environ.get("TEST_POSTGRES_URL"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journal(Path(folder), min(chosen.rows, 20_000))
        writing("SQLite", sqlite_urls(Path(folder)), chosen.rows, chosen.processes)
        if chosen.postgres:
            writing("PostgreSQL", postgres_urls(chosen.postgres), chosen.rows, chosen.processes)
    if chosen.calls:
        compare("", chosen.calls)
        if chosen.postgres:
            compare(chosen.postgres, chosen.calls)


if __name__ == "__main__":
    main()
