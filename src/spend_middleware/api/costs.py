"""`/cost/estimate` and `/utils/token_counter`: what a planned load costs, and how long a prompt is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer, number
from spend_middleware.api.asked import TheHouse
from spend_middleware.api.calculate import query
from spend_middleware.api.models import PRICES, json_rate
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import (
    CostEstimateRequest,
    CostEstimateResponse,
    TokenCountRequest,
    TokenCountResponse,
)
from spend_middleware.call import Charge, Usage
from spend_middleware.pricing.estimate import count_messages, count_text

routes = Routes("Cost Tracking")

# LiteLLM's prefix -> the words of the meters that belong to it.
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "": (),
    "input_": ("input", "cache"),
    "output_": ("output", "reasoning"),
    "margin_": ("margin",),
    "cache_read_": ("cache_read",),
    "cache_creation_": ("cache_write",),
    "reasoning_": ("reasoning",),
}


@routes.post(
    "/cost/estimate",
    permission=Permission.ANY_KEY,
    response_model=CostEstimateResponse,
)
def estimate_cost(house: TheHouse, request: CostEstimateRequest) -> Response:
    """What a planned load on one model costs by request, by day and by month."""
    cost = house.prices.price(query(request.model, _usage(request)))
    if cost.amount is None:
        raise HTTPException(404, {"error": f"Model '{request.model[:200]}' not found: {cost.reason}."})
    parts = _parts(cost.amount, cost.charges)
    per_request = {f"{name}cost_per_request": number(amount) for name, amount in parts.items()}
    days, months = request.num_requests_per_day, request.num_requests_per_month
    rates = house.prices.rates("", request.model, time.time()) or {}
    return answer(
        {
            **request.model_dump(),
            **per_request,
            **_over(parts, "daily", days),
            **_over(parts, "monthly", months),
            **{name: json_rate(rates.get(name)) for name in PRICES},
            "provider": rates.get("litellm_provider"),
        }
    )


def _usage(request: CostEstimateRequest) -> Usage:
    return Usage(
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        cache_read_tokens=request.cache_read_input_tokens,
        cache_write_tokens=request.cache_creation_input_tokens,
        reasoning_tokens=request.reasoning_tokens,
    )


def _parts(whole: Decimal, charges: Iterable[Charge]) -> dict[str, Decimal]:
    """Return the cost of one request and of its parts, by the prefix of LiteLLM's field."""
    parts = dict.fromkeys(_PREFIXES, Decimal(0))
    for charge in charges:
        for prefix, words in _PREFIXES.items():
            if words and any(word in charge.meter for word in words):
                parts[prefix] += charge.amount
    return {**parts, "": whole}


def _over(parts: Mapping[str, Decimal], span: str, requests: int | None) -> dict[str, float | None]:
    """Return the same parts for many requests; null where no number of requests was given."""
    return {
        f"{span}_{prefix}cost": None if requests is None else number(amount * requests)
        for prefix, amount in parts.items()
    }


@routes.post(
    "/utils/token_counter",
    permission=Permission.ANY_KEY,
    response_model=TokenCountResponse,
    tags=["llm utils"],
)
def token_counter(
    request: TokenCountRequest,
    call_endpoint: Annotated[  # noqa: ARG001
        bool, Query(description="Taken for LiteLLM's sake: no provider is asked.")
    ] = False,
) -> Response:
    """How many tokens a prompt has, by the local tokenizer."""
    if request.prompt is None and request.messages is None and request.contents is None:
        raise HTTPException(400, "prompt or messages or contents must be provided")
    return answer(
        {
            "total_tokens": _tokens(request),
            "request_model": request.model,
            "model_used": request.model,
            "tokenizer_type": "openai_tokenizer",
            "count_source": "local_estimate",
            "original_response": None,
            "error": False,
            "error_message": None,
            "status_code": None,
        }
    )


def _tokens(request: TokenCountRequest) -> int:
    if request.messages is None and request.contents is None and not request.system and not request.tools:
        return count_text(request.prompt or "", request.model)
    messages: list[Mapping[str, Any]] = list(request.messages or ())
    messages += [{"role": "user", "content": _text_of(content)} for content in request.contents or ()]
    if not messages:
        messages.append({"role": "user", "content": request.prompt or ""})
    if request.system:
        system = request.system if isinstance(request.system, str) else json.dumps(request.system)
        messages.insert(0, {"role": "system", "content": system})
    return count_messages(messages, request.model, request.tools)


def _text_of(content: Mapping[str, Any]) -> str:
    """Return the text of one of Google's contents."""
    parts = content.get("parts")
    texts = (
        [part.get("text") for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    )
    return "".join(text for text in texts if isinstance(text, str))
