"""The routes of organizations and their members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer
from entity_house import HOSTILE, NUMBERS, post, served

ORGANIZATION = [
    "organization_id",
    "organization_alias",
    "budget_id",
    "spend",
    "metadata",
    "models",
    "created_by",
    "updated_by",
    "users",
    "litellm_budget_table",
    "object_permission",
    "object_permission_id",
    "created_at",
    "updated_at",
]


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def made(http: TestClient, **fields: Any) -> dict[str, Any]:
    answer = http.post("/organization/new", json={"organization_alias": "Org", **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_organization_lives_from_new_to_delete(http: TestClient) -> None:
    organization = made(http, max_budget=5, tags=["o"])
    name = organization["organization_id"]
    assert list(organization) == ORGANIZATION
    assert organization["litellm_budget_table"]["max_budget"] == 5.0
    assert organization["metadata"] == {"tags": ["o"]}
    http.post("/team/new", json={"team_id": "of-org", "organization_id": name})
    changed = http.patch("/organization/update", json={"organization_id": name, "max_budget": 7}).json()
    assert list(changed) == [*ORGANIZATION, "members", "teams"]
    assert (changed["budget_id"], changed["litellm_budget_table"]["max_budget"]) == (
        organization["budget_id"],
        7.0,
    )
    assert [one["team_id"] for one in changed["teams"]] == ["of-org"]
    assert http.get("/organization/info", params={"organization_id": name}).json() == changed
    assert http.post("/organization/info", json={"organizations": [name, "x"]}).json() == [changed]
    assert http.get("/organization/list", params={"org_alias": "OR"}).json() == [changed]
    gone = http.request("DELETE", "/organization/delete", json={"organization_ids": [name]})
    assert gone.json() == [changed]
    assert http.get("/organization/list").json() == []
    team = http.get("/team/info", params={"team_id": "of-org"}).json()["team_info"]
    assert team["organization_id"] is None, "a team goes on without its organization"


def test_members_come_change_and_go(http: TestClient) -> None:
    name = made(http)["organization_id"]
    added = http.post(
        "/organization/member_add",
        json={
            "organization_id": name,
            "member": {"role": "org_admin", "user_id": "ishaan"},
            "max_budget_in_organization": 3,
        },
    ).json()
    assert [one["user_id"] for one in added["updated_users"]] == ["ishaan"]
    assert [one["user_role"] for one in added["updated_organization_memberships"]] == ["org_admin"]
    member = {"organization_id": name, "user_id": "ishaan"}
    changed = http.patch("/organization/member_update", json={**member, "role": "internal_user"}).json()
    assert (changed["user_role"], changed["litellm_budget_table"]["max_budget"]) == ("internal_user", 3.0)
    mine = bearer("internal")
    assert len(http.get("/organization/list", headers=mine).json()) == 1
    assert http.get("/organization/info", params={"organization_id": name}, headers=mine).status_code == 200
    assert http.request("DELETE", "/organization/member_delete", json=member).status_code == 200
    assert http.get("/organization/list", headers=mine).json() == []
    assert http.get("/organization/info", params={"organization_id": name}, headers=mine).status_code == 403
    assert http.request("DELETE", "/organization/member_delete", json=member).status_code == 404


REFUSED = [
    ("POST", "/organization/new", {}, 422),
    ("POST", "/organization/new", {"organization_alias": "x", "organization_id": "known"}, 400),
    ("POST", "/organization/new", {"organization_alias": "x", "max_budget": -1}, 400),
    ("POST", "/organization/new", {"organization_alias": "x", "budget_id": "nowhere"}, 400),
    ("PATCH", "/organization/update", {"organization_id": "nowhere"}, 404),
    ("DELETE", "/organization/delete", {"organization_ids": ["known", "nowhere"]}, 404),
    ("POST", "/organization/member_add", {"organization_id": "nowhere", "member": {"user_id": "u"}}, 404),
    ("PATCH", "/organization/member_update", {"organization_id": "known", "user_id": "u"}, 404),
]


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(http: TestClient) -> None:
    made(http, organization_id="known")
    before = http.get("/organization/list").json(), http.get("/budget/list").json()
    for method, path, body, status in REFUSED:
        answer = http.request(method, path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
    cases: list[dict[str, Any]] = [{"organization_alias": value} for value in HOSTILE.values()]
    cases += [{"organization_alias": "x", "organization_id": value} for value in HOSTILE.values()]
    cases += [{"organization_alias": "x", "max_budget": value} for value in NUMBERS.values()]
    for case in cases:
        assert post(http, "/organization/new", case).status_code in (400, 422), case
    assert before == (http.get("/organization/list").json(), http.get("/budget/list").json())


@pytest.mark.parametrize("who", ["internal", "internal_viewer", "nobody", "team", "viewer"])
def test_only_an_administrator_changes_organizations(http: TestClient, who: str) -> None:
    made(http, organization_id="known")
    for method, word, body in (
        ("POST", "new", {"organization_alias": "x"}),
        ("PATCH", "update", {"organization_id": "known", "max_budget": 1}),
        ("DELETE", "delete", {"organization_ids": ["known"]}),
        ("POST", "member_add", {"organization_id": "known", "member": {"user_id": "ishaan"}}),
    ):
        answer = http.request(method, f"/organization/{word}", json=body, headers=bearer(who))
        assert answer.status_code in (401, 403), word
    seen = http.get("/organization/list", headers=bearer(who)).json()
    assert len(seen) == (1 if who == "viewer" else 0)
