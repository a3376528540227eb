"""What an exchange meant and what it cost: pure, so that the live path, the routes and repricing share it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from spend_middleware import wire
from spend_middleware.attribution import NOBODY
from spend_middleware.call import (
    NO_COST,
    NO_USAGE,
    UNPRICED,
    Attribution,
    Call,
    Cost,
    Status,
    Usage,
    UsageSource,
    new_call_id,
)
from spend_middleware.interception.exchange import Exchange, Outcome
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.wire.reading import Reading, Received, Route, Sent

# LiteLLM's words for the endpoint column. Few and fixed: the column is part of a rollup's key, and a path may hold
# model names and ids.
ENDPOINTS = {
    "completion": "/chat/completions",
    "text_completion": "/completions",
    "responses": "/responses",
    "embedding": "/embeddings",
    "image_generation": "/images/generations",
    "image_edit": "/images/edits",
    "transcription": "/audio/transcriptions",
    "speech": "/audio/speech",
    "moderation": "/moderations",
    "rerank": "/rerank",
    "ocr": "/ocr",
    "batch": "/batches",
    "video_generation": "/videos",
}

# No byte of the request can have reached the provider.
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"})

_BILLED_LATER = dataclasses.replace(NO_COST, reason="billed by the row of its result")
_UNANSWERED = dataclasses.replace(UNPRICED, reason="no answer came; the provider may have billed the call")


def measure(
    exchange: Exchange, sent: Sent, book: PriceBook, attribution: Attribution = NOBODY, attempt: int = 0
) -> tuple[list[Call], Reading]:
    """Return the priced calls that an exchange billed, and what its answer said.

    The list is empty when there is nothing to record (a poll without a result). It has more than one call only for
    results that hold many, such as those of a batch.

    Args:
        exchange: A finished exchange.
        sent: Its request, parsed.
        book: The prices.
        attribution: Who it is for.
        attempt: 0 for a first try.
    """
    route: Any = exchange.route
    received = Received(
        status=exchange.status or 0,
        headers=dict(exchange.headers),
        body=exchange.content(),
        complete=exchange.outcome is Outcome.COMPLETE and exchange.whole,
    )
    reading = wire.read(route, sent, received)
    if not reading.billable or (route.follow_up and reading.once_key is None):
        return [], reading
    calls = [_call(exchange, route, sent, reading, book, attribution, attempt)]
    for more in reading.more:
        calls.append(_call(exchange, route, sent, more, book, attribution, attempt))
    return calls, reading


def _call(
    exchange: Exchange,
    route: Route,
    sent: Sent,
    reading: Reading,
    book: PriceBook,
    attribution: Attribution,
    attempt: int,
) -> Call:
    ended = exchange.ended or exchange.started
    status = status_of(exchange, reading)
    content = sent.content or {}
    call = Call(
        call_id=call_id_of(exchange, reading),
        provider=route.provider,
        operation=route.operation,
        request_model=reading.request_model or _text(content.get("model")) or route.model or "",
        response_model=reading.response_model or "",
        api_base=base_of(exchange.url),
        endpoint=ENDPOINTS.get(route.operation, f"/{route.operation}"),
        started_at=exchange.started,
        ended_at=ended,
        first_token_at=exchange.first_byte,
        status=status,
        status_code=exchange.status,
        error_type=error_of(exchange, reading) if status is not Status.SUCCESS else None,
        stream=reading.stream,
        attempt=attempt,
        response_id=reading.response_id,
        finish_reason=reading.finish_reason,
        service_tier=reading.service_tier,
        usage=reading.usage or NO_USAGE,
        usage_source=UsageSource.NONE if reading.usage is None else UsageSource.REPORTED,
        usage_note=reading.usage_note,
        raw_usage=reading.raw_usage,
        attribution=attribution,
    )
    asked = _text(content.get("service_tier"))
    return dataclasses.replace(call, cost=_cost(call, exchange, route, reading, book, asked))


def _cost(
    call: Call, exchange: Exchange, route: Route, reading: Reading, book: PriceBook, asked_tier: str | None
) -> Cost:
    if reading.pending:
        return _BILLED_LATER
    if reading.usage is None and reading.reported_cost is None:
        if exchange.outcome is Outcome.NO_ANSWER and exchange.error not in _NEVER_SENT:
            return _UNANSWERED
        # Providers bill no request that they refuse (4xx, 5xx, an error in place of an answer).
        if call.status is Status.FAILURE and exchange.outcome is not Outcome.BROKEN:
            return NO_COST
    return book.price(
        PriceQuery(
            provider=route.provider,
            models=_models(call),
            usage=reading.usage,
            operation=route.operation,
            at=call.ended_at,
            service_tier=reading.service_tier or asked_tier,
            batch=reading.batch,
            region=route.region,
            api_base=call.api_base,
            reported_cost=reading.reported_cost,
            response_seconds=call.ended_at - call.started_at,
        )
    )


def price_again(call: Call, usage: Usage, source: UsageSource, note: str | None, book: PriceBook) -> Call:
    """Return a call with another usage, priced with it: after an estimate, or for repricing a stored row."""
    cost = book.price(
        PriceQuery(
            provider=call.provider,
            models=_models(call),
            usage=usage,
            operation=call.operation,
            at=call.ended_at,
            service_tier=call.service_tier,
            api_base=call.api_base,
            reported_cost=call.cost.reported_amount,
            response_seconds=call.ended_at - call.started_at,
        )
    )
    return dataclasses.replace(call, usage=usage, usage_source=source, usage_note=note, cost=cost)


def _models(call: Call) -> tuple[str, ...]:
    """The answered model is priced first; aliases and deployments are known only by what was asked for."""
    return tuple(dict.fromkeys(model for model in (call.response_model, call.request_model) if model))


def status_of(exchange: Exchange, reading: Reading) -> Status:
    """Return how a call ended, from the wire and from what its answer says."""
    if exchange.outcome is Outcome.NO_ANSWER or (exchange.status or 0) >= 400 or reading.error_type:
        return Status.FAILURE
    if exchange.outcome is Outcome.BROKEN:
        return Status.FAILURE
    if exchange.outcome is Outcome.ABORTED and reading.usage is None:
        return Status.ABORTED
    if reading.pending:
        return Status.PENDING
    return Status.SUCCESS if exchange.outcome is Outcome.COMPLETE or reading.finish_reason else Status.ABORTED


def error_of(exchange: Exchange, reading: Reading) -> str | None:
    """Return one short word for what failed; never a message, which may hold content."""
    if reading.error_type:
        return reading.error_type
    if exchange.error:
        return exchange.error
    return str(exchange.status) if (exchange.status or 0) >= 400 else None


def call_id_of(exchange: Exchange, reading: Reading) -> str:
    """Return the id of a row: the exchange's own, or one that every poll of the same provider object shares."""
    if reading.once_key is None:
        return exchange.call_id
    digest = hashlib.sha256(reading.once_key.encode("utf-8", "replace")).digest()
    # Without a creation time the time part must not differ between polls either.
    return new_call_id(reading.created_at or 0.0, digest[:10])


def base_of(url: str) -> str:
    """Return scheme and host of a URL: no path, no query, no credentials."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0].rpartition('@')[2]}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def stored_charges(cost: Cost) -> list[list[str]]:
    """Return the charge lines as texts: meter, quantity, USD a unit, USD."""
    return [[c.meter, str(c.quantity), str(c.unit_price), str(c.amount)] for c in cost.charges]

