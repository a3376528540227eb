"""The call that nearly all are, understood in one step: a whole chat completion with plain counts and a known price.

Every other call takes the general way through `wire.read` and `measure`, which would say the same of this one, word for
word; a test holds the two together. Each piece of code on the way is run once a call, and costs what it takes to bring
it into the processor's cache: that is why there is a shorter way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Raw

from spend_middleware.call import Attribution
from spend_middleware.costs import CallKind, Line, MeteredCall, encoded_kind, encoded_payer
from spend_middleware.interception.exchange import Exchange, Outcome
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.self_hosted import SELF_HOSTED
from spend_middleware.pricing.tokens import TokenRates, token_lines
from spend_middleware.store.call_rows import MAX_RAW_USAGE
from spend_middleware.wire.gateways import OF_LITELLM
from spend_middleware.wire.openai import UsualAnswer, usual_answer
from spend_middleware.wire.reading import ENDPOINTS
from spend_middleware.wire.request import UsualRequest
from spend_middleware.wire.tokens import usual_usage

FORMAT = "openai.chat"

MOST_TOKENS = 100_000_000
"""At a moderate price so many tokens cost no more than one row can hold."""

MOST_KINDS = 64
"""Kinds of calls that are remembered of one model and tier at one address: they differ in what is metered."""

_COMPLETE = Outcome.COMPLETE


def usual_call(
    exchange: Exchange,
    request: UsualRequest,
    book: PriceBook,
    attribution: Attribution,
    payer: Raw | None,
    attempt: int,
) -> MeteredCall | None:
    """Return the call that an exchange billed, where it is of the usual kind; None for all others.

    Args:
        exchange: A finished exchange.
        request: What it asked for.
        book: The prices.
        attribution: Who it is for.
        payer: The same, encoded, where it is remembered.
        attempt: 0 for a first try.
    """
    route: Any = exchange.route
    told = _told(exchange, route)
    if told is None:
        return None
    reported = bytes(told.usage)
    usage = usual_usage(reported) if len(reported) <= MAX_RAW_USAGE else None
    asked, answered = route.model or request.model, told.model
    # A search model's answer may bill a search.
    if usage is None or asked is None or answered is None or "search" in answered:
        return None
    provider, operation, base = route.provider, route.operation, exchange.origin
    ended, tokens = exchange.ended or exchange.started, usage.input_tokens
    tier = told.service_tier or request.service_tier
    models = (answered,) if answered == asked else (answered, asked)
    rates = book.token_rates(provider, models, operation, tier, base, tokens, ended)
    if rates is None or provider in SELF_HOSTED:
        return None
    if not rates.moderate or tokens + usage.output_tokens > MOST_TOKENS:
        return None
    lines = token_lines(usage, rates.prices)
    meters = tuple([meter for meter, _, _ in lines])
    kind = rates.kinds.get(meters) or _remembered(
        rates, meters, _kind_of(exchange, models, tier, rates, lines)
    )
    payer = payer or encoded_payer(attribution)
    if kind is None or payer is None:
        return None
    return MeteredCall(
        exchange.call_id,
        exchange.started,
        ended,
        exchange.first_byte,
        attempt,
        told.id,
        told.choices[0].finish_reason if told.choices else None,
        usage,
        reported,
        tuple([quantity for _, quantity, _ in lines]),
        payer,
        kind,
    )


def _told(exchange: Exchange, route: Any) -> UsualAnswer | None:
    """Return what a whole answer of the usual kind says; None for all others."""
    if route.wire_format != FORMAT or not route.plain or exchange.status != 200:
        return None
    body, head = exchange.content(), exchange.head
    if exchange.outcome is not _COMPLETE or not exchange.whole or head is None or OF_LITELLM in head:
        return None
    return usual_answer(body)


def _remembered(rates: TokenRates, meters: tuple[str, ...], kind: CallKind) -> Raw | None:
    """Return an encoded kind, which is remembered; None for one that has no form."""
    encoded = encoded_kind(kind)
    if encoded is not None:
        if len(rates.kinds) >= MOST_KINDS:
            rates.kinds.clear()
        rates.kinds[meters] = encoded
    return encoded


def _kind_of(
    exchange: Exchange, models: tuple[str, ...], tier: str | None, rates: TokenRates, lines: Sequence[Line]
) -> CallKind:
    """Return what calls like this one have in common.

    Args:
        models: As answered, then as asked for if that differs.
    """
    route: Any = exchange.route
    return CallKind(
        provider=route.provider,
        operation=route.operation,
        request_model=models[-1],
        response_model=models[0],
        api_base=exchange.origin,
        endpoint=ENDPOINTS.get(route.operation) or f"/{route.operation}",
        service_tier=tier,
        own=rates.own,
        price_key=rates.key,
        price_version=rates.version,
        prices=tuple([(meter, price) for meter, _, price in lines]),
    )
