"""`/model/info`, `/v1/models`, `/cost/estimate`, `/spend/keys`, `/spend/users` and the health probes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import KEYS, USERS, bearer, call, client, raw, sha, spending

CALLS = [
    call("2026-05-01T10:00:00", "0.001", user_id="ishaan", api_key=sha(raw("internal"))),
    call("2026-05-01T11:00:00", "0.002", user_id="krrish", api_key=sha(raw("internal_viewer"))),
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    prices = {
        "our-own": {"max_tokens": 8192, "input_cost_per_token": 1e-5, "output_cost_per_token": 2e-5},
        "anthropic/claude-sonnet-4-5": {"input_cost_per_token": 1e-6},
    }
    with spending(tmp_path_factory.mktemp("models"), CALLS) as spend:
        spend.register_model(prices)
        yield client(spend.app, headers=bearer("master"))


def test_models_are_listed_as_openai_lists_them(http: TestClient) -> None:
    answer = http.get("/v1/models").json()
    assert list(answer) == ["data", "object"]
    models = {model["id"]: model for model in answer["data"]}
    assert models["gpt-4o-mini"]["owned_by"] == "openai"
    assert list(models["gpt-4o-mini"]) == [
        "id", "object", "created", "owned_by", "mode", "max_input_tokens", "max_output_tokens",
    ]  # fmt: skip
    assert "our-own" in models
    assert http.get("/models").json() == answer


def test_a_model_shows_its_prices_in_litellms_fields(http: TestClient) -> None:
    entry = http.get("/model/info?litellm_model_id=gpt-4o-mini").json()["data"][0]
    assert list(entry) == ["model_name", "litellm_params", "model_info"]
    assert entry["model_info"]["input_cost_per_token"] == 1.5e-07
    assert entry["model_info"]["litellm_provider"] == "openai"
    own = http.get("/v1/model/info?litellm_model_id=our-own").json()["data"][0]
    assert (own["model_info"]["output_cost_per_token"], own["model_info"]["max_tokens"]) == (2e-05, 8192)


def test_a_model_shows_how_much_it_takes_and_what_it_can(http: TestClient) -> None:
    info = http.get("/model/info?litellm_model_id=gpt-4o-mini").json()["data"][0]["model_info"]
    assert (info["max_tokens"], info["max_input_tokens"], info["max_output_tokens"]) == (16384, 128000, 16384)
    assert (info["supports_vision"], "supports_reasoning" in info) == (True, False)
    renamed = http.get("/model/info?litellm_model_id=anthropic/claude-sonnet-4-5").json()["data"][0][
        "model_info"
    ]
    assert (renamed["max_input_tokens"], renamed["input_cost_per_token"]) == (200000, 1e-06)
    listed = {model["id"]: model for model in http.get("/v1/models").json()["data"]}
    assert (listed["gpt-4o-mini"]["max_input_tokens"], listed["our-own"]["max_input_tokens"]) == (
        128000,
        None,
    )
    known = sum(model["max_input_tokens"] is not None for model in listed.values())
    assert known > len(listed) / 2


def test_a_model_is_a_group_of_its_own(http: TestClient) -> None:
    (group,) = http.get("/model_group/info?model_group=gpt-4o-mini").json()["data"]
    assert list(group) == [
        "model_group", "providers", "max_input_tokens", "max_output_tokens", "input_cost_per_token",
        "output_cost_per_token", "input_cost_per_pixel", "mode", "tpm", "rpm", "itpm", "otpm",
        "supports_parallel_function_calling", "supports_vision", "supports_web_search", "supports_url_context",
        "supports_reasoning", "supports_function_calling", "supports_fast_mode", "supported_reasoning_efforts",
        "supported_openai_params", "configurable_clientside_auth_params", "is_public_model_group", "health_status",
        "health_response_time", "health_checked_at",
    ]  # fmt: skip
    assert (group["providers"], group["max_input_tokens"], group["supports_vision"]) == (
        ["openai"],
        128000.0,
        True,
    )
    assert http.get("/model_group/info?model_group=gpt-99").json() == {"data": []}


COUNTED: list[tuple[dict[str, Any], int]] = [
    ({"prompt": "Hey, how's it going?"}, 7),
    ({"messages": [{"role": "user", "content": "Hey, how's it going?"}]}, 14),
    ({"contents": [{"parts": [{"text": "Hey, how's "}, {"text": "it going?"}]}]}, 14),
    ({"prompt": "Hey, how's it going?", "system": "Be short."}, 21),
]


@pytest.mark.parametrize(("asked", "tokens"), COUNTED)
def test_tokens_are_counted_locally(http: TestClient, asked: dict[str, Any], tokens: int) -> None:
    answer = http.post("/utils/token_counter", json={"model": "gpt-4", **asked}).json()
    assert answer == {
        "total_tokens": tokens, "request_model": "gpt-4", "model_used": "gpt-4", "tokenizer_type": "openai_tokenizer",
        "count_source": "local_estimate", "original_response": None, "error": False, "error_message": None,
        "status_code": None,
    }  # fmt: skip


def test_tokens_of_nothing_are_not_counted(http: TestClient) -> None:
    answer = http.post("/utils/token_counter", json={"model": "gpt-4"})
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


def test_an_unknown_model_is_refused_by_name(http: TestClient) -> None:
    answer = http.get("/model/info?litellm_model_id=gpt-99")
    assert (answer.status_code, answer.json()) == (400, {"detail": "Model id = gpt-99 is not known here."})


ESTIMATE = {
    "model": "gpt-4o-mini",
    "input_tokens": 1000,
    "output_tokens": 100,
    "cache_read_input_tokens": 600,
}


def test_an_estimate_says_what_a_load_costs_by_request_day_and_month(http: TestClient) -> None:
    answer = http.post("/cost/estimate", json={**ESTIMATE, "num_requests_per_day": 10}).json()
    assert answer["cost_per_request"] == 0.000165
    assert answer["input_cost_per_request"] == 0.000105
    assert answer["output_cost_per_request"] == 6e-05
    assert answer["cache_read_cost_per_request"] == 4.5e-05
    assert (answer["daily_cost"], answer["monthly_cost"]) == (0.00165, None)
    assert (answer["input_cost_per_token"], answer["provider"]) == (1.5e-07, "openai")
    assert len(answer) == 35


def test_the_parts_of_an_estimate_add_up(http: TestClient) -> None:
    answer = http.post("/cost/estimate", json={**ESTIMATE, "num_requests_per_month": 1_000_003}).json()
    whole = Decimal(str(answer["monthly_cost"]))
    parts = (Decimal(str(answer[f"monthly_{part}_cost"])) for part in ("input", "output", "margin"))
    assert sum(parts) == whole == Decimal("165.000495")


def test_an_estimate_of_an_unknown_model_is_a_404(http: TestClient) -> None:
    answer = http.post("/cost/estimate", json={**ESTIMATE, "model": "gpt-99"})
    assert answer.status_code == 404
    assert "gpt-99" in answer.json()["detail"]["error"]


@pytest.mark.parametrize(
    "change", [{"input_tokens": -1}, {"input_tokens": "many"}, {"output_tokens": 10**30}, {"model": None}]
)
def test_an_estimate_of_nonsense_is_a_422(http: TestClient, change: dict[str, Any]) -> None:
    assert http.post("/cost/estimate", json={**ESTIMATE, **change}).status_code == 422


# -- keys and users by spend


def test_keys_and_users_come_by_spend(http: TestClient) -> None:
    keys = http.get("/spend/keys").json()
    assert [(key["key_alias"], key["spend"]) for key in keys[:2]] == [
        ("alias-internal_viewer", 0.002),
        ("alias-internal", 0.001),
    ]
    assert len(keys) == len(KEYS)
    users = http.get("/spend/users").json()
    assert [(user["user_id"], user["spend"]) for user in users[:2]] == [("krrish", 0.002), ("ishaan", 0.001)]
    assert len(users) == len(USERS)
    assert {user["user_id"]: user["key_aliases"] for user in users}["root"] == [
        "alias-admin",
        "alias-blocked",
        "alias-expired",
    ]
    assert isinstance(users[-1]["spend"], int), "a whole number has no point in LiteLLM's list of all"
    (one,) = http.get("/spend/users?user_id=root").json()
    assert (one["user_id"], one["spend"], one["organization_memberships"]) == ("root", 0.0, [])
    assert isinstance(one["spend"], float)


def test_an_internal_user_sees_its_own_keys_and_itself(http: TestClient) -> None:
    assert [key["key_alias"] for key in http.get("/spend/keys", headers=bearer("internal")).json()] == [
        "alias-internal"
    ]
    assert [user["user_id"] for user in http.get("/spend/users", headers=bearer("internal")).json()] == [
        "ishaan"
    ]
    refused = http.get("/spend/users?user_id=root", headers=bearer("internal"))
    assert (refused.status_code, list(refused.json())) == (403, ["detail"])
    assert http.get("/spend/users", headers=bearer("opened")).status_code == 200


# -- health


def test_the_probes_answer_in_litellms_words(http: TestClient) -> None:
    nobody = TestClient(http.app, client=("127.0.0.1", 1))
    assert nobody.get("/health/liveliness").text == '"I\'m alive!"'
    ready = nobody.get("/health/readiness").json()
    assert (ready["status"], ready["db"], ready["refused"], ready["degraded"]) == (
        "healthy",
        "connected",
        0,
        False,
    )
    assert "journal" not in ready, "a path is nobody's business"


def test_health_says_how_recording_goes(http: TestClient) -> None:
    health = http.get("/health").json()
    assert (health["healthy_count"], health["unhealthy_count"]) == (1, 0)
    assert health["healthy_endpoints"][0]["pending"] == 0


def test_a_database_that_is_gone_is_not_ready_and_nothing_leaks(tmp_path: Any) -> None:
    nowhere = "postgresql://somebody:secret-password@127.0.0.1:9/nowhere"
    from spend_middleware import Spend

    with Spend(nowhere, master_key="sk-the-master-key-0001", journal_dir=tmp_path) as spend:
        http = client(spend.app)
        unready = http.get("/health/readiness")
        assert unready.status_code == 503
        assert (unready.json()["status"], unready.json()["db"]) == ("unhealthy", "disconnected")
        assert "secret-password" not in unready.text
        for path in ("/spend/tags", "/spend/logs", "/health"):
            answer = http.get(path, headers=bearer("master"))
            assert answer.status_code in (200, 500, 503)
            assert "secret-password" not in answer.text
            assert "Traceback" not in answer.text
