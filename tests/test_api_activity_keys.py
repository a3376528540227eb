"""Keys in daily activity, and daily activity as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, call, client, raw, sha, spending

MAY = "start_date=2026-05-01&end_date=2026-05-31"
KEY, TEAM_KEY, GONE = sha(raw("internal")), sha(raw("team")), sha("sk-a-key-that-is-gone")
CALLS = [
    call("2026-05-01T10:00:00", "0.001", user_id="ishaan", api_key=KEY, team_id="t-prod", tags=["a", "b"],
         cache_read_input_tokens=4, cache_creation_input_tokens=2, model_group="prod-gpt", agent_id="smith"),
    call("2026-05-01T11:00:00", "0.002", api_key=GONE, organization_id="org", status="failure"),
    call("2026-05-02T10:00:00", "0.004", user_id="ishaan", api_key=KEY, tags=["a"], cache_read_input_tokens=10),
    call("2026-05-03T10:00:00", None, user_id="krrish", api_key=TEAM_KEY, team_id="t-prod", tags=["=b"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with spending(tmp_path_factory.mktemp("activity"), CALLS) as spend:
        yield client(spend.app, headers=bearer("master"))


def ask(http: TestClient, path: str, more: str = "", **options: Any) -> Any:
    answer = http.get(f"{path}?{MAY}&{more}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_keys_come_most_expensive_first_in_pages(http: TestClient) -> None:
    path = "/user/daily/activity/aggregated/keys"
    found = ask(http, path)
    assert (found["total_api_keys"], found["offset"], found["limit"]) == (3, 0, 50)
    assert [row["api_key"] for row in found["api_keys"]] == [KEY, GONE, TEAM_KEY]
    assert found["api_keys"][0] == {
        "api_key": KEY,
        "metrics": {
            "spend": 0.005, "prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, "api_requests": 2,
            "successful_requests": 2, "failed_requests": 0, "cache_read_input_tokens": 14, "cache_creation_input_tokens": 2,
        },
        "metadata": {
            "key_alias": "alias-internal", "team_id": None, "user_id": "ishaan", "user_email": "ishaan@example.com",
            "key_exists": True,
        },
    }  # fmt: skip
    assert found["api_keys"][1]["metadata"]["key_exists"] is False
    second = ask(http, path, "offset=1&limit=1")
    assert ([row["api_key"] for row in second["api_keys"]], second["total_api_keys"]) == ([GONE], 3)


@pytest.mark.parametrize(
    ("path", "more", "keys"),
    [
        ("/team", "team_ids=t-prod", [KEY, TEAM_KEY]),
        ("/tag", "", [KEY, TEAM_KEY]),
        ("/tag", "tags=a", [KEY]),
        ("/organization", "organization_ids=org", [GONE]),
        ("/agent", "", [KEY]),
        ("/customer", "end_user_ids=nobody", []),
        ("/end_user", "model=gpt-4o-mini", [KEY, GONE, TEAM_KEY]),
    ],
)
def test_keys_can_be_narrowed(http: TestClient, path: str, more: str, keys: list[str]) -> None:
    found = ask(http, f"{path}/daily/activity/aggregated/keys", more)
    assert [row["api_key"] for row in found["api_keys"]] == keys


def test_a_call_with_two_tags_counts_once_under_its_key(http: TestClient) -> None:
    found = ask(http, "/tag/daily/activity/aggregated/keys")
    assert found["api_keys"][0]["metrics"]["api_requests"] == 2


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ALIAS-INT", [KEY]), ("ishaan@", [KEY]), (GONE[:12], [GONE]), ("alias", [KEY, TEAM_KEY]), ("%", [])],
)
def test_keys_are_found_by_hash_alias_and_owner(http: TestClient, text: str, keys: list[str]) -> None:
    found = http.get(
        f"/user/daily/activity/aggregated/search?{MAY}", params={**_may(), "search": text}
    ).json()
    assert [row["api_key"] for row in found["api_keys"]] == keys
    assert all(row["metrics"]["timed_requests"] for row in found["api_keys"])


def _may() -> dict[str, str]:
    return {"start_date": "2026-05-01", "end_date": "2026-05-31"}


def test_the_keys_of_a_model_are_those_of_its_group_or_its_own(http: TestClient) -> None:
    path = "/team/daily/activity/aggregated/model_top_keys"
    group = ask(http, path, "model_group=prod-gpt")
    assert (group["model"], group["by_model_group"]) == ("prod-gpt", True)
    assert [(row["api_key"], row["metrics"]["spend"]) for row in group["api_keys"]] == [(KEY, 0.001)]
    model = ask(http, path, "model_group=gpt-4o-mini&by_model_group=false&limit=2")
    assert [row["api_key"] for row in model["api_keys"]] == [KEY, GONE]
    assert http.get(f"{path}?{MAY}").status_code == 422


def test_keys_that_read_least_out_of_a_cache_come_first(http: TestClient) -> None:
    found = ask(http, "/user/daily/activity/aggregated/cache_leakage_keys")
    tokens = [
        row["metrics"]["prompt_tokens"] - row["metrics"]["cache_read_input_tokens"]
        for row in found["api_keys"]
    ]
    assert tokens == [10, 10, 6]
    assert http.get(f"/team/daily/activity/aggregated/cache_leakage_keys?{MAY}").status_code == 404


def test_agents_have_the_calls_that_name_one(http: TestClient) -> None:
    found = ask(http, "/agent/daily/activity")
    assert [(day["date"], list(day["breakdown"]["entities"])) for day in found["results"]] == [
        ("2026-05-01", ["smith"])
    ]
    assert found["metadata"]["total_spend"] == 0.001
    assert ask(http, "/agent/daily/activity/aggregated", "exclude_agent_ids=smith")["results"] == []


def test_users_see_keys_of_their_own_calls_only(http: TestClient) -> None:
    for form in ("aggregated/keys", "aggregated/search", "export"):
        for entity in ("user", "team", "tag"):
            answer = http.get(
                f"/{entity}/daily/activity/{form}?{MAY}&search=a&format=json", headers=bearer("internal")
            )
            assert answer.status_code == 200
            assert GONE not in answer.text
            assert TEAM_KEY not in answer.text
            assert "krrish" not in answer.text


# -- as a file


def lines(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_a_file_has_one_line_for_a_day_and_an_entity(http: TestClient) -> None:
    answer = http.get(f"/team/daily/activity/export?{MAY}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="team-usage-2026-05-01-2026-05-31-daily.csv"'
    )
    found = lines(answer)
    assert [(line["date"], line["entity_id"], line["entity_alias"], line["spend"]) for line in found] == [
        ("2026-05-01", "", "", "0.002"),
        ("2026-05-01", "t-prod", "Prod Team", "0.001"),
        ("2026-05-02", "", "", "0.004"),
        ("2026-05-03", "t-prod", "Prod Team", "0.0"),
    ]
    assert (found[0]["failed_requests"], found[0]["api_requests"], found[1]["cache_read_input_tokens"]) == (
        "1",
        "1",
        "4",
    )


@pytest.mark.parametrize(
    ("kind", "of", "names"),
    [
        ("daily", [], {"api_key": None, "key_alias": None, "user_id": None, "user_email": None, "model": None}),
        (
            "daily_with_keys",
            [],
            {"api_key": KEY, "key_alias": "alias-internal", "user_id": "ishaan", "user_email": "ishaan@example.com", "model": None},
        ),
        (
            "daily_with_users",
            [],
            {"api_key": None, "key_alias": None, "user_id": "ishaan", "user_email": "ishaan@example.com", "model": None},
        ),
        (
            "daily_with_models",
            [],
            {"api_key": None, "key_alias": None, "user_id": None, "user_email": None, "model": "gpt-4o-mini"},
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("entity", ["organization", "user"])
def test_lines_can_stand_for_keys_users_and_models(
    http: TestClient, entity: str, kind: str, of: list[str], names: dict[str, str | None]
) -> None:
    rows = ask(http, f"/{entity}/daily/activity/export", f"export_type={kind}&format=json")
    row = next(row for row in rows if row["date"] == "2026-05-02")
    assert {name: row[name] for name in names} == names
    assert sum(row["api_requests"] for row in rows) == 4


def test_no_cell_of_a_file_begins_a_formula(http: TestClient) -> None:
    found = lines(http.get(f"/tag/daily/activity/export?{MAY}"))
    assert [line["entity_id"] for line in found] == ["a", "b", "a", "'=b"]


def test_a_file_without_lines_has_its_heading(http: TestClient) -> None:
    empty = "start_date=2020-01-01&end_date=2020-01-02"
    assert lines(http.get(f"/team/daily/activity/export?{empty}")) == []
    assert http.get(f"/team/daily/activity/export?{empty}").text.startswith("date,entity_id,entity_alias,")
    assert http.get(f"/team/daily/activity/export?{empty}&format=json").json() == []
    assert http.get(f"/team/daily/activity/export?{empty}&format=xlsx").status_code == 422
