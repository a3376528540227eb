"""The routes of tags: those that were registered, and those that calls carry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer
from entity_house import HOSTILE, NUMBERS, post, served

TAG = ["name", "description", "models", "model_info", "created_at", "updated_at", "created_by"]


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def test_a_tag_lives_from_new_to_delete(http: TestClient) -> None:
    body = {"name": "tag-c", "description": "d", "models": ["m"], "max_budget": 3, "budget_duration": "1d"}
    made = http.post("/tag/new", json=body).json()
    assert made["message"] == "Tag tag-c created successfully"
    assert list(made["tag"]) == TAG
    info = http.post("/tag/info", json={"names": ["tag-c"]}).json()
    missing = http.post("/tag/info", json={"names": ["tag-c", "nowhere"]})
    assert (missing.status_code, missing.json()) == (404, {"detail": "Tags not found: nowhere"})
    assert list(info) == ["tag-c"]
    assert list(info["tag-c"]) == [*TAG, "litellm_budget_table"]
    assert info["tag-c"]["litellm_budget_table"]["max_budget"] == 3.0
    changed = http.post("/tag/update", json={"name": "tag-c", "description": "e", "max_budget": 4}).json()
    assert (changed["tag"]["description"], changed["tag"]["models"]) == ("e", ["m"])
    info = http.post("/tag/info", json={"names": ["tag-c"]}).json()
    assert info["tag-c"]["litellm_budget_table"]["max_budget"] == 4.0
    gone = http.post("/tag/delete", json={"name": "tag-c"})
    assert gone.json() == {"message": "Tag tag-c deleted successfully"}
    assert http.post("/tag/info", json={"names": ["tag-c"]}).status_code == 404


def test_tags_of_calls_are_listed_behind_the_registered_ones(http: TestClient) -> None:
    http.post("/tag/new", json={"name": "zebra"})
    http.post("/tag/new", json={"name": "prod"})
    assert [one["name"] for one in http.get("/tag/list").json()] == ["prod", "zebra", "jobs"]
    may = {"start_date": "2026-05-01", "end_date": "2026-05-31"}
    assert [one["name"] for one in http.get("/tag/list", params=may).json()] == ["prod", "jobs"]
    june = {"start_date": "2026-06-01", "end_date": "2026-06-30"}
    assert http.get("/tag/list", params=june).json() == []
    assert http.get("/tag/distinct").json() == {"results": [{"tag": "jobs"}, {"tag": "prod"}]}


def test_a_summary_counts_a_call_under_each_of_its_tags(http: TestClient) -> None:
    may = "start_date=2026-05-01&end_date=2026-05-31"
    results = http.get(f"/tag/summary?{may}").json()["results"]
    assert [(one["tag"], one["total_requests"], one["total_spend"]) for one in results] == [
        ("jobs", 2, 0.003),
        ("prod", 1, 0.002),
    ]
    assert results[0]["unique_users"] == 1
    only = http.get(f"/tag/summary?{may}&tag_filter=prod").json()["results"]
    assert [one["tag"] for one in only] == ["prod"]


REFUSED = [
    ("POST", "/tag/new", {"name": "known"}, 400),
    ("POST", "/tag/new", {"name": "x", "max_budget": -1}, 400),
    ("POST", "/tag/new", {"name": "x", "budget_duration": "soon"}, 400),
    ("POST", "/tag/new", {"name": ""}, 422),
    ("POST", "/tag/new", {}, 422),
    ("POST", "/tag/update", {"name": "nowhere"}, 404),
    ("POST", "/tag/delete", {"name": "nowhere"}, 404),
    ("GET", "/tag/list?start_date=soon", None, 400),
    ("GET", "/tag/summary", None, 422),
    ("GET", "/tag/summary?start_date=2026-05-02&end_date=2026-05-01", None, 400),
]


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(http: TestClient) -> None:
    http.post("/tag/new", json={"name": "known"})
    before = http.get("/tag/list").json(), http.get("/budget/list").json()
    for method, path, body, status in REFUSED:
        answer = http.request(method, path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
    cases: list[dict[str, Any]] = [{"name": value} for value in HOSTILE.values()]
    cases += [{"name": "x", "description": value} for value in HOSTILE.values()]
    cases += [{"name": "x", "max_budget": value} for value in NUMBERS.values()]
    for case in cases:
        assert post(http, "/tag/new", case).status_code in (400, 422), case
    assert before == (http.get("/tag/list").json(), http.get("/budget/list").json())


@pytest.mark.parametrize("who", ["internal", "nobody", "team", "viewer"])
def test_only_an_administrator_changes_tags(http: TestClient, who: str) -> None:
    for word in ("new", "update", "delete"):
        answer = http.post(f"/tag/{word}", json={"name": "jobs"}, headers=bearer(who))
        assert answer.status_code in (401, 403)
    for path in ("/tag/list", "/tag/distinct", "/tag/summary?start_date=2026-05-01&end_date=2026-05-31"):
        assert http.get(path, headers=bearer(who)).status_code == (200 if who == "viewer" else 401)
