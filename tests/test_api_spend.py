"""`/spend/tags`, `/spend/logs` and `/spend/calculate`, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

import databases
from api_house import MASTER, bearer, call, client, sha, spending

KEY = sha("sk-1234")
OTHER = sha("sk-another-key-0001")

# The calls behind the public documents' examples, and the awkward ones beside them.
CALLS = [
    *(
        call("2026-05-01T10:00:00", "0.000112", tags=["model-anthropic-claude-v2.1", tag], api_key=KEY, end_user="palantir")
        for tag in ["app-ishaan-local"] * 4 + ["app-ishaan-prod"] * 2
    ),
    call(
        "2026-05-02T23:59:59.999999", "0.000002", id="01963000-0000-7000-8000-000000000001",
        request_id="chatcmpl-palantir", model="llama3-8b-8192", model_group="llama3", provider="groq",
        api_base="https://api.groq.com/openai/v1/", api_key=KEY, key_alias="prod", user_id="default_user",
        team_id="e8d1460f-846c-45d7-9b43-55f3cc52ac32", end_user="palantir", prompt_tokens=20, completion_tokens=80,
        tags=["jobID:214590dsff09fds", "taskName:run_page_classification"], pairs={"hello": "world"},
        session_id="session-1", trace_id="trace-1", completion_start_time=1_777_766_400_500_000,
    ),
    call("2026-05-04T00:00:00", "0.5", model="gpt-4", api_key=OTHER, user_id="ishaan", request_id="chatcmpl-midnight"),
    call("2026-05-04T10:00:00", "1", model="gpt-4", api_key=OTHER, user_id="ishaan", tags=["whole"]),
    call("2026-05-06T10:00:00", None, model="gpt-99", api_key=OTHER, user_id="krrish", unpriced_reason="no price for gpt-99",
         status="failure", status_code=429, error_type="rate_limit_error"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def http(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("spend")
    with databases.database(request.param, folder) as url, spending(folder, CALLS, url) as spend:
        made = client(spend.app, headers=bearer("master"))
        yield made


def tags_of(answer: Any) -> dict[str, Any]:
    return {tag["individual_request_tag"]: (tag["log_count"], tag["total_spend"]) for tag in answer.json()}


# -- /spend/tags


def test_the_tags_of_the_documents_come_back_as_the_documents_show_them(http: TestClient) -> None:
    answer = http.get("/spend/tags?start_date=2026-05-01&end_date=2026-05-01")
    assert answer.text == (
        '[{"individual_request_tag":"model-anthropic-claude-v2.1","log_count":6,"total_spend":0.000672},'
        '{"individual_request_tag":"app-ishaan-local","log_count":4,"total_spend":0.000448},'
        '{"individual_request_tag":"app-ishaan-prod","log_count":2,"total_spend":0.000224}]'
    )
    assert answer.headers["x-spend-total"] == "0.000672"


def test_tags_come_most_expensive_first_and_a_whole_sum_has_no_point(http: TestClient) -> None:
    answer = http.get("/spend/tags")
    assert next(iter(answer.json())) == {"individual_request_tag": "whole", "log_count": 1, "total_spend": 1}
    assert '"total_spend":1}' in answer.text
    assert answer.headers["x-spend-total"] == "1.000674"


def test_an_empty_ledger_has_no_tags(http: TestClient) -> None:
    assert http.get("/spend/tags?start_date=2020-01-01&end_date=2020-12-31").text == "[]"


# -- dates


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("start_date=2026-05-02", {"jobID:214590dsff09fds", "taskName:run_page_classification", "whole"}),
        ("end_date=2026-05-01", {"model-anthropic-claude-v2.1", "app-ishaan-local", "app-ishaan-prod"}),
        ("start_date=2026-05-02&end_date=2026-05-02", {"jobID:214590dsff09fds", "taskName:run_page_classification"}),
        ("start_date=2026-05-03&end_date=2026-05-03&timezone=Asia/Kolkata", {"jobID:214590dsff09fds", "taskName:run_page_classification"}),
        ("start_date=2026-05-03&end_date=2026-05-03&timezone=-330", {"jobID:214590dsff09fds", "taskName:run_page_classification"}),
        ("start_date=2026-05-02&end_date=2026-05-02&timezone=Asia/Kolkata", set()),
        ("start_date=2026-05-04T00:00:00Z&end_date=2026-05-04T23:59:59Z", {"whole"}),
        ("start_date=2026-05-04T05:30:00%2B05:30&end_date=2026-05-04", {"whole"}),
    ],
)  # fmt: skip
def test_both_ends_of_a_range_are_whole_days_of_the_zone(
    http: TestClient, query: str, tags: set[str]
) -> None:
    assert set(tags_of(http.get(f"/spend/tags?{query}"))) == tags


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("start_date=not-a-date", "not-a-date"),
        ("start_date=2026-13-01", "2026-13-01"),
        ("start_date=2026-5-1", "2026-5-1"),
        ("start_date=20260501", "20260501"),
        ("end_date=0001-01-01", "0001-01-01"),
        ("end_date=9999-12-31T23:59:59-23:59", "9999-12-31"),
        ("start_date=2026-05-02&end_date=2026-05-01", "2026-05-01"),
        ("start_date=2026-05-01&timezone=Mars/Olympus", "Mars/Olympus"),
        ("start_date=2026-05-01&timezone=../../etc/passwd", "../../etc/passwd"),
        ("start_date=2026-05-01&timezone=17", "17"),
        ("start_date=2026-05-01&timezone=99999999999999999999", "99999999999999999999"),
    ],
)
@pytest.mark.parametrize("path", ["/spend/tags", "/spend/logs", "/spend/calculate", "/spend/unpriced"])
def test_a_bad_date_is_refused_by_name(http: TestClient, path: str, query: str, named: str) -> None:
    answer = http.get(f"{path}?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("bad_request_error", "400")
    assert named in error["message"]
    assert "Traceback" not in answer.text


# -- /spend/logs: rows

COLUMNS = [
    "request_id",
    "call_type",
    "api_key",
    "spend",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "startTime",
    "endTime",
    "request_duration_ms",
    "completionStartTime",
    "model",
    "model_id",
    "model_group",
    "custom_llm_provider",
    "api_base",
    "user",
    "metadata",
    "cache_hit",
    "cache_key",
    "request_tags",
    "team_id",
    "organization_id",
    "end_user",
    "requester_ip_address",
    "messages",
    "response",
    "session_id",
    "status",
    "mcp_namespaced_tool_name",
    "billing_agent_id",
    "agent_id",
    "proxy_server_request",
    "litellm_call_id",
    "created_at",
    "updated_at",
]


def test_a_row_has_litellms_columns_in_its_order(http: TestClient) -> None:
    row = http.get("/spend/logs?request_id=chatcmpl-palantir").json()[0]
    assert list(row)[: len(COLUMNS)] == COLUMNS
    # The fields that the public document shows, value by value.
    shown = {
        "api_key": KEY,
        "user": "default_user",
        "team_id": "e8d1460f-846c-45d7-9b43-55f3cc52ac32",
        "request_tags": ["jobID:214590dsff09fds", "taskName:run_page_classification"],
        "end_user": "palantir",
        "model_group": "llama3",
        "api_base": "https://api.groq.com/openai/v1/",
        "spend": 0.000002,
        "total_tokens": 100,
        "completion_tokens": 80,
        "prompt_tokens": 20,
    }
    assert {name: row[name] for name in shown} == shown
    assert row["startTime"] == "2026-05-02T23:59:59.999999Z"
    assert row["endTime"] == "2026-05-03T00:00:01.499999Z"
    assert row["request_duration_ms"] == 1500
    assert row["litellm_call_id"] == "01963000-0000-7000-8000-000000000001"
    assert (row["messages"], row["response"], row["proxy_server_request"]) == ({}, {}, {})
    assert row["metadata"]["spend_logs_metadata"] == {"hello": "world"}
    assert row["metadata"]["user_api_key_alias"] == "prod"


def test_times_without_a_fraction_have_none(http: TestClient) -> None:
    assert (
        http.get("/spend/logs?request_id=chatcmpl-midnight").json()[0]["startTime"] == "2026-05-04T00:00:00Z"
    )


@pytest.mark.parametrize(
    "name", ["chatcmpl-palantir", "01963000-0000-7000-8000-000000000001", "session-1", "trace-1"]
)
def test_a_row_is_found_by_any_of_its_names(http: TestClient, name: str) -> None:
    rows = http.get(f"/spend/logs?request_id={name}").json()
    assert [row["request_id"] for row in rows] == ["chatcmpl-palantir"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 10),
        ("api_key=sk-1234", 7),
        (f"api_key={KEY}", 7),
        ("user_id=ishaan", 2),
        ("team_id=e8d1460f-846c-45d7-9b43-55f3cc52ac32", 1),
        ("team_id=unheard-of", 0),
        ("tags=app-ishaan-prod", 2),
        ("tags=app-ishaan-prod,%20whole", 3),
        ("model=gpt-4", 2),
        ("end_user=palantir", 7),
        ("end_user=palantir&model=llama3-8b-8192", 1),
        ("request_id=nobody-knows", 0),
        ("start_date=2026-05-04", 3),
        ("end_date=2026-05-01", 6),
        ("start_date=2026-05-04&end_date=2026-05-04&summarize=false", 2),
        ("start_date=2026-05-04&end_date=2026-05-04&summarize=false&strict_compat=true", 1),
        ("start_date=2026-05-04T00:00:01&end_date=2026-05-04T10:00:00&summarize=false", 1),
        ("start_date=2026-05-04T10:00:00&end_date=2026-05-04T10:00:00&summarize=false", 1),
    ],
)
def test_rows_are_those_that_were_asked_for(http: TestClient, query: str, count: int) -> None:
    rows = http.get(f"/spend/logs?{query}").json()
    assert len(rows) == count
    assert rows == sorted(rows, key=lambda row: row["startTime"], reverse=True)


def test_an_unpriced_row_shows_zero_and_says_why(http: TestClient) -> None:
    answer = http.get("/spend/logs?model=gpt-99")
    row = answer.json()[0]
    assert (row["spend"], row["pricing_status"], row["unpriced_reason"]) == (
        0.0,
        "unpriced",
        "no price for gpt-99",
    )
    assert (row["status"], row["outcome"], row["status_code"]) == ("failure", "failure", 429)
    assert row["metadata"]["error_information"]["error_class"] == "rate_limit_error"
    assert answer.headers["x-spend-unpriced-calls"] == "1"


# -- /spend/logs: the summary of days


def test_a_summary_has_one_object_a_day_with_its_keys_users_and_models(http: TestClient) -> None:
    days = http.get("/spend/logs?start_date=2026-05-01&end_date=2026-05-04").json()
    assert days == [
        {KEY: 0.000672, "startTime": "2026-05-01", "spend": 0.000672, "users": {"": 0.000672}, "models": {"gpt-4o-mini": 0.000672}},
        {KEY: 0.000002, "startTime": "2026-05-02", "spend": 2e-06, "users": {"default_user": 2e-06}, "models": {"llama3-8b-8192": 2e-06}},
        {OTHER: 1.5, "startTime": "2026-05-04", "spend": 1.5, "users": {"ishaan": 1.5}, "models": {"gpt-4": 1.5}},
    ]  # fmt: skip


def test_days_after_the_last_call_are_empty_and_days_between_are_left_out(http: TestClient) -> None:
    days = http.get("/spend/logs?start_date=2026-05-01&end_date=2026-05-08").json()
    assert [day["startTime"] for day in days] == [
        "2026-05-01", "2026-05-02", "2026-05-04", "2026-05-06", "2026-05-07", "2026-05-08",
    ]  # fmt: skip
    assert days[-1] == {"startTime": "2026-05-08", "spend": 0, "users": {}, "models": {}}


def test_no_calls_at_all_are_no_days(http: TestClient) -> None:
    assert http.get("/spend/logs?start_date=2020-01-01&end_date=2020-02-01").json() == []


def test_a_strict_summary_leaves_the_end_day_out_as_litellm_does(http: TestClient) -> None:
    days = http.get("/spend/logs?start_date=2026-05-02&end_date=2026-05-04&strict_compat=true").json()
    assert [(day["startTime"], day["spend"]) for day in days] == [
        ("2026-05-02", 0.000002), ("2026-05-03", 0), ("2026-05-04", 0),
    ]  # fmt: skip


def test_a_summary_can_be_narrowed(http: TestClient) -> None:
    days = http.get("/spend/logs?start_date=2026-05-01&end_date=2026-05-04&user_id=ishaan").json()
    assert [day["startTime"] for day in days] == ["2026-05-04"]


def test_a_word_that_is_no_truth_value_is_a_422_without_the_input(http: TestClient) -> None:
    answer = http.get("/spend/logs?summarize=maybe")
    assert answer.status_code == 422
    assert [list(fault) for fault in answer.json()["detail"]] == [["type", "loc", "msg"]]


# -- /spend/logs/v2

RANGE = "start_date=2026-05-01&end_date=2026-05-31"


def test_pages_hold_every_row_once_and_know_the_total(http: TestClient) -> None:
    seen: list[str] = []
    for page in (1, 2, 3):
        answer = http.get(f"/spend/logs/v2?{RANGE}&page={page}&page_size=4").json()
        assert {name: answer[name] for name in ("total", "page", "page_size", "total_pages", "total_is_capped")} == {
            "total": 10, "page": page, "page_size": 4, "total_pages": 3, "total_is_capped": False,
        }  # fmt: skip
        seen += [row["litellm_call_id"] for row in answer["data"]]
    assert len(seen) == len(set(seen)) == 10


def test_a_cursor_goes_on_where_the_page_ended(http: TestClient) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = http.get(f"/spend/logs/v2?{RANGE}&page_size=3&cursor={cursor}").json()
        seen += [row["litellm_call_id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 10


def test_paged_rows_have_their_own_times_and_a_whole_zero(http: TestClient) -> None:
    answer = http.get(f"/spend/logs/v2?{RANGE}&model=gpt-99")
    row = answer.json()["data"][0]
    assert (row["startTime"], row["spend"]) == ("2026-05-06T10:00:00.000+00:00", 0)
    assert '"spend":0,' in answer.text
    assert "messages" not in row


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("min_spend=0.5", 2),
        ("max_spend=0.0001", 2),
        ("min_spend=0.0001&max_spend=0.6", 7),
        ("status_filter=failure", 1),
        ("status_filter=success", 9),
        ("error_code=429", 1),
        ("search=palantir", 7),
        ("key_alias=pro", 1),
        ("session_id=ession-", 1),
        ("session_id=_", 0),
        ("span_type=llm", 10),
        ("span_type=agent", 0),
        ("used_client_oauth_token=true", 0),
        ("group_by_session=true", 10),
        ("exclude_internal_health_checks=true", 10),
        ("model_group=llama3", 1),
        ("cache_hit_filter=hit", 0),
        ("cache_hit_filter=miss", 10),
        ("model_id=some-deployment", 0),
    ],
)
def test_paged_rows_are_those_that_were_asked_for(http: TestClient, query: str, count: int) -> None:
    page = http.get(f"/spend/logs/v2?{RANGE}&{query}").json()
    assert (page["total"], len(page["data"])) == (count, count)


@pytest.mark.parametrize(
    "order", ["startTime", "endTime", "spend", "total_tokens", "request_duration_ms", "model", "ttft_ms"]
)
def test_paged_rows_can_be_sorted(http: TestClient, order: str) -> None:
    answers = [
        http.get(f"/spend/logs/v2?{RANGE}&sort_by={order}&sort_order={way}") for way in ("asc", "desc")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    ids = [[row["litellm_call_id"] for row in answer.json()["data"]] for answer in answers]
    assert ids[0] == ids[1][::-1]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("page=0", "'0'"),
        ("page=99999999999999999999", "'99999999999999999999'"),
        ("page_size=0", "'0'"),
        ("page_size=1001", "'1001'"),
        ("sort_by=password", "'password'"),
        ("sort_order=sideways", "'sideways'"),
        ("status_filter=maybe", "'maybe'"),
        ("cache_hit_filter=maybe", "'maybe'"),
        ("error_code=many", "'many'"),
        ("min_spend=nan", "'nan'"),
        ("max_spend=1e300", "'1e+300'"),
        ("cursor=backwards", "'backwards'"),
        ("cursor=1:x&sort_by=spend", "'1:x'"),
        ("span_type=sideways", "'sideways'"),
        ("session_cursor=1", "'1'"),
    ],
)
def test_a_bad_page_is_refused_by_name(http: TestClient, query: str, named: str) -> None:
    answer = http.get(f"/spend/logs/v2?{RANGE}&{query}")
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


def test_pages_need_both_dates(http: TestClient) -> None:
    answer = http.get("/spend/logs/v2?start_date=2026-05-01")
    assert (answer.status_code, answer.json()["error"]["type"], answer.json()["error"]["param"]) == (
        400,
        "bad_request",
        "None",
    )


# -- sessions, as LiteLLM's dashboard reads them

SESSIONS = [
    call("2026-05-01T10:00:00", "0.1", session_id="s-1", api_key=KEY, request_id="first"),
    call("2026-05-01T11:00:00", "0.2", session_id="s-1", api_key=KEY, model="gpt-4", request_id="second"),
    call("2026-05-01T12:00:00", "0.4", session_id="s-1", api_key=OTHER, user_id="ishaan", request_id="third"),
    call("2026-05-01T13:00:00", None, api_key=KEY, request_id="alone"),
]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def sessions(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("sessions")
    with databases.database(request.param, folder) as url, spending(folder, SESSIONS, url) as spend:
        yield client(spend.app, headers=bearer("master"))


DAY_WITH_TIMES = "start_date=2026-05-01 00:00:00&end_date=2026-05-01 23:59:59"


def test_rows_of_the_dashboard_say_what_their_session_adds_up_to(sessions: TestClient) -> None:
    page = sessions.get(f"/spend/logs/ui?{DAY_WITH_TIMES}").json()
    rows = {row["request_id"]: row for row in page["data"]}
    counts = {name: row["session_total_count"] for name, row in rows.items()}
    assert counts == {"first": 2, "second": 2, "third": 1, "alone": 1}
    assert "session_total_spend" not in rows["alone"]
    whole = {name: value for name, value in rows["first"].items() if name.startswith("session_")}
    assert whole == {
        "session_id": "s-1", "session_total_count": 2, "session_total_spend": 0.3, "session_total_duration_ms": 3000,
        "session_cache_hit_count": 0, "session_llm_count": 2, "session_agent_count": 0, "session_total_prompt_tokens": 20,
        "session_total_completion_tokens": 10, "session_total_tokens": 30, "session_models": ["gpt-4", "gpt-4o-mini"],
        "session_models_truncated": False,
    }  # fmt: skip


def test_the_dashboard_finds_an_id_whatever_its_day_and_else_needs_both_dates(sessions: TestClient) -> None:
    page = sessions.get("/spend/logs/ui?request_id=first&start_date=2030-01-01&end_date=2030-01-02").json()
    assert [row["request_id"] for row in page["data"]] == ["first"]
    assert sessions.get("/spend/logs/ui").status_code == 400


def test_sessions_can_be_paged_by_their_newest_call(sessions: TestClient) -> None:
    page = sessions.get(f"/spend/logs/v2?{DAY_WITH_TIMES}&group_by_session=true").json()
    assert ([row["request_id"] for row in page["data"]], page["total"]) == (["alone", "third", "second"], 3)
    page = sessions.get(f"/spend/logs/v2?{DAY_WITH_TIMES}&group_by_session=true&model=gpt-4o-mini").json()
    assert [row["request_id"] for row in page["data"]] == ["alone", "third", "first"]


def test_the_calls_of_one_session_are_paged_on_their_own(sessions: TestClient) -> None:
    page = sessions.get("/spend/logs/session/ui?session_id=s-1&page_size=2").json()
    assert [row["request_id"] for row in page["data"]] == ["third", "second"]
    assert {**page, "data": 0} == {"data": 0, "total": 3, "page": 1, "page_size": 2, "total_pages": 2}
    assert sessions.get("/spend/logs/session/ui").status_code == 422


def test_no_content_of_a_call_is_ever_shown(sessions: TestClient) -> None:
    nothing: dict[str, Any] = {"messages": {}, "response": {}, "proxy_server_request": {}}
    assert sessions.get("/spend/logs/ui/first").json() == nothing
    assert sessions.get("/spend/logs/ui/unknown").json() is None


def test_the_dashboard_shows_nobody_the_sessions_of_others(sessions: TestClient) -> None:
    for path in (f"/spend/logs/ui?{DAY_WITH_TIMES}", "/spend/logs/session/ui?session_id=s-1"):
        rows = sessions.get(path, headers=bearer("internal")).json()["data"]
        assert [(row["request_id"], row.get("session_total_count", 1)) for row in rows] == [("third", 1)]
    assert sessions.get("/spend/logs/ui/first", headers=bearer("internal")).json() is None


# -- /spend/calculate


def test_the_total_counts_every_call_once(http: TestClient) -> None:
    answer = http.get("/spend/calculate")
    total = {
        "cost": 1.500674,
        "total_spend": 1.500674,
        "log_count": 10,
        "unpriced_calls": 1,
        "estimated_calls": 0,
    }
    assert answer.json() == total
    narrowed = http.get("/spend/calculate?tags=app-ishaan-prod,model-anthropic-claude-v2.1").json()
    assert (narrowed["cost"], narrowed["log_count"]) == (0.000672, 6)


ANSWERED = {
    "id": "chatcmpl-123",
    "object": "chat.completion",
    "created": 1677652288,
    "model": "gpt-3.5-turbo-0125",
    "system_fingerprint": "fp_44709d6fcb",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there, how may I assist you today?"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
}
CACHED = {
    **ANSWERED,
    "model": "gpt-4o-mini",
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 600},
    },
}
HELLO = [{"role": "user", "content": "Hey, how's it going?"}]


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        ({"model": "gpt-4", "messages": HELLO}, "0.00042"),
        ({"model": "gpt-4", "messages": []}, "0.0"),
        ({"completion_response": ANSWERED}, "2.25e-05"),
        ({"completion_response": CACHED}, "0.000165"),
        ({"model": "gpt-4", "messages": HELLO, "completion_response": ANSWERED}, "0.00042"),
    ],
)
def test_a_call_is_priced_before_and_after_it(http: TestClient, body: dict[str, Any], cost: str) -> None:
    assert http.post("/spend/calculate", json=body).text == f'{{"cost":{cost}}}'


@pytest.mark.parametrize(
    ("body", "kind", "param", "begin"),
    [
        ({}, "None", "None", "Bad Request - Either 'model' or 'completion_response' must be provided"),
        ({"model": "gpt-4"}, "None", "None", "Bad Request - messages must be provided if 'model' is provided"),
        ({"model": "gpt-4", "messages": ["hello"]}, "None", "None", "Bad Request - each of 'messages' must be an object"),
        ({"model": "openai/gpt-99", "messages": HELLO}, "invalid_request_error", "model", "This model isn't mapped yet."),
        ({"model": "what-is-this", "messages": HELLO}, "invalid_request_error", "model", "LLM Provider NOT provided"),
        ({"completion_response": {"choices": []}}, "invalid_request_error", "model", "LLM Provider NOT provided"),
        ({"completion_response": {}}, "invalid_request_error", "model", "LLM Provider NOT provided"),
    ],
)  # fmt: skip
def test_what_cannot_be_priced_is_refused_with_the_reason(
    http: TestClient, body: dict[str, Any], kind: str, param: str, begin: str
) -> None:
    answer = http.post("/spend/calculate", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (400, kind, param, "400")
    assert error["message"].startswith(begin)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b'{"messages": "hello"}', b'{"model": 5}', b'{"completion_response": 5}']
)
def test_a_body_of_another_type_is_a_422(http: TestClient, body: bytes) -> None:
    answer = http.post("/spend/calculate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert all(list(fault) == ["type", "loc", "msg"] for fault in answer.json()["detail"])


def test_unpriced_models_are_listed_with_their_reason(http: TestClient) -> None:
    assert http.get("/spend/unpriced").json() == [
        {
            "custom_llm_provider": "openai",
            "model": "gpt-99",
            "unpriced_reason": "no price for gpt-99",
            "log_count": 1,
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "first_seen": "2026-05-06T10:00:00Z",
            "last_seen": "2026-05-06T10:00:00Z",
        }
    ]


def test_what_was_recorded_before_a_question_is_in_its_answer(tmp_path: Any) -> None:
    with spending(tmp_path, []) as spend:
        asker = client(spend.app, headers={"Authorization": f"Bearer {MASTER}"})
        for count in range(1, 4):
            spend.record(provider="openai", model="gpt-4o-mini", cost="0.01", tags=["now"])
            assert asker.get("/spend/tags").json()[0]["log_count"] == count


def test_more_rows_than_one_answer_holds_are_announced(tmp_path: Any) -> None:
    many = [call("2026-05-01T10:00:00", "0.000001", model=f"m-{number % 3}") for number in range(10_002)]
    with spending(tmp_path, many) as spend:
        asker = client(spend.app, headers=bearer("master"))
        answer = asker.get("/spend/logs")
        assert len(answer.json()) == 10_000
        assert answer.headers["x-litellm-spend-logs-truncated"] == "true"
        assert "x-litellm-spend-logs-truncated" not in asker.get("/spend/logs?model=m-1").headers
        assert asker.get("/spend/calculate").json()["cost"] == 0.010002
