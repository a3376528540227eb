"""Whatever comes over the wire or from a client: the call goes as it would without us, and the row says what is known."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
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


SAID = {**CHAT, "choices": [{"message": {"content": "Spend is what was used."}}]}
NO_ANSWERS = {
    "malformed JSON": b'{"id": "c-1", "usage": {"prompt_tok',
    "not JSON at all": b"<html>bad gateway</html>",
    "binary": bytes(range(256)) * 40,
    "empty": b"",
    "a JSON scalar": b"42",
    "a list": b"[1, 2]",
    "no answer": b'{"detail": "try again later"}',
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_a_200_without_an_answer_reaches_the_caller_as_it_is_and_is_a_failure_without_a_price(
    spend: Spend, library: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        answer = send(spend, library, {"content": NO_ANSWERS[name]})
        assert (answer.status_code, answer.content) == (200, NO_ANSWERS[name])
        assert "x-litellm-response-cost" not in answer.headers
    found = rows(spend)
    assert [row["model_group"] for row in found] == ["gpt-4o-mini"] * 3
    assert {(row["status"], row["error_type"]) for row in found} == {("failure", "unreadable_answer")}
    assert {(row["spend"], row["usage_source"]) for row in found} == {(None, "none")}
    assert "could not be read" in found[0]["unpriced_reason"]
    assert lines(caplog) == 1


ODD_COUNTS = {"a list": [1], "a fraction": 1.5, "true": True, "negative": -3, "huge": 10**30, "a word": "x"}


@pytest.mark.parametrize("count", ODD_COUNTS.values(), ids=list(ODD_COUNTS))
def test_a_count_that_is_none_is_estimated_and_never_a_reported_zero(
    spend: Spend, library: Any, count: Any, caplog: pytest.LogCaptureFixture
) -> None:
    send(spend, library, {"json": {**SAID, "usage": {"prompt_tokens": 9, "completion_tokens": count}}})
    send(spend, library, {"json": {**SAID, "usage": {"prompt_tokens": count, "completion_tokens": 12}}})
    output, into = rows(spend)
    # "Spend is what was used." and the question, in o200k_base.
    assert (output["prompt_tokens"], output["completion_tokens"], output["usage_source"]) == (
        9,
        6,
        "estimated",
    )
    assert (into["prompt_tokens"], into["completion_tokens"], into["usage_source"]) == (8, 12, "estimated")
    assert (output["spend"], into["spend"]) == (9 * 150_000 + 6 * 600_000, 8 * 150_000 + 12 * 600_000)
    assert "is no number: output_tokens" in output["usage_note"]
    assert lines(caplog) == 0


def test_without_estimates_a_count_that_is_none_leaves_the_call_without_a_price(
    tmp_path: Path, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Spend(f"sqlite:///{tmp_path}/spend.db", estimate_missing_usage=False) as spend:
        for _ in range(2):
            answer = {**SAID, "usage": {"prompt_tokens": 9, "completion_tokens": [1]}}
            got = send(spend, library, {"json": answer})
            assert "x-litellm-response-cost" not in got.headers
        for row in rows(spend):
            assert (row["spend"], row["usage_source"], row["pricing_status"]) == (None, "none", "unpriced")
            assert (row["prompt_tokens"], row["completion_tokens"]) == (9, 0)
            assert row["unpriced_reason"] == "what the provider states is no number: output_tokens"
            assert (row["status"], json.loads(row["raw_usage"])) == ("success", answer["usage"])
        assert lines(caplog) == 1
        assert spend.reprice(dry_run=True).changed == 0, "what is not known has no price later either"


STRANGE_USAGES = {
    "many": "many",
    "a list": [9, 12],
    "nulls": {"prompt_tokens": None, "completion_tokens": None},
}


@pytest.mark.parametrize("usage", STRANGE_USAGES.values(), ids=list(STRANGE_USAGES))
def test_a_usage_that_is_none_is_estimated(spend: Spend, library: Any, usage: Any) -> None:
    send(spend, library, {"json": {**SAID, "usage": usage}})
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (8, 6, "estimated")


REQUESTS = {
    "malformed JSON": b'{"model": "gpt-4o-mini", "messages": [',
    "not JSON at all": b"model=gpt-4o-mini",
    "binary": bytes(range(256)) * 40,
    "empty": b"",
    "a JSON scalar": b"42",
    "a list": b"[1, 2]",
    "fields of wrong types": b'{"model": 5, "messages": "hi", "user": {}, "metadata": [1], "stream": "yes"}',
    "a lone surrogate": b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\\ud800"}]}',
    "not UTF-8": b'{"model": "gpt-4o-mini", "messages": "\xff\xfe"}',
    "deep nesting": b'{"messages":' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_strange_request_leaves_byte_for_byte_and_its_answer_is_a_row(
    spend: Spend, library: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[bytes] = []

    def respond(request: Any) -> Any:
        left.append(request.content)
        return library.Response(200, json=CHAT)

    headers = {"content-type": "application/json"}
    for _ in range(3):
        assert send(spend, library, respond, asked=REQUESTS[name], headers=headers).json() == CHAT
    assert left == [REQUESTS[name]] * 3
    assert [(row["prompt_tokens"], row["completion_tokens"]) for row in rows(spend)] == [(9, 12)] * 3
    assert lines(caplog) <= 1


def lines(caplog: pytest.LogCaptureFixture) -> int:
    """Return how many lines of ours a host's log has got."""
    return len(
        [one for one in caplog.records if one.name.startswith("spend") and one.levelno >= logging.WARNING]
    )


def test_truncated_gzip_is_to_the_caller_what_it_is_without_us_and_a_row(
    spend: Spend, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    packed = gzip.compress(json.dumps(CHAT).encode())[:-12]

    def respond(request: Any) -> Any:
        stream = iter([packed])

        class Stream(library.SyncByteStream):  # type: ignore[misc]
            def __iter__(self) -> Iterator[bytes]:
                return stream

        return library.Response(200, headers={"content-encoding": "gzip"}, stream=Stream())

    upstream = library.MockTransport(respond)
    with (
        library.Client(transport=upstream) as bare,
        library.Client(transport=spend.transport(upstream)) as ours,
    ):
        assert outcome(ours) == outcome(bare)
    (row,) = rows(spend)
    assert (row["model_group"], row["status_code"]) == ("gpt-4o-mini", 200)
    assert (row["status"], row["error_type"], row["spend"]) == ("failure", "unreadable_answer", None)
    assert lines(caplog) == 1


def test_gzip_that_lacks_nothing_but_its_end_is_an_answer(spend: Spend, library: Any) -> None:
    def respond(request: Any) -> Any:
        stream = library.ByteStream(gzip.compress(json.dumps(CHAT).encode())[:-8])
        return library.Response(200, headers={"content-encoding": "gzip"}, stream=stream)

    assert send(spend, library, respond).json() == CHAT
    (row,) = rows(spend)
    assert (row["status"], row["spend"], row["usage_source"]) == ("success", 8_550_000, "reported")


def test_truncated_gzip_whose_usage_came_through_is_a_failure_with_its_price(
    spend: Spend, library: Any
) -> None:
    padding = bytes(range(256)) * 400
    body = json.dumps({"usage": USAGE, **CHAT, "choices": [{"message": {"content": padding.hex()}}]})
    packed = gzip.compress(body.encode())

    def respond(request: Any) -> Any:
        stream = library.ByteStream(packed[: len(packed) // 2])
        return library.Response(200, headers={"content-encoding": "gzip"}, stream=stream)

    with library.Client(transport=spend.transport(library.MockTransport(respond))) as client:
        outcome(client)
    (row,) = rows(spend)
    assert (row["status"], row["error_type"]) == ("failure", "unreadable_answer")
    assert (row["prompt_tokens"], row["completion_tokens"], row["spend"]) == (9, 12, 8_550_000)


def outcome(client: Any) -> bytes | type[Exception]:
    """Return what a call gives its caller, or the kind of error that it raises."""
    try:
        content: bytes = client.post(URL, json=ASKED).content
        return content
    except Exception as error:
        return type(error)


def test_an_error_inside_a_200_is_a_failure(spend: Spend, library: Any) -> None:
    error = {"error": {"message": "private words", "type": "server_error", "code": "overloaded"}}
    send(spend, library, {"json": error})
    (row,) = rows(spend)
    assert (row["status"], row["spend"]) == ("failure", 0)
    assert "private" not in json.dumps(row)


@pytest.mark.parametrize("at", ["instrument", "transport"])
def test_a_hop_of_a_redirect_costs_nothing(spend: Spend, library: Any, at: str) -> None:
    def respond(request: Any) -> Any:
        if request.url.path == "/v1/chat/completions":
            return library.Response(307, headers={"location": "/elsewhere/v1/chat/completions"})
        return library.Response(200, json=CHAT)

    upstream = library.MockTransport(respond)
    if at == "instrument":
        spend.instrument()
    try:
        with library.Client(
            transport=upstream if at == "instrument" else spend.transport(upstream)
        ) as client:
            assert client.post(URL, json=ASKED, follow_redirects=True).status_code == 200
            assert client.post(URL, json=ASKED).status_code == 307
    finally:
        spend.uninstrument()
    found = {
        (row["status_code"], row["spend"], row["prompt_tokens"], row["usage_source"]) for row in rows(spend)
    }
    assert found == {(200, 8_550_000, 9, "reported"), (307, 0, 0, "none")}


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_given_up_before_its_answer_has_no_price(
    spend: Spend, library: Any, stream: bool
) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def respond(request: Any) -> Any:
        reached.set()
        await never.wait()

    async with library.AsyncClient(transport=spend.transport(library.MockTransport(respond))) as client:
        task = asyncio.create_task(client.post(URL, json={**ASKED, "stream": stream}))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (row,) = await asyncio.to_thread(rows, spend)
    assert (row["status"], row["error_type"], row["spend"]) == ("aborted", "CancelledError", None)
    assert row["unpriced_reason"] == "no answer came; the provider may have billed the call"


def test_a_whole_answer_that_breaks_off_has_no_price(spend: Spend, library: Any) -> None:
    class Stream(library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            yield b'{"id": "c-1", "choices": [{"message": {"content": "Spend'
            raise library.ReadError("gone")

    with pytest.raises(library.ReadError):
        send(spend, library, lambda request: library.Response(200, stream=Stream()))
    (row,) = rows(spend)
    assert (row["status"], row["error_type"], row["spend"]) == ("failure", "ReadError", None)
    assert row["unpriced_reason"] == "the answer broke off; the provider may have billed the call"


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


def test_an_answer_of_fifty_megabytes_passes_and_is_priced(spend: Spend, library: Any) -> None:
    padded = {**{name: CHAT[name] for name in CHAT if name != "usage"}, "padding": "x" * 50_000_000}
    large = json.dumps({**padded, "usage": USAGE}).encode()
    answer = send(spend, library, {"content": large})
    assert answer.content == large
    (row,) = rows(spend)
    assert (row["prompt_tokens"], row["completion_tokens"], row["spend"]) == (9, 12, 8_550_000)


def test_a_request_of_fifty_megabytes_is_priced_and_its_tags_are_taken_out(
    spend: Spend, library: Any
) -> None:
    messages = [{"role": "user", "content": "x" * 50_000_000}]
    left: list[bytes] = []

    def respond(request: Any) -> Any:
        left.append(request.content)
        return library.Response(200, json=CHAT)

    asked = {"model": "gpt-4o-mini", "messages": messages}
    send(spend, library, respond, asked={**asked, "metadata": {"tags": ["large"]}})
    assert json.loads(left[0]) == asked
    (row,) = rows(spend)
    assert (row["request_tags"], row["spend"]) == ('["large"]', 8_550_000)


HOSTILE = {
    "line breaks": (["a\r\nset-cookie: x"], ["a set-cookie: x"]),
    "NUL and surrogates": (["nul\x00", "\ud800"], ["nul"]),
    "a megabyte": (["x" * 1_000_000], ["x" * 256]),
    "ten thousand": ([f"t{n}" for n in range(10_000)], [f"t{n}" for n in range(64)]),
    "wrong types": ([1, None, {"a": 1}, ["b"]], ["1", '{"a":1}', '["b"]']),
    "one text": ("just-one", ["just-one"]),
    "a number": (5, []),
    "an object": ({"a": "b"}, []),
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
    assert json.loads(row["request_tags"]) == kept


LOSES = {"a megabyte", "ten thousand", "wrong types"}


@pytest.mark.parametrize("name", [name for name, case in HOSTILE.items() if isinstance(case[0], list)])
def test_tags_that_are_cut_or_left_out_are_said_in_one_line(
    spend: Spend, library: Any, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spend_middleware.guard._said", set())
    given: Any = HOSTILE[name][0]
    for _ in range(3):
        asked = json.dumps({**ASKED, "metadata": {"tags": given}}).encode()
        send(spend, library, {"json": CHAT}, asked=asked)
        with spend.tag(*given):
            send(spend, library, {"json": CHAT})
    assert lines(caplog) == (1 if name in LOSES else 0)


IN_A_BLOCK = {name: case for name, case in HOSTILE.items() if isinstance(case[0], list)}


@pytest.mark.parametrize("name", IN_A_BLOCK)
def test_hostile_tags_of_a_block_are_bounded_alike(spend: Spend, library: Any, name: str) -> None:
    given: Any = IN_A_BLOCK[name][0]
    kept = IN_A_BLOCK[name][1]
    with spend.tag(*given):
        assert send(spend, library, {"json": CHAT}).status_code == 200
    (row,) = rows(spend)
    assert json.loads(row["request_tags"]) == kept


IN_A_HEADER = {
    "line breaks": ("a\r\nset-cookie: x,b", ["a set-cookie: x", "b"]),
    "NUL": ("a\x00,b", ["a", "b"]),
    "a megabyte": ("x" * 1_000_000, ["x" * 256]),
    "ten thousand": (",".join(f"t{n}" for n in range(10_000)), [f"t{n}" for n in range(64)]),
    "commas alone": (",,, ,", []),
}


@pytest.mark.parametrize("name", IN_A_HEADER)
def test_hostile_tags_of_a_header_are_bounded_alike_and_do_not_leave(
    spend: Spend, library: Any, name: str
) -> None:
    given, kept = IN_A_HEADER[name]
    seen: list[Any] = []

    def respond(request: Any) -> Any:
        seen.append(request.headers.get("x-litellm-tags"))
        return library.Response(200, json=CHAT)

    send(spend, library, respond, headers={"x-litellm-tags": given})
    assert seen == [None]
    (row,) = rows(spend)
    assert json.loads(row["request_tags"]) == kept


def read_only(folder: Path) -> str:
    """Make a database, and return a URL that only reads it."""
    with Spend(f"sqlite:///{folder}/spend.db", journal_dir=folder / "first") as spend:
        assert spend.flush()
    return f"sqlite:///file:{folder}/spend.db?mode=ro&uri=true"


GONE: dict[str, Callable[[Path], str]] = {
    "no such place": lambda folder: "sqlite:////proc/nowhere/spend.db",
    "no such server": lambda folder: "postgresql://nobody:wrong@127.0.0.1:1/none",
    "no database": lambda folder: f"sqlite:///{folder}",
    "read-only": read_only,
}


@pytest.mark.parametrize("name", GONE)
def test_a_database_that_is_gone_or_read_only_harms_no_call(
    name: str, library: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spend = Spend(GONE[name](tmp_path), journal_dir=tmp_path / "journal", batch_seconds=0.01)
    caplog.clear()
    for _ in range(3):
        answer = send(spend, library, {"json": CHAT})
        assert (answer.json(), answer.headers["x-litellm-response-cost"]) == (CHAT, "0.00000855")
    assert spend.flush(timeout=0.5) is False
    assert spend.health()["pending"] == 3
    assert caplog.text.count("cannot be written to") == 1
    spend.close(timeout=0.2)


def test_a_database_that_vanishes_between_two_calls_costs_none_after_it(
    spend: Spend, library: Any, tmp_path: Path
) -> None:
    send(spend, library, {"json": CHAT})
    assert len(rows(spend)) == 1
    for file in tmp_path.glob("spend.db*"):
        if file.is_file():
            file.unlink()
    for _ in range(3):
        assert send(spend, library, {"json": CHAT}).status_code == 200
    assert [row["spend"] for row in rows(spend)] == [8_550_000] * 3


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
