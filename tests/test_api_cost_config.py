"""The routes of discounts and margins: set here, counted in the next price, in every worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api_house import bearer, client, spending
from spend_middleware import Spend, Usage
from spend_middleware.pricing.query import PriceQuery

QUERY = PriceQuery(
    provider="openai",
    models=("gpt-4o-mini",),
    usage=Usage(input_tokens=1_000_000),
    operation="completion",
    at=1_790_000_000.0,
)


def cost(spend: Spend) -> Any:
    return spend.prices.price(QUERY).amount


def test_a_discount_and_a_margin_count_from_the_next_call_on(tmp_path: Path, database_url: str) -> None:
    with spending(tmp_path, [], database_url) as spend, spending_worker(tmp_path, database_url) as other:
        http = client(spend.app)
        http.headers.update(bearer("master"))
        whole = cost(spend)
        assert whole > 0
        assert http.get("/config/cost_discount_config").json() == {"values": {}}
        set_ = http.patch("/config/cost_discount_config", json={"openai": 0.5}).json()
        assert (set_["status"], set_["values"]) == ("success", {"openai": 0.5})
        assert cost(spend) == whole / 2
        other.directory.cache.clear()
        other.directory.find_key("a" * 64)
        assert cost(other) == whole / 2, "another worker has heard of it"
        margin = {"global": {"percentage": 1, "fixed_amount": 0.001}}
        assert http.patch("/config/cost_margin_config", json=margin).status_code == 200
        assert float(cost(spend)) == pytest.approx(float(whole) + 0.001)
        assert http.get("/config/cost_margin_config").json() == {"values": margin}


def spending_worker(folder: Path, url: str) -> Spend:
    return Spend(url, journal_dir=folder / "other")


@pytest.mark.parametrize(
    ("word", "body", "status"),
    [
        ("discount", {"openai": 1.5}, 400),
        ("discount", {"openai": -0.1}, 400),
        ("discount", {"openai": "much"}, 422),
        ("discount", {"": 0.1}, 422),
        ("discount", [0.1], 422),
        ("margin", {"openai": -1}, 400),
        ("margin", {"openai": {"percent": 1}}, 400),
        ("margin", {"openai": {"percentage": -1}}, 400),
        ("margin", {"openai": [1]}, 422),
    ],
)
def test_a_share_that_cannot_be_used_is_refused(tmp_path: Path, word: str, body: Any, status: int) -> None:
    with spending(tmp_path, []) as spend:
        http = client(spend.app)
        http.headers.update(bearer("master"))
        path = f"/config/cost_{word}_config"
        assert http.patch(path, json=body).status_code == status
        assert http.get(path).json() == {"values": {}}


@pytest.mark.parametrize("who", ["internal", "nobody", "team", "viewer"])
def test_only_an_administrator_sets_shares(tmp_path: Path, who: str) -> None:
    with spending(tmp_path, []) as spend:
        http = client(spend.app)
        path = "/config/cost_discount_config"
        assert http.patch(path, json={"openai": 0.1}, headers=bearer(who)).status_code in (401, 403)
        assert http.get(path, headers=bearer(who)).status_code == (200 if who == "viewer" else 401)
