"""The middleware in each framework: every call is one row, and its cost is on the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hosts import MESSAGES, SERVICES, Calls
from spend_middleware import Spend, SpendMiddleware
from standin import Standin

pytestmark = pytest.mark.anyio

KEY = "sk-a-master-key-of-tests"


@pytest.fixture(scope="module")
def providers() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
async def calls(providers: Standin) -> AsyncIterator[Calls]:
    made = Calls(providers.base("openai"))
    yield made
    await made.close()


@pytest.fixture
def spend(tmp_path: Path) -> Iterator[Spend]:
    with Spend(f"sqlite:///{tmp_path}/spend.db", master_key=KEY, batch_seconds=0.01) as made:
        yield made


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service.test")


async def rows(spend: Spend, client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    import asyncio

    assert await asyncio.to_thread(spend.flush)
    answer = await client.get("/spend/logs", headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


@pytest.mark.parametrize("kind", ["async", "sync", "background", "stream"])
@pytest.mark.parametrize("framework", SERVICES)
async def test_a_call_anywhere_in_a_service_is_one_row(
    spend: Spend, calls: Calls, framework: str, kind: str
) -> None:
    app = SERVICES[framework](spend, calls)
    async with client_of(app) as client:
        answer = await client.get(f"/{kind}", headers={"user-agent": "browser/1"})
        assert answer.status_code == 200
        found = await rows(spend, client)
    assert [row["model"] for row in found] == ["gpt-4o-mini"]
    assert found[0]["spend"] > 0
    cost: Any = answer.headers.get("x-litellm-response-cost")
    if kind in ("async", "sync"):
        assert Decimal(cost) == Decimal(str(found[0]["spend"]))
        assert "e" not in cost
    else:
        assert cost is None
    if kind != "background":
        assert found[0]["session_id"] == answer.headers["x-litellm-call-id"]


@pytest.mark.parametrize("framework", SERVICES)
async def test_an_answer_without_a_call_gets_no_header(spend: Spend, calls: Calls, framework: str) -> None:
    app = SERVICES[framework](spend, calls)
    async with client_of(app) as client:
        answer = await client.get("/nothing")
    assert not [name for name in answer.headers if name.startswith("x-litellm")]


async def test_two_cookies_survive(spend: Spend, calls: Calls) -> None:
    app = SERVICES["starlette"](spend, calls)
    async with client_of(app) as client:
        answer = await client.get("/cookies")
    assert len(answer.headers.get_list("set-cookie")) == 2
    assert "x-litellm-response-cost" in answer.headers


async def test_middleware_added_twice_and_a_metered_transport_record_once(
    spend: Spend, providers: Standin
) -> None:
    import openai

    inner = httpx2.AsyncHTTPTransport()
    sdk = openai.AsyncOpenAI(
        base_url=providers.base("openai"),
        api_key="sk-x",
        http_client=httpx2.AsyncClient(transport=spend.transport(inner)),
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sdk.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        await send({"type": "http.response.start", "status": 204, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    doubled = SpendMiddleware(SpendMiddleware(app, spend=spend), spend=spend)
    async with client_of(doubled) as client:
        answer = await client.get("/")
    await sdk.close()
    assert len(answer.headers.get_list("x-litellm-response-cost")) == 1
    async with client_of(spend.app) as client:
        assert len(await rows(spend, client)) == 1


@pytest.mark.parametrize(("trust", "tags"), [(False, []), (True, ["from-client", "other"])])
async def test_headers_of_clients_count_only_where_they_are_trusted(
    tmp_path: Path, calls: Calls, trust: bool, tags: list[str]
) -> None:
    with Spend(f"sqlite:///{tmp_path}/t.db", master_key=KEY, trust_client_headers=trust) as spend:
        app = SERVICES["bare"](spend, calls)
        async with client_of(app) as client:
            said = {"x-litellm-tags": "from-client, other", "x-litellm-end-user-id": "palantir"}
            await client.get("/async", headers=said)
            found = await rows(spend, client)
    assert found[0]["request_tags"] == tags
    assert found[0]["end_user"] == ("palantir" if trust else "")


async def test_tags_in_several_lines_of_one_header_are_all_kept(tmp_path: Path, calls: Calls) -> None:
    with Spend(f"sqlite:///{tmp_path}/t.db", master_key=KEY, trust_client_headers=True) as spend:
        async with client_of(SERVICES["bare"](spend, calls)) as client:
            await client.get("/async", headers=[("x-litellm-tags", "a, b"), ("x-litellm-tags", "c")])
            found = await rows(spend, client)
    assert found[0]["request_tags"] == ["a", "b", "c"]


async def test_settings_turn_headers_into_tags_and_end_users(tmp_path: Path, calls: Calls) -> None:
    with Spend(
        f"sqlite:///{tmp_path}/t.db",
        master_key=KEY,
        extra_spend_tag_headers=("X-Plan",),
        user_agent_tags=True,
        user_header_mappings=({"header_name": "X-Customer", "litellm_user_role": "customer"},),
    ) as spend:
        app = SERVICES["bare"](spend, calls)
        async with client_of(app) as client:
            await client.get(
                "/async", headers={"x-plan": "gold", "x-customer": "acme", "user-agent": "app/2"}
            )
            found = await rows(spend, client)
    assert found[0]["request_tags"] == ["User-Agent: app", "User-Agent: app/2", "X-Plan: gold"]
    assert found[0]["end_user"] == "acme"


async def test_the_cost_of_a_streamed_answer_comes_in_a_trailer_for_those_who_ask(
    spend: Spend, calls: Calls
) -> None:
    app = SERVICES["bare"](spend, calls)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/stream",
        "headers": [(b"te", b"trailers")],
        "client": ("127.0.0.1", 1),
        "extensions": {"http.response.trailers": {}},
    }
    await app(scope, receive, send)
    assert sent[0]["trailers"] is True
    assert sent[-1]["type"] == "http.response.trailers"
    assert Decimal(dict(sent[-1]["headers"])[b"x-litellm-response-cost"].decode()) > 0


async def test_lifespan_and_unknown_scopes_pass_untouched(spend: Spend) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    receive: Callable[..., Any] = object()  # type: ignore[assignment]
    send: Callable[..., Any] = object()  # type: ignore[assignment]
    scope: dict[str, Any] = {"type": "lifespan"}
    await SpendMiddleware(app, spend=spend)(scope, receive, send)
    assert seen == [({"type": "lifespan"}, receive, send)]
    assert seen[0][0] is scope


async def test_what_the_application_raises_goes_through_as_it_is(spend: Spend) -> None:
    error = RuntimeError("the service's own")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async with client_of(SpendMiddleware(app, spend=spend)) as client:
        with pytest.raises(RuntimeError) as caught:
            await client.get("/")
    assert caught.value is error
