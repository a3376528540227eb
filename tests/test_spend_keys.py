"""What an inbound virtual key decides: user, team, default tags, key/value pairs, and whether its words count."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from spend_middleware import Spend, SpendMiddleware

pytestmark = pytest.mark.anyio

MASTER = "sk-master-key-of-tests"
ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [],
    "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
}


class Service:
    """A metered service that makes one call for each request."""

    def __init__(self, spend: Spend) -> None:
        self.spend = spend
        upstream = httpx2.MockTransport(lambda request: httpx2.Response(200, json=ANSWER))
        self.llm = httpx2.AsyncClient(transport=spend.transport(upstream))
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(SpendMiddleware(self.app, spend=spend)),
            base_url="http://service.test",
        )

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/spend"):
            await self.spend.app({**scope, "root_path": "/spend"}, receive, send)
            return
        asked = {"model": "gpt-4o-mini", "messages": []}
        await self.llm.post("https://api.openai.com/v1/chat/completions", json=asked)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def admin(self, path: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {MASTER}"}
        answer = await self.client.post(f"/spend{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def row(self, **headers: str) -> dict[str, Any]:
        """Ask the service with headers, and return the row of the call that it made."""
        await self.client.get("/work", headers=headers)
        assert await asyncio.to_thread(self.spend.flush)
        logs = await self.client.get("/spend/logs", headers={"authorization": f"Bearer {MASTER}"})
        found: dict[str, Any] = logs.json()[0]
        return found


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    async with Spend(
        database_url, master_key=MASTER, journal_dir=tmp_path / "journal", batch_seconds=0.01
    ) as spend:
        made = Service(spend)
        yield made
        await made.client.aclose()
        await made.llm.aclose()


async def test_a_known_key_decides_user_team_tags_and_pairs(service: Service) -> None:
    await service.admin("/team/new", team_id="t-1", team_alias="engineering", metadata={"tags": ["team-tag"]})
    made = await service.admin(
        "/key/generate",
        user_id="ishaan",
        team_id="t-1",
        key_alias="prod",
        metadata={"tags": ["AWS_IAM_PROD"], "spend_logs_metadata": {"cost-centre": "42"}},
    )
    row = await service.row(authorization=f"Bearer {made['key']}")
    assert row["api_key"] == hashlib.sha256(made["key"].encode()).hexdigest()
    assert (row["user"], row["team_id"]) == ("ishaan", "t-1")
    assert row["request_tags"] == ["AWS_IAM_PROD", "team-tag"]
    assert row["metadata"]["spend_logs_metadata"] == {"cost-centre": "42"}


async def test_the_words_of_a_known_key_count_and_win_over_its_defaults(service: Service) -> None:
    made = await service.admin(
        "/key/generate", metadata={"tags": ["default"], "spend_logs_metadata": {"k": "key"}}
    )
    said = {
        "x-litellm-api-key": made["key"],
        "x-litellm-tags": "mine, default",
        "x-litellm-end-user-id": "palantir",
        "x-litellm-spend-logs-metadata": '{"k": "call"}',
    }
    row = await service.row(**said)
    assert row["request_tags"] == ["mine", "default"]
    assert row["end_user"] == "palantir"
    assert row["metadata"]["spend_logs_metadata"] == {"k": "call"}


async def test_an_unknown_key_says_nothing(service: Service) -> None:
    row = await service.row(authorization="Bearer sk-nobody-knows-this-one", **{"x-litellm-tags": "spoofed"})
    assert (row["request_tags"], row["user"], row["team_id"]) == ([], "", "")


async def test_a_blocked_key_is_felt_at_once_and_trusted_no_more(service: Service) -> None:
    made = await service.admin("/key/generate", user_id="ishaan")
    headers = {"authorization": f"Bearer {made['key']}", "x-litellm-tags": "said"}
    assert (await service.row(**headers))["request_tags"] == ["said"]
    await service.admin("/key/block", key=made["key"])
    row = await service.row(**headers)
    assert row["request_tags"] == []
    assert row["user"] == "ishaan", "the money went to this key, blocked or not"


async def test_a_tag_block_with_a_key_takes_its_owner(service: Service) -> None:
    made = await service.admin("/key/generate", user_id="ishaan", metadata={"tags": ["default"]})
    await service.row(authorization=f"Bearer {made['key']}")
    with service.spend.tag("own", api_key=made["key"]):
        asked = {"model": "gpt-4o-mini", "messages": []}
        await service.llm.post("https://api.openai.com/v1/chat/completions", json=asked)
    assert await asyncio.to_thread(service.spend.flush)
    logs = await service.client.get("/spend/logs", headers={"authorization": f"Bearer {MASTER}"})
    assert (logs.json()[0]["user"], logs.json()[0]["request_tags"]) == ("ishaan", ["own", "default"])


async def test_end_users_can_be_hashed_or_left_out(tmp_path: Path) -> None:
    for knob, kept in (
        ("hash_end_users", hashlib.sha256(b"palantir").hexdigest()),
        ("disable_end_user_cost_tracking", ""),
    ):
        knobs: Any = {knob: True}
        async with Spend(f"sqlite:///{tmp_path}/{knob}.db", master_key=MASTER, **knobs) as spend:
            made = Service(spend)
            with spend.tag(end_user="palantir"):
                row = await made.row()
            assert row["end_user"] == kept
            await made.client.aclose()
            await made.llm.aclose()


def test_a_block_whose_key_cannot_be_looked_up_runs_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spend.db").write_bytes(b"no database" * 1000)
    with Spend(f"sqlite:///{tmp_path}/spend.db", journal_dir=tmp_path / "journal") as spend:
        for _ in range(3):
            with spend.tag("job", api_key="sk-unknown") as tally:
                spend.record(provider="openai", model="gpt-4o-mini", cost=1)
            assert tally.calls[0].attribution.key_hash == hashlib.sha256(b"sk-unknown").hexdigest()
        assert spend.health()["unhandled"] == 1
    assert caplog.text.count("The key of a block could not be looked up.") == 1
