"""The routes of keys: made, shown, changed, blocked, replaced, deleted, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, client, raw, sha, spending
from entity_house import HOSTILE, NUMBERS, kinds, post, said, served, skeleton

GENERATED = skeleton(
    "key_alias:null duration:null models:[] spend:float max_budget:null user_id:null team_id:null agent_id:null "
    "max_parallel_requests:null metadata:{} tpm_limit:null rpm_limit:null budget_duration:null budget_limits:null "
    "allowed_cache_controls:[] config:{} permissions:{} model_max_budget:{} budget_fallbacks:{} "
    "model_rpm_limit:null model_tpm_limit:null mcp_rpm_limit:null tag_rpm_limit:null guardrails:null policies:null "
    "prompts:null blocked:null aliases:{} object_permission:null key:str tpd_limit:null "
    "default_estimated_output_tokens:null default_estimated_output_tokens_per_model:null budget_id:null "
    "end_user_budget_id:null tags:null disable_global_guardrails:null enable_prompt_caching:null "
    "throttle_on_budget_exceeded:null enforced_params:null allowed_routes:[] allowed_passthrough_routes:null "
    "denied_passthrough_routes:null allowed_vector_store_indexes:null rpm_limit_type:null tpm_limit_type:null "
    "router_settings:{} access_group_ids:[] key_name:str key_type:str expires:null token_id:str "
    "organization_id:null project_id:null litellm_budget_table:null token:str created_by:str updated_by:str "
    "created_at:str updated_at:str"
)
COLUMNS = (
    "soft_budget_cooldown:bool spend:float total_spend:float expires:{time} models:[] aliases:{{}} config:{{}} "
    "router_settings:{{}} user_id:{text} team_id:null agent_id:null project_id:null permissions:{{}} "
    "max_parallel_requests:{count} metadata:{{}} blocked:null tpm_limit:{count} rpm_limit:{count} tpd_limit:null "
    "max_budget:{money} budget_duration:{text} budget_reset_at:{time} allowed_cache_controls:[] allowed_routes:[] "
    "key_type:str policies:[] access_group_ids:[] model_spend:{{}} model_max_budget:{{}} budget_fallbacks:{{}} "
    "budget_id:{text} organization_id:null object_permission_id:null created_at:str created_by:str updated_at:str "
    "updated_by:str settings_updated_at:{time} last_active:null rotation_count:int auto_rotate:bool "
    "rotation_interval:null last_rotation_at:null key_rotation_at:null budget_limits:null "
    "litellm_budget_table:null litellm_organization_table:null litellm_project_table:null object_permission:null "
    "jwt_key_mappings:null"
)
PLAIN = skeleton(
    "key_name:str key_alias:str "
    + COLUMNS.format(time="null", text="null", count="null", money="null")
    + " status:str"
)
UPDATED = skeleton(
    "key:str token:str key_name:str key_alias:str "
    + COLUMNS.format(time="str", text="str", count="int", money="float")
)
BLOCKED = skeleton(
    "token:str key_name:str key_alias:null spend:float total_spend:float max_budget:null expires:null models:[] "
    "aliases:{} config:{} user_id:null team_id:null agent_id:null project_id:null max_parallel_requests:null "
    "metadata:{} tpm_limit:null rpm_limit:null tpd_limit:null budget_duration:null budget_reset_at:null "
    "allowed_cache_controls:[] allowed_routes:[] key_type:str permissions:{} model_spend:{} model_max_budget:{} "
    "budget_fallbacks:{} soft_budget_cooldown:bool blocked:bool litellm_budget_table:null budget_id:null org_id:null "
    "created_at:str created_by:str updated_at:str updated_by:str settings_updated_at:str last_active:null "
    "object_permission_id:null object_permission:null access_group_ids:[] rotation_count:int auto_rotate:bool "
    "rotation_interval:null last_rotation_at:null key_rotation_at:null router_settings:{} budget_limits:null"
)
FULL = {
    "key_alias": "billing",
    "user_id": "ishaan",
    "models": ["gpt-4"],
    "aliases": {"m": "gpt-4"},
    "max_budget": 100.1,
    "soft_budget": 50,
    "budget_duration": "30d",
    "duration": "30d",
    "max_parallel_requests": 1,
    "tpm_limit": 2,
    "rpm_limit": 3,
    "metadata": {"team": "engineering", "project": "chatbot"},
}


@pytest.fixture
def http(database_url: str, tmp_path: Path) -> Iterator[TestClient]:
    with served(tmp_path, database_url) as http:
        yield http


def made(http: TestClient, **fields: Any) -> dict[str, Any]:
    answer = http.post("/key/generate", json=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def error(answer: Any) -> tuple[int, str, str]:
    body = answer.json()["error"]
    assert body["code"] == str(answer.status_code)
    return answer.status_code, body["type"], body["message"]


def test_a_key_is_shown_once_and_stored_as_its_hash(http: TestClient) -> None:
    key = made(http)
    assert kinds(key) == GENERATED
    assert re.fullmatch(r"sk-[A-Za-z0-9_-]{22}", key["key"])
    assert key["token"] == key["token_id"] == sha(key["key"])
    assert key["key_name"] == "sk-..." + key["key"][-4:]
    assert (key["created_by"], key["key_type"]) == ("default_user_id", "default")
    shown = http.get("/key/list", params={"return_full_object": True, "size": 100}).text
    assert key["token"] in shown
    assert key["key"] not in shown


def test_a_key_lives_from_generate_to_delete(http: TestClient) -> None:
    key = made(http, **FULL)
    reset = datetime.fromisoformat(key["litellm_budget_table"]["created_at"])
    assert (key["litellm_budget_table"]["soft_budget"], reset.tzinfo) == (50.0, UTC)
    info = http.get("/key/info", params={"key": key["key"]}).json()
    assert info["key"] == key["key"]
    assert info["info"]["metadata"] == FULL["metadata"]
    assert info["info"]["budget_reset_at"][8:] == "01T00:00:00Z", "30d ends on the first of a month"
    changed = http.post(
        "/key/update", json={"key": key["token"], "max_budget": 0.1, "metadata": {"x": 1}}
    ).json()
    assert kinds(changed) == UPDATED
    assert (changed["max_budget"], changed["metadata"], changed["models"]) == (0.1, {"x": 1}, ["gpt-4"])
    listed = http.get("/key/list", params={"key_alias": "billing"}).json()
    assert listed == {"keys": [key["token"]], "total_count": 1, "current_page": 1, "total_pages": 1}
    assert http.post("/key/delete", json={"keys": [key["key"], "sk-unknown"]}).json() == {
        "deleted_keys": [key["key"]]
    }
    assert error(http.get("/key/info", params={"key": key["key"]}))[:2] == (404, "not_found_error")
    assert error(http.post("/key/delete", json={"keys": [key["key"]]}))[0] == 404


def test_keys_are_deleted_by_their_aliases(http: TestClient) -> None:
    made(http, key_alias="one")
    made(http, key_alias="two")
    assert http.post("/key/delete", json={"key_aliases": ["two", "one", "three"]}).json() == {
        "deleted_keys": ["two", "one"]
    }


def test_a_blocked_key_is_refused_until_it_is_unblocked(http: TestClient) -> None:
    key = made(http)
    mine = {"Authorization": f"Bearer {key['key']}"}
    info = http.get("/key/info", headers=mine)
    assert (info.status_code, info.json()["key"]) == (200, key["token"])
    blocked = http.post("/key/block", json={"key": key["key"]}).json()
    assert kinds(blocked) == BLOCKED
    assert blocked["blocked"] is True
    assert error(http.get("/key/info", headers=mine))[0] == 401
    assert http.get("/key/info", params={"key": key["token"]}).json()["info"]["status"] == "blocked"
    assert http.post("/key/unblock", json={"key": key["token"]}).json()["blocked"] is False
    assert http.get("/key/info", headers=mine).status_code == 200


def test_a_key_of_its_own_shows_its_plain_columns(http: TestClient) -> None:
    key = made(http, key_alias="plain")
    info = http.get("/key/info", params={"key": key["token"]}).json()["info"]
    assert kinds(info) == PLAIN


@pytest.mark.parametrize("path", ["/key/{}/regenerate", "/key/regenerate?key={}"])
def test_a_new_secret_replaces_the_old_one_and_keeps_the_spend(http: TestClient, path: str) -> None:
    key = made(http, key_alias="rotated", spend=1.5, max_budget=3)
    again = http.post(path.format(key["token"]), json={"max_budget": 4}).json()
    assert (again["key_alias"], again["max_budget"], again["spend"]) == ("rotated", 4.0, 1.5)
    assert again["key"] != key["key"]
    assert http.get("/key/info", headers={"Authorization": f"Bearer {key['key']}"}).status_code == 401
    info = http.get("/key/info", headers={"Authorization": f"Bearer {again['key']}"}).json()["info"]
    assert (info["rotation_count"], info["spend"], info["total_spend"]) == (1, 1.5, 1.5)


def test_spend_is_reset_to_an_amount_and_no_higher(http: TestClient) -> None:
    key = made(http, spend=1.5, max_budget=3)
    path = f"/key/{key['token']}/reset_spend"
    assert http.post(path, json={"reset_to": 0.5}).json() == {
        "key_hash": key["token"],
        "spend": 0.5,
        "previous_spend": 1.5,
        "max_budget": 3.0,
        "budget_reset_at": None,
    }
    for amount in (0.6, -1):
        refused = http.post(path, json={"reset_to": amount})
        assert (refused.status_code, said(refused)[:9]) == (400, "reset_to ")
    assert http.get("/key/info", params={"key": key["token"]}).json()["info"]["total_spend"] == 1.5


def test_fields_that_only_a_proxy_acts_on_are_kept_and_shown(http: TestClient) -> None:
    key = made(
        http,
        tags=["a"],
        guardrails=["g"],
        model_rpm_limit={"m": 1},
        router_settings={"num_retries": 3},
        budget_limits=[{"budget_duration": "1d", "max_budget": 0.1}],
        metadata={"kept": True},
    )
    assert (key["tags"], key["guardrails"], key["model_rpm_limit"]) == (["a"], ["g"], {"m": 1})
    assert key["router_settings"]["num_retries"] == 3
    info = http.get("/key/info", params={"key": key["token"]}).json()["info"]
    assert info["metadata"] == {
        "kept": True,
        "guardrails": ["g"],
        "model_rpm_limit": {"m": 1},
        "tags": ["a"],
    }
    (window,) = info["budget_limits"]
    assert key["budget_limits"] == [window]
    assert (window["budget_duration"], window["max_budget"]) == ("1d", 0.1)
    assert window["reset_at"][10:] == "T00:00:00+00:00", "days end at midnight"


REFUSED = [
    ({"key": "pk-not-ours-0000000000"}, 400, "must start with 'sk-'"),
    ({"key": "sk-short"}, 400, "at least 16 characters"),
    ({"key": raw("nobody")}, 400, "exists already"),
    ({"key_alias": "alias-nobody"}, 400, "Key with alias 'alias-nobody' already exists"),
    ({"team_id": "t-nowhere"}, 400, "team_id 't-nowhere' does not exist"),
    ({"organization_id": "o-nowhere"}, 400, "organization_id 'o-nowhere' does not exist"),
    ({"budget_id": "b-nowhere"}, 400, "budget_id 'b-nowhere' does not exist"),
    ({"max_budget": -1}, 400, "max_budget cannot be negative"),
    ({"soft_budget": -1}, 400, "cannot be negative"),
    ({"spend": -1}, 400, "spend cannot be negative"),
    ({"budget_duration": "soon"}, 400, "Invalid budget_duration 'soon'. Use a format like '1h'"),
    ({"budget_duration": "0d"}, 400, "Invalid budget_duration '0d'"),
    ({"budget_duration": "999999999y"}, 400, "after year 9999"),
    ({"duration": "forever"}, 400, "Invalid duration 'forever'"),
    ({"duration": "9999y"}, 400, "after year 9999"),
    (
        {"budget_limits": [{"budget_duration": "soon", "max_budget": 1}]},
        400,
        "Invalid budget_duration 'soon'",
    ),
    ({"budget_limits": [{"budget_duration": "1d", "max_budget": -1}]}, 400, "cannot be negative"),
]


def test_a_value_that_cannot_work_is_refused_by_its_name(http: TestClient) -> None:
    before = http.get("/key/list").json()["total_count"]
    for fields, status, message in REFUSED:
        found = error(http.post("/key/generate", json=fields))
        assert found[0] == status, fields
        assert message in found[2], fields
    assert http.get("/key/list").json()["total_count"] == before
    assert http.get("/budget/list").json() == []


def test_hostile_values_are_refused_and_leave_nothing_behind(http: TestClient) -> None:
    before = http.get("/key/list").json()["total_count"]
    texts = ("key_alias", "user_id", "team_id", "duration", "key", "budget_id", "agent_id")
    cases = [{name: value} for name in texts for value in HOSTILE.values()]
    cases += [{name: value} for name in ("max_budget", "spend", "tpm_limit") for value in NUMBERS.values()]
    cases += [{"models": "gpt-4"}, {"metadata": "x"}, {"metadata": {"a": "b\0"}}, {"models": ["a\ud800"]}]
    cases += [{"metadata": {"deep": _deep(60)}}, {"metadata": {"wide": list(range(20_000))}}]
    for case in cases:
        answer = post(http, "/key/generate", case)
        assert answer.status_code in (400, 422), (case, answer.text[:200])
    for body in (b"", b"[]", b"null", b'{"max_budget": NaN}', b'{"max_budget": 1e999}', b"{", b'"\\ud800"'):
        answer = http.post("/key/generate", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), (body, answer.text[:200])
    for query in ("page=0", "page=x", "size=101", "sort_by=nothing", "user_id=a%00b", "sort_order=up"):
        assert http.get(f"/key/list?{query}").status_code in (400, 422), query
    assert http.get("/key/list").json()["total_count"] == before


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_list_is_paged_in_a_stable_order_and_filtered(http: TestClient) -> None:
    for number in range(7):
        made(http, key_alias=f"page-{number}", team_id="t-prod", max_budget=number)
    asked: dict[str, Any] = {"search": "page-", "size": 3, "sort_by": "key_alias", "sort_order": "asc"}
    found = [
        row["key_alias"]
        for page in (1, 2, 3)
        for row in http.get("/key/list", params={**asked, "page": page, "return_full_object": True}).json()[
            "keys"
        ]
    ]
    assert found == [f"page-{number}" for number in range(7)]
    dearest = http.get(
        "/key/list",
        params={"team_id": "t-prod", "sort_by": "max_budget", "size": 1, "return_full_object": True},
    ).json()
    assert (dearest["keys"][0]["key_alias"], dearest["keys"][0]["team_alias"]) == ("page-6", "Prod Team")
    assert dearest["total_pages"] == 8
    assert http.get("/key/list", params={"search": "%"}).json()["total_count"] == 0
    assert http.get("/key/list", params={"status": "expired"}).json()["keys"] == [sha(raw("expired"))]
    assert http.get("/key/list", params={"status": "blocked"}).json()["keys"] == [sha(raw("blocked"))]


# -- who may


MAY_NOT: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("internal", "POST", "/key/generate", {"user_id": "krrish"}, 403),
    ("internal", "POST", "/key/generate", {"user_id": None}, 403),
    ("internal", "POST", "/key/generate", {"team_id": "t-prod"}, 403),
    ("internal", "POST", "/key/generate", {"permissions": {"get_spend_routes": True}}, 403),
    ("internal", "POST", "/key/generate", {"organization_id": "o"}, 403),
    ("internal", "POST", "/key/generate", {"spend": 0}, 403),
    ("internal", "POST", "/key/update", {"key": "admin", "max_budget": 1}, 403),
    ("internal", "POST", "/key/update", {"key": "internal", "permissions": {"get_spend_routes": True}}, 403),
    ("internal", "POST", "/key/update", {"key": "internal", "user_id": "root"}, 403),
    ("internal", "POST", "/key/update", {"key": "internal", "blocked": False}, 403),
    ("internal", "POST", "/key/update", {"key": "internal", "spend": 0}, 403),
    ("internal", "POST", "/key/delete", {"keys": ["admin"]}, 403),
    ("internal", "POST", "/key/delete", {"keys": ["internal", "admin"]}, 403),
    ("internal", "POST", "/key/regenerate", {"key": "admin"}, 403),
    ("internal", "POST", "/key/block", {"key": "internal"}, 401),
    ("internal", "POST", "/key/unblock", {"key": "internal"}, 401),
    ("internal_viewer", "POST", "/key/generate", {}, 401),
    ("nobody", "POST", "/key/generate", {}, 401),
    ("team", "POST", "/key/generate", {}, 401),
    ("viewer", "POST", "/key/generate", {}, 403),
    ("viewer", "POST", "/key/delete", {"keys": ["viewer"]}, 403),
]


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Put the hashes of callers' keys where a case names them."""
    named = dict(fields)
    if "key" in named:
        named["key"] = sha(raw(named["key"]))
    if "keys" in named:
        named["keys"] = [sha(raw(name)) for name in named["keys"]]
    return named


def test_nobody_gets_more_than_their_own(http: TestClient) -> None:
    before = http.get("/key/list", params={"return_full_object": True, "size": 100}).json()
    for who, method, path, fields, status in MAY_NOT:
        answer = http.request(method, path, json=_named(fields), headers=bearer(who))
        assert answer.status_code == status, (who, path, fields, answer.text)
    assert http.get("/key/list", params={"return_full_object": True, "size": 100}).json() == before


def test_an_internal_user_makes_and_manages_keys_of_its_own(http: TestClient) -> None:
    mine = bearer("internal")
    key = http.post("/key/generate", json={"key_alias": "mine", "max_budget": 1}, headers=mine).json()
    assert (key["user_id"], key["created_by"]) == ("ishaan", "ishaan")
    assert (
        http.post("/key/update", json={"key": key["key"], "max_budget": 2}, headers=mine).status_code == 200
    )
    listed = http.get("/key/list", headers=mine).json()
    assert sorted(listed["keys"]) == sorted([key["token"], sha(raw("internal"))])
    assert http.post("/key/regenerate", json={"key": key["key"]}, headers=mine).status_code == 200
    assert http.post("/key/delete", json={"key_aliases": ["mine"]}, headers=mine).status_code == 200


@pytest.mark.parametrize("who", ["internal", "internal_viewer", "nobody", "team"])
def test_who_may_not_see_all_sees_no_key_of_others(http: TestClient, who: str) -> None:
    mine = bearer(who)
    assert http.get("/key/list", headers=mine).json()["keys"] == [sha(raw(who))]
    assert http.get("/key/info", headers=mine).json()["info"]["key_alias"] == f"alias-{who}"
    assert http.get("/key/info", params={"key": sha(raw("admin"))}, headers=mine).status_code == 403
    assert http.get("/key/list", params={"user_id": "root"}, headers=mine).status_code == 403
    for narrowed in ({"key_hash": sha(raw("admin"))}, {"team_id": "t-test"}, {"search": "alias-admin"}):
        assert http.get("/key/list", params=narrowed, headers=mine).json()["keys"] == []


def test_a_team_admin_manages_the_keys_of_the_team(http: TestClient) -> None:
    http.post(
        "/team/member_add", json={"team_id": "t-prod", "member": {"role": "admin", "user_id": "ishaan"}}
    )
    mine = bearer("internal")
    assert http.get("/key/info", params={"key": sha(raw("team"))}, headers=mine).status_code == 200
    listed = http.get("/key/list", params={"include_team_keys": True}, headers=mine).json()["keys"]
    assert sorted(listed) == sorted([sha(raw("internal")), sha(raw("team"))])
    key = http.post("/key/generate", json={"team_id": "t-prod"}, headers=mine)
    assert (key.status_code, key.json()["team_id"]) == (200, "t-prod")
    assert http.post("/key/delete", json={"keys": [sha(raw("team"))]}, headers=mine).status_code == 200
    assert http.post("/key/delete", json={"keys": [sha(raw("other_team"))]}, headers=mine).status_code == 403


def test_a_key_that_may_read_spend_says_so_and_false_opens_nothing(tmp_path: Path) -> None:
    with spending(tmp_path, []) as spend:
        http = client(spend.app)
        statuses = {}
        for value in (True, False):
            key = http.post(
                "/key/generate", json={"permissions": {"get_spend_routes": value}}, headers=bearer("master")
            ).json()
            assert key["permissions"] == {"get_spend_routes": value}
            headers = {"Authorization": f"Bearer {key['key']}"}
            statuses[value] = http.get(
                "/global/spend/tags?start_date=2026-05-01&end_date=2026-05-31", headers=headers
            ).status_code
    assert statuses == {True: 200, False: 401}


# -- many at once, aliases and service accounts


def test_a_key_may_be_named_by_its_alias_and_warned_from_an_amount_on(http: TestClient) -> None:
    key = made(http, key_alias="billing")
    body = {
        "key_alias": "billing",
        "soft_budget": 2,
        "temp_budget_increase": 5,
        "temp_budget_expiry": "2030-01-01T00:00:00Z",
    }
    changed = http.post("/key/update", json=body).json()
    assert (changed["key"], changed["key_alias"]) == (key["token"], "billing")
    assert changed["metadata"] == {
        "temp_budget_increase": 5.0,
        "temp_budget_expiry": "2030-01-01T00:00:00+00:00",
    }
    info = http.get("/key/info", params={"key": key["key"]}).json()["info"]
    assert info["litellm_budget_table"]["soft_budget"] == 2.0
    http.post("/key/update", json={"key": key["key"], "soft_budget": 3})
    again = http.get("/key/info", params={"key": key["key"]}).json()["info"]
    assert (again["budget_id"], again["litellm_budget_table"]["soft_budget"]) == (info["budget_id"], 3.0)
    for wrong in ({}, {"key": "k", "temp_budget_increase": 1}):
        assert http.post("/key/update", json=wrong).status_code == 422


def test_many_keys_change_and_each_says_what_became_of_it(http: TestClient) -> None:
    key = made(http)
    body = {
        "keys": [{"key": key["key"], "max_budget": 7, "tags": ["a"]}, {"key": "sk-nowhere", "max_budget": 1}]
    }
    done = http.post("/key/bulk_update", json=body).json()
    assert (done["total_requested"], len(done["successful_updates"]), len(done["failed_updates"])) == (
        2,
        1,
        1,
    )
    info = done["successful_updates"][0]["key_info"]
    assert (info["max_budget"], info["metadata"], "token" in info) == (7.0, {"tags": ["a"]}, False)
    assert done["failed_updates"][0] == {
        "key": "sk-nowhere", "key_info": None, "failed_reason": "Key not found in database",
    }  # fmt: skip
    assert http.post("/key/bulk_update", json={"keys": []}).status_code == 400


def test_the_keys_of_a_team_change_together_and_no_others(http: TestClient) -> None:
    body = {"team_id": "t-prod", "all_keys_in_team": True, "update_fields": {"max_budget": 3}}
    done = http.post("/team/key/bulk_update", json=body).json()
    assert [one["key"] for one in done["successful_updates"]] == [sha(raw("team"))]
    outside = {"team_id": "t-prod", "key_ids": [raw("nobody")], "update_fields": {"max_budget": 3}}
    assert http.post("/team/key/bulk_update", json=outside).status_code == 404
    assert http.get("/key/info", params={"key": raw("nobody")}).json()["info"]["max_budget"] is None


def test_a_service_account_belongs_to_a_team_and_to_no_user(http: TestClient) -> None:
    body = {"team_id": "t-prod", "user_id": "ishaan", "key_alias": "robot"}
    key = http.post("/key/service-account/generate", json=body).json()
    assert (key["user_id"], key["team_id"]) == (None, "t-prod")
    assert key["metadata"] == {"service_account_id": "robot"}


def test_aliases_are_paged_by_the_alphabet(http: TestClient) -> None:
    page = http.get("/key/aliases", params={"size": 2, "page": 1}).json()
    assert page["aliases"] == ["alias-admin", "alias-blocked"]
    assert (page["current_page"], page["size"], page["total_pages"]) == (1, 2, -(-page["total_count"] // 2))
    assert http.get("/key/aliases", params={"team_id": "t-prod"}).json()["aliases"] == ["alias-team"]
    mine = http.get("/key/aliases", headers=bearer("internal")).json()["aliases"]
    assert mine == ["alias-internal"]


def test_keys_are_listed_by_how_they_stand(http: TestClient) -> None:
    def aliases(**asked: str) -> set[str]:
        params = {"return_full_object": "true", "size": "100", **asked}
        return {key["key_alias"] for key in http.get("/key/list", params=params).json()["keys"]}

    assert aliases(status="revoked") == aliases(status="blocked") == {"alias-blocked"}
    assert aliases(expires="expired") == {"alias-expired"}
    assert "alias-blocked" in aliases(expires="active")
    assert aliases(status="deleted") == set()
    made(http, key_alias="grouped", access_group_ids=["group-1"])
    assert aliases(access_group_id="group-1") == {"grouped"}
    assert aliases(access_group_id="group") == set()
