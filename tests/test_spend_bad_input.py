"""Whatever comes over the wire or from a client: the call goes as it would without us, and the row says what is known."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from spend_middleware import Spend

URL = "https://api.openai.com/v1/chat/completions"
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
CHAT = {"id": "c-1", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [], "usage": USAGE}
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def spend(tmp_path: Path) -> Iterator[Spend]:
    with Spend(f"sqlite:///{tmp_path}/spend.db", batch_seconds=0.01) as made:
        yield made


@pytest.fixture(params=[httpx, httpx2], ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


def rows(spend: Spend) -> list[dict[str, Any]]:
    assert spend.flush()
    with sqlite3.connect(spend.settings.database_url.removeprefix("sqlite:///")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM spend_logs ORDER BY id")]


def send(spend: Spend, library: Any, answer: Any, *, url: str = URL, asked: Any = ASKED, **more: Any) -> Any:
    def respond(request: Any) -> Any:
        return library.Response(200, **answer) if isinstance(answer, dict) else answer(request)

    body: dict[str, Any] = {"json": asked} if isinstance(asked, dict) else {"content": asked}
    with library.Client(transport=spend.transport(library.MockTransport(respond))) as client:
        return client.post(url, **body, **more)


BODIES = {
    "malformed JSON": b'{"id": "c-1", "usage": {"prompt_tok',
    "not JSON at all": b"<html>bad gateway</html>",
    "binary": bytes(range(256)) * 40,
    "empty": b"",
    "a JSON scalar": b"42",
    "a list": b"[1, 2]",
    "usage of the wrong type": json.dumps({**CHAT, "usage": "many"}).encode(),
    "counts of wrong types": json.dumps(
        {**CHAT, "usage": {"prompt_tokens": "9", "completion_tokens": [1]}}
    ).encode(),
    "negative counts": json.dumps({**CHAT, "usage": {"prompt_tokens": -9, "completion_tokens": -1}}).encode(),
    "huge counts": json.dumps({**CHAT, "usage": {"prompt_tokens": 10**30, "completion_tokens": 1}}).encode(),
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_strange_body_reaches_the_caller_as_it_is_and_leaves_a_row(
    spend: Spend, library: Any, name: str
) -> None:
    answer = send(spend, library, {"content": BODIES[name]})
    assert answer.status_code == 200
    assert answer.content == BODIES[name]
    (row,) = rows(spend)
    assert row["model_group"] == "gpt-4o-mini"
    assert row["spend"] is None or row["spend"] >= 0


def test_truncated_gzip_is_the_callers_own_error_and_a_row(spend: Spend, library: Any) -> None:
    packed = gzip.compress(json.dumps(CHAT).encode())[:-12]

    def respond(request: Any) -> Any:
        stream = iter([packed])

        class Stream(library.SyncByteStream):  # type: ignore[misc]
            def __iter__(self) -> Iterator[bytes]:
                return stream

        return library.Response(200, headers={"content-encoding": "gzip"}, stream=Stream())

    with library.Client(transport=spend.transport(library.MockTransport(respond))) as client:
        answer = client.post(URL, json=ASKED)
    assert answer.status_code == 200
    assert len(rows(spend)) == 1


def test_an_error_inside_a_200_is_a_failure(spend: Spend, library: Any) -> None:
    error = {"error": {"message": "private words", "type": "server_error", "code": "overloaded"}}
    send(spend, library, {"json": error})
    (row,) = rows(spend)
    assert (row["status"], row["spend"]) == ("failure", 0)
    assert "private" not in json.dumps(row)


def test_an_unknown_host_with_an_openai_path_is_metered(spend: Spend, library: Any) -> None:
    send(spend, library, {"json": CHAT}, url="https://llm.example.org/team-a/v1/chat/completions")
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["api_base"]) == (9, "https://llm.example.org")


def test_an_unknown_model_is_unpriced_with_a_reason_and_one_warning(
    spend: Spend, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "spend_middleware"):
        for _ in range(3):
            send(spend, library, {"json": {**CHAT, "model": "gpt-99"}}, asked={**ASKED, "model": "gpt-99"})
    found = rows(spend)
    assert [(row["spend"], row["pricing_status"]) for row in found] == [(None, "unpriced")] * 3
    assert "gpt-99" in found[0]["unpriced_reason"]
    assert sum("gpt-99" in record.message for record in caplog.records) == 1


def test_fifty_megabytes_pass_and_are_priced(spend: Spend, library: Any) -> None:
    large = json.dumps({**CHAT, "padding": "x" * 50_000_000, "usage": USAGE}).encode()
    answer = send(spend, library, {"content": large})
    assert len(answer.content) == len(large)
    (row,) = rows(spend)
    assert row["request_id"]


HOSTILE = {
    "line breaks": (["a\r\nset-cookie: x"], ["a set-cookie: x"]),
    "NUL and surrogates": (["nul\x00", "\ud800"], ["nul"]),
    "a megabyte": (["x" * 1_000_000], ["x" * 256]),
    "ten thousand": ([f"t{n}" for n in range(10_000)], [f"t{n}" for n in range(64)]),
    "wrong types": ([1, None, {"a": 1}, ["b"]], ["1", '{"a":1}', '["b"]']),
    "no list": ("just-one", ["just-one"]),
    "SQL": (["'; DROP TABLE spend_logs; --"], ["'; DROP TABLE spend_logs; --"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tags_are_bounded_and_harm_nothing(spend: Spend, library: Any, name: str) -> None:
    given, kept = HOSTILE[name]
    body = json.dumps({**ASKED, "metadata": {"tags": given}}).encode()
    seen: list[bytes] = []

    def respond(request: Any) -> Any:
        seen.append(request.content)
        return library.Response(200, json=CHAT)

    answer = send(spend, library, respond, asked=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert "metadata" not in json.loads(seen[0])
    (row,) = rows(spend)
    stored = json.loads(row["request_tags"])
    assert stored == kept or name == "no list"


@pytest.mark.parametrize(
    "url", ["sqlite:////proc/nowhere/spend.db", "postgresql://nobody:wrong@127.0.0.1:1/none"]
)
def test_a_database_that_is_gone_harms_no_call(url: str, library: Any, tmp_path: Path) -> None:
    spend = Spend(url, journal_dir=tmp_path / "journal", batch_seconds=0.01)
    answer = send(spend, library, {"json": CHAT})
    assert answer.headers["x-litellm-response-cost"] == "0.00000855"
    assert spend.flush(timeout=0.2) is False
    assert spend.health()["pending"] == 1
    spend.close(timeout=0.2)


def test_traffic_that_is_no_llm_call_is_left_alone(spend: Spend, library: Any) -> None:
    answer = send(spend, library, {"json": {"ok": True}}, url="https://api.example.org/v1/orders")
    assert not [name for name in answer.headers if name.startswith("x-litellm")]
    assert rows(spend) == []


def test_a_background_response_is_billed_once_whoever_polls_it(spend: Spend, library: Any) -> None:
    queued = {
        "id": "resp_1",
        "object": "response",
        "status": "queued",
        "created_at": 1_795_460_000,
        "output": [],
    }
    queued |= {"model": "gpt-5-mini", "background": True, "usage": None}
    counts = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    answers = [queued, queued, *[{**queued, "status": "completed", "usage": counts}] * 3]

    def respond(request: Any) -> Any:
        assert spend.flush(), "what waits must not keep the result out"
        return library.Response(200, json=answers.pop(0))

    with (
        library.Client(transport=spend.transport(library.MockTransport(respond))) as client,
        spend.tag("job") as tally,
    ):
        client.post(
            "https://api.openai.com/v1/responses",
            json={"model": "gpt-5-mini", "input": "x", "background": True},
        )
        for _ in range(4):
            client.get("https://api.openai.com/v1/responses/resp_1")
    found = rows(spend)
    assert sorted(row["status"] for row in found) == ["pending", "success"]
    assert sum(row["spend"] for row in found) == 42_500_000
    assert tally.cost == Decimal("0.0000425")


def test_what_only_looks_like_an_llm_call_leaves_as_it_is(spend: Spend, library: Any) -> None:
    body = json.dumps({"metadata": {"tags": ["its own"]}, "user": "x"}).encode()
    seen: list[tuple[bytes, str | None]] = []

    def respond(request: Any) -> Any:
        seen.append((request.content, request.headers.get("x-litellm-tags")))
        return library.Response(200, json={"key": "sk-new"})

    answer = send(
        spend,
        library,
        respond,
        url="https://keys.example.org/key/generate",
        asked=body,
        headers={"x-litellm-tags": "kept", "content-type": "application/json"},
    )
    assert seen == [(body, "kept")]
    assert answer.json() == {"key": "sk-new"}
    assert not [name for name in answer.headers if name.startswith("x-litellm")]
    assert rows(spend) == []
