"""What the ledger costs and carries: journal appends, rows per second into each database, and reports from it.

    python benchmarks/ledger.py [--rows 40000] [--batch 5000] [--processes 1 2 4]
        [--calls 100000 1000000 10000000] [--postgres postgresql://...]

`--calls` without a number leaves the reports out; they are those of `benchmarks/reports.py`.

Three kinds of calls are written, each with its tags and rollups in the same transaction: those of a company as they
come, the same with every call on any of 90 days (as when old calls are imported; most rollup rows then stand for one
call), and those of one service today, whose many calls share few names. A batch is as large as the writer's when it
is behind; the last line is that of a service with 300 calls a second, whose batches are small.

Absolute figures belong to the machine; the ratio of ours to a bare insert of the same rows into the same table and
indexes, measured in the same run, is what to compare, and the processors' time, which other work disturbs less.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from reports import compare, processors
from spend_middleware.call import Attribution, Call, Charge, Cost, PricingStatus, Usage, UsageSource
from spend_middleware.ids import new_call_id
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.facts import encode_call, encode_started
from spend_middleware.store.journal import Journal
from spend_middleware.store.lane import Lane
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.records import MARK, ROW, Values, values_of

DAYS = 90
START = 1_795_435_200
SMALL = 60
"""Rows of a batch where 300 come in a second."""


def company(count: int, seed: int, *, any_day: bool = False) -> Iterator[dict[str, Any]]:
    """Yield calls of 40 models, 50 teams, 1,000 users, 2,000 keys, 20,000 customers and 500 tags, 1 to 4 a call.

    They come in order and as dense in time as ten million calls in 90 days, or each at any moment of the 90 days.
    """
    chance = random.Random(seed)
    tags = [f"tag-{number}" for number in range(500)]
    zipf = list(accumulate(1 / (rank + 1) for rank in range(500)))
    for number in range(count):
        start = START + DAYS * 86400 * (chance.random() if any_day else number / 10_000_000)
        user = min(int(chance.paretovariate(1.1) * 10), 999)
        model = min(int(chance.paretovariate(1.2)), 40)
        own = set(chance.choices(tags, cum_weights=zipf, k=chance.randint(1, 4)))
        yield {
            **call(chance, start),
            "provider": f"provider-{model % 8}",
            "model": f"model-{model}",
            "model_group": f"model-{model}",
            "api_key": f"{user * 2 + number % 2:064x}",
            "user_id": f"user-{user}",
            "team_id": f"team-{user % 50}",
            "end_user": f"customer-{min(int(chance.paretovariate(0.8) * 20), 19_999)}",
            "request_tags": json.dumps(sorted(own)),
            "trace_id": f"{chance.getrandbits(128):032x}",
        }


def service(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield today's calls of one service: one key, two models, three jobs, and nobody named."""
    chance = random.Random(seed)
    for number in range(count):
        yield {
            **call(chance, START + number / 300),
            "provider": "openai",
            "model": chance.choice(("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")),
            "model_group": "gpt-4o",
            "api_key": "ab" * 32,
            "request_tags": json.dumps(["service:chat", chance.choice(("job:a", "job:b", "job:c"))]),
        }


def call(chance: random.Random, start: float) -> dict[str, Any]:
    """Return what any call has."""
    prompt, completion, cached = chance.randrange(50, 4000), chance.randrange(5, 900), chance.randrange(50)
    micros = int(start * 1e6)
    usage = {"input_tokens": prompt, "output_tokens": completion, "cache_read_tokens": cached}
    return {
        "id": new_call_id(start),
        "request_id": f"chatcmpl-{chance.getrandbits(96):024x}",
        "call_type": "completion",
        "api_base": "https://api.openai.com/v1",
        "endpoint": "/v1/chat/completions",
        "spend": prompt * 150_000 + completion * 600_000,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "cache_read_input_tokens": cached,
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
            {**usage, "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0}}
        ),
        "metadata": "{}",
        "user_agent": "OpenAI/Python 3.54.0",
    }


KINDS: dict[str, Callable[[int, int], Iterator[dict[str, Any]]]] = {
    "as they come": company,
    "any of 90 days": partial(company, any_day=True),
    "one service, today": service,
}


def finished(count: int) -> list[Call]:
    """Return calls as they are when they end."""
    usage = Usage(input_tokens=1200, output_tokens=250, cache_read_tokens=100)
    parts = (("input", 1100, "1.5E-7"), ("cache_read", 100, "7.5E-8"), ("output", 250, "6E-7"))
    charges = tuple(
        Charge(meter, Decimal(count), Decimal(price), count * Decimal(price)) for meter, count, price in parts
    )
    amount = sum((charge.amount for charge in charges), Decimal())
    raw = {
        "prompt_tokens": 1200,
        "completion_tokens": 250,
        "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    return [
        Call(
            call_id=new_call_id(START + number),
            provider="openai",
            operation="completion",
            request_model="gpt-4o-mini",
            response_model="gpt-4o-mini-2024-07-18",
            response_id=f"chatcmpl-{number:032x}",
            api_base="https://api.openai.com/v1",
            endpoint="/v1/chat/completions",
            started_at=START + number,
            ended_at=START + number + 0.9,
            status_code=200,
            usage=usage,
            usage_source=UsageSource.REPORTED,
            raw_usage=raw,
            attribution=Attribution(tags=("service:chat", f"job:{number % 3}"), end_user="palantir"),
            cost=Cost(
                amount=amount, status=PricingStatus.PRICED, charges=charges, price_key="openai/gpt-4o-mini"
            ),
        )
        for number in range(count)
    ]


def journal(folder: Path, count: int) -> None:
    """Print what one append and one start mark cost, without the writer beside them."""
    calls = finished(count)
    always = Lane(Journal(folder / "journal-always", sync="always"))
    lane = Lane(Journal(folder / "journal"))
    for name, into, part in (("off", lane, calls), ("always", always, calls[:2000])):
        took, size = [], 0
        for call in part:
            began = time.perf_counter()
            body = encode_call(call)
            into.put(ROW, call.call_id, body, body)
            took.append(time.perf_counter() - began)
            size += len(body)
        report(f"append, sync {name}, {size // len(part)} B a record", took)
    took = []
    for call in calls:
        began = time.perf_counter()
        asked = call.operation, call.provider, call.request_model, call.api_base, call.endpoint
        started = (call.call_id, *asked, call.started_at, call.attempt, call.attribution)
        lane.put(MARK, call.call_id, encode_started(started), None)
        took.append(time.perf_counter() - began)
    report("start mark", took)


def report(what: str, took: list[float]) -> None:
    micros = sorted(seconds * 1e6 for seconds in took)
    at = micros[int(len(micros) * 0.99)]
    print(f"{what:48} p50 {statistics.median(micros):7.1f} us   p99 {at:7.1f} us")


def batches(rows: list[Values], size: int) -> Iterator[list[Values]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def bare(database: Database, rows: list[Values], size: int) -> float:
    """Return rows per second of inserting rows alone, in the way that we insert them."""
    ledger = Ledger(database)
    ledger.prepare()
    began = time.perf_counter()
    for batch in batches(rows, size):
        with database.writing.begin() as connection:
            ledger._tables.insert(connection, batch)
    return len(rows) / (time.perf_counter() - began)


@dataclass
class Writing:
    """What one process measured: seconds of the clock and of processors, per row where it says so."""

    began: float
    ended: float
    longest: float
    retries: int
    writer: float
    server: float


def ours(url: str, kind: str, seed: int, count: int, size: int, gate: Any, out: Any) -> None:
    """Write rows, tags and rollups from one process; the clock starts when all processes are ready."""
    rows = [values_of(row) for row in KINDS[kind](count, seed)]
    database = Database(Address(url))
    ledger = Ledger(database)
    ledger.prepare()
    both = processors(database)
    gate.wait()
    began, all_cpu, own_cpu, waits, retries = time.perf_counter(), both(), time.process_time(), [], 0
    for batch in batches(rows, size):
        start = time.perf_counter()
        while True:
            try:
                ledger.write(batch)
                break
            except Exception as error:
                retries += 1
                print(f"   retry: {type(error).__name__}", file=sys.stderr)
        waits.append(time.perf_counter() - start)
    own_cpu, all_cpu, ended = time.process_time() - own_cpu, both() - all_cpu, time.perf_counter()
    longest = sorted(waits)[int(len(waits) * 0.99)]
    out.put(
        Writing(began, ended, longest, retries, own_cpu / len(rows), max(0, all_cpu - own_cpu) / len(rows))
    )
    database.close()


def several(url: str, kind: str, processes: int, count: int, size: int) -> tuple[float, list[Writing]]:
    """Return rows per second of all processes together, and what each measured."""
    context = multiprocessing.get_context("spawn")
    gate, out = context.Barrier(processes), context.Queue()
    each = count // processes
    workers = [
        context.Process(target=ours, args=(url, kind, 100 + number, each, size, gate, out))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    found = [out.get() for _ in workers]
    for worker in workers:
        worker.join()
    seconds = max(one.ended for one in found) - min(one.began for one in found)
    return each * processes / seconds, found


def writing(name: str, urls: Iterator[str], count: int, size: int, processes: list[int]) -> None:
    """Print rows per second of one database: bare, of each kind of calls, and of several processes."""
    print(f"\n{name}, rows/s{'':23}{'':>9} of bare   CPU us a row: writer, server   batch p99 ms   retries")
    database = Database(Address(next(urls)))
    rate = bare(database, [values_of(row) for row in company(count, 1)], size)
    database.close()
    print(f"{f'bare insert, {size:,} a batch':42}{rate:9,.0f}")
    runs = [(kind, 1, size) for kind in KINDS] + [
        ("as they come", number, size) for number in processes if number > 1
    ]
    for kind, number, part in [*runs, ("one service, today", 1, SMALL)]:
        full, found = several(next(urls), kind, number, count, part)
        line = f"{kind}, {number} process{'es' if number > 1 else ''}{f', {part} a batch' if part == SMALL else ''}"
        print(
            f"{line:42}{full:9,.0f}   {full / rate:5.2f}"
            f"{max(one.writer for one in found) * 1e6:18.1f}{max(one.server for one in found) * 1e6:8.1f}"
            f"{max(one.longest for one in found) * 1e3:18.0f}{sum(one.retries for one in found):10}"
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
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--calls", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--postgres", default=os.environ.get("TEST_POSTGRES_URL"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journal(Path(folder), min(chosen.rows, 20_000))
        writing("SQLite", sqlite_urls(Path(folder)), chosen.rows, chosen.batch, chosen.processes)
        if chosen.postgres:
            urls = postgres_urls(chosen.postgres)
            writing("PostgreSQL", urls, chosen.rows, chosen.batch, chosen.processes)
    if chosen.calls:
        compare("", chosen.calls)
        if chosen.postgres:
            compare(chosen.postgres, chosen.calls)


if __name__ == "__main__":
    main()
