"""`x-litellm-key-spend`: what the inbound key has spent by now, on the service's answer and on the SDK's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import event

from spend_middleware import Spend, SpendMiddleware
from spend_middleware.store.adjust import AdjustmentKind, Entry
from standin import answers

pytestmark = pytest.mark.anyio

MASTER = "sk-master-key-of-tests"
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
COST = Decimal("0.0000087")
"""Of every answer here: 10 tokens in and 12 out."""


def upstream(request: httpx2.Request) -> httpx2.Response:
    """Answer as a provider would, as a stream where that is asked for."""
    if b'"stream"' in request.read():
        asked = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
        pieces = answers.chat_stream(asked, iter(answers.WORDS))

        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body())
    usage = {"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 22}
    return httpx2.Response(
        200,
        json={"id": "c", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [], "usage": usage},
    )


class Service:
    """A metered service that makes a call for each request and keeps the headers that its SDK saw."""

    def __init__(self, spend: Spend) -> None:
        self.spend = spend
        self.seen: list[httpx2.Headers] = []
        self.llm = httpx2.AsyncClient(transport=spend.transport(httpx2.MockTransport(upstream)))
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(SpendMiddleware(self.app, spend=spend, instrument=False)),
            base_url="http://service.test",
        )

    async def ask(self, **more: Any) -> None:
        async with self.llm.stream(
            "POST", "https://api.openai.com/v1/chat/completions", json={**ASKED, **more}
        ) as answer:
            self.seen.append(answer.headers)
            await answer.aread()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/spend"):
            await self.spend.app({**scope, "root_path": "/spend"}, receive, send)
        elif scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await self.ask(stream=True)
            await send({"type": "http.response.body", "body": b"done"})
        else:
            await self.ask()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

    async def admin(self, path: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {MASTER}"}
        answer = await self.client.post(f"/spend{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def key(self, **wanted: Any) -> str:
        made: str = (await self.admin("/key/generate", **wanted))["key"]
        return made

    async def shown(self, key: str, path: str = "/work") -> tuple[str | None, str | None]:
        """Ask with a key; return the header of the service's own answer, and of the SDK's."""
        answer = await self.client.get(path, headers={"authorization": f"Bearer {key}"})
        return answer.headers.get("x-litellm-key-spend"), self.seen[-1].get("x-litellm-key-spend")

    async def on_record(self, key: str) -> Decimal:
        """Return the number of /key/info."""
        headers = {"authorization": f"Bearer {MASTER}"}
        answer = await self.client.get("/spend/key/info", params={"key": key}, headers=headers)
        return Decimal(str(answer.json()["info"]["spend"]))


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(Spend(database_url, master_key=MASTER, journal_dir=tmp_path / "journal")) as made:
        yield made


class serving:  # noqa: N801 - reads as a verb
    """A service for the length of a block."""

    def __init__(self, spend: Spend) -> None:
        self.spend = spend

    async def __aenter__(self) -> Service:
        await self.spend.__aenter__()
        self.made = Service(self.spend)
        return self.made

    async def __aexit__(self, *exc_info: object) -> None:
        await self.made.client.aclose()
        await self.made.llm.aclose()
        await self.spend.aclose()


async def test_each_answer_says_what_the_key_had_spent_and_this_call_besides(service: Service) -> None:
    key = await service.key()
    for count in range(1, 4):
        assert await service.shown(key) == (f"{COST * count:f}", f"{COST * count:f}")
    assert await service.on_record(key) == COST * 3


async def test_a_stream_says_what_the_key_had_spent_before_it(service: Service) -> None:
    key = await service.key()
    await service.shown(key)
    assert await service.shown(key, "/stream") == (f"{COST:f}", f"{COST:f}")
    first, second = await service.shown(key)
    assert first == second == f"{await service.on_record(key):f}"
    assert Decimal(str(first)) > COST * 2, "the stream counts once it is closed"


async def test_a_key_that_begins_with_a_spend_counts_on_from_it(service: Service) -> None:
    key = await service.key(spend=1.5)
    assert (await service.shown(key))[0] == f"{Decimal('1.5') + COST:f}"


async def test_two_keys_have_each_a_number_of_their_own(service: Service) -> None:
    one, other = await service.key(), await service.key()
    await service.shown(one)
    await service.shown(one)
    assert (await service.shown(other))[0] == f"{COST:f}"
    assert (await service.shown(one))[0] == f"{COST * 3:f}"


@pytest.mark.parametrize("key", [MASTER, "sk-nobody-knows-this-one", "not-a-virtual-key"])
async def test_without_a_known_key_there_is_no_such_header(service: Service, key: str) -> None:
    known = await service.key()
    await service.shown(known)
    assert await service.shown(key) == (None, None)


async def test_a_block_that_names_a_key_has_it_on_the_answers_of_its_calls(service: Service) -> None:
    key = await service.key()
    await service.shown(key)
    with service.spend.tag(api_key=key):
        await service.ask()
    assert service.seen[-1]["x-litellm-key-spend"] == f"{COST * 2:f}"


async def test_a_reset_is_respected_and_calls_since_are_added_to_it(service: Service) -> None:
    key = await service.key()
    await service.shown(key)
    await service.admin(f"/key/{key}/reset_spend", reset_to=0)
    assert (await service.shown(key))[0] == f"{COST:f}"
    await service.shown(key)
    assert await service.on_record(key) == COST * 2


async def test_a_change_of_the_key_has_it_read_anew_and_loses_no_call_that_waits(
    database_url: str, tmp_path: Path
) -> None:
    spend = Spend(database_url, master_key=MASTER, journal_dir=tmp_path / "journal", batch_seconds=600.0)
    async with serving(spend) as service:
        key = await service.key()
        for count in range(1, 5):
            assert (await service.shown(key))[0] == f"{COST * count:f}"
            await service.admin("/key/update", key=key, metadata={"seen": count})
            if count == 2:
                assert await asyncio.to_thread(spend.flush)


async def test_an_adjustment_is_felt_as_a_change_of_the_key_is(service: Service) -> None:
    key = await service.key()
    await service.shown(key)
    assert await asyncio.to_thread(service.spend.flush)
    (row,) = (await service.client.get("/spend/logs", headers={"authorization": f"Bearer {MASTER}"})).json()
    refund = Entry(log_id=row["litellm_call_id"], amount=Decimal("0.25"), kind=AdjustmentKind.CORRECTION)
    await asyncio.to_thread(service.spend.store.upkeep.adjust, [refund])
    shown = await eventually(service, key, lambda spent: spent > Decimal("0.25"))
    assert shown == await service.on_record(key)


async def test_what_another_worker_has_spent_comes_with_the_next_look_up(
    database_url: str, tmp_path: Path
) -> None:
    journals = (tmp_path / "one", tmp_path / "two")
    one, two = (Spend(database_url, master_key=MASTER, journal_dir=journal) for journal in journals)
    async with serving(one) as here, serving(two) as there:
        key = await here.key()
        await here.shown(key)
        assert await asyncio.to_thread(one.flush)
        assert (await there.shown(key))[0] == f"{COST * 2:f}"
        assert (await here.shown(key))[0] == f"{COST * 2:f}", "the other's call is not known here yet"
        assert await asyncio.to_thread(two.flush)
        await here.admin("/key/update", key=key, metadata={})
        assert (await here.shown(key))[0] == f"{COST * 4:f}"


async def test_no_request_asks_the_database_what_its_key_has_spent(service: Service) -> None:
    key = await service.key()
    await service.shown(key)
    with statements(service.spend) as asked:
        for _ in range(50):
            await service.shown(key)
    assert not [text for text in asked if "spend_name" in text and text.lstrip().startswith("SELECT")]


async def test_a_key_whose_spend_cannot_be_read_pays_all_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await service.key(user_id="ishaan")

    def broken(*arguments: object) -> Any:
        raise ConnectionError("no replica")

    monkeypatch.setattr(service.spend.store.reports, "total", broken)
    assert await service.shown(key) == (None, None)
    assert await asyncio.to_thread(service.spend.flush)
    (row,) = (await service.client.get("/spend/logs", headers={"authorization": f"Bearer {MASTER}"})).json()
    assert row["user"] == "ishaan"


async def test_no_header_where_headers_are_switched_off(tmp_path: Path) -> None:
    spend = Spend(f"sqlite:///{tmp_path}/spend.db", master_key=MASTER, response_headers=False)
    async with serving(spend) as service:
        assert await service.shown(await service.key()) == (None, None)


@contextmanager
def statements(spend: Spend) -> Iterator[list[str]]:
    """Collect the SQL that is sent meanwhile."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        sent.append(statement)

    event.listen(spend.store.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(spend.store.engine, "before_cursor_execute", note)


async def eventually(service: Service, key: str, reached: Any) -> Decimal:
    """Ask again and again, as clients would, until the header says what is waited for."""
    for _ in range(200):
        spent = Decimal(str((await service.shown(key))[0]))
        if reached(spent):
            return spent
        await asyncio.sleep(0.01)
    pytest.fail("the change was not felt")
