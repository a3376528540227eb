"""`/user|team|tag|customer|organization/daily/activity`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, call, client, raw, sha, spending

MAY = "start_date=2026-05-01&end_date=2026-05-31"
KEY, OTHER = sha(raw("internal")), sha("sk-a-key-that-is-gone")
CALLS = [
    call("2026-05-01T10:00:00", "0.001", user_id="ishaan", api_key=KEY, team_id="t-prod", end_user="acme", tags=["a", "b"],
         cache_read_input_tokens=4, cache_creation_input_tokens=2, provider="azure", model_group="prod-gpt"),
    call("2026-05-01T11:00:00", "0.002", user_id="", api_key=OTHER, provider="", organization_id="org", status="failure"),
    call("2026-05-02T10:00:00", "0.004", user_id="ishaan", api_key=KEY, tags=["a"]),
    call("2026-05-03T10:00:00", None, user_id="krrish", api_key=OTHER, tags=["b"]),
]  # fmt: skip
METRICS = [
    "spend",
    "flat_cost",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "compression_saved_tokens",
    "compression_savings_spend",
    "prompt_caching_savings_spend",
    "gateway_injected_caching_savings_spend",
    "autorouter_savings_spend",
    "total_tokens",
    "successful_requests",
    "failed_requests",
    "api_requests",
    "total_response_time_ms",
    "timed_requests",
]
TOTALS = [
    "total_spend",
    "total_flat_cost",
    "total_prompt_tokens",
    "total_completion_tokens",
    "total_tokens",
    "total_api_requests",
    "total_successful_requests",
    "total_failed_requests",
    "total_cache_read_input_tokens",
    "total_cache_creation_input_tokens",
    "total_compression_saved_tokens",
    "total_compression_savings_spend",
    "total_prompt_caching_savings_spend",
    "total_gateway_injected_caching_savings_spend",
    "total_autorouter_savings_spend",
    "total_response_time_ms",
    "total_timed_requests",
    "page",
    "total_pages",
    "has_more",
    "api_key_limit",
    "total_api_keys",
    "entity_total_api_keys",
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with spending(tmp_path_factory.mktemp("activity"), CALLS) as spend:
        yield client(spend.app, headers=bearer("master"))


def activity(http: TestClient, path: str = "/user/daily/activity", more: str = "", **options: Any) -> Any:
    answer = http.get(f"{path}?{MAY}&{more}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_days_come_newest_first_each_taken_apart(http: TestClient) -> None:
    found = activity(http)
    assert list(found) == ["results", "metadata"]
    assert [day["date"] for day in found["results"]] == ["2026-05-03", "2026-05-02", "2026-05-01"]
    day = found["results"][-1]
    assert list(day) == ["date", "metrics", "breakdown"]
    assert list(day["metrics"]) == METRICS
    assert list(day["breakdown"]) == [
        "mcp_servers", "models", "model_groups", "providers", "endpoints", "api_keys", "entities",
    ]  # fmt: skip
    assert set(day["breakdown"]["providers"]) == {"azure", "unknown"}
    assert set(day["breakdown"]["model_groups"]) == {"prod-gpt", "gpt-4o-mini"}
    assert set(day["breakdown"]["entities"]) == {"ishaan", "Unassigned"}
    assert day["breakdown"]["entities"]["ishaan"]["metadata"] == {
        "user_email": "ishaan@example.com",
        "user_alias": None,
    }


def test_metrics_count_calls_tokens_and_money(http: TestClient) -> None:
    day = activity(http)["results"][-1]
    assert {name: day["metrics"][name] for name in METRICS if day["metrics"][name]} == {
        "spend": 0.003,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 2,
        "total_tokens": 30,
        "successful_requests": 1,
        "failed_requests": 1,
        "api_requests": 2,
        "total_response_time_ms": 3000,
        "timed_requests": 2,
    }


def test_a_part_names_its_keys_and_whose_they_are(http: TestClient) -> None:
    breakdown = activity(http)["results"][-1]["breakdown"]
    part = breakdown["providers"]["azure"]
    assert list(part) == ["metrics", "metadata", "api_key_breakdown"]
    assert part["metadata"] == {}
    known = {
        "key_alias": "alias-internal",
        "team_id": None,
        "user_id": "ishaan",
        "user_email": "ishaan@example.com",
        "key_exists": True,
    }
    assert part["api_key_breakdown"][KEY]["metadata"] == known
    gone = {"key_alias": None, "team_id": None, "user_id": None, "user_email": None, "key_exists": False}
    assert list(breakdown["api_keys"][OTHER]) == ["metrics", "metadata"]
    assert breakdown["api_keys"][OTHER]["metadata"] == gone


def test_totals_are_those_of_the_page_and_the_header_those_of_the_range(http: TestClient) -> None:
    spent, requests, page, more = 0.0, 0, 1, True
    while more:
        answer = http.get(f"/user/daily/activity?{MAY}&page={page}&page_size=1")
        found = answer.json()["metadata"]
        assert list(found)[: len(TOTALS)] == TOTALS
        assert answer.headers["x-spend-total"] == "0.007"
        assert answer.headers["x-spend-unpriced-calls"] == "1"
        spent, requests = round(spent + found["total_spend"], 6), requests + found["total_api_requests"]
        more, page = found["has_more"], page + 1
    assert (spent, requests, found["total_pages"]) == (0.007, 4, 4)


def test_nothing_found_has_no_pages(http: TestClient) -> None:
    found = http.get("/user/daily/activity?start_date=2020-01-01&end_date=2020-01-02").json()
    assert found["results"] == []
    assert (
        found["metadata"]["total_pages"],
        found["metadata"]["has_more"],
        found["metadata"]["total_spend"],
    ) == (0, False, 0.0)


@pytest.mark.parametrize(
    ("path", "more", "entities", "total"),
    [
        ("/user/daily/activity", "user_id=ishaan", {"ishaan"}, 0.005),
        ("/user/daily/activity", f"api_key={raw('internal')}", {"ishaan"}, 0.005),
        ("/user/daily/activity", "model=gpt-4o-mini", {"ishaan", "krrish", "Unassigned"}, 0.007),
        ("/team/daily/activity", "", {"t-prod", "Unassigned"}, 0.007),
        ("/team/daily/activity", "team_ids=t-prod", {"t-prod"}, 0.001),
        ("/team/daily/activity", "exclude_team_ids=t-prod", {"Unassigned"}, 0.006),
        ("/team/daily/activity", "team_ids=t-prod&exclude_team_ids=t-prod", set(), 0.0),
        ("/customer/daily/activity", "end_user_ids=acme", {"acme"}, 0.001),
        ("/end_user/daily/activity", "end_user_ids=acme", {"acme"}, 0.001),
        ("/organization/daily/activity", "organization_ids=org", {"org"}, 0.002),
        ("/tag/daily/activity", "tags=a", {"a"}, 0.005),
        # A call with two tags is in both, and once in the total.
        ("/tag/daily/activity", "tags=a,b", {"a", "b"}, 0.005),
    ],
)
@pytest.mark.parametrize("form", ["", "/aggregated"])
def test_activity_can_be_narrowed(
    http: TestClient, path: str, form: str, more: str, entities: set[str], total: float
) -> None:
    found = activity(http, path + form, more)
    # LiteLLM takes users apart on its pages alone.
    shown = set() if path + form == "/user/daily/activity/aggregated" else entities
    assert {name for day in found["results"] for name in day["breakdown"]["entities"]} == shown
    assert found["metadata"]["total_spend"] == total


def test_one_page_takes_the_most_expensive_keys_apart_and_counts_all(http: TestClient) -> None:
    found = activity(http, "/team/daily/activity/aggregated", "api_key_limit=1")
    assert {key for day in found["results"] for key in day["breakdown"]["api_keys"]} == {KEY}
    parts = [part for day in found["results"] for part in day["breakdown"]["models"].values()]
    assert {key for part in parts for key in part["api_key_breakdown"]} == {KEY}
    metadata = found["metadata"]
    assert (metadata["total_spend"], metadata["total_pages"], metadata["api_key_limit"]) == (0.007, 1, 1)
    assert metadata["total_api_keys"] == 2
    assert metadata["entity_total_api_keys"] == {"Unassigned": 2, "t-prod": 1}
    whole = activity(http, "/user/daily/activity/aggregated")
    assert {key for day in whole["results"] for key in day["breakdown"]["api_keys"]} == {KEY, OTHER}
    assert whole["metadata"]["entity_total_api_keys"] is None


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_bad_limit_of_keys_is_refused(http: TestClient, limit: str) -> None:
    answer = http.get(f"/team/daily/activity/aggregated?{MAY}&api_key_limit={limit}")
    assert answer.status_code == 422


def test_users_see_their_own_activity_only(http: TestClient) -> None:
    found = activity(http, headers=bearer("internal"))
    assert {name for day in found["results"] for name in day["breakdown"]["entities"]} == {"ishaan"}
    assert found["metadata"]["total_spend"] == 0.005


@pytest.mark.parametrize("more", ["page=0", "page_size=0", "page_size=1001", "page=-99999999999999999999"])
def test_a_bad_page_is_refused_by_name(http: TestClient, more: str) -> None:
    answer = http.get(f"/user/daily/activity?{MAY}&{more}")
    assert answer.status_code == 400
    assert f"'{more.partition('=')[2]}'" in answer.json()["detail"]["error"]
