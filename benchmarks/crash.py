"""Kills workers under load, again and again, and counts what was lost or doubled.

    python benchmarks/crash.py [--kills 200] [--workers 3] [--postgres postgresql://...] [--sqlite off]

Each worker is a `Spend` whose transport meters sync, async and streamed calls of httpx to a vendor that answers at
once. When the caller has the answer (of a stream: all of it), the worker writes the call's id and its true cost into a
file of its own: that call is acknowledged. Workers, which recover what others left and write to the database all the
time, are killed with SIGKILL at random instants. Now and then all of them die at once, and the only process that
recovers what they left is killed in the middle of it, three times over. One kill in ten hits a first start on an empty
database: a process that makes the schema. In the end one process recovers the rest, and every acknowledged call must
be there once and at its price, every rollup equal to the rows, and nothing may have been set aside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from spend_middleware import Spend
from spend_middleware.settings import Settings
from spend_middleware.store.rollups import ROLLUPS
from spend_middleware.store.store import Store

URL = "https://api.openai.com/v1/chat/completions"
MODULES = (
    "spend_middleware.spend",
    "spend_middleware.store.ledger",
    "spend_middleware.store.recovery",
    "httpx",
)


@dataclass(frozen=True)
class Place:
    """A database, its schema, and the folder of the journal and of what was acknowledged."""

    url: str
    folder: Path
    schema: str | None = None

    def settings(self) -> Settings:
        return Settings(
            database_url=self.url,
            database_schema=self.schema,
            journal_dir=self.folder / "journal",
            batch_seconds=0.02,
        )


def vendor(request: httpx.Request) -> httpx.Response:
    """Answer at once, as a whole or as a stream, with the usage that the request asks for."""
    asked = json.loads(request.content)
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "model": "gpt-4o-mini-2024-07-18", "created": 1}
    prompt, completion = map(int, asked["messages"][0]["content"].split())
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if not asked.get("stream"):
        message = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        return httpx.Response(
            200, json={**head, "object": "chat.completion", "choices": [message], "usage": usage}
        )
    chunk = {**head, "object": "chat.completion.chunk"}
    parts = [{**chunk, "choices": [{"index": 0, "delta": {"content": "Hi"}}]} for _ in range(5)]
    lines = [json.dumps(part) for part in (*parts, {**chunk, "choices": [], "usage": usage})]
    return httpx.Response(
        200, headers={"content-type": "text/event-stream"}, stream=Slowly([*lines, "[DONE]"])
    )


class Slowly(httpx.AsyncByteStream):
    """The events of a stream, with pauses in which a process may die."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    async def __aiter__(self) -> Any:
        for line in self.lines:
            await asyncio.sleep(random.random() * 0.002)
            yield f"data: {line}\n\n".encode()


class Worker:
    """Calls as fast as it can and acknowledges each call whose answer it has."""

    def __init__(self, place: Place) -> None:
        self.spend = Spend(settings=place.settings())
        self.spend.start()
        transport = httpx.MockTransport(vendor)
        self.sync = httpx.Client(transport=self.spend.transport(transport))
        self.asynchronous = httpx.AsyncClient(transport=self.spend.transport(transport))
        name = place.folder / f"acknowledged-{os.getpid()}-{random.getrandbits(32):x}"
        self.acknowledged = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def request(self, number: int, *, stream: bool = False) -> tuple[dict[str, Any], int]:
        """Return a call's body and what it costs in pico-dollars: 0.15 and 0.60 USD a million tokens."""
        prompt, completion = random.randrange(1, 5000), random.randrange(1, 900)
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": f"{prompt} {completion}"}],
            "metadata": {"tags": [f"tag-{number % 7}", "all"]},
            "user": f"customer-{number % 50}",
            **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}),
        }
        return body, prompt * 150_000 + completion * 600_000

    def acknowledge(self, response: httpx.Response, cost: int) -> None:
        os.write(self.acknowledged, f"{response.headers['x-litellm-call-id']} {cost}\n".encode())

    def plain(self, number: int) -> None:
        body, cost = self.request(number)
        self.acknowledge(self.sync.post(URL, json=body), cost)

    async def awaited(self, number: int) -> None:
        body, cost = self.request(number)
        self.acknowledge(await self.asynchronous.post(URL, json=body), cost)

    async def stream(self, number: int) -> None:
        body, cost = self.request(number, stream=True)
        async with self.asynchronous.stream("POST", URL, json=body) as response:
            async for _ in response.aiter_bytes():
                pass
        self.acknowledge(response, cost)

    async def run(self) -> None:
        number = 0
        while True:
            under_way = [self.stream(number + n) for n in range(5)]
            under_way += [self.awaited(number + n) for n in range(5)]
            for n in range(10):
                self.plain(number + n)
            await asyncio.gather(*under_way)
            number += 20


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


def work(place: Place) -> None:
    """Be a worker until killed."""
    asyncio.run(Worker(place).run())


def recover(place: Place, begun: Any) -> None:
    """Be the process that makes the schema or recovers what others left, until killed."""
    store = Store(place.settings())
    begun.set()
    store.start()
    while True:
        store.flush(60)


class Trial:
    """Kills processes at random.

    Args:
        place: Where they work.
        workers: How many work at a time.
        seed: Of the random instants.
    """

    def __init__(self, place: Place, workers: int, seed: int) -> None:
        self.place = place
        self.workers = workers
        self.chance = random.Random(seed)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(list(MODULES))
        self.killed = self.in_recovery = 0

    def start(self) -> BaseProcess:
        worker = self.context.Process(target=work, args=(self.place,))
        worker.start()
        return worker

    def kill(self, process: BaseProcess) -> None:
        process.kill()
        process.join()
        process.close()
        self.killed += 1

    def run(self, kills: int) -> Verdict:
        """Kill so many, recover what is left, and compare."""
        alive = [self.start() for _ in range(self.workers)]
        while self.killed < kills:
            # The first die while they make the schema, later ones anywhere: in a start, in a commit.
            first = self.killed < self.workers
            time.sleep(self.chance.uniform(0.02, 0.4) if first else self.chance.uniform(0.1, 1.0))
            self.kill(alive.pop(self.chance.randrange(len(alive))))
            if self.killed % 20 == 5:
                while alive:
                    self.kill(alive.pop())
                for _ in range(3):
                    self.kill_while_it_recovers(0.15)
                    self.in_recovery += 1
            alive += [self.start() for _ in range(self.workers - len(alive))]
        for worker in alive:
            self.kill(worker)
        return judge(self.place, self.killed)

    def kill_while_it_recovers(self, longest: float) -> None:
        begun = self.context.Event()
        process = self.context.Process(target=recover, args=(self.place, begun))
        process.start()
        begun.wait(60)
        time.sleep(self.chance.uniform(0, longest))
        self.kill(process)


def first_starts(place: Place, number: int, seed: int) -> Iterator[Verdict]:
    """Kill a process that makes the schema of an empty database, then a second one, and use the database."""
    for at in range(number):
        folder = place.folder / f"first-{at}"
        folder.mkdir()
        own = replace(place, url=f"sqlite:///{folder}/spend.db", folder=folder)
        if not place.url.startswith("sqlite"):
            own = replace(place, folder=folder, schema=f"first_{os.getpid()}_{at}")
        trial = Trial(own, 1, seed + at)
        for _ in range(2):
            trial.kill_while_it_recovers(0.25)
        worker = trial.start()
        until = time.monotonic() + 30
        while not any(path.stat().st_size for path in own.folder.glob("acknowledged-*")):
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        trial.kill(worker)
        yield judge(own, 2)
        if own.schema:
            drop(own)


def drop(place: Place) -> None:
    store = Store(place.settings())
    with store.database.writing.begin() as connection:
        connection.execute(text(f'DROP SCHEMA "{place.schema}" CASCADE'))
    store.database.close()


def judge(place: Place, kills: int) -> Verdict:
    acknowledged: dict[str, int] = {}
    for path in place.folder.glob("acknowledged-*"):
        for line in path.read_text().splitlines():
            call_id, _, spend = line.partition(" ")
            acknowledged[call_id] = int(spend)
    store = Store(place.settings())
    store.start()
    left = store.flush(600)
    prefix = f'"{place.schema}".' if place.schema else ""
    with store.engine.connect() as connection:
        rows = connection.execute(
            text(f"SELECT id, spend, prompt_tokens, status FROM {prefix}spend_logs")
        ).all()
        stored = {row.id: row.spend for row in rows}
        whole = (
            len(rows),
            sum(row.spend or 0 for row in rows),
            sum(row.prompt_tokens for row in rows),
        )
        equal = all(_sums(connection, prefix, table) == whole for table in ROLLUPS)
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


def _sums(connection: Any, prefix: str, table: str) -> tuple[int, int, int]:
    once = " WHERE kind = 'total'" if table.startswith("spend_name") else ""
    found = connection.execute(
        text(
            f"SELECT sum(requests), sum(spend_micros), sum(spend_rest), sum(prompt_tokens) FROM {prefix}{table}{once}"
        )
    ).one()
    requests, micros, rest, tokens = (int(value or 0) for value in found)
    return requests, micros * 10**6 + rest, tokens


def added(verdicts: list[Verdict]) -> Verdict:
    """Return one verdict for many databases."""
    counts = {
        name: sum(getattr(each, name) for each in verdicts)
        for name in Verdict.__dataclass_fields__
        if name != "rollups_equal"
    }
    return Verdict(**counts, rollups_equal=all(each.rollups_equal for each in verdicts))


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
            place = Place(url, Path(folder))
            trial = Trial(place, chosen.workers, chosen.seed)
            verdict = trial.run(chosen.kills)
            took = time.monotonic() - began
            print(f"{name}: {verdict}  ({trial.in_recovery} killed in recovery, {took:.0f} s)", flush=True)
            starts = list(first_starts(place, chosen.kills // 20, chosen.seed))
            if starts:
                print(f"{name}, first starts: {added(starts)}", flush=True)
            good = good and verdict.good and all(each.good for each in starts)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
