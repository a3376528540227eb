"""The routes of reusable budgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer
from entity_house import HOSTILE, NUMBERS, kinds, post, served, skeleton

BUDGET = skeleton(
    "budget_id:str max_budget:float soft_budget:null max_parallel_requests:null tpm_limit:null rpm_limit:null "
    "tpd_limit:null model_max_budget:null budget_duration:null budget_reset_at:null allowed_models:[] "
    "temp_budget_increase:null temp_budget_expiry:null created_at:str created_by:str updated_at:str updated_by:str "
    "organization:null projects:null keys:null end_users:null tags:null model_access_groups:null "
    "team_membership:null organization_membership:null"
)
SETTING = [
    "field_name",
    "field_type",
    "field_description",
    "field_value",
    "stored_in_db",
    "field_default_value",
    "premium_field",
    "nested_fields",
    "field_options",
    "field_tab",
    "source",
    "editable",
]


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def test_a_budget_lives_from_new_to_delete(http: TestClient) -> None:
    assert kinds(http.post("/budget/new", json={"max_budget": 0.1}).json()) == BUDGET
    body = {"budget_id": "b", "max_budget": 3, "soft_budget": 1, "budget_duration": "30d", "tpm_limit": 1}
    made = http.post("/budget/new", json=body).json()
    assert made["budget_reset_at"][8:] == "01T00:00:00Z"
    assert http.post("/budget/info", json={"budgets": ["b", "nowhere"]}).json() == [made]
    changed = http.post("/budget/update", json={"budget_id": "b", "max_budget": 4}).json()
    assert (changed["max_budget"], changed["soft_budget"], changed["budget_duration"]) == (4.0, 1.0, "30d")
    settings = http.get("/budget/settings", params={"budget_id": "b"}).json()
    assert all(list(one) == SETTING for one in settings)
    assert {one["field_name"]: one["field_value"] for one in settings}["max_budget"] == 4.0
    assert len(http.get("/budget/list").json()) == 2
    assert http.post("/budget/delete", json={"id": "b"}).json() == changed
    assert http.post("/budget/delete", json={"id": "b"}).json() is None


REFUSED = [
    ("/budget/new", {"budget_id": "b"}, 400),
    ("/budget/new", {"max_budget": -1}, 400),
    ("/budget/new", {"budget_duration": "10D"}, 400),
    ("/budget/new", {"temp_budget_expiry": "yesterday"}, 422),
    ("/budget/new", {"temp_budget_expiry": "1900-01-01T00:00:00"}, 422),
    ("/budget/update", {"budget_id": "nowhere"}, 404),
    ("/budget/update", {"max_budget": 1}, 400),
    ("/budget/update", {"budget_id": "b", "budget_duration": "soon"}, 400),
    ("/budget/info", {"budgets": []}, 400),
    ("/budget/info", {}, 422),
]


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(http: TestClient) -> None:
    http.post("/budget/new", json={"budget_id": "b", "max_budget": 1})
    before = http.get("/budget/list").json()
    for path, body, status in REFUSED:
        answer = http.post(path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
        assert "detail" in answer.json()
    cases: list[dict[str, Any]] = [{"budget_id": value} for value in HOSTILE.values()]
    cases += [{name: value} for name in ("max_budget", "tpm_limit") for value in NUMBERS.values()]
    for case in cases:
        assert post(http, "/budget/new", case).status_code in (400, 422), case
    assert http.get("/budget/settings", params={"budget_id": "nowhere"}).status_code == 404
    assert http.get("/budget/list").json() == before


@pytest.mark.parametrize("who", ["internal", "nobody", "team", "viewer"])
def test_only_an_administrator_changes_budgets(http: TestClient, who: str) -> None:
    for word, body in (("new", {}), ("update", {"budget_id": "b"}), ("delete", {"id": "b"})):
        assert http.post(f"/budget/{word}", json=body, headers=bearer(who)).status_code in (401, 403)
    seen = http.get("/budget/list", headers=bearer(who)).status_code
    assert seen == (200 if who == "viewer" else 401)
