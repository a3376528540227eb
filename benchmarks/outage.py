"""What a database or a disk that fails costs the calls meanwhile, and whether anything is lost.

    python benchmarks/outage.py [--seconds 120] [--rate 300] [--only frozen crashed locked journal database both]

    frozen    every process of a PostgreSQL of its own is stopped (SIGSTOP), and goes on later
    crashed   the same PostgreSQL ends at once, as `pg_ctl stop -m immediate` does, and is started again later
    locked    another process holds the SQLite file for writing (at most 60 seconds)
    journal, database, both    a small tmpfs (root only) under one or both of them is full, and has room later

Calls go through a `Spend` on the transport of an httpx client at a fixed rate. Printed are the calls, what was stored,
refused and doubled, how long a call took before, during and after, and the memory of the process at these times.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from spend_middleware import Spend
from spend_middleware.store.rollups import ROLLUPS

sys.path.append(str(Path(__file__).parent.parent / "tests"))

URL = "https://api.openai.com/v1/chat/completions"
ASKED = {"model": "gpt-4o-mini", "messages": [], "metadata": {"tags": ["outage"]}, "user": "customer"}
LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
Outage = Callable[[], AbstractContextManager[None]]


def vendor(request: httpx.Request) -> httpx.Response:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini", "choices": []}
    return httpx.Response(200, json={**answer, "usage": usage})


def resident() -> float:
    """Return the memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Load:
    """Calls at a fixed rate, and what each of them took."""

    def __init__(self, spend: Spend, rate: float) -> None:
        self.spend = spend
        self.rate = rate
        self.calls = 0
        self.client = httpx.Client(transport=spend.transport(httpx.MockTransport(vendor)))

    def phase(self, name: str, seconds: float) -> None:
        """Call for so long and print the figures."""
        took = []
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            self.client.post(URL, json=ASKED)
            took.append(time.perf_counter() - now)
            time.sleep(max(0.0, began + len(took) / self.rate - time.perf_counter()))
        self.calls += len(took)
        micros = sorted(one * 1e6 for one in took)
        at = {share: micros[int(len(micros) * share)] for share in (0.5, 0.99)}
        print(
            f"  {name:8} {len(took):7,} calls   p50 {at[0.5]:6.0f} us   p99 {at[0.99]:7.0f} us"
            f"   slowest {micros[-1] / 1000:7.1f} ms   memory {resident():6.1f} MB",
            flush=True,
        )


def trial(name: str, url: str, journal: Path, outage: Outage, seconds: float, rate: float) -> bool:
    """Call before, during and after an outage; say whether all is there in the end."""
    print(name, flush=True)
    spend = Spend(url, journal_dir=journal)
    spend.start()
    load = Load(spend, rate)
    load.phase("warm", 2)
    load.phase("before", 5)
    spend.flush(60)
    with outage():
        load.phase("during", seconds)
        seen = spend.health()
    load.phase("after", 5)
    began = time.monotonic()
    everything = spend.flush(300)
    took = time.monotonic() - began
    health = spend.health()
    with spend.store.engine.connect() as connection:
        stored, different = connection.execute(
            text("SELECT count(*), count(DISTINCT id) FROM spend_logs")
        ).one()
        sums = {
            connection.execute(text(f"SELECT sum(requests) FROM {table}{once}")).scalar()
            for table in ROLLUPS
            for once in (" WHERE kind = 'total'" if "name" in table else "",)
        }
        intact = not url.startswith("sqlite") or (
            connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        )
    spend.close()
    good = bool(
        everything
        and stored == different
        and stored + health["refused"] == load.calls
        and {int(one or 0) for one in sums} == {stored}
        and intact
        and not health["set_aside"]
    )
    print(
        f"  calls {load.calls:,}  stored {stored:,}  doubled {stored - different}  refused {health['refused']:,}"
        f"  lost {load.calls - stored - health['refused']}  rollups equal {sums == {stored}}  intact {intact}\n"
        f"  meanwhile: waiting {seen['pending']:,}  journal {seen['journal_bytes'] / 1e6:.1f} MB"
        f"  database {seen['database']}  degraded {seen['degraded']};  all written {took:.1f} s after the load",
        flush=True,
    )
    return good


@contextmanager
def frozen(server: Any) -> Iterator[None]:
    """Stop every process of a PostgreSQL meanwhile."""
    stopped: set[int] = set()

    def stop() -> None:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        for pid in (server.process.pid, *map(int, children.read_text().split())):
            if pid not in stopped:
                os.kill(pid, signal.SIGSTOP)
                stopped.add(pid)

    stop()
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def crashed(server: Any) -> Iterator[None]:
    """End a PostgreSQL without a checkpoint, and start it again afterwards."""
    server.stop(signal.SIGQUIT)
    try:
        yield
    finally:
        server.start()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a SQLite file in another process meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield
        holder.communicate()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a tmpfs of 16 MB."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=False)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no byte of a disk free meanwhile."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


def on_postgres(which: str, seconds: float, rate: float) -> bool:
    """Run a trial with a PostgreSQL of its own."""
    from databases import Cluster

    server = Cluster()
    outage = frozen if which == "frozen" else crashed
    with tempfile.TemporaryDirectory() as folder:
        try:
            name = f"PostgreSQL {which} for {seconds:.0f} s"
            return trial(name, server.url, Path(folder), lambda: outage(server), seconds, rate)
        finally:
            server.remove()


def on_sqlite(which: str, seconds: float, rate: float) -> bool:
    """Run a trial with a SQLite file, locked or on a disk that is full."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if which == "locked":
            file = folder / "spend.db"
            seconds = min(seconds, 60)
            name = f"SQLite locked for {seconds:.0f} s"
            return trial(name, f"sqlite:///{file}", folder / "journal", lambda: locked(file), seconds, rate)
        disk = stack.enter_context(small_disk(folder / "disk"))
        file = (folder if which == "journal" else disk) / "spend.db"
        journal = (folder if which == "database" else disk) / "journal"
        name = f"Full disk under {which}, {seconds / 4:.0f} s"
        return trial(name, f"sqlite:///{file}", journal, lambda: full(disk), seconds / 4, rate)


def main() -> int:
    """Run the outages that were asked for; 1 if any of them lost a call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = ["frozen", "crashed", "locked", "journal", "database", "both"]
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    chosen = parser.parse_args()
    good = True
    for which in chosen.only:
        run = on_postgres if which in ("frozen", "crashed") else on_sqlite
        good = run(which, chosen.seconds, chosen.rate) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
