"""`/model/info`, `/v1/models`, `/cost/estimate`: the price table as LiteLLM's clients read it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer, number
from spend_middleware.api.asked import House, TheHouse
from spend_middleware.api.calculate import query
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import CostEstimateRequest, CostEstimateResponse, ModelInfo, ModelList
from spend_middleware.call import Charge, Usage

routes = Routes("model management")

# OpenAI's own list gives each model a moment of creation; LiteLLM answers this constant for all.
_CREATED = 1677610602

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
_PRICES = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_reasoning_token",
)


@routes.get("/v1/models", permission=Permission.ANY_KEY, response_model=ModelList)
@routes.get("/models", permission=Permission.ANY_KEY, response_model=ModelList)
def model_list(house: TheHouse) -> Response:
    """Every model that has a price today."""
    now = time.time()
    models = []
    for key, provider, mode in sorted(house.prices.models(now)):
        rates = house.prices.rates(provider, key, now) or {}
        models.append(
            {
                "id": key,
                "object": "model",
                "created": _CREATED,
                "owned_by": provider or "openai",
                "mode": mode,
                "max_input_tokens": rates.get("max_input_tokens"),
                "max_output_tokens": rates.get("max_output_tokens"),
            }
        )
    return answer({"data": models, "object": "list"})


ModelId = Annotated[str | None, Query(description="Only this model.")]


@routes.get("/model/info", permission=Permission.ANY_KEY, response_model=ModelInfo)
def model_info_v1(house: TheHouse, litellm_model_id: ModelId = None) -> Response:
    """Every model with its prices, in LiteLLM's fields."""
    return _model_info(house, litellm_model_id)


@routes.get(
    "/v1/model/info",
    permission=Permission.ANY_KEY,
    response_model=ModelInfo,
    operation_id="model_info_v1_v1_model_info_get",
)
def model_info_v1_again(house: TheHouse, litellm_model_id: ModelId = None) -> Response:
    """Every model with its prices, in LiteLLM's fields."""
    return _model_info(house, litellm_model_id)


def _model_info(house: House, wanted: str | None) -> Response:
    now = time.time()
    entries = [
        _entry(key, provider, mode, house.prices.rates(provider, key, now) or {})
        for key, provider, mode in sorted(house.prices.models(now))
        if wanted in (None, "", key)
    ]
    if wanted and not entries:
        raise HTTPException(400, f"Model id = {wanted[:200]} is not known here.")
    return answer({"data": entries})


def _entry(key: str, provider: str, mode: str, rates: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_name": key,
        "litellm_params": {"model": key},
        "model_info": {
            "id": key,
            "db_model": False,
            "key": key,
            **dict.fromkeys(("max_tokens", "max_input_tokens", "max_output_tokens", *_PRICES)),
            **{name: _number(value) for name, value in rates.items() if name != "key"},
            "litellm_provider": provider,
            "mode": mode,
        },
    }


def _number(value: Any) -> Any:
    """Return a stored rate as JSON can carry it."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, Mapping):
        return {name: _number(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_number(part) for part in value]
    return value


@routes.post(
    "/cost/estimate",
    permission=Permission.ANY_KEY,
    response_model=CostEstimateResponse,
    tags=["Cost Tracking"],
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
            **{name: _number(rates.get(name)) for name in _PRICES},
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
