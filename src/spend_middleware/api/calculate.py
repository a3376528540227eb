"""`/spend/calculate`: what a call would cost, what it did cost, and what all of them cost together."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import hash_of
from spend_middleware.api.answers import answer, counted, number
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.parameters import EndDate, StartDate, Zone, listed, one, period_of
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import CalculatedCost, SpendCalculateRequest, TotalSpend
from spend_middleware.call import Cost, Usage
from spend_middleware.errors import SpendError
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.store.report_values import Filter

routes = Routes("Budget & Spend Tracking")


@routes.post("/spend/calculate", permission=Permission.SPEND, response_model=CalculatedCost)
def calculate_spend(house: TheHouse, request: SpendCalculateRequest) -> Response:
    """The cost of a call: before it from model and messages (prompt tokens only), after it from its answer.

    Where both are given the model wins, as in LiteLLM.
    """
    if request.model is not None:
        if request.messages is None:
            raise _bad_request("Bad Request - messages must be provided if 'model' is provided")
        return answer({"cost": number(prompt_cost(house, request.model, request.messages))})
    if request.completion_response is not None:
        return answer({"cost": number(_answered_cost(house, request.completion_response))})
    raise _bad_request("Bad Request - Either 'model' or 'completion_response' must be provided")


def prompt_cost(house: House, model: str, messages: list[Any]) -> Decimal:
    """Return what the prompt of a call costs, by the local tokenizer."""
    wrong = next((message for message in messages if not isinstance(message, dict)), None)
    if wrong is not None:
        raise _bad_request("Bad Request - each of 'messages' must be an object with a role and content")
    tokens = house.count_tokens(model, messages) if messages else 0
    return priced(house, model, Usage(input_tokens=tokens))


def priced(house: House, model: str, usage: Usage) -> Decimal:
    """Return what a usage of a model costs now, or refuse a model that has no price."""
    cost = house.prices.price(query(model, usage))
    return _amount(cost, model)


def query(model: str, usage: Usage) -> PriceQuery:
    """Return the question for the price of a chat call; a provider may stand before the model."""
    return PriceQuery(provider="", models=(model,), usage=usage, operation="completion", at=time.time())


def _answered_cost(house: House, completion_response: dict[str, Any]) -> Decimal:
    model = completion_response.get("model") or completion_response.get("modelVersion")
    try:
        cost = house.price_response(completion_response)
    except SpendError as error:
        raise _bad_request(f"Bad Request - {error}") from None
    return _amount(cost, str(model or ""))


def _amount(cost: Cost, model: str) -> Decimal:
    if cost.amount is None:
        raise unmapped(model, cost.reason)
    return cost.amount


def unmapped(model: str, reason: str | None, status: int = 400) -> ProxyError:
    """Return LiteLLM's refusal of a model without a price, with its reason and the remedy."""
    known = "/" in model
    begin = (
        "This model isn't mapped yet."
        if known
        else "LLM Provider NOT provided, or this model isn't mapped yet."
    )
    return ProxyError(
        status,
        f"{begin} model={model[:200]}: {reason or 'no price is known'}. "
        "Give it a price with register_model or the setting model_prices.",
        "invalid_request_error",
        "model",
    )


def _bad_request(message: str) -> ProxyError:
    # LiteLLM answers the text "None" for the type as well.
    return ProxyError(400, message, "None")


@routes.get("/spend/calculate", permission=Permission.SPEND, response_model=TotalSpend)
def total_spend(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    api_key: Annotated[str | None, Query(description="A raw key or its hash.")] = None,
    user_id: str | None = None,
    team_id: str | None = None,
    end_user: str | None = None,
    model: str | None = None,
    tags: Annotated[
        str | None, Query(description="Calls with one of these tags, separated by commas.")
    ] = None,
    timezone: Zone = None,
) -> Response:
    """The total spend of all calls in sight, each counted once."""
    period = period_of(start_date, end_date, timezone, house.settings.timezone)
    where = Filter(
        api_key=one(api_key and hash_of(api_key)),
        user_id=one(user_id),
        team_id=one(team_id),
        end_user=one(end_user),
        model=one(model),
        tag=listed(tags),
    )
    total = house.store.reports.total(caller.scope, period, where)
    content = {
        "cost": number(total.spend),
        "total_spend": number(total.spend),
        "log_count": total.requests,
        "unpriced_calls": total.unpriced,
        "estimated_calls": total.estimated,
    }
    return answer(content, counted(total.unpriced, total.estimated))
