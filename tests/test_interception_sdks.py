"""The real SDKs against the stand-in: each call is seen once, whole, with its outcome, and answers as without us."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, cast

import anthropic
import cohere
import groq
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from mistralai.client import Mistral

from spend_middleware.interception.clients import instrument, uninstrument, wrap_transport
from spend_middleware.interception.exchange import Outcome
from standin import Standin
from wire_ways import COST, Watcher

SAID = "Spend is what was used."
ASK: Any = [{"role": "user", "content": "What is spend?"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as found:
        yield found


@pytest.fixture
def standin(running: Standin) -> Standin:
    running.received.clear()
    running.encoding, running.cut_after, running.faults = "", None, []
    return running


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    found = Watcher()
    instrument(found)
    yield found
    uninstrument(found)


# -- each call gives the text that the SDK understood


def openai_chat(s: Standin) -> str:
    with openai.OpenAI(api_key="k", base_url=s.base("openai")) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=ASK)
    return answer.choices[0].message.content or ""


def openai_stream(s: Standin) -> str:
    with openai.OpenAI(api_key="k", base_url=s.base("openai")) as client:
        stream = client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def openai_responses(s: Standin) -> str:
    with openai.OpenAI(api_key="k", base_url=s.base("openai")) as client:
        return client.responses.create(model="gpt-4o", input="x").output_text


def openai_responses_stream(s: Standin) -> str:
    with openai.OpenAI(api_key="k", base_url=s.base("openai")) as client:
        events = client.responses.create(model="gpt-4o", input="x", stream=True)
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def openai_streaming_response(s: Standin) -> str:
    with (
        openai.OpenAI(api_key="k", base_url=s.base("openai")) as client,
        client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=ASK) as response,
    ):
        return response.parse().choices[0].message.content or ""


def openai_on_httpx(s: Standin) -> str:
    with httpx.Client() as client:
        found: Any = openai.OpenAI(api_key="k", base_url=s.base("openai"), http_client=client)  # type: ignore[arg-type]
        return str(found.chat.completions.create(model="gpt-4o", messages=ASK).choices[0].message.content)


def langchain_invoke(s: Standin) -> str:
    return str(ChatOpenAI(model="gpt-4o", api_key="k", base_url=s.base("openai")).invoke("x").content)


def langchain_stream(s: Standin) -> str:
    model = ChatOpenAI(model="gpt-4o", api_key="k", base_url=s.base("openai"))
    return "".join(str(chunk.content) for chunk in model.stream("x"))


def anthropic_message(s: Standin) -> str:
    with anthropic.Anthropic(api_key="k", base_url=s.base("anthropic")) as client:
        answer = client.messages.create(model="claude-opus-4-8", max_tokens=9, messages=ASK)
    return str(getattr(answer.content[0], "text", ""))


def anthropic_stream(s: Standin) -> str:
    with (
        anthropic.Anthropic(api_key="k", base_url=s.base("anthropic")) as client,
        client.messages.stream(model="claude-opus-4-8", max_tokens=9, messages=ASK) as stream,
    ):
        return stream.get_final_text()


def gemini(s: Standin) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=s.base("gemini")))


def gemini_generate(s: Standin) -> str:
    client = gemini(s)
    return client.models.generate_content(model="gemini-2.5-flash", contents="x").text or ""


def gemini_stream(s: Standin) -> str:
    client = gemini(s)
    chunks = client.models.generate_content_stream(model="gemini-2.5-flash", contents="x")
    return "".join(chunk.text or "" for chunk in chunks)


def gemini_on_httpx(s: Standin) -> str:
    with httpx.Client() as http:
        options = types.HttpOptions(base_url=s.base("gemini"), httpx_client=http)
        client = genai.Client(api_key="k", http_options=options)
        return client.models.generate_content(model="gemini-2.5-flash", contents="x").text or ""


def mistral_chat(s: Standin) -> str:
    with Mistral(api_key="k", server_url=s.base("mistral")) as client:
        return str(client.chat.complete(model="mistral-small", messages=ASK).choices[0].message.content)


def mistral_stream(s: Standin) -> str:
    with (
        Mistral(api_key="k", server_url=s.base("mistral")) as client,
        client.chat.stream(model="mistral-small", messages=ASK) as stream,
    ):
        return "".join(str(event.data.choices[0].delta.content or "") for event in stream)


def groq_chat(s: Standin) -> str:
    with groq.Groq(api_key="k", base_url=s.base("groq")) as client:
        answer = client.chat.completions.create(model="llama", messages=ASK)
    return answer.choices[0].message.content or ""


def groq_stream(s: Standin) -> str:
    with groq.Groq(api_key="k", base_url=s.base("groq")) as client:
        stream = client.chat.completions.create(model="llama", messages=ASK, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def cohere_chat(s: Standin) -> str:
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="k", base_url=s.base("cohere"), httpx_client=http)
        answer: Any = client.chat(model="command-r", messages=ASK)
    return str(answer.message.content[0].text)


def cohere_stream(s: Standin) -> str:
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="k", base_url=s.base("cohere"), httpx_client=http)
        events: Any = client.chat_stream(model="command-r", messages=ASK)
        return "".join(event.delta.message.content.text for event in events if event.type == "content-delta")


SYNC: list[Callable[[Standin], str]] = [
    openai_chat,
    openai_stream,
    openai_responses,
    openai_responses_stream,
    openai_streaming_response,
    openai_on_httpx,
    langchain_invoke,
    langchain_stream,
    anthropic_message,
    anthropic_stream,
    gemini_generate,
    gemini_stream,
    gemini_on_httpx,
    mistral_chat,
    mistral_stream,
    groq_chat,
    groq_stream,
    cohere_chat,
    cohere_stream,
]


async def openai_async(s: Standin) -> str:
    async with openai.AsyncOpenAI(api_key="k", base_url=s.base("openai")) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=ASK)
    return answer.choices[0].message.content or ""


async def openai_async_stream(s: Standin) -> str:
    async with openai.AsyncOpenAI(api_key="k", base_url=s.base("openai")) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def openai_aiohttp(s: Standin) -> str:
    http = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(api_key="k", base_url=s.base("openai"), http_client=http) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=ASK)
    return answer.choices[0].message.content or ""


async def openai_aiohttp_stream(s: Standin) -> str:
    http = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(api_key="k", base_url=s.base("openai"), http_client=http) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def anthropic_async_stream(s: Standin) -> str:
    async with (
        anthropic.AsyncAnthropic(api_key="k", base_url=s.base("anthropic")) as client,
        client.messages.stream(model="claude-opus-4-8", max_tokens=9, messages=ASK) as stream,
    ):
        return await stream.get_final_text()


async def gemini_async(s: Standin) -> str:
    async with httpx2.AsyncClient() as http:
        options = types.HttpOptions(base_url=s.base("gemini"), httpx_async_client=http)
        client = genai.Client(api_key="k", http_options=options)
        answer = await client.aio.models.generate_content(model="gemini-2.5-flash", contents="x")
    return answer.text or ""


async def gemini_async_stream(s: Standin) -> str:
    async with httpx.AsyncClient() as http:
        options = types.HttpOptions(base_url=s.base("gemini"), httpx_async_client=http)
        client = genai.Client(api_key="k", http_options=options)
        chunks = await client.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="x")
        return "".join([chunk.text or "" async for chunk in chunks])


async def mistral_async_stream(s: Standin) -> str:
    async with Mistral(api_key="k", server_url=s.base("mistral")) as client:
        stream = await client.chat.stream_async(model="mistral-small", messages=ASK)
        return "".join([str(event.data.choices[0].delta.content or "") async for event in stream])


async def groq_async_stream(s: Standin) -> str:
    async with groq.AsyncGroq(api_key="k", base_url=s.base("groq")) as client:
        stream = await client.chat.completions.create(model="llama", messages=ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def langchain_async(s: Standin) -> str:
    async with httpx2.AsyncClient() as http:
        model = ChatOpenAI(model="gpt-4o", api_key="k", base_url=s.base("openai"), http_async_client=http)
        return str((await model.ainvoke("x")).content)


ASYNC: list[Callable[[Standin], Awaitable[str]]] = [
    openai_async,
    openai_async_stream,
    openai_aiohttp,
    openai_aiohttp_stream,
    anthropic_async_stream,
    gemini_async,
    gemini_async_stream,
    mistral_async_stream,
    groq_async_stream,
    langchain_async,
]


def cases(calls: Sequence[Any]) -> list[Any]:
    """Each call plain; streams also with gzip, as Anthropic and Gemini send them."""
    found = []
    for call in calls:
        name = str(call.__name__).replace("_", " ")
        found.append(pytest.param(call, "", id=name))
        if "stream" in name:
            found.append(pytest.param(call, "gzip", id=f"{name}, gzip"))
    return found


def is_seen_once(watcher: Watcher, standin: Standin) -> None:
    (exchange,) = watcher.done
    (received,) = standin.received
    assert (exchange.outcome, exchange.error, exchange.status) == (Outcome.COMPLETE, None, 200)
    assert exchange.whole
    assert exchange.request_body == received.raw
    assert exchange.content().rstrip().endswith((b"}", b"[DONE]"))


@pytest.mark.parametrize(("call", "encoding"), cases(SYNC))
def test_a_sync_sdk_call_is_seen(
    call: Callable[[Standin], str], encoding: str, standin: Standin, watcher: Watcher
) -> None:
    standin.encoding = encoding
    assert call(standin) == SAID
    gc.collect()
    is_seen_once(watcher, standin)


@pytest.mark.parametrize(("call", "encoding"), cases(ASYNC))
def test_an_async_sdk_call_is_seen(
    call: Callable[[Standin], Any], encoding: str, standin: Standin, watcher: Watcher
) -> None:
    standin.encoding = encoding
    assert asyncio.run(call(standin)) == SAID
    is_seen_once(watcher, standin)


def test_the_raw_response_of_the_sdk_carries_the_cost(standin: Standin, watcher: Watcher) -> None:
    with openai.OpenAI(api_key="k", base_url=standin.base("openai")) as client:
        response = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=ASK)
    assert response.headers[COST[0]] == COST[1]
    assert response.headers.get_list("set-cookie") == ["first=1; Path=/", "second=2; Path=/"]


def test_each_attempt_is_an_exchange_of_its_own(standin: Standin, watcher: Watcher) -> None:
    standin.faults = [500, 503]
    with openai.OpenAI(api_key="k", base_url=standin.base("openai")) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert answer.choices[0].message.content == SAID
    assert [exchange.status for exchange in watcher.done] == [500, 503, 200]
    attempts = [exchange.request_headers["x-stainless-retry-count"] for exchange in watcher.done]
    assert attempts == ["0", "1", "2"]


def test_a_refusal_of_the_provider_reaches_the_caller_and_is_seen(standin: Standin, watcher: Watcher) -> None:
    with (
        openai.OpenAI(api_key="k", base_url=standin.base("openai")) as client,
        pytest.raises(openai.BadRequestError, match=r"metadata\.tags"),
    ):
        client.chat.completions.create(model="gpt-4o", messages=ASK, extra_body={"metadata": {"tags": ["a"]}})
    assert [exchange.status for exchange in watcher.done] == [400]


def test_a_stream_that_breaks_off_is_recorded_with_what_came(standin: Standin, watcher: Watcher) -> None:
    standin.cut_after = 3
    with (
        openai.OpenAI(api_key="k", base_url=standin.base("openai")) as client,
        pytest.raises((openai.APIError, httpx2.RemoteProtocolError)),
    ):
        list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
    (exchange,) = watcher.done
    assert (exchange.outcome, exchange.error) == (Outcome.BROKEN, "RemoteProtocolError")
    assert exchange.content().count(b"data: ") == 3


def test_nobody_at_home_is_recorded_and_raised(watcher: Watcher) -> None:
    with (
        openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert [(exchange.outcome, exchange.error) for exchange in watcher.done] == [
        (Outcome.NO_ANSWER, "ConnectError")
    ]


def connections(standin: Standin, client: Any) -> int:
    standin.received.clear()
    for _ in range(4):
        client.chat.completions.create(model="gpt-4o", messages=ASK)
        list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
        client.embeddings.create(model="e", input=["x"])
    return len({received.connection for received in standin.received})


@pytest.mark.parametrize("how", ["instrument", "transport"])
def test_connections_are_reused_as_without_us(standin: Standin, how: str) -> None:
    with openai.OpenAI(api_key="k", base_url=standin.base("openai")) as client:
        bare = connections(standin, client)
    watcher = Watcher()
    if how == "instrument":
        instrument(watcher)
    http = httpx2.Client(
        transport=wrap_transport(httpx2.HTTPTransport(), watcher) if how == "transport" else None
    )
    with openai.OpenAI(api_key="k", base_url=standin.base("openai"), http_client=http) as client:
        ours = connections(standin, client)
    uninstrument(watcher)
    assert ours == bare
    assert len(watcher.done) == 12


async def async_connections(standin: Standin) -> int:
    standin.received.clear()
    async with openai.AsyncOpenAI(api_key="k", base_url=standin.base("openai")) as client:
        for _ in range(4):
            stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
            assert len([chunk async for chunk in stream]) > 3
    return len({received.connection for received in standin.received})


def test_async_streams_share_a_connection_as_without_us(standin: Standin) -> None:
    bare = asyncio.run(async_connections(standin))
    watcher = Watcher()
    instrument(watcher)
    ours = asyncio.run(async_connections(standin))
    uninstrument(watcher)
    assert (bare, ours) == (1, 1)
    assert [exchange.outcome for exchange in watcher.done] == [Outcome.COMPLETE] * 4


def test_embeddings_of_langchain_are_seen(standin: Standin, watcher: Watcher) -> None:
    made = cast("Callable[..., Any]", OpenAIEmbeddings)
    embeddings = made(api_key="k", base_url=standin.base("openai"), check_embedding_ctx_length=False)
    assert embeddings.embed_query("x") == [0.25, -0.5, 1.0]
    is_seen_once(watcher, standin)


def test_a_redirect_is_followed_once(standin: Standin, watcher: Watcher) -> None:
    with httpx2.Client(follow_redirects=True) as client:
        answer = client.post(
            f"{standin.url}/elsewhere/v1/chat/completions", json={"model": "gpt-4o", "messages": ASK}
        )
    assert answer.json()["choices"][0]["message"]["content"] == SAID
    assert [received.path for received in standin.received] == [
        "/elsewhere/v1/chat/completions",
        "/v1/chat/completions",
    ]
    assert len(watcher.done) == 1
