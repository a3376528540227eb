"""The same small service in each framework: a call in an async and a sync endpoint, in the background, in a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse as FastAPIStream
from litestar import Litestar, Response, asgi, get
from litestar.background_tasks import BackgroundTask as LitestarTask
from litestar.middleware import DefineMiddleware
from litestar.response import Stream as LitestarStream
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route

from spend_middleware import Spend, SpendMiddleware

MESSAGES: Any = [{"role": "user", "content": "What is a ledger?"}]


class Calls:
    """The calls that the services make, through the openai SDK."""

    def __init__(self, base_url: str) -> None:
        self._sync = openai.OpenAI(base_url=base_url, api_key="sk-upstream", max_retries=0)
        self._async = openai.AsyncOpenAI(base_url=base_url, api_key="sk-upstream", max_retries=0)

    async def close(self) -> None:
        self._sync.close()
        await self._async.close()

    def sync(self) -> None:
        self._sync.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    async def asynchronous(self) -> None:
        await self._async.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    async def stream(self) -> AsyncIterator[str]:
        options: Any = {"include_usage": True}
        chunks = await self._async.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=options
        )
        async for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""


def starlette_service(spend: Spend, calls: Calls) -> Any:
    async def asynchronous(request: Request) -> JSONResponse:
        await calls.asynchronous()
        return JSONResponse({})

    def sync(request: Request) -> JSONResponse:
        calls.sync()
        return JSONResponse({})

    async def background(request: Request) -> JSONResponse:
        return JSONResponse({}, background=BackgroundTask(calls.asynchronous))

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(calls.stream(), media_type="text/plain")

    async def cookies(request: Request) -> JSONResponse:
        await calls.asynchronous()
        answer = JSONResponse({})
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    async def nothing(request: Request) -> JSONResponse:
        return JSONResponse({})

    endpoints = {
        "async": asynchronous,
        "sync": sync,
        "background": background,
        "stream": stream,
        "cookies": cookies,
    }
    routes: list[Any] = [
        Route(f"/{name}", endpoint) for name, endpoint in {**endpoints, "nothing": nothing}.items()
    ]
    app = Starlette(routes=[*routes, Mount("/spend", spend.app)])
    app.add_middleware(SpendMiddleware, spend=spend)
    return app


def fastapi_service(spend: Spend, calls: Calls) -> Any:
    app = FastAPI()
    app.add_middleware(SpendMiddleware, spend=spend)
    app.mount("/spend", spend.app)

    @app.get("/async")
    async def asynchronous() -> dict[str, str]:
        await calls.asynchronous()
        return {}

    @app.get("/sync")
    def sync() -> dict[str, str]:
        calls.sync()
        return {}

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(calls.sync)
        return {}

    @app.get("/stream")
    async def stream() -> FastAPIStream:
        return FastAPIStream(calls.stream(), media_type="text/plain")

    @app.get("/nothing")
    async def nothing() -> dict[str, str]:
        return {}

    return app


def litestar_service(spend: Spend, calls: Calls) -> Any:
    @get("/async")
    async def asynchronous() -> dict[str, str]:
        await calls.asynchronous()
        return {}

    @get("/sync", sync_to_thread=True)
    def sync() -> dict[str, str]:
        calls.sync()
        return {}

    @get("/background")
    async def background() -> Response[dict[str, str]]:
        return Response({}, background=LitestarTask(calls.asynchronous))

    @get("/stream")
    async def stream() -> LitestarStream:
        return LitestarStream(calls.stream(), media_type="text/plain")

    @get("/nothing")
    async def nothing() -> dict[str, str]:
        return {}

    @asgi("/spend", is_mount=True, copy_scope=True)
    async def spend_routes(scope: Any, receive: Any, send: Any) -> None:
        await spend.app(scope, receive, send)

    return Litestar(
        [asynchronous, sync, background, stream, nothing, spend_routes],
        middleware=[DefineMiddleware(SpendMiddleware, spend=spend)],
        openapi_config=None,
    )


def bare_service(spend: Spend, calls: Calls) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/spend"):
            await spend.app({**scope, "root_path": "/spend"}, receive, send)
            return
        name = scope["path"].strip("/")
        if name == "async":
            await calls.asynchronous()
        elif name == "sync":
            import asyncio

            await asyncio.to_thread(calls.sync)
        await send({"type": "http.response.start", "status": 200, "headers": _length(name)})
        if name == "stream":
            async for word in calls.stream():
                await send({"type": "http.response.body", "body": word.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        if name == "background":
            await calls.asynchronous()

    return SpendMiddleware(app, spend=spend)


def _length(name: str) -> list[tuple[bytes, bytes]]:
    return [] if name == "stream" else [(b"content-length", b"0")]


SERVICES: dict[str, Callable[[Spend, Calls], Any]] = {
    "starlette": starlette_service,
    "fastapi": fastapi_service,
    "litestar": litestar_service,
    "bare": bare_service,
}

__all__ = ["MESSAGES", "SERVICES", "Calls"]
