"""How long the service's answers about spend take over HTTP at growing sizes of one population, and how long they are.

Asked for by `benchmarks/reports.py --routes`. The application is called as a server calls it, without a socket.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from reports import ledger_of, table
from spend_middleware import Settings, Spend
from spend_middleware.store.engine import Database

KEY = "sk-a-master-key-for-measuring"
REPEATS = 5
ENOUGH = 20.0
"""Seconds after which a route is not asked again."""

_ALL = "start_date=2026-06-01&end_date=2026-08-29"
_PART = "start_date=2026-06-12&end_date=2026-08-17"
_MONTH = "start_date=2026-08-01&end_date=2026-08-29"
_DAY = "start_date=2026-08-29&end_date=2026-08-29"
_HOUR = "start_date=2026-08-29T10:00:00&end_date=2026-08-29T11:00:00"

ROUTES = (
    "/spend/tags",
    f"/spend/tags?{_ALL}",
    f"/spend/tags?{_PART}",
    f"/global/spend/tags?{_PART}",
    f"/global/spend/tags?{_PART}&tags=tag-00003,tag-00020",
    f"/global/spend/report?{_PART}&api_key=key-00500",
    f"/global/spend/report?{_PART}&internal_user_id=user-00500",
    f"/global/spend/report?{_PART}&group_by=api_key&team_id=team-00020",
    f"/global/spend/report?{_PART}&group_by=api_key&customer_id=customer-00050",
    f"/global/spend/report?{_PART}&group_by=api_key",
    f"/global/spend/report?{_DAY}&group_by=team",
    f"/global/spend/report?{_MONTH}&group_by=team&team_id=team-00020",
    f"/global/spend/report?{_MONTH}&group_by=team",
    f"/global/spend/report?{_DAY}&group_by=customer",
    f"/global/spend/report?{_MONTH}&group_by=customer&customer_id=customer-00050",
    f"/global/spend/report?{_MONTH}&team_id=team-00020&customer_id=customer-00050",
    f"/global/spend/report?{_MONTH}&group_by=customer",
    "/global/spend",
    "/global/spend/keys",
    "/global/spend/models",
    "/global/spend/teams",
    f"/global/spend/provider?{_PART}",
    "/global/spend/all_tag_names",
    "/global/all_end_users",
    f"/global/activity?{_PART}",
    f"/global/activity/model?{_PART}",
    "/spend/unpriced",
    f"/spend/unpriced?{_PART}",
    f"/user/daily/activity?{_MONTH}&user_id=user-00500",
    f"/user/daily/activity?{_MONTH}",
    f"/user/daily/activity?{_MONTH}&page=40",
    f"/user/daily/activity/aggregated?{_DAY}",
    f"/team/daily/activity?{_MONTH}&team_ids=team-00020",
    f"/tag/daily/activity?{_MONTH}&tags=tag-00020",
    f"/tag/daily/activity?{_MONTH}",
    f"/customer/daily/activity?{_MONTH}&end_user_ids=customer-00050",
    f"/customer/daily/activity?{_MONTH}",
    f"/spend/logs?{_ALL}",
    f"/spend/logs?{_ALL}&api_key=key-00500",
    "/spend/logs?request_id=chatcmpl-00000000000000000000000000050000",
    f"/spend/logs?{_HOUR}&summarize=false&api_key=key-00500",
    f"/spend/logs/v2?{_ALL}",
    f"/spend/logs/v2?{_ALL}&page=1000",
    f"/spend/logs/v2?{_PART}&timezone=Asia/Kathmandu",
    f"/spend/logs/v2?{_ALL}&api_key=key-00500",
    f"/spend/logs/v2?{_ALL}&user_id=user-00500",
    f"/spend/logs/v2?{_ALL}&tags=tag-00020",
    f"/spend/logs/v2?{_ALL}&tags=tag-00020,tag-00021",
    f"/spend/logs/v2?{_ALL}&end_user=customer-00050",
    f"/spend/logs/v2?{_ALL}&session_id=session-000000101",
    f"/spend/logs/v2?{_ALL}&status_filter=failure",
    f"/spend/logs/v2?{_ALL}&model=model-00030",
    f"/spend/logs/v2?{_ALL}&model=nothing",
    f"/spend/logs/v2?{_ALL}&api_key=key-00500&model=model-00030",
    f"/spend/logs/v2?{_DAY}&sort_by=spend",
    f"/spend/logs/v2?{_DAY}&search=nothing",
)


async def ask(app: Any, path: str) -> tuple[int, int]:
    """Return the status of an answer and how many bytes it has; they are dropped as they come."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"here"), (b"authorization", f"Bearer {KEY}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    status = size = 0
    ended = asyncio.Event()
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in asked:
            return message
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, size
        status = message.get("status", status)
        size += len(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    await app(scope, receive, send)
    return status, size


def measure(database: Database) -> dict[str, tuple[float, int]]:
    """Return the milliseconds of each route, the best of several, and print the length of its answer."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database_url=database.address.url.render_as_string(hide_password=False),
            database_schema=database.address.schema,
            master_key=KEY,
            journal_dir=folder,
            report_seconds=600,
        )
        with Spend(settings=settings) as spend:
            spend.store.flush(60)
            before = _megabytes()
            for route in ROUTES:
                took, size = _best(spend.app, route)
                found[route] = took, size
                after = _megabytes()
                grown = f", {after - before} MB more memory" if after > before + 5 else ""
                print(f"{took:12.1f} ms {size:12,} bytes  {route}{grown}", flush=True)
                before = max(before, after)
    return found


def _best(app: Any, route: str) -> tuple[float, int]:
    took, size = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        status, size = asyncio.run(ask(app, route))
        took.append((time.perf_counter() - began) * 1_000)
        if status != 200:
            raise RuntimeError(f"{status} from {route}")
        if sum(took) > ENOUGH * 1_000:
            break
    return min(took), size


def _megabytes() -> int:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def compare(url: str, sizes: Sequence[int], keep: str | None) -> None:
    """Print a table: a line for each route, a column for each size."""
    columns = []
    for count in sizes:
        print(f"\n{count:,} calls")
        with ledger_of(url, count, keep) as database:
            columns.append(measure(database))
    print("\nms of the wall, the best of several")
    table(sizes, columns)
