"""The FastAPI example, driven as a customer would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from examples.fastapi_app.app import Upstreams, build_app
from spend_middleware import Spend
from standin import Standin

pytestmark = pytest.mark.anyio

KEY = "sk-key-of-the-example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Spend, httpx2.AsyncClient]]:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "stand-in")
    with Standin() as providers, Spend(f"sqlite:///{tmp_path}/spend.db", master_key=KEY) as spend:
        upstreams = Upstreams(
            openai_base_url=providers.base("openai"),
            anthropic_base_url=providers.base("anthropic"),
            gemini_base_url=providers.base("gemini"),
        )
        app = build_app(spend, upstreams)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://example.test") as client,
        ):
            yield spend, client


async def test_each_endpoint_is_metered(service: tuple[Spend, httpx2.AsyncClient]) -> None:
    spend, client = service
    asked = {"text": "What is a ledger?", "customer": "palantir"}
    costs = []
    for path in ("/ask", "/review"):
        answer = await client.post(path, json=asked)
        assert answer.status_code == 200, answer.text
        costs.append(Decimal(answer.headers["x-litellm-response-cost"]))
    assert (await client.post("/stream", json=asked)).text
    assert spend.flush()
    tags = await client.get("/spend/tags", headers={"Authorization": f"Bearer {KEY}"})
    found = {row["individual_request_tag"]: row for row in tags.json()}
    assert {name: row["log_count"] for name, row in found.items()} == {
        "feature:ask": 1,
        "feature:review": 2,
        "feature:stream": 1,
    }
    assert [Decimal(str(found[f"feature:{name}"]["total_spend"])) for name in ("ask", "review")] == costs
