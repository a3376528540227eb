"""Kills workers under load, again and again, and counts what was lost or doubled.

    python benchmarks/crash.py [--kills 200] [--workers 3] [--postgres postgresql://...] [--sqlite off]

Each worker appends calls (finished ones, streams that first leave a provisional row, calls that are still under way)
and writes a call's id into a file of its own after the store has taken it: that call is acknowledged. Workers, which
recover what others left and write to the database all the time, are killed with SIGKILL at random instants; some of
the first ones die while they make the schema. In the end one process recovers the rest, and every acknowledged call
must be there once, every rollup equal to the rows, and nothing may have been set aside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import text

from spend_middleware.call import new_call_id
from spend_middleware.settings import Settings
from spend_middleware.store.rollups import ROLLUPS
from spend_middleware.store.store import Store


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(database_url=url, journal_dir=folder / "journal", batch_seconds=0.02)


def call(number: int) -> dict[str, Any]:
    now = int(time.time() * 1e6)
    return {
        "id": new_call_id(),
        "provider": "openai",
        "model": f"model-{number % 5}",
        "team_id": f"team-{number % 3}",
        "end_user": f"customer-{number % 50}",
        "spend": random.randrange(10**9),
        "prompt_tokens": random.randrange(1000),
        "start_time": now,
        "end_time": now + 1000,
        "pricing_status": "priced",
        "usage_source": "reported",
        "request_tags": json.dumps([f"tag-{number % 7}", "all"]),
    }


class Worker:
    """Appends calls as fast as it can and acknowledges each."""

    def __init__(self, url: str, folder: Path) -> None:
        self.store = Store(settings_of(url, folder))
        self.store.start()
        name = folder / f"acknowledged-{os.getpid()}-{random.getrandbits(32):x}"
        self.acknowledged = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def acknowledge(self, row: dict[str, Any]) -> None:
        os.write(self.acknowledged, f"{row['id']} {row['spend']}\n".encode())

    def plain(self, number: int) -> None:
        row = call(number)
        self.store.mark(row["id"], {"model": row["model"], "start_time": row["start_time"]})
        self.store.append(row)
        self.acknowledge(row)

    async def stream(self, number: int) -> None:
        row = call(number)
        self.store.mark(row["id"], {"model": row["model"], "start_time": row["start_time"]})
        await asyncio.sleep(random.random() * 0.01)
        self.store.append(row, provisional=True)
        self.acknowledge(row)
        await asyncio.sleep(random.random() * 0.01)
        self.store.append(row)

    async def run(self) -> None:
        number = 0
        while True:
            streams = [self.stream(number + n) for n in range(5)]
            for n in range(20):
                self.plain(number + n)
            await asyncio.gather(*streams)
            number += 25
            await asyncio.sleep(0.002)


@dataclass
class Verdict:
    """What was found in the end."""

    kills: int
    acknowledged: int
    stored: int
    interrupted: int
    lost: int
    wrong: int
    doubled: int
    rollups_equal: bool
    set_aside: int

    @property
    def good(self) -> bool:
        return not (self.lost or self.wrong or self.doubled or self.set_aside) and self.rollups_equal

    def __str__(self) -> str:
        return (
            f"kills {self.kills}  acknowledged {self.acknowledged:,}  stored {self.stored:,}"
            f" (interrupted {self.interrupted:,})  lost {self.lost}  wrong {self.wrong}  doubled {self.doubled}"
            f"  set aside {self.set_aside}  rollups equal {self.rollups_equal}"
        )


def work(url: str, folder: Path) -> None:
    """Be a worker until killed."""
    asyncio.run(Worker(url, folder).run())


def trial(url: str, folder: Path, kills: int, workers: int, seed: int = 0) -> Verdict:
    """Kill workers at random until so many have died, recover, and compare."""
    chance = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["spend_middleware.store.ledger", "spend_middleware.store.recovery"])

    def another() -> BaseProcess:
        worker = context.Process(target=work, args=(url, folder))
        worker.start()
        return worker

    alive = [another() for _ in range(workers)]
    for killed in range(kills):
        # The first die while they make the schema, later ones anywhere: in a start, a recovery, a commit.
        time.sleep(chance.uniform(0.02, 0.4) if killed < workers * 2 else chance.uniform(0.1, 1.0))
        end(alive.pop(chance.randrange(len(alive))))
        alive.append(another())
    for worker in alive:
        end(worker)
    return judge(url, folder, kills + len(alive))


def end(worker: BaseProcess) -> None:
    worker.kill()
    worker.join()
    worker.close()


def judge(url: str, folder: Path, kills: int) -> Verdict:
    acknowledged: dict[str, int] = {}
    for path in folder.glob("acknowledged-*"):
        for line in path.read_text().splitlines():
            call_id, _, spend = line.partition(" ")
            acknowledged[call_id] = int(spend)
    store = Store(settings_of(url, folder))
    store.start()
    left = store.flush(600)
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT id, spend, prompt_tokens, status FROM spend_logs")).all()
        stored = {row.id: row.spend for row in rows}
        whole = (
            len(rows),
            sum(row.spend or 0 for row in rows),
            sum(row.prompt_tokens for row in rows),
        )
        equal = all(_sums(connection, table) == whole for table in ROLLUPS)
    set_aside = store.health()["set_aside"]
    store.close()
    missing = sum(call_id not in stored for call_id in acknowledged)
    return Verdict(
        kills=kills,
        acknowledged=len(acknowledged),
        stored=len(rows),
        interrupted=sum(row.status == "interrupted" for row in rows),
        lost=missing + left,
        wrong=sum(stored.get(call_id, spend) != spend for call_id, spend in acknowledged.items()),
        doubled=len(rows) - len(stored),
        rollups_equal=equal,
        set_aside=set_aside,
    )


def _sums(connection: Any, table: str) -> tuple[int, int, int]:
    once = " WHERE kind = 'total'" if table.startswith("spend_name") else ""
    found = connection.execute(
        text(
            f"SELECT sum(requests), sum(spend_micros), sum(spend_rest), sum(prompt_tokens) FROM {table}{once}"
        )
    ).one()
    requests, micros, rest, tokens = (int(value or 0) for value in found)
    return requests, micros * 10**6 + rest, tokens


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sqlite", choices=("on", "off"), default="on")
    parser.add_argument("--postgres", default=os.environ.get("TEST_POSTGRES_URL"))
    chosen = parser.parse_args()
    good = True
    for name in ("SQLite", "PostgreSQL"):
        if (name == "SQLite" and chosen.sqlite == "off") or (name == "PostgreSQL" and not chosen.postgres):
            continue
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/spend.db" if name == "SQLite" else chosen.postgres
            began = time.monotonic()
            verdict = trial(url, Path(folder), chosen.kills, chosen.workers, chosen.seed)
            print(f"{name}: {verdict}  ({time.monotonic() - began:.0f} s)", flush=True)
            good = good and verdict.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
