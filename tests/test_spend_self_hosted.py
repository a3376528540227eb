"""A model on a machine of one's own costs nothing; what may stand for a gateway is priced, or is said to be unknown."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from spend_middleware import Spend

ANSWER = {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}}

CASES: list[tuple[str, str, str, dict[str, str], str, str | None]] = [
    ("vLLM with a name from the hub", "localhost:8000", "meta-llama/Llama-3.2-1B-Instruct", {}, "free", "0"),
    ("open weights by their bare name", "10.0.0.7:8000", "qwen3-32b", {}, "free", "0"),
    ("open weights that a vendor lists", "localhost:1234", "openai/gpt-oss-20b", {}, "free", "0"),
    ("the same, bare", "vllm.internal:8000", "gpt-oss-120b", {}, "free", "0"),
    ("Ollama, whatever the name", "localhost:11434", "my-own-model", {}, "free", "0"),
    ("a name that nobody knows", "localhost:8000", "my-own-model", {}, "unpriced", None),
    ("a host that is said to be one's own", "llm.example.com", "my-own-model", {"llm.example.com": "hosted_vllm"}, "free", "0"),
    ("one's own host under a vendor's name", "localhost:5002", "gpt-4o", {"localhost:5002": "lm_studio"}, "free", "0"),
    ("a vendor's name behind what may be a gateway", "localhost:8080", "gpt-4o", {}, "priced", "0.0025"),
    ("a vendor's name with its prefix", "localhost:8080", "openai/gpt-4o", {}, "priced", "0.0025"),
    ("open weights at a host of somebody else's", "llm.example.com", "my-llama", {}, "unpriced", None),
    ("open weights at their seller's, by way of a proxy", "localhost:8787", "llama-3.3-70b-versatile", {}, "priced", "0.00059"),
    ("open weights at their seller's", "api.groq.com", "openai/gpt-oss-20b", {}, "priced", "0.000075"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "model", "rules", "status", "cost"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_where_a_model_runs_decides_whether_it_has_a_price(
    tmp_path: Path, host: str, model: str, rules: dict[str, str], status: str, cost: str | None
) -> None:
    path = {"api.groq.com": "/openai/v1", "localhost:8787": "/groq/openai/v1"}.get(host, "/v1")
    transport: Any = httpx2.MockTransport(
        lambda request: httpx2.Response(200, json={"model": model, **ANSWER})
    )
    with Spend(f"sqlite:///{tmp_path}/spend.db", providers=rules) as spend:
        with spend.tag() as tally, httpx2.Client(transport=spend.transport(transport)) as client:
            client.post(f"http://{host}{path}/chat/completions", json={"model": model, "messages": []})
        (call,) = tally.calls
        assert call.cost.status == status
        assert call.cost.amount == (None if cost is None else Decimal(cost))
        assert spend.reprice(dry_run=True).changed == 0


def test_a_price_of_ones_own_counts_for_a_model_of_ones_own(tmp_path: Path) -> None:
    answer = httpx2.Response(200, json={"model": "qwen3-32b", **ANSWER})
    with Spend(
        f"sqlite:///{tmp_path}/spend.db", model_prices={"qwen3-32b": {"input_cost_per_token": "2e-7"}}
    ) as spend:
        transport = spend.transport(httpx2.MockTransport(lambda request: answer))
        with spend.tag() as tally, httpx2.Client(transport=transport) as client:
            client.post("http://localhost:8000/v1/chat/completions", json={"model": "qwen3-32b"})
        assert tally.cost == Decimal("0.0002")
