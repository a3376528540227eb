"""While the database hangs: probes say so, and the host goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

import databases
from api_house import bearer, call, spending
from spend_middleware import Spend


@pytest.fixture
def spend(tmp_path: Path) -> Iterator[tuple[Spend, str]]:
    calls = [call("2026-05-01T10:00:00", tags=["jobs"])]
    with databases.database("postgres", tmp_path) as url, spending(tmp_path, calls, url) as made:
        yield made, url


@contextmanager
def locked(url: str, *tables: str) -> Iterator[None]:
    """Hold tables so that nobody else can so much as read them."""
    with psycopg.connect(url) as connection:
        for table in tables:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def a_slow_function_of_the_host(_request: Request) -> Response:
    return PlainTextResponse("well")


def hosted(spend: Spend) -> httpx2.AsyncClient:
    app = Starlette(routes=[Route("/host", a_slow_function_of_the_host), Mount("/spend", spend.app)])
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://host", headers=bearer("master"), timeout=60
    )


def test_readiness_says_so_after_a_few_seconds_and_then_at_once(spend: tuple[Spend, str]) -> None:
    house, url = spend

    async def main() -> None:
        async with hosted(house) as http:
            assert (await http.get("/spend/health/readiness")).status_code == 200
            with locked(url, "spend_config"):
                took = []
                for _ in range(3):
                    began = time.monotonic()
                    answer = await http.get("/spend/health/readiness")
                    assert (answer.status_code, answer.json()["db"]) == (503, "disconnected")
                    took.append(time.monotonic() - began)
                assert took[0] < 10
                assert max(took[1:]) < 1
            with anyio.fail_after(20):
                while (await http.get("/spend/health/readiness")).status_code != 200:
                    await anyio.sleep(0.05)

    anyio.run(main)


def test_questions_that_hang_take_no_thread_of_the_host(spend: tuple[Spend, str]) -> None:
    house, url = spend
    asked = 60  # more than the host has threads
    answers: list[int] = []

    async def main() -> None:
        async with hosted(house) as http, anyio.create_task_group() as group:
            assert (await http.get("/spend/tags")).status_code == 200

            async def ask() -> None:
                answers.append((await http.get("/spend/tags")).status_code)

            with locked(url, "spend_name_totals"):
                for _ in range(asked):
                    group.start_soon(ask)
                with anyio.fail_after(10):
                    for _ in range(5):
                        assert (await http.get("/host")).text == "well"
                assert answers == []

    anyio.run(main)
    assert len(answers) == asked
    assert set(answers) <= {200, 503}
