"""A FastAPI service whose LLM calls are all in its own database, with who they were for and what they cost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
from anthropic import AsyncAnthropic
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from google import genai
from google.genai import types
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from spend_middleware import Spend, SpendMiddleware


class Upstreams(BaseSettings):
    """Where the providers are; the SDKs' own defaults unless the environment says otherwise."""

    openai_base_url: str | None = None
    anthropic_base_url: str | None = None
    gemini_base_url: str | None = None


class Question(BaseModel):
    """What a customer wants to know."""

    text: str
    customer: str


def build_app(spend: Spend, upstreams: Upstreams) -> FastAPI:
    """Return the service; the three lines that name `spend` are all that metering takes."""
    app = FastAPI(title="Questions and answers")
    app.add_middleware(SpendMiddleware, spend=spend)
    app.mount("/spend", spend.app)

    openai = AsyncOpenAI(base_url=upstreams.openai_base_url)
    claude = AsyncAnthropic(base_url=upstreams.anthropic_base_url)
    # Metered either way; over aiohttp, which google-genai prefers where it is there, its session's subclass draws a warning.
    over_httpx = types.HttpOptions(
        base_url=upstreams.gemini_base_url, httpx_async_client=httpx2.AsyncClient()
    )
    gemini = genai.Client(http_options=over_httpx)

    @app.post("/ask")
    async def ask(question: Question) -> dict[str, str | None]:
        with spend.tag("feature:ask", end_user=question.customer):
            answer = await openai.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": question.text}]
            )
        return {"answer": answer.choices[0].message.content}

    @app.post("/review")
    async def review(question: Question) -> dict[str, str]:
        with spend.tag("feature:review", end_user=question.customer):
            first = await claude.messages.create(
                model="claude-sonnet-5-5",
                max_tokens=256,
                messages=[{"role": "user", "content": question.text}],
            )
            second = await gemini.aio.models.generate_content(
                model="gemini-2.5-flash", contents=question.text
            )
        return {
            "claude": "".join(b.text for b in first.content if b.type == "text"),
            "gemini": second.text or "",
        }

    @app.post("/stream")
    async def stream(question: Question) -> StreamingResponse:
        async def words() -> AsyncIterator[str]:
            with spend.tag("feature:stream", end_user=question.customer):
                chunks = await openai.chat.completions.create(
                    model="gpt-4o-mini",
                    messages=[{"role": "user", "content": question.text}],
                    stream=True,
                    stream_options={"include_usage": True},
                )
                async for chunk in chunks:
                    if chunk.choices:
                        yield chunk.choices[0].delta.content or ""

        return StreamingResponse(words(), media_type="text/plain")

    return app


def create() -> FastAPI:
    """Return the service as the environment describes it (for `uvicorn --factory`)."""
    return build_app(Spend(), Upstreams())
