"""Work that is asked for in one call and read in another: billed once, when it has ended, whoever reads it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spend_middleware.wire import READERS, Received, Route, Sent
from wire_reads import events, lines, read, tokens

SSE = {"content-type": "text/event-stream"}
RUN_USAGE = {
    "prompt_tokens": 381,
    "completion_tokens": 88,
    "total_tokens": 469,
    "prompt_token_details": {"cached_tokens": 128},
}
RUN = {
    "id": "run_1",
    "object": "thread.run",
    "created_at": 1774965956,
    "model": "gpt-4o-mini",
    "usage": RUN_USAGE,
}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled", "expired"])
@pytest.mark.parametrize("follow_up", [False, True])
def test_an_ended_run_is_billed_under_its_own_key(status: str, follow_up: bool) -> None:
    reading = read("openai.runs", {**RUN, "status": status}, follow_up=follow_up)
    assert tokens(reading) == (381, 88)
    assert (reading.once_key, reading.created_at) == ("openai/run/run_1", 1774965956)
    assert reading.usage is not None
    assert reading.usage.cache_read_tokens == 128


@pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action", "cancelling"])
def test_a_run_that_goes_on_is_pending_once_and_then_nothing(status: str) -> None:
    body = {**RUN, "status": status, "usage": None}
    started, polled = read("openai.runs", body), read("openai.runs", body, follow_up=True)
    assert (started.pending, started.billable) == (True, True)
    assert (polled.pending, polled.billable, polled.once_key) == (False, False, None)


def test_a_streamed_run_counts_the_tools_of_its_steps() -> None:
    def step(*kinds: str) -> dict[str, Any]:
        calls = [{"type": kind} for kind in kinds]
        return {"object": "thread.run.step", "status": "completed", "step_details": {"tool_calls": calls}}

    body = events(
        {**RUN, "status": "queued", "usage": None},
        step("code_interpreter", "code_interpreter", "file_search"),
        step("file_search"),
        {**RUN, "status": "completed"},
    )
    reading = read("openai.runs", body, headers=SSE)
    assert tokens(reading) == (381, 88)
    assert reading.usage is not None
    assert reading.usage.units == {"code_sessions": 1, "file_searches": 2}
    assert reading.once_key == "openai/run/run_1"
    assert reading.stream


REALTIME_USAGE = {
    "total_tokens": 349,
    "input_tokens": 320,
    "output_tokens": 29,
    "input_token_details": {
        "text_tokens": 64,
        "audio_tokens": 256,
        "cached_tokens": 32,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 32},
    },
    "output_token_details": {"text_tokens": 9, "audio_tokens": 20},
}
DONE = {
    "type": "response.done",
    "response": {"id": "resp_1", "model": "gpt-realtime", "usage": REALTIME_USAGE},
}


def test_a_realtime_response_is_counted_by_modality() -> None:
    usage = read("openai.realtime", DONE).usage
    assert usage is not None
    assert (usage.input_audio_tokens, usage.output_audio_tokens, usage.cache_read_audio_tokens) == (
        256,
        20,
        32,
    )
    assert (usage.input_text_tokens, usage.cache_read_text_tokens) == (64, 0)


def test_the_responses_of_a_realtime_session_add_up() -> None:
    reading = read("openai.realtime", lines({"type": "session.created"}, DONE, DONE))
    assert tokens(reading) == (640, 58)
    assert reading.usage is not None
    assert reading.usage.total_tokens == 698
    assert reading.usage.input_text_tokens == 128


def test_what_was_heard_is_counted_by_its_own_usage() -> None:
    event = {
        "type": "conversation.item.input_audio_transcription.completed",
        "usage": {"type": "duration", "seconds": 3},
    }
    usage = read("openai.realtime", event).usage
    assert usage is not None
    assert usage.units == {"input_audio_seconds": 3}


BATCH = {
    "id": "batch_1",
    "object": "batch",
    "model": "gpt-x",
    "created_at": 1787150613,
    "usage": {
        "input_tokens": 100,
        "output_tokens": 10,
        "total_tokens": 110,
        "input_tokens_details": {"cached_tokens": 40},
    },
}


@pytest.mark.parametrize("status", ["completed", "expired", "cancelled", "failed"])
def test_an_ended_batch_is_billed_once_at_the_batch_price(status: str) -> None:
    reading = read("openai.batches", {**BATCH, "status": status}, follow_up=True)
    assert tokens(reading) == (100, 10)
    assert (reading.batch, reading.once_key, reading.created_at) == (True, "openai/batch/batch_1", 1787150613)


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling"])
def test_a_batch_that_goes_on_is_pending_once_and_then_nothing(status: str) -> None:
    body = {**BATCH, "status": status, "usage": {"input_tokens": 0, "output_tokens": 0}}
    made, polled = read("openai.batches", body), read("openai.batches", body, follow_up=True)
    assert (made.pending, made.billable, made.usage) == (True, True, None)
    assert (polled.billable, polled.once_key) == (False, None)


def message(name: str, inputs: int) -> dict[str, Any]:
    usage = {"input_tokens": inputs, "output_tokens": 1, "cache_read_input_tokens": 2}
    return {
        "custom_id": name,
        "result": {
            "type": "succeeded",
            "message": {"id": f"msg_{name}", "model": "claude-x", "usage": usage},
        },
    }


def test_each_line_of_a_message_batch_is_a_call_of_its_own() -> None:
    body = lines(message("a", 10), {"custom_id": "b", "result": {"type": "errored"}}, message("c", 20))
    reading = read("anthropic.batches", body, provider="anthropic", follow_up=True)
    calls = [reading, *reading.more]
    assert [tokens(call) for call in calls] == [(12, 1), (22, 1)]
    assert [call.once_key for call in calls] == [
        "anthropic/batch_result/msg_a",
        "anthropic/batch_result/msg_c",
    ]
    assert all(call.batch and call.billable for call in calls)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"},
        {"custom_id": "b", "result": {"type": "canceled"}},
        b"",
    ],
    ids=["the job", "nothing succeeded", "nothing at all"],
)
def test_reading_a_message_batch_without_results_is_nothing(body: Any) -> None:
    assert not read("anthropic.batches", body, follow_up=True).billable


def test_xais_results_state_their_cost() -> None:
    def result(name: str, ticks: int) -> dict[str, Any]:
        usage = {
            "prompt_tokens": 204,
            "completion_tokens": 2,
            "total_tokens": 268,
            "cost_in_usd_ticks": ticks,
        }
        usage["completion_tokens_details"] = {"reasoning_tokens": 62}  # type: ignore[assignment]
        answer = {"id": name, "model": "grok-x", "created": 1786400933, "usage": usage}
        return {"batch_request_id": "0", "batch_result": {"response": {"chat_get_completion": answer}}}

    body = {"results": [result("a", 2244800), result("b", 10)], "pagination_token": None}
    reading = read("openai.batches", body, provider="xai", follow_up=True)
    assert [tokens(call) for call in (reading, *reading.more)] == [(204, 64), (204, 64)]
    assert [call.reported_cost for call in (reading, *reading.more)] == [
        Decimal("0.00022448"),
        Decimal("1E-9"),
    ]


def test_mistrals_inline_results_are_calls_and_a_job_is_not() -> None:
    answer = {
        "id": "c1",
        "model": "mistral-x",
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
    done = {
        "id": "j",
        "status": "SUCCESS",
        "outputs": [{"custom_id": "0", "response": {"status_code": 200, "body": answer}}],
    }
    reading = read("mistral.batches", done, provider="mistral", follow_up=True)
    assert (tokens(reading), reading.once_key) == ((9, 1), "mistral/batch_result/c1")
    assert read("mistral.batches", {"id": "j", "status": "QUEUED"}).pending
    assert not read("mistral.batches", {"id": "j", "status": "RUNNING"}, follow_up=True).billable


def test_geminis_inline_answers_are_calls() -> None:
    answer = {
        "usageMetadata": {"promptTokenCount": 13, "candidatesTokenCount": 1, "thoughtsTokenCount": 5},
        "modelVersion": "gemini-x",
    }
    job = {
        "name": "batches/b1",
        "metadata": {
            "model": "models/gemini-x",
            "createTime": "2026-08-10T10:00:00Z",
            "output": {
                "inlinedResponses": {
                    "inlinedResponses": [{"response": answer}, {"error": {}}, {"response": answer}]
                }
            },
        },
        "done": True,
    }
    reading = read("gemini.batches", job, provider="gemini", follow_up=True)
    calls = [reading, *reading.more]
    assert [tokens(call) for call in calls] == [(13, 6), (13, 6)]
    assert [call.once_key for call in calls] == [
        "gemini/batch_result/batches/b1/0",
        "gemini/batch_result/batches/b1/2",
    ]
    assert not read(
        "gemini.batches", {"name": "b", "metadata": {"state": "BATCH_STATE_RUNNING"}}, follow_up=True
    ).billable


@pytest.mark.parametrize(
    "wire_format", ["openai.runs", "openai.batches", "anthropic.batches", "mistral.batches", "gemini.batches"]
)
def test_a_refused_job_names_its_error(wire_format: str) -> None:
    reading = read(wire_format, {"error": {"type": "invalid_request_error", "message": "secret"}}, status=400)
    assert (reading.error_type, reading.usage) == ("invalid_request_error", None)


def result_line(number: int) -> dict[str, Any]:
    usage = {"prompt_tokens": 9, "completion_tokens": number, "total_tokens": 9 + number}
    answer = {"id": f"c{number}", "model": "mistral-x", "usage": usage}
    return {"custom_id": str(number), "response": {"status_code": 200, "body": answer}, "error": None}


def test_a_downloaded_file_of_results_is_a_call_a_line_and_any_other_file_is_nothing() -> None:
    failed = {"custom_id": "2", "response": {"status_code": 500, "body": {"error": "x"}}}
    body = lines(result_line(1), failed, result_line(3))
    reading = read("openai.batch_lines", body, provider="mistral", follow_up=True)
    calls = [reading, *reading.more]
    assert [tokens(call) for call in calls] == [(9, 1), (9, 3)]
    assert [call.once_key for call in calls] == ["mistral/batch_result/c1", "mistral/batch_result/c3"]
    assert all(call.batch and call.request_model == "mistral-x" for call in calls)
    for other in (b"%PDF-1.7 ...", lines({"messages": []}), b"", b"[1, 2]"):
        assert not read("openai.batch_lines", other, provider="mistral", follow_up=True).billable


def test_a_line_read_from_a_job_and_from_its_file_is_one_call() -> None:
    job = {"id": "j", "status": "SUCCESS", "outputs": [result_line(1)]}
    inline = read("mistral.batches", job, provider="mistral", follow_up=True)
    downloaded = read("openai.batch_lines", lines(result_line(1)), provider="mistral", follow_up=True)
    assert inline.once_key == downloaded.once_key


def test_results_that_were_not_kept_are_said_to_be_missing() -> None:
    route = Route(provider="mistral", operation="batch", wire_format="openai.batch_lines", follow_up=True)
    received = Received(status=200, body=lines(result_line(1)), complete=False)
    reading = READERS["openai.batch_lines"](route, Sent(), received)
    assert reading.usage_note == "some results of this batch were not kept and are not counted"


def test_geminis_downloaded_answers_are_calls() -> None:
    usage = {"promptTokenCount": 13, "candidatesTokenCount": 1, "totalTokenCount": 14}
    answer = {"usageMetadata": usage, "modelVersion": "gemini-x"}
    body = lines({"key": "a", "response": answer}, {"key": "b", "error": {}}, {"response": answer})
    url = "https://generativelanguage.googleapis.com/download/v1beta/files/batch-1:download?alt=media"
    reading = read("gemini.batch_lines", body, provider="gemini", follow_up=True, url=url)
    calls = [reading, *reading.more]
    assert [tokens(call) for call in calls] == [(13, 1), (13, 1)]
    assert [call.once_key for call in calls] == [
        "gemini/batch_result/batch-1/a",
        "gemini/batch_result/batch-1/2",
    ]
