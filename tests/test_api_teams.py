"""The routes of teams and their members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, raw, sha
from entity_house import HOSTILE, NUMBERS, kinds, post, said, served, skeleton

TEAM = skeleton(
    "team_alias:null team_id:str organization_id:null admins:[] members:[] members_with_roles:[] "
    "team_member_permissions:[] metadata:{} tpm_limit:null rpm_limit:null tpd_limit:null max_budget:null "
    "soft_budget:null budget_duration:null budget_limits:null models:[] blocked:bool router_settings:{} "
    "access_group_ids:[] default_team_member_models:[] spend:float max_parallel_requests:null budget_reset_at:null "
    "model_id:null model_spend:{} model_max_budget:{} policies:[] allow_team_guardrail_config:bool "
    "litellm_model_table:null object_permission:null object_permission_id:null updated_at:str created_at:str"
)
ROW = skeleton(
    "team_id:str team_alias:str organization_id:null object_permission_id:null admins:[] members:[] "
    "members_with_roles:[] metadata:{} max_budget:float soft_budget:null spend:float models:[] "
    "max_parallel_requests:null tpm_limit:int rpm_limit:int tpd_limit:null budget_duration:str budget_reset_at:str "
    "blocked:bool created_at:str updated_at:str model_spend:{} model_max_budget:{} router_settings:{} "
    "team_member_permissions:[] access_group_ids:[] policies:[] default_team_member_models:[] budget_limits:null "
    "model_id:null allow_team_guardrail_config:bool litellm_organization_table:null litellm_model_table:null "
    "object_permission:null projects:null"
)
INFO = TEAM | skeleton(
    "team_member_budget_table:null access_group_models:null access_group_mcp_server_ids:null "
    "access_group_agent_ids:null access_group_details:null organization_models:null model_max_budget_usage:{} "
    "caller_edit_access:{}"
)
PAGED = TEAM | skeleton(
    "members_count:int keys_count:int access_group_models:null access_group_mcp_server_ids:null "
    "access_group_agent_ids:null"
)
USER = skeleton(
    "user_id:str user_alias:null team_id:null sso_user_id:null organization_id:null object_permission_id:null "
    "password_reset_required:null last_breach_check_at:null teams:[] user_role:str max_budget:null spend:float "
    "user_email:str models:[] metadata:{} max_parallel_requests:null tpm_limit:null rpm_limit:null "
    "budget_duration:null budget_reset_at:null allowed_cache_controls:[] policies:[] model_spend:{} "
    "model_max_budget:{} created_at:str updated_at:str organization_memberships:null object_permission:null"
)
MEMBERSHIP = skeleton(
    "user_id:str team_id:str budget_id:str spend:float total_spend:float litellm_budget_table:{}"
)
FULL = {
    "team_alias": "engineering",
    "max_budget": 1000.0,
    "budget_duration": "monthly",
    "metadata": {"a": 1},
    "models": ["gpt-4"],
    "tpm_limit": 1,
    "rpm_limit": 2,
}


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def made(http: TestClient, **fields: Any) -> dict[str, Any]:
    answer = http.post("/team/new", json=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_team_lives_from_new_to_delete(http: TestClient) -> None:
    assert kinds(made(http)) == TEAM
    team = made(http, **FULL)
    team_id = team["team_id"]
    assert team["members_with_roles"] == [{"user_id": "default_user_id", "user_email": None, "role": "admin"}]
    assert team["budget_reset_at"][8:] == "01T00:00:00Z"
    key = http.post("/key/generate", json={"team_id": team_id, "key_alias": "of-team"}).json()
    info = http.get("/team/info", params={"team_id": team_id}).json()
    assert list(info) == ["team_id", "team_info", "keys", "team_memberships"]
    assert list(info["team_info"]) == list(INFO)
    assert [one["token"] for one in info["keys"]] == [key["token"]]
    assert [one["user_id"] for one in info["team_memberships"]] == ["default_user_id"]
    changed = http.post("/team/update", json={"team_id": team_id, "max_budget": 5, "tags": ["t"]}).json()
    assert kinds(changed["data"]) == ROW
    assert (changed["data"]["max_budget"], changed["data"]["metadata"]) == (5.0, {"a": 1, "tags": ["t"]})
    assert http.post("/team/block", json={"team_id": team_id}).json()["blocked"] is True
    mine = {"Authorization": f"Bearer {key['key']}"}
    assert http.get("/key/info", headers=mine).status_code == 401
    assert kinds(http.post("/team/unblock", json={"team_id": team_id}).json()) == ROW
    assert http.get("/key/info", headers=mine).status_code == 200
    assert http.post("/team/delete", json={"team_ids": [team_id]}).json() == {"deleted_teams": [team_id]}
    assert http.get("/team/info", params={"team_id": team_id}).status_code == 404
    assert http.get("/key/info", headers=mine).status_code == 401, "a team goes with its keys"


def test_a_team_shows_what_its_calls_cost(http: TestClient) -> None:
    assert http.get("/team/info", params={"team_id": "t-prod"}).json()["team_info"]["spend"] == 0.003


def test_a_default_budget_for_members_is_kept_with_the_team(http: TestClient) -> None:
    team = made(http, team_member_budget=3, team_member_budget_duration="1d")
    budget_id = team["metadata"]["team_member_budget_id"]
    shared = http.get("/team/info", params={"team_id": team["team_id"]}).json()["team_info"]
    assert shared["team_member_budget_table"]["max_budget"] == 3.0
    http.post(
        "/team/update", json={"team_id": team["team_id"], "team_member_budget": 4, "metadata": {"b": 1}}
    )
    changed = http.post("/budget/info", json={"budgets": [budget_id]}).json()
    assert [one["max_budget"] for one in changed] == [4.0]


def test_members_come_change_and_go(http: TestClient) -> None:
    team_id = made(http)["team_id"]
    added = http.post(
        "/team/member_add",
        json={
            "team_id": team_id,
            "member": [
                {"role": "user", "user_email": "Ann@Example.com"},
                {"role": "admin", "user_id": "ishaan"},
            ],
            "max_budget_in_team": 10.5,
        },
    ).json()
    assert list(added) == [*TEAM, "updated_users", "updated_team_memberships"]
    ann = next(one for one in added["updated_users"] if one["user_email"] == "Ann@Example.com")
    assert kinds(ann) == USER
    assert (ann["user_role"], ann["teams"]) == ("internal_user", [team_id])
    assert kinds(added["updated_team_memberships"][0]) == MEMBERSHIP
    assert added["updated_team_memberships"][0]["litellm_budget_table"]["max_budget"] == 10.5
    again = http.post("/team/member_add", json={"team_id": team_id, "member": {"user_id": "ishaan"}})
    assert (again.status_code, again.json()["error"]["param"]) == (400, "member")
    changed = http.post(
        "/team/member_update",
        json={
            "team_id": team_id,
            "user_email": "ann@example.com",
            "max_budget_in_team": 1.5,
            "role": "admin",
        },
    ).json()
    assert (changed["user_id"], changed["max_budget_in_team"]) == (ann["user_id"], 1.5)
    info = http.get("/team/info", params={"team_id": team_id}).json()
    limits = {one["user_id"]: one["litellm_budget_table"] for one in info["team_memberships"]}
    assert limits[ann["user_id"]]["max_budget"] == 1.5
    assert limits["ishaan"]["max_budget"] == 10.5, "each member has limits of its own"
    left = http.post("/team/member_delete", json={"team_id": team_id, "user_id": ann["user_id"]}).json()
    assert [one["user_id"] for one in left["members_with_roles"]] == ["ishaan", "default_user_id"] or [
        one["user_id"] for one in left["members_with_roles"]
    ] == ["default_user_id", "ishaan"]
    gone = http.post("/team/member_delete", json={"team_id": team_id, "user_id": ann["user_id"]})
    assert gone.status_code == 400


REFUSED = [
    ("/team/new", {"team_id": "t-prod"}, 400, "Team id = t-prod already exists"),
    ("/team/new", {"max_budget": -1}, 400, "max_budget cannot be negative"),
    ("/team/new", {"max_budget": 1, "soft_budget": 1}, 400, "strictly lower"),
    ("/team/new", {"budget_duration": "soon"}, 400, "Invalid budget_duration"),
    ("/team/new", {"organization_id": "nowhere"}, 400, "organization_id 'nowhere' does not exist"),
    ("/team/new", {"members_with_roles": [{"role": "user"}]}, 400, "needs a user_id or a user_email"),
    ("/team/update", {"team_id": "nowhere"}, 404, "Team not found, passed team id: nowhere"),
    ("/team/block", {"team_id": "nowhere"}, 404, "Team not found"),
    ("/team/delete", {"team_ids": ["t-prod", "nowhere"]}, 404, "Team not found"),
    ("/team/member_add", {"team_id": "nowhere", "member": {"user_id": "u"}}, 404, "Team not found"),
    (
        "/team/member_add",
        {"team_id": "t-prod", "member": {"user_id": "krrish", "user_email": "ishaan@example.com"}},
        400,
        "do not belong to the same user",
    ),
    ("/team/member_update", {"team_id": "t-prod", "user_id": "u"}, 400, "is not a member of team=t-prod"),
    ("/team/member_delete", {"team_id": "t-prod"}, 400, "is not a member"),
    ("/team/model/add", {"team_id": "nowhere", "models": ["m"]}, 404, "Team not found"),
    ("/team/bulk_member_add", {"team_id": "t-prod"}, 400, "At least one member"),
    ("/team/t-prod/member/u/reset_spend", {"reset_to": 0}, 404, "is not a member"),
]


def test_what_cannot_be_is_refused_and_leaves_nothing_behind(http: TestClient) -> None:
    before = http.get("/team/list").json(), http.get("/user/list").json(), http.get("/budget/list").json()
    for path, fields, status, message in REFUSED:
        answer = http.post(path, json=fields)
        assert answer.status_code == status, (path, fields, answer.text)
        assert message in said(answer), (path, fields)
    cases: list[dict[str, Any]] = [
        {name: value} for name in ("team_id", "team_alias", "budget_duration") for value in HOSTILE.values()
    ]
    cases += [
        {name: value} for name in ("max_budget", "soft_budget", "rpm_limit") for value in NUMBERS.values()
    ]
    cases += [{"members_with_roles": [{"role": "owner", "user_id": "u"}]}, {"metadata": {"\ud800": 1}}]
    for case in cases:
        answer = post(http, "/team/new", case)
        assert answer.status_code in (400, 422), (case, answer.text[:200])
    assert before == (
        http.get("/team/list").json(),
        http.get("/user/list").json(),
        http.get("/budget/list").json(),
    )


def test_lists_are_paged_and_filtered(http: TestClient) -> None:
    whole = http.get("/team/list").json()
    assert [one["team_id"] for one in whole] == ["t-blocked", "t-prod", "t-test"]
    assert list(whole[0]) == [*TEAM, "team_memberships", "keys"]
    first = http.get("/v2/team/list", params={"page_size": 2, "sort_by": "team_alias"}).json()
    assert list(first["teams"][0]) == list(PAGED)
    assert [one["team_alias"] for one in first["teams"]] == ["Blocked Team", "Prod Team"]
    assert {name: first[name] for name in ("total", "page", "page_size", "total_pages")} == {
        "total": 3,
        "page": 1,
        "page_size": 2,
        "total_pages": 2,
    }
    found = http.get("/v2/team/list", params={"search": "PROD"}).json()["teams"]
    assert [(one["team_id"], one["keys_count"]) for one in found] == [("t-prod", 1)]


def test_who_may_not_see_all_sees_own_teams_only(http: TestClient) -> None:
    http.post("/team/member_add", json={"team_id": "t-test", "member": {"role": "user", "user_id": "ishaan"}})
    mine = bearer("internal")
    assert [one["team_id"] for one in http.get("/team/list", headers=mine).json()] == ["t-test"]
    assert http.get("/v2/team/list", headers=mine).json()["total"] == 1
    info = http.get("/team/info", params={"team_id": "t-test"}, headers=mine)
    assert (info.status_code, info.json()["keys"]) == (200, []), "a member sees no key of others"
    assert http.get("/team/info", params={"team_id": "t-prod"}, headers=mine).status_code == 403
    assert http.get("/team/list", params={"user_id": "krrish"}, headers=mine).status_code == 401
    own = http.get("/team/info", headers=bearer("team")).json()
    assert (own["team_id"], [one["token"] for one in own["keys"]]) == ("t-prod", [sha(raw("team"))])
    assert http.get("/team/list", headers=bearer("nobody")).json() == []
    assert len(http.get("/team/list", headers=bearer("viewer")).json()) == 3


@pytest.mark.parametrize("who", ["internal", "internal_viewer", "viewer", "nobody", "team"])
def test_only_an_administrator_changes_teams(http: TestClient, who: str) -> None:
    before = http.get("/team/list").json()
    bodies = {
        "/team/new": {},
        "/team/update": {"team_id": "t-prod", "max_budget": 1},
        "/team/delete": {"team_ids": ["t-prod"]},
        "/team/block": {"team_id": "t-prod"},
        "/team/unblock": {"team_id": "t-blocked"},
        "/team/member_add": {"team_id": "t-prod", "member": {"role": "admin", "user_id": "ishaan"}},
        "/team/member_delete": {"team_id": "t-prod", "user_id": "ishaan"},
    }
    for path, body in bodies.items():
        assert http.post(path, json=body, headers=bearer(who)).status_code in (401, 403), path
    assert http.get("/team/list").json() == before


def test_a_team_admin_changes_the_members_of_the_team_and_of_no_other(http: TestClient) -> None:
    http.post(
        "/team/member_add", json={"team_id": "t-prod", "member": {"role": "admin", "user_id": "ishaan"}}
    )
    mine = bearer("internal")
    for team_id, status in (("t-prod", 200), ("t-test", 403)):
        body = {"team_id": team_id, "member": {"role": "user", "user_id": "krrish"}}
        assert http.post("/team/member_add", json=body, headers=mine).status_code == status


# -- models, many members, and the caller itself


def test_models_are_added_to_a_team_and_taken_from_it(http: TestClient) -> None:
    team_id = made(http)["team_id"]
    start = http.get("/team/info", params={"team_id": team_id}).json()["team_info"]["models"]
    added = http.post("/team/model/add", json={"team_id": team_id, "models": ["m-1", "m-1"]}).json()
    assert added["models"] == sorted({*(start or ["all-proxy-models"]), "m-1"})
    left = http.post("/team/model/delete", json={"team_id": team_id, "models": ["m-1"]}).json()
    assert "m-1" not in left["models"]
    patched = http.patch(f"/team/{team_id}", json={"team_alias": "Renamed", "guardrails": ["g"]}).json()
    assert (patched["team_alias"], patched["metadata"]["guardrails"]) == ("Renamed", ["g"])


def test_many_people_are_put_into_a_team_or_none_of_them(http: TestClient) -> None:
    team_id = made(http)["team_id"]
    body = {
        "team_id": team_id,
        "members": [{"user_id": "ishaan"}, {"user_id": "krrish"}],
        "max_budget_in_team": 2,
    }
    done = http.post("/team/bulk_member_add", json=body).json()
    assert (done["total_requested"], done["successful_additions"], done["failed_additions"]) == (2, 2, 0)
    assert [one["user_id"] for one in done["results"]] == ["ishaan", "krrish"]
    again = http.post(
        "/team/bulk_member_add", json={**body, "members": [{"user_id": "x"}, {"user_id": "krrish"}]}
    )
    assert (again.status_code, again.json()["error"]["type"]) == (400, "team_member_already_in_team")
    everybody = http.post("/team/bulk_member_add", json={"team_id": team_id, "all_users": True}).json()
    assert {one["user_id"] for one in everybody["results"]} == {"root", "auditor"}


def test_a_member_sees_itself_and_its_spend_and_budget_are_reset(http: TestClient) -> None:
    team_id = made(http, team_member_budget=5, team_member_rpm_limit=7)["team_id"]
    shared = http.get("/team/info", params={"team_id": team_id}).json()["team_info"][
        "team_member_budget_table"
    ]
    assert (shared["max_budget"], shared["rpm_limit"]) == (5.0, 7)
    member = {"role": "user", "user_id": "ishaan"}
    http.post("/team/member_add", json={"team_id": team_id, "member": member, "max_budget_in_team": 2})
    me = http.get(f"/team/{team_id}/members/me", headers=bearer("internal")).json()
    assert (me["user_id"], me["role"], me["litellm_budget_table"]["max_budget"]) == ("ishaan", "user", 2.0)
    sources = {
        one["user_id"]: one["budget_source"]
        for one in http.get("/team/info", params={"team_id": team_id}).json()["team_memberships"]
    }
    assert sources["ishaan"] == "custom"
    reset = http.post(f"/team/{team_id}/member/ishaan/reset_budget").json()
    assert (reset["budget_id"], reset["budget_source"]) == (shared["budget_id"], "team_default")
    spent = http.post(f"/team/{team_id}/member/ishaan/reset_spend", json={"reset_to": 0}).json()
    assert (spent["spend"], spent["previous_spend"], spent["max_budget"]) == (0.0, 0.0, 5.0)
    assert http.get(f"/team/{team_id}/members/me", headers=bearer("nobody")).status_code == 400


def test_spend_within_teams_is_told_by_user_and_others_see_their_own_line(http: TestClient) -> None:
    query = {"team_ids": "t-prod,t-test", "start_date": "2026-05-06", "end_date": "2026-05-06"}
    lines = http.get("/team/spend/by_user", params=query).json()["results"]
    assert [(one["team_id"], one["team_alias"], one["user_id"], one["spend"]) for one in lines] == [
        ("t-prod", "Prod Team", "", 0.002),
        ("t-prod", "Prod Team", "ishaan", 0.001),
    ]
    assert http.get("/team/spend/by_user", params=query, headers=bearer("team")).status_code == 403
    own = http.get(
        "/team/spend/by_user", params={**query, "team_ids": "t-prod"}, headers=bearer("team")
    ).json()
    assert own["results"] == [], "a key without a user has no line"
