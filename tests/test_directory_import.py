"""LiteLLM's keys, teams, users and the rest taken over: exact, only once, and going on working."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from api_house import bearer, call, client, spending
from spend_middleware.settings import Settings
from spend_middleware.store.directory import Directory
from spend_middleware.store.report_values import By
from spend_middleware.store.store import Store

SECRET = "sk-an-old-key-of-litellm"
TOKEN = hashlib.sha256(SECRET.encode()).hexdigest()
AT = datetime(2026, 5, 6, 10, tzinfo=UTC).replace(tzinfo=None)

TABLES: dict[str, list[dict[str, Any]]] = {
    "LiteLLM_BudgetTable": [
        {
            "budget_id": "b-free",
            "max_budget": 0.1,
            "budget_duration": "30d",
            "created_by": "x",
            "updated_by": "x",
        }
    ],
    "LiteLLM_OrganizationTable": [
        {
            "organization_id": "org-1",
            "organization_alias": "Org",
            "budget_id": "b-free",
            "models": [],
            "spend": 2.5,
        }
    ],
    "LiteLLM_UserTable": [
        {
            "user_id": "ishaan@berri.ai",
            "user_email": "ishaan@berri.ai",
            "user_role": "internal_user",
            "spend": 0.30000000000000004,
            "teams": ["t-1"],
            "models": [],
            "metadata": "{}",
            "created_at": "2026-05-06T10:00:00",
        }
    ],
    "LiteLLM_TeamTable": [
        {
            "team_id": "t-1",
            "team_alias": "Prod Team",
            "members_with_roles": [{"role": "admin", "user_id": "ishaan@berri.ai", "user_email": None}],
            "metadata": {"tags": ["of-team"]},
            "max_budget": 1000.0,
            "soft_budget": None,
            "spend": 12.34,
            "models": '{gpt-4,"a b"}',
            "blocked": "f",
            "tpm_limit": "100",
        }
    ],
    "LiteLLM_TeamMembership": [
        {
            "user_id": "ishaan@berri.ai",
            "team_id": "t-1",
            "spend": 0.5,
            "total_spend": 1.5,
            "budget_id": "b-free",
        }
    ],
    "LiteLLM_EndUserTable": [
        {"user_id": "palantir", "spend": 0.7, "blocked": True, "budget_id": "b-free", "alias": None}
    ],
    "LiteLLM_TagTable": [{"tag_name": "jobs", "description": "d", "models": [], "spend": 0.25}],
    "LiteLLM_VerificationToken": [
        {
            "token": TOKEN,
            "key_name": "sk-...ellm",
            "key_alias": "old",
            "spend": 1.32e-05,
            "total_spend": 2.64e-05,
            "expires": None,
            "models": ["gpt-4"],
            "aliases": '{"m": "gpt-4"}',
            "user_id": "ishaan@berri.ai",
            "team_id": "t-1",
            "permissions": {"get_spend_routes": True},
            "metadata": {"tags": ["of-key"], "spend_logs_metadata": {"project": "p"}},
            "max_budget": 100.0,
            "budget_duration": "30d",
            "budget_reset_at": datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None),
            "blocked": None,
            "created_at": AT,
            "created_by": "default_user_id",
        }
    ],
}


@pytest.fixture
def directory(store: Store, settings_for: Callable[..., Settings]) -> Directory:
    return Directory(store.engine, store.reports)


def counts(found: Any) -> dict[str, tuple[int, int, int]]:
    return {table: (one.imported, one.present, one.refused) for table, one in found.items()}


def test_every_row_is_taken_over_once_however_often_it_is_given(store: Store) -> None:
    first = counts(store.upkeep.import_litellm(TABLES))
    again = counts(store.upkeep.import_litellm(TABLES))
    assert first == {table: (len(rows), 0, 0) for table, rows in TABLES.items()}
    assert again == {table: (0, len(rows), 0) for table, rows in TABLES.items()}


def test_a_hashed_key_goes_on_working_with_all_that_it_says(store: Store, directory: Directory) -> None:
    store.upkeep.import_litellm(TABLES)
    record = directory.find_key(TOKEN)
    assert record is not None
    assert (record.key_alias, record.user_id, record.user_role) == ("old", "ishaan@berri.ai", "internal_user")
    assert (record.team_id, record.team_alias, record.admin_teams) == ("t-1", "Prod Team", ("t-1",))
    assert record.tags == ("of-key", "of-team")
    assert record.spend_logs_metadata == {"project": "p"}
    assert record.permissions == {"get_spend_routes": True}
    assert record.max_budget == 100
    assert record.team_max_budget == 1000


def test_spend_is_carried_over_exactly_whatever_history_comes_with_it(
    store: Store, directory: Directory
) -> None:
    store.upkeep.import_litellm(TABLES)
    store.append(call("2026-05-07T10:00:00", "5", api_key=TOKEN, team_id="t-1", user_id="ishaan@berri.ai"))
    assert store.flush(10) == 0
    with directory.read() as desk:
        from spend_middleware.store.entities import SpendKey, SpendTeam

        key, team = desk.get(SpendKey, TOKEN), desk.get(SpendTeam, "t-1")
    assert key is not None
    assert team is not None
    assert directory.accounts.of(By.KEY, {TOKEN: key})[TOKEN].spend == Decimal("0.0000132")
    assert directory.accounts.lifetime([key])[TOKEN] == Decimal("0.0000264")
    assert directory.accounts.of(By.TEAM, {"t-1": team})["t-1"].spend == Decimal("12.34")


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        ("LiteLLM_VerificationToken", {"key_alias": "x"}, "token is missing"),
        (
            "LiteLLM_VerificationToken",
            {"token": "a", "spend": float("nan")},
            "spend is not an amount of money",
        ),
        ("LiteLLM_VerificationToken", {"token": "a", "key_alias": "x\0y"}, "key_alias holds a NUL"),
        ("LiteLLM_VerificationToken", {"token": "a", "metadata": {"k": "\ud800"}}, "metadata holds a NUL"),
        ("LiteLLM_VerificationToken", {"token": "a", "metadata": "no json"}, "metadata is not JSON"),
        ("LiteLLM_VerificationToken", {"token": "a", "expires": "tomorrow"}, "expires is not a time"),
        ("LiteLLM_VerificationToken", {"token": "a", "tpm_limit": 2**63}, "tpm_limit is too large"),
        ("LiteLLM_VerificationToken", {"token": "a", "models": 5}, "models is not a list"),
        ("LiteLLM_TeamTable", {"team_id": "t" * 513}, "team_id is longer than 512 characters"),
        ("LiteLLM_TeamTable", {"team_id": "t", "blocked": "perhaps"}, "blocked is neither true nor false"),
        ("LiteLLM_UserTable", ["not", "a", "row"], "a row is a mapping, not list"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason_and_the_others_are_taken(
    store: Store, table: str, row: Any, reason: str
) -> None:
    good = TABLES[table][0]
    found = store.upkeep.import_litellm({table: [row, good]})[table]
    assert (found.imported, found.refused) == (1, 1)
    assert found.refusals[0].position == 0
    assert found.refusals[0].reason.startswith(reason)


def test_two_keys_with_one_alias_both_go_on_working(store: Store, directory: Directory) -> None:
    rows = [{"token": token * 64, "key_alias": "same"} for token in "ab"]
    assert (
        store.upkeep.import_litellm({"LiteLLM_VerificationToken": rows})["LiteLLM_VerificationToken"].imported
        == 2
    )
    records = [directory.find_key(row["token"]) for row in rows]
    assert [record and record.key_alias for record in records] == ["same", "same-bbbbbbbb"]


def test_an_imported_key_opens_the_routes_and_shows_what_litellm_showed(tmp_path: Any) -> None:
    with spending(tmp_path, []) as spend:
        spend.import_litellm(TABLES)
        http = client(spend.app)
        shown = http.get("/key/info", headers={"Authorization": f"Bearer {SECRET}"}).json()["info"]
        team = http.get("/team/info", params={"team_id": "t-1"}, headers=bearer("master")).json()
        customers = http.get("/customer/list", headers=bearer("master")).json()
    assert (shown["spend"], shown["total_spend"], shown["max_budget"]) == (1.32e-05, 2.64e-05, 100.0)
    assert (shown["aliases"], shown["created_at"]) == ({"m": "gpt-4"}, "2026-05-06T10:00:00Z")
    assert shown["budget_reset_at"] == "2030-01-01T00:00:00Z"
    assert team["team_info"]["models"] == ["gpt-4", "a b"]
    assert team["team_info"]["spend"] == 12.34
    assert [(one["spend"], one["total_spend"]) for one in team["team_memberships"]] == [(0.5, 1.5)]
    assert [(one["user_id"], one["spend"], one["blocked"]) for one in customers] == [("palantir", 0.7, True)]


CALLED: dict[str, Any] = {
    "request_id": "chatcmpl-1", "call_type": "acompletion", "api_key": TOKEN, "spend": 1.35e-05, "total_tokens": 30,
    "prompt_tokens": 20, "completion_tokens": 10, "startTime": "2026-05-06T10:00:00Z", "endTime": "2026-05-06T10:00:01.500000Z",
    "request_duration_ms": 1501, "completionStartTime": "2026-05-06T10:00:01Z", "model": "openai/gpt-4o-mini",
    "model_id": "deployment-7", "model_group": None, "custom_llm_provider": "openai", "api_base": "", "user": None,
    "cache_hit": "True", "cache_key": "3f2a", "request_tags": ["a"], "team_id": None, "organization_id": "",
    "end_user": None, "requester_ip_address": "", "messages": {}, "response": {}, "session_id": "", "status": "success",
    "mcp_namespaced_tool_name": "tools/search", "billing_agent_id": None, "agent_id": None, "proxy_server_request": {},
    "litellm_call_id": "call-1", "created_at": "2026-05-06T10:00:02Z", "updated_at": "2026-05-06T10:00:03Z",
}  # fmt: skip


def test_an_imported_call_is_shown_as_litellm_showed_it(tmp_path: Any) -> None:
    with spending(tmp_path, []) as spend:
        stored = {**CALLED, "metadata": {"user_api_key_alias": None, "spend_logs_metadata": None}}
        assert spend.import_litellm({"LiteLLM_SpendLogs": [stored]})["LiteLLM_SpendLogs"].imported == 1
        http = client(spend.app, headers=bearer("master"))
        (row,) = http.get("/spend/logs", params={"request_id": "call-1"}).json()
        queries = [f"cache_hit_filter={one}" for one in ("hit", "miss")]
        queries += ["model_id=deployment-7", "model_id=deployment"]
        found = [
            http.get(f"/spend/logs/v2?start_date=2026-05-06&end_date=2026-05-06&{query}").json()["total"]
            for query in queries
        ]
    assert {name: row[name] for name in CALLED} == CALLED
    assert (row["metadata"]["user_api_key_alias"], row["metadata"]["spend_logs_metadata"]) == (None, None)
    assert found == [1, 0, 1, 0]
