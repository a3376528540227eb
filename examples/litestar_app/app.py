"""A Litestar service whose LLM calls are all in its own database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Litestar, asgi, post
from litestar.middleware import DefineMiddleware
from litestar.params import JSONBody
from openai import AsyncOpenAI

from spend_middleware import Spend, SpendMiddleware


@dataclass
class Question:
    """What a customer wants to know."""

    text: str
    customer: str


def build_app(spend: Spend, openai: AsyncOpenAI) -> Litestar:
    """Return the service, metered."""

    @post("/ask", status_code=200)
    async def ask(data: JSONBody[Question]) -> dict[str, str | None]:
        with spend.tag("feature:ask", end_user=data.customer):
            answer = await openai.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": data.text}]
            )
        return {"answer": answer.choices[0].message.content}

    @asgi("/spend", is_mount=True, copy_scope=True)
    async def spend_routes(scope: Any, receive: Any, send: Any) -> None:
        await spend.app(scope, receive, send)

    return Litestar(
        route_handlers=[ask, spend_routes],
        middleware=[DefineMiddleware(SpendMiddleware, spend=spend)],
        openapi_config=None,
    )


def create() -> Litestar:
    """Return the service as the environment describes it (for `uvicorn --factory`)."""
    return build_app(Spend(), AsyncOpenAI())
