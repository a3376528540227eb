"""What the middleware costs a service: CPU microseconds a request, with and without an LLM call in it.

A Starlette application is called as a server would call it, without sockets. It is tossed for each single request
whether it goes through the middleware with its call metered, and the medians of the CPU on the calling thread are
compared, which what else the machine does hardly moves. A "hook" is a metered call without the middleware. The rows
are written between the requests and not counted; `overhead.py` counts them.

    python benchmarks/service.py [--requests 6000]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import openai
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from overhead import ASK, Canned, answer_of
from spend_middleware import Spend, SpendMiddleware

FLUSH_EVERY = 1000
WARM_UP = 300
HEADERS = [
    (b"host", b"127.0.0.1"),
    (b"user-agent", b"curl/8.5.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip"),
    (b"x-request-id", b"0123456789abcdef"),
]
App = Callable[[Any, Any, Any], Awaitable[None]]


def application(client: openai.AsyncOpenAI) -> Starlette:
    """Return a service with a route that makes one call, and one that makes none."""

    async def ask(request: Request) -> JSONResponse:
        answer = await client.chat.completions.create(model="gpt-4o", messages=ASK, user="palantir")
        return JSONResponse({"tokens": answer.usage.total_tokens if answer.usage else 0})

    async def plain(request: Request) -> JSONResponse:
        return JSONResponse({"tokens": 0})

    return Starlette(routes=[Route("/ask", ask), Route("/plain", plain)])


def asked(path: str) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": list(HEADERS),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


async def receive() -> dict[str, Any]:
    """Give an empty request body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    """Take a part of the answer."""


async def measure(spend: Spend, path: str, requests: int) -> dict[str, float]:
    """Return the median CPU microseconds of a request, by how it was handled."""
    canned = Canned("application/json", [answer_of(1500)])
    client = openai.AsyncOpenAI(api_key="sk-bench", http_client=httpx2.AsyncClient(transport=canned))
    inside, outside = application(client), application(client)
    inside.add_middleware(SpendMiddleware, spend=spend)
    spend.instrument()
    metered: Any = httpx2.AsyncClient.send
    ways: dict[str, tuple[App, Any]] = {
        "bare": (outside, metered.__wrapped__),
        "hook": (outside, metered),
        "ours": (inside, metered),
    }
    took: dict[str, list[int]] = {name: [] for name in ways}
    for number in range(requests + WARM_UP):
        name = random.choice(list(ways))
        app, method = ways[name]
        httpx2.AsyncClient.send = method  # type: ignore[method-assign]
        start = time.thread_time_ns()
        await app(asked(path), receive, send)
        if number >= WARM_UP:
            took[name].append(time.thread_time_ns() - start)
        if number % FLUSH_EVERY == FLUSH_EVERY - 1:
            spend.flush(60)
    httpx2.AsyncClient.send = metered  # type: ignore[method-assign]
    return {name: statistics.median(times) / 1000 for name, times in took.items()}


async def main(requests: int) -> None:
    """Print a line for each kind of request."""
    print(f"{'CPU us a request':22}{'bare':>9}{'hook':>16}{'middleware':>18}")
    with tempfile.TemporaryDirectory() as folder, Spend(f"sqlite:///{folder}/spend.db") as spend:
        for name, path in (("with one LLM call", "/ask"), ("without a call", "/plain")):
            found = await measure(spend, path, requests)
            bare = found["bare"]
            cells = [f"{found[way] - bare:+9.1f} x{found[way] / bare:4.2f}" for way in ("hook", "ours")]
            print(f"{name:22}{bare:9.1f}{cells[0]:>16}{cells[1]:>18}", flush=True)
    print(f"Python {sys.version.split()[0]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=6000)
    asyncio.run(main(parser.parse_args().requests))
