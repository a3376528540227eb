"""The routes of internal users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, raw, sha
from entity_house import HOSTILE, NUMBERS, kinds, post, said, served, skeleton
from test_api_keys import GENERATED

NEW = GENERATED | skeleton(
    "user_id:str max_budget:float budget_duration:str key_type:null token_id:null token:null created_by:null "
    "updated_by:null user_email:str user_role:str teams:null user_alias:null"
)
LISTED = skeleton(
    "user_id:str user_alias:null team_id:null sso_user_id:null organization_id:null object_permission_id:null "
    "password_reset_required:null last_breach_check_at:null teams:[] user_role:str max_budget:float spend:float "
    "user_email:str models:[] metadata:{} max_parallel_requests:null tpm_limit:null rpm_limit:null "
    "budget_duration:str budget_reset_at:str allowed_cache_controls:[] policies:[] model_spend:{} "
    "model_max_budget:{} created_at:str updated_at:str organization_memberships:null object_permission:null "
    "key_count:int"
)
INFO = [
    "verified_subjects",
    *list(LISTED)[:-3],
    "litellm_organization_table",
    "organization_memberships",
    "invitations_created",
    "invitations_updated",
    "invitations_user",
    "object_permission",
    "model_max_budget_usage",
]
V2 = skeleton(
    "user_id:str user_email:str user_alias:null user_role:str spend:float max_budget:float tpm_limit:null "
    "rpm_limit:null models:[] budget_duration:str budget_reset_at:str metadata:{} created_at:str updated_at:str "
    "sso_user_id:null teams:[] object_permission:null model_max_budget:{} model_max_budget_usage:{}"
)


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def made(http: TestClient, **fields: Any) -> dict[str, Any]:
    answer = http.post("/user/new", json=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_user_lives_from_new_to_delete(http: TestClient) -> None:
    user = made(http, user_email="ann@example.com", max_budget=1, budget_duration="1d")
    user_id = user["user_id"]
    assert kinds(user) == NEW
    assert user["user_role"] == "internal_user_viewer"
    mine = {"Authorization": f"Bearer {user['key']}"}
    info = http.get("/user/info", headers=mine).json()
    assert list(info) == ["user_id", "user_info", "keys", "teams"]
    assert list(info["user_info"]) == INFO
    assert [one["token"] for one in info["keys"]] == [sha(user["key"])]
    assert kinds(http.get("/v2/user/info", params={"user_id": user_id}).json()) == V2
    changed = http.post("/user/update", json={"user_email": "ANN@example.com", "max_budget": 2.5}).json()
    assert (changed["user_id"], changed["data"]["max_budget"]) == (user_id, 2.5)
    listed = http.get("/user/list", params={"search": "ann@"}).json()
    assert kinds(listed["users"][0]) == LISTED
    assert (listed["total"], listed["users"][0]["key_count"]) == (1, 1)
    assert http.post("/user/delete", json={"user_ids": [user_id]}).json() == 1
    assert http.get("/key/info", headers=mine).status_code == 401, "a user goes with its keys"
    assert http.post("/user/delete", json={"user_ids": [user_id]}).status_code == 404


def test_a_user_joins_teams_and_may_have_no_key(http: TestClient) -> None:
    user = made(
        http,
        user_id="ann",
        auto_create_key=False,
        teams=["t-prod", {"team_id": "t-test", "user_role": "admin"}],
    )
    assert (user["key"], user["teams"]) == (None, ["t-prod", "t-test"])
    info = http.get("/user/info", params={"user_id": "ann"}).json()
    assert [one["team_alias"] for one in info["teams"]] == ["Prod Team", "Test Team"]


def test_a_user_shows_what_its_calls_cost(http: TestClient) -> None:
    assert http.get("/v2/user/info", params={"user_id": "ishaan"}).json()["spend"] == 0.001


REFUSED = [
    ("/user/new", {"user_id": "ishaan"}, 409, "User with id ishaan already exists"),
    ("/user/new", {"user_email": "Ishaan@Example.com"}, 409, "already exists"),
    ("/user/new", {"max_budget": -1}, 400, "cannot be negative"),
    ("/user/new", {"budget_duration": "soon"}, 400, "Invalid budget_duration"),
    ("/user/new", {"teams": ["nowhere"]}, 404, "Team not found"),
    ("/user/new", {"key_alias": "alias-nobody"}, 409, "Key with alias"),
    ("/user/update", {"user_id": "nobody-at-all"}, 404, "User nobody-at-all not found"),
    ("/user/update", {"max_budget": 1}, 400, "Pass the user_id"),
    ("/user/update", {"user_id": "ishaan", "user_email": "krrish@example.com"}, 400, "already exists"),
    ("/user/delete", {"user_ids": ["ishaan", "nobody-at-all"]}, 404, "not found"),
]


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(http: TestClient) -> None:
    before = http.get("/user/list").json(), http.get("/key/list").json()["total_count"]
    for path, fields, status, message in REFUSED:
        answer = http.post(path, json=fields)
        assert answer.status_code == status, (path, fields, answer.text)
        assert message in said(answer), (path, fields)
    cases: list[dict[str, Any]] = [
        {name: value} for name in ("user_id", "user_email", "user_alias") for value in HOSTILE.values()
    ]
    cases += [{name: value} for name in ("max_budget", "tpm_limit") for value in NUMBERS.values()]
    cases += [{"user_role": "emperor"}, {"teams": "t-prod"}, {"models": {"a": 1}}]
    for case in cases:
        answer = post(http, "/user/new", case)
        assert answer.status_code in (400, 422), (case, answer.text[:200])
    assert before == (http.get("/user/list").json(), http.get("/key/list").json()["total_count"])


def test_a_list_is_paged_filtered_and_sorted(http: TestClient) -> None:
    by_id: dict[str, str | int] = {"sort_by": "user_id", "page_size": 3}
    pages = [http.get("/user/list", params={**by_id, "page": page}).json() for page in (1, 2)]
    assert [one["user_id"] for page in pages for one in page["users"]] == [
        "auditor",
        "ishaan",
        "krrish",
        "root",
    ]
    assert (pages[0]["total"], pages[0]["total_pages"]) == (4, 2)
    for query, wanted in (
        ({"role": "proxy_admin"}, ["root"]),
        ({"user_ids": "root, krrish"}, ["krrish", "root"]),
        ({"user_email": "ISHAAN@"}, ["ishaan"]),
        ({"team": "t-prod"}, []),
    ):
        found = http.get("/user/list", params={**query, "sort_by": "user_id"}).json()["users"]
        assert [one["user_id"] for one in found] == wanted, query


@pytest.mark.parametrize("who", ["internal", "internal_viewer", "nobody", "team", "viewer"])
def test_only_an_administrator_changes_users_and_others_see_themselves(http: TestClient, who: str) -> None:
    headers = bearer(who)
    for path, body in (
        ("/user/new", {}),
        ("/user/update", {"user_id": "ishaan", "user_role": "proxy_admin"}),
        ("/user/delete", {"user_ids": ["root"]}),
    ):
        assert http.post(path, json=body, headers=headers).status_code in (401, 403), path
    sees_all = who == "viewer"
    other = http.get("/user/info", params={"user_id": "root"}, headers=headers)
    assert other.status_code == (200 if sees_all else 403)
    assert (
        http.get("/v2/user/info", params={"user_id": "root"}, headers=headers).status_code
        == other.status_code
    )
    assert http.get("/user/list", headers=headers).status_code == (200 if sees_all else 401)
    own = http.get("/user/info", headers=headers).json()
    assert {one["token"] for one in own["keys"]} <= {sha(raw(who))}


def test_many_users_change_and_each_says_what_became_of_it(http: TestClient) -> None:
    body = {"users": [{"user_id": "ishaan", "max_budget": 3}, {"user_id": "nowhere", "max_budget": 3}]}
    done = http.post("/user/bulk_update", json=body).json()
    assert (done["total_requested"], done["successful_updates"], done["failed_updates"]) == (2, 1, 1)
    assert [one["success"] for one in done["results"]] == [True, False]
    everybody = http.post(
        "/user/bulk_update", json={"all_users": True, "user_updates": {"max_budget": 4}}
    ).json()
    assert everybody["failed_updates"] == 0
    assert {user["max_budget"] for user in http.get("/user/list").json()["users"]} == {4.0}


def test_what_a_proxy_acts_on_is_kept_and_a_password_is_not(http: TestClient) -> None:
    body = {"user_id": "new", "password": "correct horse", "guardrails": ["g"], "model_rpm_limit": {"m": 1}}
    assert http.post("/user/new", json=body).status_code == 200
    shown = http.get("/user/info", params={"user_id": "new"})
    assert shown.json()["user_info"]["metadata"] == {"guardrails": ["g"], "model_rpm_limit": {"m": 1}}
    assert "correct horse" not in shown.text
