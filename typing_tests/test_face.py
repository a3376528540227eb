"""How the public names are typed; checked by mypy --strict, never run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_type

import httpx
import httpx2
from fastapi import FastAPI
from starlette.applications import Starlette

from spend_middleware import (
    Call,
    Settings,
    Spend,
    SpendMiddleware,
    Usage,
    completion_cost,
    cost_per_token,
    token_counter,
)


def services(spend: Spend) -> None:
    for app in (FastAPI(), Starlette()):
        app.add_middleware(SpendMiddleware, spend=spend)
        app.add_middleware(SpendMiddleware, spend=spend, instrument=False)
        app.mount("/spend", spend.app)


def transports(spend: Spend) -> None:
    assert_type(spend.transport(httpx.HTTPTransport()), httpx.HTTPTransport)
    assert_type(spend.transport(httpx2.AsyncHTTPTransport()), httpx2.AsyncHTTPTransport)
    httpx2.AsyncClient(transport=spend.transport(httpx2.AsyncHTTPTransport()))


async def scopes(spend: Spend) -> None:
    with spend.tag("a", end_user="b", team_id="c", user="d", api_key="sk-e", metadata={"f": 1}) as tally:
        assert_type(tally.cost, Decimal)
        assert_type(tally.calls, tuple[Call, ...])
    async with spend.tag("a"):
        pass

    @spend.tag("decorated")
    async def work(number: int) -> str:
        return str(number)

    assert_type(await work(1), str)


def ledger() -> None:
    with Spend("sqlite:///spend.db", master_key="sk-x") as spend:
        assert_type(spend, Spend)
        assert_type(spend.flush(timeout=1.0), bool)
        assert_type(spend.record(provider="p", model="m", usage=Usage(input_tokens=1), cost=None), Call)
        assert_type(spend.health(), dict[str, Any])
    Spend(settings=Settings())


def pricing() -> None:
    assert_type(completion_cost(model="gpt-4o", prompt="a"), float)
    assert_type(cost_per_token("gpt-4o", 1, 2), tuple[float, float])
    assert_type(token_counter("gpt-4o", text="a"), int)
