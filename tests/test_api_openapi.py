"""The OpenAPI document: LiteLLM's names, and shapes that the answers really have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from starlette.testclient import TestClient

from api_house import bearer, call, client, raw, sha, spending

MAY = "start_date=2026-05-01&end_date=2026-05-31"
KEY = sha(raw("internal"))
CALLS = [
    call("2026-05-01T10:00:00", "0.001", tags=["a", "b"], user_id="ishaan", api_key=KEY, team_id="t-prod", end_user="acme",
         pairs={"hello": "world"}, request_id="chatcmpl-1", charges='[["input_tokens","10","0.0001","0.001"]]'),
    call("2026-05-02T10:00:00", None, unpriced_reason="no price", status="failure"),
]  # fmt: skip

# Recorded from the /openapi.json of LiteLLM 1.106.2; the names that generated clients call.
OPERATIONS = {
    "GET /spend/tags": "view_spend_tags_spend_tags_get",
    "GET /spend/logs": "view_spend_logs_spend_logs_get",
    "GET /spend/logs/v2": "ui_view_spend_logs_spend_logs_v2_get",
    "POST /spend/calculate": "calculate_spend_spend_calculate_post",
    "GET /global/spend/report": "get_global_spend_report_global_spend_report_get",
    "GET /global/spend/tags": "global_view_spend_tags_global_spend_tags_get",
    "POST /global/spend/reset": "global_spend_reset_global_spend_reset_post",
    "GET /user/daily/activity": "get_user_daily_activity_user_daily_activity_get",
    "GET /user/daily/activity/aggregated": "get_user_daily_activity_aggregated_user_daily_activity_aggregated_get",
    "GET /tag/daily/activity": "get_tag_daily_activity_tag_daily_activity_get",
    "GET /tag/daily/activity/aggregated": "get_tag_daily_activity_aggregated_tag_daily_activity_aggregated_get",
    "GET /team/daily/activity": "get_team_daily_activity_team_daily_activity_get",
    "GET /customer/daily/activity": "get_customer_daily_activity_customer_daily_activity_get",
    "GET /organization/daily/activity": "get_organization_daily_activity_organization_daily_activity_get",
    "POST /add/allowed_ip": "add_allowed_ip_add_allowed_ip_post",
    "POST /delete/allowed_ip": "delete_allowed_ip_delete_allowed_ip_post",
    "POST /cost/estimate": "estimate_cost_cost_estimate_post",
    "GET /key/spend/report": "get_key_spend_report_key_spend_report_get",
    "GET /user/spend/report": "get_user_spend_report_user_spend_report_get",
    "GET /team/spend/report": "get_team_spend_report_team_spend_report_get",
    "GET /organization/spend/report": "get_organization_spend_report_organization_spend_report_get",
    "GET /health": "health_endpoint_health_get",
    "GET /health/liveliness": "health_liveliness_health_liveliness_get",
    "GET /health/liveness": "health_liveliness_health_liveness_get",
    "GET /health/readiness": "health_readiness_health_readiness_get",
    "GET /model/info": "model_info_v1_model_info_get",
    "GET /v1/model/info": "model_info_v1_v1_model_info_get",
    "POST /key/generate": "generate_key_fn_key_generate_post",
    "POST /team/new": "new_team_team_new_post",
}
TRACKING = (
    "/spend/tags", "/spend/logs", "/spend/calculate", "/global/spend/report", "/global/spend/tags",
    "/global/spend/reset", "/user/daily/activity", "/add/allowed_ip", "/delete/allowed_ip",
)  # fmt: skip
# LiteLLM's parameters of each route; ours stand beside them.
PARAMETERS = {
    "/spend/tags": "start_date end_date",
    "/spend/logs": "api_key user_id request_id start_date end_date summarize",
    "/spend/logs/v2": "api_key user_id request_id session_id team_id min_spend max_spend start_date end_date page "
    "page_size status_filter cache_hit_filter model model_id model_group key_alias end_user error_code error_message "
    "sort_by sort_order search",
    "/global/spend/report": "start_date end_date group_by api_key internal_user_id team_id customer_id",
    "/global/spend/tags": "start_date end_date tags",
    "/user/daily/activity": "start_date end_date model api_key user_id page page_size timezone include_current_utc_day",
    "/tag/daily/activity": "tags start_date end_date model api_key page page_size",
    "/team/daily/activity": "team_ids start_date end_date model api_key page page_size exclude_team_ids",
    "/customer/daily/activity": "end_user_ids start_date end_date model api_key page page_size exclude_end_user_ids",
    "/organization/daily/activity": "organization_ids start_date end_date model api_key page page_size exclude_organization_ids",
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with spending(tmp_path_factory.mktemp("openapi"), CALLS) as spend:
        yield client(spend.app, headers=bearer("master"))


@pytest.fixture(scope="module")
def document(http: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_operations_have_litellms_names(document: dict[str, Any]) -> None:
    names = {f"{method} {path}": operation["operationId"] for method, path, operation in operations(document)}
    assert {route: names.get(route) for route in OPERATIONS} == OPERATIONS


def test_every_name_is_there_once(document: dict[str, Any]) -> None:
    counts = Counter(operation["operationId"] for _, _, operation in operations(document))
    assert not [name for name, count in counts.items() if count > 1]


def test_spend_routes_stand_under_litellms_tag(document: dict[str, Any]) -> None:
    for path in TRACKING:
        for operation in document["paths"][path].values():
            assert operation["tags"][0] == "Budget & Spend Tracking"


@pytest.mark.parametrize("path", PARAMETERS)
def test_parameters_have_litellms_names(document: dict[str, Any], path: str) -> None:
    named = {parameter["name"]: parameter for parameter in document["paths"][path]["get"]["parameters"]}
    assert not set(PARAMETERS[path].split()) - set(named)
    assert not [name for name, parameter in named.items() if parameter["required"]]


def test_no_default_is_an_object_on_which_generators_give_up(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    fields = [field for schema in schemas.values() for field in schema.get("properties", {}).values()]
    assert not [field for field in fields if isinstance(field.get("default"), dict)]
    assert schemas["GenerateKeyRequest"]["properties"]["spend"]["default"] == 0


def test_every_operation_says_who_may_call_it_and_how(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"APIKeyHeader", "HTTPBearer"}
    for method, path, operation in operations(document):
        guarded = operation["x-permission"] not in ("public", "docs")
        assert ("security" in operation) == guarded, (method, path)
        assert ("401" in operation["responses"]) == guarded, (method, path)


def fault(document: dict[str, Any], method: str, path: str, answer: Any) -> str | None:
    """Return what the document does not say about an answer."""
    operation = document["paths"][path][method.lower()]
    declared = operation["responses"].get(str(answer.status_code))
    if declared is None:
        return f"{method} {path}: {answer.status_code} is not documented: {answer.text[:200]}"
    if answer.headers["content-type"].startswith("text/csv") and "text/csv" in declared["content"]:
        return None
    schema = declared["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    errors = [
        f"{list(error.absolute_path)}: {error.message[:200]}"
        for error in validator.iter_errors(answer.json())
    ]
    return f"{method} {path}: {errors[:3]}" if errors else None


GETS = [
    "/spend/tags",
    "/spend/logs",
    f"/spend/logs?{MAY}",
    f"/spend/logs?{MAY}&summarize=false",
    f"/spend/logs/v2?{MAY}",
    "/spend/calculate",
    "/spend/unpriced",
    *(f"/global/spend/report?{MAY}&{query}" for query in (
        "group_by=team", "group_by=customer", "group_by=api_key", "team_id=t-prod&customer_id=acme", "internal_user_id=ishaan",
    )),
    f"/global/spend/tags?{MAY}",
    f"/global/spend/tags?{MAY}&tags=a",
    "/global/spend",
    "/global/spend/logs",
    "/global/spend/keys",
    "/global/spend/models",
    "/global/spend/teams",
    f"/global/spend/provider?{MAY}",
    "/global/spend/all_tag_names",
    "/global/all_end_users",
    f"/global/activity?{MAY}",
    f"/global/activity/model?{MAY}",
    "/provider/budgets",
    f"/user/daily/activity/aggregated/cache_leakage_keys?{MAY}",
    *(f"/{entity}/daily/activity/{form}?{MAY}&search=a&model_group=gpt-4o-mini" for entity in ("user", "tag", "team", "agent") for form in (
        "aggregated/keys", "aggregated/search", "aggregated/model_top_keys", "export",
    )),
    "/tag/distinct", "/tag/dau", "/tag/wau", "/tag/mau", "/tag/user-agent/per-user-analytics", f"/tag/summary?{MAY}",
    *(f"/{entity}/daily/activity{form}?{MAY}" for entity in ("user", "tag", "team", "customer", "organization", "agent") for form in ("", "/aggregated")),
    *(f"/{entity}/spend/report?{MAY}" for entity in ("key", "user", "team", "organization")),
    "/health",
    "/health/liveliness",
    "/health/readiness",
    "/model/info?litellm_model_id=gpt-4o",
    "/v1/model/info?litellm_model_id=gpt-4o",
    "/v1/models",
]  # fmt: skip
POSTS: list[tuple[str, Any]] = [
    ("/spend/calculate", {"model": "gpt-4", "messages": []}),
    ("/cost/estimate", {"model": "gpt-4o", "input_tokens": 10, "output_tokens": 10}),
    (
        "/cost/estimate",
        {"model": "gpt-4o", "input_tokens": 10, "output_tokens": 10, "num_requests_per_month": 3},
    ),
    ("/global/spend/end_users", {"startTime": "2026-05-01", "endTime": "2026-05-31"}),
    ("/global/spend/reset", None),
]


@pytest.mark.parametrize("url", GETS)
def test_answers_have_the_documented_shape(http: TestClient, document: dict[str, Any], url: str) -> None:
    answer = http.get(url)
    assert answer.status_code == 200, answer.text
    assert fault(document, "GET", url.partition("?")[0], answer) is None


@pytest.mark.parametrize(("path", "body"), POSTS)
def test_answers_to_bodies_have_the_documented_shape(
    http: TestClient, document: dict[str, Any], path: str, body: Any
) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert fault(document, "POST", path, answer) is None


HOSTILE = [
    "", " ", "\x00", "a\x00b", "\r\nx: y", "'; DROP TABLE spend_logs; --", "%", "_", "null", "true", "[]", "{}", "-1", "0",
    "99999999999999999999999999", "1e400", "nan", "2026-02-30", "9999-12-31", "2026-05-01T00:00:00+99:99", "../../etc/passwd",
    "\U0001f4b8\u202e", "a" * 1500, "𝟚𝟘𝟚𝟞-01-01", ",,,,", "sk-", "Etc/GMT+1", "+",
]  # fmt: skip


NASTIEST = ["\x00", "99999999999999999999999999", "'", "2026-02-30"]


def hostile_queries(names: list[str]) -> Iterator[dict[str, str]]:
    """Yield every value in all parameters at once, and the nastiest ones in each alone beside good dates."""
    dated = {
        name: f"2026-05-{day}" for name, day in (("start_date", "01"), ("end_date", "31")) if name in names
    }
    for value in HOSTILE:
        yield {**dict.fromkeys(names, value), **dated}
    for value in NASTIEST:
        yield from ({**dated, name: value} for name in names)


def test_no_value_of_a_query_brings_a_route_down(http: TestClient, document: dict[str, Any]) -> None:
    faults = []
    for method, path, operation in operations(document):
        names = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
        # The lists of all models are long and take no values.
        if method != "GET" or not names or "model" in path:
            continue
        for query in hostile_queries(names):
            answer = http.get(path, params=query)
            wrong = fault(document, method, path, answer)
            if wrong:
                faults.append((query, wrong))
    assert not faults[:5]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "sk-\xff\xfe"},
        {"Authorization": "Bearer sk-" + "a" * 60_000},
        {"x-forwarded-for": ",,x, ::1"},
    ],
)
def test_no_header_brings_a_route_down(http: TestClient, headers: dict[str, str]) -> None:
    plain = TestClient(http.app, client=("127.0.0.1", 1), raise_server_exceptions=False)
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert plain.get("/spend/tags", headers=encoded).status_code == 401  # type: ignore[arg-type]


BODIES = [
    b"", b"null", b"[]", b"5", b'"x"', b"{", b'{"ip": "\\u0000"}', b'{"model": "\\ud800", "messages": []}', b'{"ip": ["x"]}',
    b'{"model": "gpt-4o", "input_tokens": 1e999, "output_tokens": -1}', b'{"model": "gpt-4o", "input_tokens": 99999999999999999999, "output_tokens": 1}',
    b'{"startTime": "\\u0000", "endTime": "yesterday"}', b'{"completion_response": {"usage": {"prompt_tokens": "many"}, "model": "gpt-4o"}}',
    b'{"completion_response": {"usage": [], "model": ["gpt-4o"], "choices": 5}}', b'{"completion_response": {"model": {"a": 1}}}',
    b'{"model": "gpt-4o", "messages": [{"role": 5, "content": {"a": [1, null]}}, {}]}', b"\xff\xfe", b'{"a":' * 2000,
]  # fmt: skip


def test_no_body_brings_a_route_down(http: TestClient, document: dict[str, Any]) -> None:
    faults = []
    for path in (
        "/spend/calculate",
        "/cost/estimate",
        "/add/allowed_ip",
        "/delete/allowed_ip",
        "/global/spend/end_users",
    ):
        for body in BODIES:
            answer = http.post(path, content=body, headers={"content-type": "application/json"})
            wrong = fault(document, "POST", path, answer)
            if wrong:
                faults.append((body, wrong))
    assert not faults[:5]
