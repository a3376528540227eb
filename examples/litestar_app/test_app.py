"""The Litestar example, driven as a customer would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from examples.litestar_app.app import build_app
from spend_middleware import Spend
from standin import Standin

pytestmark = pytest.mark.anyio

KEY = "sk-key-of-the-example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_endpoint_is_metered(tmp_path: Path) -> None:
    with Standin() as providers, Spend(f"sqlite:///{tmp_path}/spend.db", master_key=KEY) as spend:
        openai = AsyncOpenAI(base_url=providers.base("openai"), api_key="stand-in")
        app: Any = build_app(spend, openai)
        transport = httpx2.ASGITransport(app)
        async with openai, httpx2.AsyncClient(transport=transport, base_url="http://example.test") as client:
            answer = await client.post("/ask", json={"text": "What is a ledger?", "customer": "palantir"})
            assert answer.headers["x-litellm-response-cost"] == "0.0000087"
            assert spend.flush()
            rows = await client.get("/spend/logs", headers={"Authorization": f"Bearer {KEY}"})
    assert [(row["end_user"], row["request_tags"]) for row in rows.json()] == [("palantir", ["feature:ask"])]
