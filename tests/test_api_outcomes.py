"""How calls ended, users of tags, and what only a proxy has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, call, client, raw, sha, spending

MAY = "start_date=2026-05-01&end_date=2026-05-31"
KEY = sha(raw("internal"))
REFUSED: dict[str, Any] = {
    "status": "failure",
    "status_code": 429,
    "error_type": "RateLimitError",
    "model_group": "prod-gpt",
}
HIT = json.dumps({"litellm": {"cache_hit": "True"}})
MIDNIGHT = datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
TODAY = MIDNIGHT.date()
CALLS = [
    call("2026-05-01T10:00:00", api_key=KEY),
    call("2026-05-01T11:00:00", "0", api_key=KEY, metadata=HIT, completion_tokens=7),
    call("2026-05-01T12:00:00", **REFUSED, api_base="https://one.example/v1"),
    call("2026-05-01T12:00:00", **REFUSED, api_base="https://two.example/v1"),
    call("2026-05-02T12:00:00", **REFUSED, api_base="https://two.example/v1"),
    call("2026-05-02T13:00:00", status="interrupted", status_code=None, call_type="embedding", model="ada"),
    *(
        call(
            (MIDNIGHT + timedelta(seconds=index)).isoformat(),
            user_id=user,
            tags=["User-Agent: curl", "User-Agent: curl/8", *more],
            status=status,
        )
        for index, (user, status, more) in enumerate(
            [("ishaan", "success", ()), ("ishaan", "success", ("x-y: z",)), ("krrish", "failure", ()), ("", "success", ())]
        )
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with spending(tmp_path_factory.mktemp("outcomes"), CALLS, max_budget=250.0) as spend:
        yield client(spend.app, headers=bearer("master"))


def ask(http: TestClient, path: str) -> Any:
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_refusals_for_their_number_are_counted_by_day(http: TestClient) -> None:
    assert ask(http, f"/global/activity/exceptions?{MAY}&model_group=prod-gpt") == {
        "daily_data": [
            {"date": "May 01", "num_rate_limit_exceptions": 2},
            {"date": "May 02", "num_rate_limit_exceptions": 1},
        ],
        "sum_num_rate_limit_exceptions": 3,
    }
    assert ask(http, f"/global/activity/exceptions?{MAY}&model_group=other") == {
        "daily_data": [],
        "sum_num_rate_limit_exceptions": 0,
    }


def test_refusals_for_their_number_are_counted_by_host(http: TestClient) -> None:
    found = ask(http, f"/global/activity/exceptions/deployment?{MAY}&model_group=prod-gpt")
    assert [(host["api_base"], host["sum_num_rate_limit_exceptions"]) for host in found] == [
        ("https://two.example/v1", 2),
        ("https://one.example/v1", 1),
    ]
    assert found[1]["daily_data"] == [{"date": "May 01", "num_rate_limit_exceptions": 1}]


@pytest.mark.parametrize("path", ["exceptions", "exceptions/deployment"])
def test_refusals_need_dates_and_a_group(http: TestClient, path: str) -> None:
    assert http.get(f"/global/activity/{path}?{MAY}").status_code == 422
    answer = http.get(f"/global/activity/{path}?model_group=x")
    assert answer.status_code == 400
    assert answer.json() == {"detail": {"error": "Please provide start_date and end_date"}}


def test_calls_are_counted_by_type_and_end(http: TestClient) -> None:
    assert ask(http, f"/global/activity/cache_hits?{MAY}") == {
        "groups": [
            {
                "call_type": "completion", "api_requests": 1, "cache_hits": 1, "failed_requests": 3,
                "cached_completion_tokens": 7, "generated_completion_tokens": 20,
            },
            {
                "call_type": "embedding", "api_requests": 0, "cache_hits": 0, "failed_requests": 1,
                "cached_completion_tokens": 0, "generated_completion_tokens": 5,
            },
        ],
        "totals": {
            "api_requests": 1, "cache_hits": 1, "failed_requests": 4, "cached_completion_tokens": 7,
            "cache_hit_ratio": pytest.approx(100 / 6),
        },
        "filter_options": {"key_aliases": ["Unnamed Key", "alias-internal"], "models": ["ada", "gpt-4o-mini"]},
        "error_breakdown": [
            {"call_type": "completion", "error_code": "429", "error_class": "RateLimitError", "count": 3},
            {"call_type": "embedding", "error_code": "Unknown", "error_class": "Unknown", "count": 1},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "requests"),
    [
        ("key_aliases=alias-internal", 1),
        ("key_aliases=Unnamed%20Key&models=ada", 0),
        ("models=gpt-4o-mini&models=ada", 1),
        ("models=unheard-of", 0),
    ],
)
def test_calls_by_type_can_be_narrowed_to_keys_and_models(http: TestClient, more: str, requests: int) -> None:
    found = ask(http, f"/global/activity/cache_hits?{MAY}&{more}")
    assert found["totals"]["api_requests"] == requests
    assert found["filter_options"]["models"] == ["ada", "gpt-4o-mini"]


def test_calls_by_type_refuse_what_is_no_day(http: TestClient) -> None:
    answer = http.get("/global/activity/cache_hits?start_date=2026-05-01&end_date=soon")
    assert answer.status_code == 400
    assert "'soon'" in answer.json()["detail"]["error"]
    assert http.get("/global/activity/cache_hits").status_code == 422


# -- users of tags


def test_active_users_are_counted_by_tag_for_days_weeks_and_months(http: TestClient) -> None:
    assert ask(http, "/tag/dau?tag_filter=CURL") == {
        "results": [
            {
                "tag": tag,
                "active_users": 2,
                "date": TODAY.isoformat(),
                "period_start": None,
                "period_end": None,
            }
            for tag in ("User-Agent: curl", "User-Agent: curl/8")
        ]
    }
    tomorrow = TODAY + timedelta(days=1)
    for form, word, days in (("wau", "Week", 7), ("mau", "Month", 30)):
        (line,) = ask(http, f"/tag/{form}?tag_filters=User-Agent:%20curl")["results"]
        assert (line["active_users"], line["date"].split(" (")[0]) == (2, f"{word} 7")
        assert line["period_start"] == f"{tomorrow - timedelta(days=days - 1)} 00:00:00"
        assert line["period_end"] == f"{tomorrow} 00:00:00"
    assert ask(http, "/tag/dau?tag_filter=wget") == {"results": []}


def test_users_of_tags_have_their_calls_counted_once(http: TestClient) -> None:
    found = ask(http, "/tag/user-agent/per-user-analytics?page_size=1")
    assert (found["total_count"], found["page"], found["page_size"], found["total_pages"]) == (2, 1, 1, 2)
    assert found["results"] == [
        {
            "user_id": "ishaan", "user_email": "ishaan@example.com", "user_agent": "User-Agent: curl",
            "successful_requests": 2, "failed_requests": 0, "total_requests": 2, "total_tokens": 30, "spend": 0.002,
        }
    ]  # fmt: skip
    second = ask(http, "/tag/user-agent/per-user-analytics?page_size=1&page=2")["results"]
    assert [(user["user_id"], user["failed_requests"]) for user in second] == [("krrish", 1)]
    assert ask(http, "/tag/user-agent/per-user-analytics?tag_filter=wget")["results"] == []


def test_the_list_of_tags_leaves_out_what_a_header_said(http: TestClient) -> None:
    assert ask(http, "/tag/distinct") == {
        "results": [{"tag": "User-Agent: curl"}, {"tag": "User-Agent: curl/8"}]
    }


# -- what only a proxy has


def test_the_budget_of_all_is_the_one_of_the_settings(http: TestClient) -> None:
    assert ask(http, "/global/spend") == {"spend": 0.004, "max_budget": 250.0}


def test_there_are_no_budgets_of_providers(http: TestClient) -> None:
    assert ask(http, "/provider/budgets") == {"providers": {}}


def test_there_is_no_view_to_refresh(http: TestClient) -> None:
    assert http.post("/global/spend/refresh").text == "null"
    assert http.post("/global/spend/refresh", headers=bearer("internal")).status_code in (401, 403)
