"""LiteLLM's spend logs come over exactly, once, and what cannot come over is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger_calls import Books, micros
from spend_middleware.errors import ConfigurationError
from spend_middleware.store.importing import SPEND_LOGS, Imported, import_litellm
from spend_middleware.store.report_values import EVERYTHING, By
from spend_middleware.store.retention import retain
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.verify import verify


def theirs(number: int = 1, **columns: Any) -> dict[str, Any]:
    """Return a row of LiteLLM's as its database gives it to Python."""
    plain = {
        "request_id": f"chatcmpl-{number}",
        "call_type": "acompletion",
        "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "spend": 1.35e-05,
        "total_tokens": 30,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "startTime": datetime(2026, 5, 6, 10, 0, 0, 123_000),  # noqa: DTZ001 - its columns carry no zone
        "endTime": datetime(2026, 5, 6, 10, 0, 1, 500_000),  # noqa: DTZ001
        "completionStartTime": None,
        "model": "openai/gpt-4o-mini",
        "model_id": "",
        "model_group": "gpt-4o-mini",
        "custom_llm_provider": "openai",
        "api_base": "https://api.openai.com",
        "user": "default_user_id",
        "metadata": {
            "user_api_key_alias": "prod",
            "spend_logs_metadata": {"job": 7},
            "usage_object": {"prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 3}},
            "model_map_information": {"model_map_value": {"max_tokens": 1}},
        },
        "cache_hit": "False",
        "request_tags": ["a", " b ", "a", "", None, 5],
        "team_id": None,
        "end_user": "palantir",
        "messages": {"content": "secret"},
        "response": {"content": "secret"},
        "session_id": "session-1",
        "status": "success",
        "organization_id": None,
        "litellm_call_id": "call-1",
    }  # fmt: skip
    return {**plain, **columns}


def brought(books: Books, *rows: Any) -> Imported:
    return import_litellm(books.ledger, {SPEND_LOGS: rows})[SPEND_LOGS]


def test_a_row_comes_over_with_what_it_says(books: Books) -> None:
    assert brought(books, theirs()) == Imported(imported=1)
    for asked in ("chatcmpl-1", "call-1", "session-1"):
        (found,) = books.reports.logs(EVERYTHING, LogFilter(request_id=asked)).rows
    columns = found.columns
    assert found.spend == Decimal("0.0000135")
    assert (columns["start_time"], columns["end_time"]) == (
        micros("2026-05-06T10:00:00.123"),
        micros("2026-05-06T10:00:01.500"),
    )
    assert (columns["provider"], columns["model"], columns["user_id"], columns["team_id"]) == (
        "openai",
        "openai/gpt-4o-mini",
        "default_user_id",
        "",
    )
    assert (columns["cache_read_input_tokens"], columns["reasoning_tokens"], columns["total_tokens"]) == (
        5,
        3,
        30,
    )
    assert json.loads(columns["request_tags"]) == ["a", "b", "5"]
    assert json.loads(columns["metadata"]) == {
        "spend_logs_metadata": {"job": 7},
        "litellm": {
            "cache_hit": "False",
            "team_id": None,
            "organization_id": None,
            "litellm_call_id": "call-1",
            "completionStartTime": None,
        },
    }
    assert "secret" not in str(columns)
    assert columns["key_alias"] == "prod"


def test_importing_again_in_any_form_changes_nothing(books: Books) -> None:
    rows = [theirs(number, spend=number / 3e6) for number in range(40)]
    assert brought(books, *rows, *rows[:3]) == Imported(imported=40, present=3)
    total = books.reports.total(EVERYTHING)
    as_json = [
        json.loads(json.dumps(one, default=lambda at: f"{at.isoformat()}Z"))
        | {"request_tags": json.dumps(one["request_tags"]), "metadata": json.dumps(one["metadata"])}
        for one in rows
    ]
    aware = [one | {"startTime": one["startTime"].replace(tzinfo=UTC)} for one in rows]
    rounded = [one | {"startTime": one["startTime"].replace(microsecond=0)} for one in rows]
    for form in (as_json, aware, rounded):
        assert brought(books, *form) == Imported(present=40)
    assert books.reports.total(EVERYTHING) == total
    exact = sum(Decimal(repr(number / 3e6)).quantize(Decimal("1E-12")) for number in range(40))
    assert total.spend == exact
    assert {group.keys[0] for group in books.reports.by([By.TAG], EVERYTHING).groups} == {"a", "b", "5"}
    assert verify(books.ledger, books.reader).count == 0


REFUSED: list[tuple[Any, str]] = [
    ({}, "request_id is missing"),
    (None, "a row is a mapping, not NoneType"),
    (theirs(startTime=None), "startTime is missing"),
    (theirs(startTime="yesterday"), "startTime is not a time"),
    (theirs(startTime=float("nan")), "startTime is not a time"),
    (theirs(endTime=1e300), "endTime is not between 1970 and 9999"),
    (theirs(spend=float("nan")), "spend is not a finite number"),
    (theirs(spend="a lot"), "spend is not a number"),
    (theirs(spend=True), "spend is not a number"),
    (theirs(spend=1e8), "spend is beyond 9.2 million USD"),
    (theirs(prompt_tokens="many"), "prompt_tokens is not a whole number"),
    (theirs(completion_tokens=1 << 70), "completion_tokens is too large"),
    (theirs(end_user="x" * 600), "end_user is longer than 512 characters"),
]


def test_what_cannot_come_over_is_named_with_its_reason(books: Books) -> None:
    result = brought(books, *(one for one, _ in REFUSED), theirs(7))
    assert (result.imported, result.refused) == (1, len(REFUSED))
    assert [refusal.reason for refusal in result.refusals] == [reason for _, reason in REFUSED]
    assert [refusal.position for refusal in result.refusals] == list(range(len(REFUSED)))
    assert sum(result.reasons.values()) == len(REFUSED)


TAKEN: list[tuple[dict[str, Any], str, Any]] = [
    ({"spend": None}, "pricing_status", "unpriced"),
    ({"spend": Decimal("0.1")}, "spend", 100_000_000_000),
    ({"spend": "1e-7"}, "spend", 100_000),
    ({"spend": 0}, "spend", 0),
    ({"status": "failure", "metadata": {"error_information": {"error_code": "429", "error_class": "RateLimitError"}}}, "error_type", "RateLimitError"),
    ({"status": "failure", "metadata": "not json"}, "error_type", "error"),
    ({"status": None}, "status", "success"),
    ({"request_tags": '"scalar"'}, "request_tags", "[]"),
    ({"request_tags": [{"a": 1}]}, "request_tags", '["{\\"a\\": 1}"]'),
    ({"user": "nul\0 and \ud800"}, "user_id", "nul\ufffd and \ufffd"),
    ({"startTime": "2026-05-06T10:00:00Z", "endTime": None}, "end_time", micros("2026-05-06T10:00")),
    ({"startTime": 1_778_061_600.5}, "start_time", 1_778_061_600_500_000),
]  # fmt: skip


def test_odd_values_are_read_as_they_are_meant(books: Books) -> None:
    result = brought(books, *(theirs(number, **columns) for number, (columns, _, _) in enumerate(TAKEN)))
    assert (result.imported, result.refusals) == (len(TAKEN), [])
    for number, (_, column, expected) in enumerate(TAKEN):
        (found,) = books.reports.logs(EVERYTHING, LogFilter(request_id=f"chatcmpl-{number}")).rows
        assert found.columns[column] == expected


def test_rows_are_streamed_and_never_held_together(books: Books) -> None:
    drawn = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal drawn
        for drawn in range(2_500):
            yield theirs(drawn)
            written = books.reports.total(EVERYTHING).requests if drawn % 1_000 == 0 else None
            assert written is None or drawn - written <= 1_000

    assert import_litellm(books.ledger, {SPEND_LOGS: rows()})[SPEND_LOGS].imported == 2_500


def test_rows_that_retention_took_do_not_come_back(books: Books) -> None:
    brought(books, theirs())
    total = books.reports.total(EVERYTHING)
    retain(books.ledger, 1, now=micros("2026-06-01") / 1e6, pause=0)
    again = brought(books, theirs())
    assert (again.imported, again.refused) == (0, 1)
    assert books.reports.total(EVERYTHING) == total


def test_a_table_that_is_not_known_is_refused_before_anything_is_read(books: Books) -> None:
    with pytest.raises(ConfigurationError, match="LiteLLM_ErrorLogs"):
        import_litellm(books.ledger, {SPEND_LOGS: [theirs()], "LiteLLM_ErrorLogs": []})
    assert books.reports.total(EVERYTHING).requests == 0
