"""What LiteLLM's documents show its users, sent to providers that refuse what the real ones refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from langchain_openai import ChatOpenAI

from hosts import MESSAGES
from spend_middleware import Spend
from standin import Standin

KEY = "sk-1234-and-some-more"
TAGS = ["jobID:214590dsff09fds", "taskName:run_page_classification"]
TAGGED = {"metadata": {"tags": TAGS}}


@pytest.fixture(scope="module")
def providers() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def spend(tmp_path: Path) -> Iterator[Spend]:
    with Spend(f"sqlite:///{tmp_path}/spend.db", master_key=KEY, batch_seconds=0.01) as made:
        made.instrument()
        yield made


def ask(spend: Spend, path: str, **params: str) -> Any:
    import anyio

    assert spend.flush()

    async def get() -> Any:
        transport = httpx2.ASGITransport(spend.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://0.0.0.0:4000") as client:
            answer = await client.get(path, params=params, headers={"Authorization": f"Bearer {KEY}"})
            assert answer.status_code == 200, answer.text
            return answer.json()

    return anyio.run(get)


def assert_row(spend: Spend, *, end_user: str = "palantir", count: int = 1) -> dict[str, Any]:
    found = ask(spend, "/spend/logs")
    assert len(found) == count
    row: dict[str, Any] = found[0]
    assert row["request_tags"] == TAGS
    assert row["end_user"] == end_user
    assert row["spend"] > 0
    assert row["total_tokens"] == row["prompt_tokens"] + row["completion_tokens"]
    by_tag = ask(spend, "/spend/tags")
    assert [set(tag) >= {"individual_request_tag", "log_count", "total_spend"} for tag in by_tag] == [
        True,
        True,
    ]
    assert {tag["individual_request_tag"]: tag["log_count"] for tag in by_tag} == dict.fromkeys(TAGS, count)
    return row


def test_the_openai_sdk_with_extra_body_and_user(spend: Spend, providers: Standin) -> None:
    with openai.OpenAI(api_key="sk-1234", base_url=providers.base("openai")) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=MESSAGES, user="palantir", extra_body=TAGGED
        )
    row = assert_row(spend)
    assert Decimal(raw.headers["x-litellm-response-cost"]) == Decimal(str(row["spend"]))
    assert providers.received[-1].body.get("user") == "palantir"
    assert "metadata" not in providers.received[-1].body


def test_a_curl_of_the_documents(spend: Spend, providers: Standin) -> None:
    body = {"model": "gpt-3.5-turbo", "messages": MESSAGES, "user": "palantir", **TAGGED}
    for library in (httpx, httpx2):
        answer = library.post(f"{providers.base('openai')}/chat/completions", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        assert int(providers.received[-1].headers["content-length"]) == len(providers.received[-1].raw)
    assert_row(spend, count=2)


def test_langchain(spend: Spend, providers: Standin) -> None:
    chat = ChatOpenAI(
        base_url=providers.base("openai"),
        api_key="sk-1234",
        model="gpt-4o-mini",
        temperature=0.1,
        extra_body={"user": "palantir", **TAGGED},
    )
    chat.invoke("test from litellm. tell me why it's amazing in 1 sentence")
    assert_row(spend)


def test_the_anthropic_sdk_whose_provider_knows_no_tags(spend: Spend, providers: Standin) -> None:
    with anthropic.Anthropic(api_key="sk-ant", base_url=providers.base("anthropic")) as client:
        extra: Any = {"metadata": {"tags": TAGS, "user_id": "palantir"}}
        client.messages.create(model="claude-sonnet-5-5", max_tokens=64, messages=MESSAGES, extra_body=extra)
    assert_row(spend)
    assert providers.received[-1].body["metadata"] == {"user_id": "palantir"}


def test_the_google_sdk_with_headers_in_place_of_a_body(spend: Spend, providers: Standin) -> None:
    headers = {"x-litellm-tags": ",".join(TAGS), "x-litellm-end-user-id": "palantir"}
    options = types.HttpOptions(base_url=providers.base("gemini"), headers=headers)
    with genai.Client(api_key="g", http_options=options) as client:
        client.models.generate_content(model="gemini-2.5-flash", contents="Hello")
    assert_row(spend)
    assert not [name for name in providers.received[-1].headers if name.startswith("x-litellm")]


# Where the stand-in plays a provider that refuses our fields, and how a request to it must begin.
REFUSING: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "gpt-4o-mini"}),
    "azure": ("/openai/deployments/gpt-4o-mini/chat/completions", {}),
    "anthropic": ("/v1/messages", {"model": "claude-sonnet-5-5", "max_tokens": 9}),
    "mistral": ("/v1/chat/completions", {"model": "mistral-small-latest"}),
    "groq": ("/openai/v1/chat/completions", {"model": "llama-3.3-70b-versatile"}),
    "cohere": ("/v2/chat", {"model": "command-a-03-2025"}),
}


@pytest.mark.parametrize("provider", REFUSING)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_what_each_provider_refuses_is_taken_out_before_it_gets_there(
    tmp_path: Path, providers: Standin, provider: str, asynchronous: bool
) -> None:
    path, begun = REFUSING[provider]
    body = {**begun, "messages": MESSAGES, "user": "palantir", **TAGGED}
    url = f"{providers.url}/{provider}{path}"
    rules = {f"{providers.url.removeprefix('http://')}/{provider}": provider}
    with httpx2.Client() as bare:
        assert bare.post(url, json=body).status_code in (400, 422), "it is refused without us"
    with Spend(f"sqlite:///{tmp_path}/p.db", master_key=KEY, batch_seconds=0.01, providers=rules) as spend:
        spend.instrument()
        for stream in (False, True):
            answer = post(asynchronous, url, {**body, "stream": stream})
            assert answer.status_code == 200, answer.text
            received = providers.received[-1]
            assert int(received.headers["content-length"]) == len(received.raw)
        assert_row(spend, count=2)


def post(asynchronous: bool, url: str, body: dict[str, Any]) -> httpx2.Response:
    import anyio

    async def send() -> httpx2.Response:
        async with httpx2.AsyncClient() as client:
            return await client.post(url, json=body)

    if asynchronous:
        return anyio.run(send)
    with httpx2.Client() as client:
        return client.post(url, json=body)


def test_a_litellm_proxy_upstream_gets_everything_untouched(tmp_path: Path, providers: Standin) -> None:
    host = providers.url.removeprefix("http://")
    rules = {f"{host}/litellm": "litellm_proxy"}
    with Spend(f"sqlite:///{tmp_path}/p.db", master_key=KEY, providers=rules) as spend:
        body = json.dumps(
            {"model": "alias", "messages": MESSAGES, "user": "palantir", **TAGGED}, indent=1
        ).encode()
        with httpx2.Client(transport=spend.transport(httpx2.HTTPTransport())) as client:
            headers = {"content-type": "application/json", "x-litellm-tags": TAGS[0]}
            client.post(f"{providers.base('litellm')}/chat/completions", content=body, headers=headers)
        assert providers.received[-1].raw == body
        assert providers.received[-1].headers["x-litellm-tags"] == TAGS[0]
        row = assert_row(spend)
    assert row["spend"] == 0.000123


def test_custom_key_value_pairs_are_kept(spend: Spend, providers: Standin) -> None:
    pairs = {"spend_logs_metadata": {"order": "4711", "nested": {"a": [1, 2]}}}
    with openai.OpenAI(api_key="k", base_url=providers.base("openai")) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, extra_body={"metadata": pairs})
    row = ask(spend, "/spend/logs")[0]
    assert row["metadata"]["spend_logs_metadata"] == pairs["spend_logs_metadata"]


def test_neither_prompt_nor_answer_nor_key_is_in_the_database(
    spend: Spend, providers: Standin, tmp_path: Path
) -> None:
    secret = "sk-very-secret-credential"
    prompt: Any = [{"role": "user", "content": "a prompt that nobody must find"}]
    with openai.OpenAI(api_key=secret, base_url=providers.base("openai")) as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=prompt, extra_body=TAGGED)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="gpt-4o-mini", messages=prompt, extra_body={"odd": 1})
    assert spend.flush()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for text in (secret, "nobody must find", providers.text):
        assert text.encode() not in kept
