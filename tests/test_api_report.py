"""`/global/spend/report`, its siblings and the other reports about everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import update
from starlette.testclient import TestClient

import databases
from api_house import bearer, call, client, raw, sha, spending
from spend_middleware.store.entities import SpendTeam

MAY = "start_date=2026-05-01&end_date=2026-05-31"
A, B = sha(raw("team")), sha(raw("other_team"))


def row(at: str, spend: str | None, **columns: Any) -> dict[str, Any]:
    return call(f"2026-05-{at}", spend, **columns)


CALLS = [
    row("01T10:00:00", "0.00123", model="gpt-4", api_key=A, team_id="t-prod", end_user="palantir", prompt_tokens=20, completion_tokens=8, user_id="ishaan", tags=["a", "b"]),
    row("01T11:00:00", "0.000214", model="chatgpt-v-2", api_key=B, team_id="t-prod", end_user="palantir", prompt_tokens=100, completion_tokens=22, tags=["a"]),
    row("01T12:00:00", "0.00001", model="gpt-4", api_key=B, team_id="t-test", end_user="", user_id="krrish"),
    row("01T13:00:00", "0.00002", model="gpt-4", api_key="", team_id="t-gone", end_user="acme"),
    row("01T14:00:00", "0.00004", model="gpt-4", api_key="", team_id="", end_user="acme"),
    row("31T23:59:59", "0.5", model="dall-e-3", api_key=A, team_id="t-prod", end_user="acme", prompt_tokens=0, completion_tokens=0, provider="azure", user_id="ishaan"),
    row("31T23:59:59", None, model="gpt-99", api_key=A, team_id="t-prod", end_user="acme", unpriced_reason="no price"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def http(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("report")
    with databases.database(request.param, folder) as url, spending(folder, CALLS, url) as spend:
        yield client(spend.app, headers=bearer("master"))


def test_a_report_by_team_stands_by_day_under_the_teams_names(http: TestClient) -> None:
    answer = http.get(f"/global/spend/report?{MAY}&group_by=team")
    first, last = answer.json()
    assert list(first) == ["group_by_day", "teams"]
    assert first["group_by_day"] == "2026-05-01T00:00:00+00:00"
    assert first["teams"] == [
        {
            "metadata": [
                {"model": "gpt-4", "spend": 0.00123, "api_key": A, "total_tokens": 28},
                {"model": "chatgpt-v-2", "spend": 0.000214, "api_key": B, "total_tokens": 122},
            ],
            "team_name": "Prod Team",
            "total_spend": 0.001444,
        },
        {
            "metadata": [{"model": "gpt-4", "spend": 1e-05, "api_key": B, "total_tokens": 15}],
            "team_name": "Test Team",
            "total_spend": 1e-05,
        },
        # A team that is gone and calls without a team are one bucket, as in LiteLLM.
        {
            "metadata": [{"model": "gpt-4", "spend": 6e-05, "api_key": "", "total_tokens": 30}],
            "team_name": "Unassigned Team",
            "total_spend": 6e-05,
        },
    ]
    assert last["group_by_day"] == "2026-05-31T00:00:00+00:00"
    assert answer.headers["x-spend-unpriced-calls"] == "1"
    assert answer.headers["x-spend-total"] == "0.501514"


def test_team_is_the_grouping_where_none_is_named(http: TestClient) -> None:
    assert (
        http.get(f"/global/spend/report?{MAY}").content
        == http.get(f"/global/spend/report?{MAY}&group_by=team").content
    )


def test_a_report_by_customer_keeps_the_nameless_apart(http: TestClient) -> None:
    first, _ = http.get(f"/global/spend/report?{MAY}&group_by=customer").json()
    assert [(part["customer"], part["total_spend"]) for part in first["customers"]] == [
        ("", 1e-05), ("acme", 6e-05), ("palantir", 0.001444),
    ]  # fmt: skip
    assert list(first["customers"][0]) == ["customer", "metadata", "total_spend"]


def test_a_team_and_a_customer_together_take_days_apart_by_both(http: TestClient) -> None:
    days = http.get(f"/global/spend/report?{MAY}&team_id=t-prod&customer_id=palantir").json()
    assert [list(day) for day in days] == [["group_by_day", "teams_customers"]]
    part = days[0]["teams_customers"][0]
    assert list(part) == ["customer", "metadata", "team_name", "total_spend"]
    assert (part["customer"], part["team_name"], part["total_spend"]) == ("palantir", "Prod Team", 0.001444)


BY_KEY = [
    {
        "api_key": A,
        "total_cost": 0.50123,
        "total_input_tokens": 30.0,
        "total_output_tokens": 13.0,
        "model_details": [
            {"model": "dall-e-3", "total_cost": 0.5, "total_input_tokens": 0, "total_output_tokens": 0},
            {"model": "gpt-4", "total_cost": 0.00123, "total_input_tokens": 20, "total_output_tokens": 8},
            {"model": "gpt-99", "total_cost": 0.0, "total_input_tokens": 10, "total_output_tokens": 5},
        ],
    }
]


def test_a_report_of_one_key_takes_it_raw_or_hashed(http: TestClient) -> None:
    for key in (raw("team"), A):
        answer = http.get(f"/global/spend/report?{MAY}&api_key={key}")
        assert answer.json() == BY_KEY
        assert '"total_input_tokens":30.0,' in answer.text
        assert '"total_input_tokens":0,' in answer.text


@pytest.mark.parametrize(
    ("query", "costs"),
    [
        ("group_by=api_key", [0.50123, 0.000224, 6e-05]),
        ("internal_user_id=ishaan", [0.50123]),
        ("internal_user_id=nobody", []),
        (f"api_key={A}&internal_user_id=krrish", []),
        ("group_by=api_key&team_id=t-prod", [0.50123, 0.000214]),
        ("group_by=api_key&customer_id=acme", [0.5, 6e-05]),
    ],
)
def test_reports_by_key_come_most_expensive_first(http: TestClient, query: str, costs: list[float]) -> None:
    answer = http.get(f"/global/spend/report?{MAY}&{query}")
    assert [key["total_cost"] for key in answer.json()] == costs


def total_of(report: list[Any]) -> Decimal:
    parts = [
        part["total_spend"]
        for day in report
        for title in ("teams", "customers", "teams_customers")
        for part in day.get(title, [])
    ] + [key["total_cost"] for key in report if "total_cost" in key]
    return sum((Decimal(str(part)) for part in parts), Decimal(0))


@pytest.mark.parametrize("query", ["group_by=team", "group_by=customer", "group_by=api_key"])
def test_every_grouping_has_the_same_total(http: TestClient, query: str) -> None:
    answer = http.get(f"/global/spend/report?{MAY}&{query}")
    assert total_of(answer.json()) == Decimal(answer.headers["x-spend-total"]) == Decimal("0.501514")


def test_a_team_alone_narrows_the_report_to_it_and_a_customer_alone_too(http: TestClient) -> None:
    teams = http.get(f"/global/spend/report?{MAY}&team_id=t-test").json()
    assert [part["team_name"] for day in teams for part in day["teams"]] == ["Test Team"]
    customers = http.get(f"/global/spend/report?{MAY}&group_by=customer&customer_id=palantir").json()
    assert [part["customer"] for day in customers for part in day["customers"]] == ["palantir"]


def test_days_are_those_of_the_zone_asked_for(http: TestClient) -> None:
    days = http.get(
        "/global/spend/report?start_date=2026-06-01&end_date=2026-06-01&timezone=Europe/Berlin"
    ).json()
    assert [day["group_by_day"] for day in days] == ["2026-06-01T00:00:00+02:00"]


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("", 400, "Please provide start_date and end_date"),
        ("start_date=2026-05-01", 400, "Please provide start_date and end_date"),
        ("start_date=yesterday&end_date=2026-05-01", 400, "'yesterday'"),
        ("start_date=2026-05-02&end_date=2026-05-01", 400, "'2026-05-01'"),
        (f"{MAY}&timezone=Nowhere/Land", 400, "'Nowhere/Land'"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/global/spend/report", "/global/activity", "/user/daily/activity", "/tag/daily/activity"]
)
def test_bad_ranges_are_refused_by_name(
    http: TestClient, path: str, query: str, status: int, detail: str
) -> None:
    answer = http.get(f"{path}?{query}")
    assert answer.status_code == status
    assert detail in answer.json()["detail"]["error"]


def test_an_unknown_grouping_is_a_422(http: TestClient) -> None:
    assert http.get(f"/global/spend/report?{MAY}&group_by=planet").status_code == 422


def test_nothing_found_is_an_empty_list(http: TestClient) -> None:
    for grouping in ("team", "customer", "api_key"):
        answer = http.get(
            f"/global/spend/report?start_date=2020-01-01&end_date=2020-01-02&group_by={grouping}"
        )
        assert answer.text == "[]"


# -- siblings


@pytest.mark.parametrize(
    ("path", "costs"),
    [
        (f"/key/spend/report?{MAY}&api_key={A}", [0.50123]),
        (f"/user/spend/report?{MAY}&internal_user_id=krrish", [1e-05]),
        (f"/team/spend/report?{MAY}&team_id=t-prod", [0.50123, 0.000214]),
        (f"/organization/spend/report?{MAY}&organization_id=none", []),
    ],
)
def test_the_reports_of_one_entity_have_the_rows_of_a_report_by_key(
    http: TestClient, path: str, costs: list[float]
) -> None:
    assert [key["total_cost"] for key in http.get(path).json()] == costs


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "Please provide start_date and end_date"),
        ("start_date=2024-01-01&end_date=2026-01-01", "more than 366 days"),
        ("start_date=x&end_date=2026-01-01", "'x'"),
    ],
)
def test_the_reports_of_one_entity_say_what_is_wrong_as_text(
    http: TestClient, query: str, detail: str
) -> None:
    answer = http.get(f"/key/spend/report?{query}")
    assert answer.status_code == 400
    assert detail in answer.json()["detail"]


# -- /global/spend/*


def test_global_tags_are_rounded_to_four_decimals_and_exact_beside_it(http: TestClient) -> None:
    answer = http.get(f"/global/spend/tags?{MAY}")
    assert answer.json() == {
        "spend_per_tag": [
            {"name": "a", "spend": 0.0014, "log_count": 2, "total_spend": 0.001444},
            {"name": "b", "spend": 0.0012, "log_count": 1, "total_spend": 0.00123},
        ]
    }
    assert answer.headers["x-spend-total"] == "0.001444"


@pytest.mark.parametrize(
    ("tags", "rows"),
    [
        ("a", '[{"name":"a","spend":0.0014,"log_count":2.0,"total_spend":0.001444}]'),
        ("%20a%20,,a", '[{"name":"a","spend":0.0014,"log_count":2.0,"total_spend":0.001444}]'),
        ("unheard-of", "[]"),
    ],
)
def test_with_a_filter_the_counts_of_global_tags_are_floats(http: TestClient, tags: str, rows: str) -> None:
    assert http.get(f"/global/spend/tags?{MAY}&tags={tags}").text == f'{{"spend_per_tag":{rows}}}'


def test_all_tags_is_a_word_for_no_filter(http: TestClient) -> None:
    assert (
        http.get(f"/global/spend/tags?{MAY}&tags=a,all-tags").content
        == http.get(f"/global/spend/tags?{MAY}").content
    )


def test_global_tags_need_both_dates(http: TestClient) -> None:
    answer = http.get("/global/spend/tags")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (
        400,
        "bad_request",
        None,
        "400",
    )


def test_activity_goes_by_time_and_not_by_the_alphabet(http: TestClient) -> None:
    assert http.get(f"/global/activity?{MAY}").json() == {
        "daily_data": [
            {"date": "May 01", "api_requests": 5, "total_tokens": 195},
            {"date": "May 31", "api_requests": 2, "total_tokens": 15},
        ],
        "sum_api_requests": 7,
        "sum_total_tokens": 210,
    }


def test_activity_by_model_has_its_days(http: TestClient) -> None:
    groups = http.get(f"/global/activity/model?{MAY}").json()
    assert [(group["model"], group["sum_api_requests"]) for group in groups] == [("gpt-4o-mini", 7)]
    assert groups[0]["daily_data"][0] == {
        "model_group": "gpt-4o-mini", "date": "May 01", "api_requests": 5, "total_tokens": 195,
    }  # fmt: skip


def test_names_are_sorted_and_without_the_empty_one(http: TestClient) -> None:
    assert http.get("/global/spend/all_tag_names").json() == {"tag_names": ["a", "b"]}
    assert http.get("/global/all_end_users").json() == {"end_users": ["acme", "palantir"]}


def test_providers_come_most_expensive_first(http: TestClient) -> None:
    assert http.get(f"/global/spend/provider?{MAY}").json() == [
        {"provider": "azure", "spend": 0.5}, {"provider": "openai", "spend": 0.001514},
    ]  # fmt: skip


def test_customers_come_most_expensive_first(http: TestClient) -> None:
    asked = {"startTime": "2026-05-01", "endTime": "2026-05-31"}
    assert http.post("/global/spend/end_users", json=asked).json() == [
        {"end_user": "acme", "total_count": 4, "total_spend": 0.50006},
        {"end_user": "palantir", "total_count": 2, "total_spend": 0.001444},
    ]
    assert http.post("/global/spend/end_users").json() == []
    only = http.post("/global/spend/end_users", json={**asked, "api_key": raw("team")}).json()
    assert [customer["total_count"] for customer in only] == [2, 1]


def test_the_last_thirty_days_of_old_calls_are_empty(http: TestClient) -> None:
    assert http.get("/global/spend").json() == {"spend": None, "max_budget": 0.0}
    assert http.get("/global/spend/logs").json() == []
    assert http.get("/global/spend/keys").json() == []
    assert http.get("/global/spend/models").json() == []
    assert http.get("/global/spend/teams").json() == {
        "daily_spend": [],
        "teams": [],
        "total_spend_per_team": [],
    }


def test_the_last_thirty_days_of_a_new_call_hold_it(tmp_path: Any) -> None:
    with spending(tmp_path, []) as spend:
        spend.record(provider="openai", model="gpt-4", cost="0.129", team_id="t-prod", api_key=raw("team"))
        http = client(spend.app, headers=bearer("master"))
        day = http.get("/global/spend/logs").json()[0]["date"]
        assert http.get("/global/spend").json() == {"spend": 0.129, "max_budget": 0.0}
        assert http.get(f"/global/spend/logs?api_key={raw('team')}").json() == [
            {"date": day, "spend": 0.129, "api_key": A}
        ]
        assert http.get("/global/spend/keys?limit=1").json() == [
            {"api_key": A, "key_alias": "alias-team", "key_name": "sk-...0001", "total_spend": 0.129}
        ]
        assert http.get("/global/spend/models").json() == [{"model": "gpt-4", "total_spend": 0.129}]
        assert http.get("/global/spend/teams").json() == {
            "daily_spend": [{"date": day, "Prod Team": 0.129}],
            "teams": ["Prod Team"],
            "total_spend_per_team": [{"team_id": "Prod Team", "total_spend": 0.13}],
        }
        assert http.get("/global/spend/keys?limit=0").status_code == 400


def test_a_reset_empties_keys_and_teams_and_keeps_the_ledger(tmp_path: Any) -> None:
    with spending(tmp_path, CALLS) as spend:
        http = client(spend.app, headers=bearer("master"))
        before = http.get("/spend/logs").content
        answer = http.post("/global/spend/reset")
        assert answer.json() == {
            "message": "Spend for all API Keys and Teams reset successfully",
            "status": "success",
        }
        assert http.get("/spend/logs").content == before


def test_teams_that_share_a_name_are_one(tmp_path: Any) -> None:
    with spending(tmp_path, CALLS) as spend:
        with spend.directory.write() as desk:
            desk.session.exec(update(SpendTeam).values(team_alias="Prod Team"))
        http = client(spend.app, headers=bearer("master"))
        first, _ = http.get(f"/global/spend/report?{MAY}").json()
        assert [(team["team_name"], team["total_spend"]) for team in first["teams"]] == [
            ("Prod Team", 0.001454), ("Unassigned Team", 6e-05),
        ]  # fmt: skip


def test_an_answer_of_many_parts_is_whole(tmp_path: Any) -> None:
    many = [
        call(f"2026-05-{1 + index % 3:02d}T10:00:00", "0.000001", end_user=f"customer-{index:05d}", api_key=A)
        for index in range(3000)
    ]
    with spending(tmp_path, many) as spend:
        http = client(spend.app, headers=bearer("master"))
        with http.stream("GET", f"/global/spend/report?{MAY}&group_by=customer") as answer:
            chunks = list(answer.iter_bytes())
        report = json.loads(b"".join(chunks))
    assert [len(day["customers"]) for day in report] == [1000, 1000, 1000]
    assert total_of(report) == Decimal("0.003")
    assert len(chunks) > 3
