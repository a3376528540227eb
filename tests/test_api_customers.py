"""The routes of customers: those that were made, and those that calls have named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer
from entity_house import HOSTILE, NUMBERS, kinds, post, served, skeleton

CUSTOMER = skeleton(
    "user_id:str blocked:bool alias:str spend:float allowed_model_region:null default_model:null models:[] "
    "budget_id:str litellm_budget_table:{} object_permission_id:null object_permission:null"
)
BUDGET = skeleton(
    "budget_id:str soft_budget:null max_budget:float max_parallel_requests:null tpm_limit:null rpm_limit:null "
    "tpd_limit:null model_max_budget:null budget_duration:str allowed_models:[] temp_budget_increase:null "
    "temp_budget_expiry:null budget_reset_at:str created_at:str"
)


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def listed(http: TestClient) -> dict[str, float]:
    return {one["user_id"]: one["spend"] for one in http.get("/customer/list").json()}


@pytest.mark.parametrize("family", ["customer", "end_user"])
def test_a_customer_lives_from_new_to_delete(http: TestClient, family: str) -> None:
    body = {"user_id": "initech", "alias": "Initech", "max_budget": 2, "budget_duration": "1d"}
    customer = http.post(f"/{family}/new", json=body).json()
    assert kinds(customer) == CUSTOMER
    assert kinds(customer["litellm_budget_table"]) == BUDGET
    changed = http.post(f"/{family}/update", json={"user_id": "initech", "max_budget": 3}).json()
    assert changed["budget_id"] == customer["budget_id"]
    assert changed["litellm_budget_table"]["max_budget"] == 3.0
    assert http.get(f"/{family}/info", params={"end_user_id": "initech"}).json() == changed
    blocked = http.post(f"/{family}/block", json={"user_ids": ["initech"]}).json()
    assert [one["blocked"] for one in blocked["blocked_users"]] == [True]
    assert http.post(f"/{family}/unblock", json={"user_ids": ["initech"]}).json() == {"blocked_users": []}
    gone = http.post(f"/{family}/delete", json={"user_ids": ["initech"]}).json()
    assert gone == {
        "deleted_customers": 1,
        "message": "Successfully deleted customers with ids: initech",
    }
    missing = http.get(f"/{family}/info", params={"end_user_id": "initech"})
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found")


def test_customers_of_calls_are_listed_without_being_made(http: TestClient) -> None:
    assert listed(http) == {"acme": 0.002, "palantir": 0.001}
    info = http.get("/customer/info", params={"end_user_id": "palantir"}).json()
    assert (info["spend"], info["blocked"], info["litellm_budget_table"]) == (0.001, False, None)
    http.post("/customer/update", json={"user_id": "palantir", "alias": "P"})
    assert listed(http) == {"acme": 0.002, "palantir": 0.001}


def test_a_deleted_customer_is_gone_though_the_ledger_remembers(http: TestClient) -> None:
    assert http.post("/customer/delete", json={"user_ids": ["palantir"]}).status_code == 200
    assert listed(http) == {"acme": 0.002}
    assert http.post("/customer/delete", json={"user_ids": ["palantir"]}).status_code == 404
    assert http.get("/global/spend").json()["spend"] is None or listed(http) == {"acme": 0.002}
    assert http.post("/customer/new", json={"user_id": "palantir"}).status_code == 200
    assert listed(http) == {"acme": 0.002, "palantir": 0.0}


def test_a_customer_is_linked_to_a_budget_that_others_share(http: TestClient) -> None:
    http.post("/budget/new", json={"budget_id": "free", "max_budget": 0.1})
    made = http.post("/customer/new", json={"user_id": "a", "budget_id": "free"}).json()
    assert made["litellm_budget_table"]["max_budget"] == 0.1
    http.post("/budget/update", json={"budget_id": "free", "max_budget": 0.2})
    shown = http.get("/customer/info", params={"end_user_id": "a"}).json()
    assert shown["litellm_budget_table"]["max_budget"] == 0.2


REFUSED = [
    ("/customer/new", {"user_id": "a", "budget_id": "nowhere"}, 400),
    ("/customer/new", {"user_id": "a", "budget_id": "b", "max_budget": 1}, 400),
    ("/customer/new", {"user_id": "a", "max_budget": -1}, 400),
    ("/customer/new", {"user_id": "a", "budget_duration": "soon"}, 400),
    ("/customer/new", {"user_id": "a", "allowed_model_region": "mars"}, 422),
    ("/customer/new", {}, 422),
    ("/customer/update", {"user_id": "unheard-of"}, 404),
    ("/customer/delete", {"user_ids": ["acme", "unheard-of"]}, 404),
    ("/customer/delete", {"user_ids": []}, 422),
]


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(http: TestClient) -> None:
    http.post("/budget/new", json={"budget_id": "b"})
    before = http.get("/customer/list").json(), http.get("/budget/list").json()
    for path, body, status in REFUSED:
        assert http.post(path, json=body).status_code == status, (path, body)
    cases: list[dict[str, Any]] = [{"user_id": value} for value in HOSTILE.values()]
    cases += [{"user_id": "a", "alias": value} for value in HOSTILE.values()]
    cases += [{"user_id": "a", "max_budget": value} for value in NUMBERS.values()]
    for case in cases:
        assert post(http, "/customer/new", case).status_code in (400, 422), case
    assert http.get("/customer/info").status_code == 422
    assert before == (http.get("/customer/list").json(), http.get("/budget/list").json())


def test_a_customer_made_twice_is_refused(http: TestClient) -> None:
    http.post("/customer/new", json={"user_id": "a"})
    again = http.post("/customer/new", json={"user_id": "a"})
    assert (again.status_code, again.json()["error"]["type"]) == (400, "bad_request")


@pytest.mark.parametrize("who", ["internal", "internal_viewer", "nobody", "team", "viewer"])
def test_only_an_administrator_changes_customers(http: TestClient, who: str) -> None:
    headers = bearer(who)
    for word, body in (
        ("new", {"user_id": "a"}),
        ("update", {"user_id": "acme", "blocked": True}),
        ("delete", {"user_ids": ["acme"]}),
        ("block", {"user_ids": ["acme"]}),
    ):
        assert http.post(f"/customer/{word}", json=body, headers=headers).status_code in (401, 403)
    seen = http.get("/customer/list", headers=headers)
    assert seen.status_code == (200 if who == "viewer" else 401)
