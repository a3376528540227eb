"""The call that nearly all are, understood in one step: a whole chat completion with plain counts and a known price.

Every other call takes the general way through `wire.read` and `measure`, which would say the same of this one, word for
word; a test holds the two together. Each piece of code on the way is run once a call, and costs what it takes to bring
it into the processor's cache: that is why there is a shorter way.
"""

from __future__ import annotations

from typing import Any

from spend_middleware.call import Attribution, Call, Status, UsageSource
from spend_middleware.interception.exchange import Exchange, Outcome
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.self_hosted import SELF_HOSTED
from spend_middleware.wire.gateways import OF_LITELLM
from spend_middleware.wire.openai import usual_answer
from spend_middleware.wire.reading import ENDPOINTS
from spend_middleware.wire.request import UsualRequest
from spend_middleware.wire.tokens import usual_usage

FORMAT = "openai.chat"

_COMPLETE = Outcome.COMPLETE
_SUCCESS, _REPORTED = Status.SUCCESS, UsageSource.REPORTED


def usual_call(
    exchange: Exchange, request: UsualRequest, book: PriceBook, attribution: Attribution, attempt: int
) -> Call | None:
    """Return the priced call that an exchange billed, where it is of the usual kind; None for all others.

    Args:
        exchange: A finished exchange.
        request: What it asked for.
        book: The prices.
        attribution: Who it is for.
        attempt: 0 for a first try.
    """
    route: Any = exchange.route
    if route.wire_format != FORMAT or not route.plain or exchange.status != 200:
        return None
    body = exchange.content()
    if exchange.outcome is not _COMPLETE or not exchange.whole:
        return None
    told = usual_answer(body)
    head = exchange.head
    if told is None or head is None or OF_LITELLM in head:
        return None
    usage = usual_usage(told.usage)
    asked, answered = route.model or request.model, told.model
    # A search model's answer may bill a search.
    if usage is None or asked is None or answered is None or "search" in answered:
        return None
    tier = told.service_tier or request.service_tier
    provider, operation = route.provider, route.operation
    base, ended = exchange.origin, exchange.ended or exchange.started
    models = (answered,) if answered == asked else (answered, asked)
    cost = book.price_of_tokens(provider, models, operation, tier, base, usage, ended)
    if cost is None or provider in SELF_HOSTED:
        return None
    choices = told.choices
    return Call(
        call_id=exchange.call_id,
        provider=provider,
        operation=operation,
        request_model=asked,
        response_model=answered,
        api_base=base,
        endpoint=ENDPOINTS.get(operation) or f"/{operation}",
        started_at=exchange.started,
        ended_at=ended,
        first_token_at=exchange.first_byte,
        status=_SUCCESS,
        status_code=200,
        attempt=attempt,
        response_id=told.id,
        finish_reason=choices[0].finish_reason if choices else None,
        service_tier=tier,
        usage=usage,
        usage_source=_REPORTED,
        raw_usage=told.usage,
        cost=cost,
        attribution=attribution,
    )
