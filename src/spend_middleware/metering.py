"""What an exchange meant and what it cost: pure, so that the live path, the routes and repricing share it."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from msgspec import structs

from spend_middleware import wire
from spend_middleware.call import (
    NO_COST,
    NO_USAGE,
    NOBODY,
    UNPRICED,
    Attribution,
    Call,
    Cost,
    Status,
    Usage,
    UsageSource,
)
from spend_middleware.guard import note_fault
from spend_middleware.ids import new_call_id
from spend_middleware.interception.exchange import Exchange, Outcome
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.self_hosted import SELF_HOSTED, is_self_hosted
from spend_middleware.wire.reading import ENDPOINTS, Reading, Received, Route, Sent

# No byte of the request can have reached the provider.
_NEVER_SENT = frozenset(
    {
        *("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"),
        # aiohttp's names of the same.
        *(
            "ClientConnectorError",
            "ClientConnectorDNSError",
            "ClientConnectorSSLError",
            "ConnectionTimeoutError",
        ),
        *("ClientConnectorCertificateError", "ClientProxyConnectionError", "InvalidUrlClientError"),
    }
)

# Traits of a stored usage that are ours: what decides a price besides the counts.
PRICE_PROVIDER, REGION, BATCH, LOCAL = "price_provider", "region", "batch", "local"
STORED_TRAITS = (PRICE_PROVIDER, REGION, BATCH, LOCAL)

# An unknown host that speaks a vendor's format is taken for a gateway to that vendor: its known models have its list
# prices, all others have none.
PRICE_LISTS = {
    "custom_openai": "openai",
    "custom_anthropic": "anthropic",
    "custom_gemini": "gemini",
    "custom_cohere": "cohere",
}

_SELF_HOSTED = NO_COST._replace(reason="a model of one's own machines has no price")
_BILLED_LATER = NO_COST._replace(reason="billed by the row of its result")
_UNANSWERED = UNPRICED._replace(reason="no answer came; the provider may have billed the call")
_CUT_OFF = UNPRICED._replace(reason="the answer broke off; the provider may have billed the call")
_UNREAD = UNPRICED._replace(reason="the answer could not be read; the provider may have billed the call")

# A member of an enumeration is looked up on its class by a function of Python's own, until 3.12.
_COMPLETE, _CUT, _BROKEN, _NO_ANSWER = Outcome.COMPLETE, Outcome.ABORTED, Outcome.BROKEN, Outcome.NO_ANSWER
_SUCCESS, _FAILURE = Status.SUCCESS, Status.FAILURE
_REPORTED = UsageSource.REPORTED


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
    body = exchange.content()
    received = Received(
        status=exchange.status or 0,
        headers=exchange.headers,
        body=body,
        complete=exchange.outcome is _COMPLETE and exchange.whole,
    )
    reading = wire.read(route, sent, received)
    if not reading.billable or (route.follow_up and reading.once_key is None):
        return [], reading
    if reading.usage is None or not exchange.whole:
        _judge(exchange, route, received, reading)
    calls = [_call(exchange, route, sent, reading, book, attribution, attempt)]
    if reading.more:
        calls += [_call(exchange, route, sent, more, book, attribution, attempt) for more in reading.more]
    return calls, reading


def _judge(exchange: Exchange, route: Route, received: Received, reading: Reading) -> None:
    """Call what came with a status of success and is no answer a failure: whoever called got none either."""
    success = exchange.outcome is _COMPLETE and 200 <= received.status < 300
    if not success or reading.error_type or reading.pending or reading.reported_cost is not None:
        return
    # An encoding without its end, as some servers leave it, may have carried all of the answer.
    seen = exchange.whole or exchange.damaged
    if seen and wire.is_no_answer(route, received):
        reading.error_type = wire.UNREADABLE
        reading.visible_text = None


def _call(
    exchange: Exchange,
    route: Route,
    sent: Sent,
    reading: Reading,
    book: PriceBook,
    attribution: Attribution,
    attempt: int,
) -> Call:
    content = sent.content or {}
    status = status_of(exchange, reading)
    operation = reading.operation or route.operation
    call = Call(
        call_id=exchange.call_id if reading.once_key is None else call_id_of(exchange, reading),
        provider=reading.provider or route.provider,
        operation=operation,
        request_model=reading.request_model or _text(content.get("model")) or route.model or "",
        response_model=reading.response_model or "",
        api_base=exchange.origin,
        endpoint=ENDPOINTS.get(operation) or f"/{operation}",
        started_at=exchange.started,
        ended_at=exchange.ended or exchange.started,
        first_token_at=exchange.first_byte,
        status=status,
        status_code=exchange.status,
        error_type=error_of(exchange, reading) if status is not _SUCCESS else None,
        stream=reading.stream,
        attempt=attempt,
        response_id=reading.response_id,
        finish_reason=reading.finish_reason,
        service_tier=reading.service_tier or _text(content.get("service_tier")),
        usage=_usage(route, reading),
        usage_source=UsageSource.NONE if reading.usage is None or reading.doubt else _REPORTED,
        usage_note=reading.usage_note,
        raw_usage=reading.raw_usage,
        attribution=attribution,
    )
    call.cost = _cost(call, exchange, reading, book)
    return call


def _usage(route: Route, reading: Reading) -> Usage:
    """Return the usage with all that its price depends on, so that the stored row can be priced again alone."""
    usage = reading.usage or NO_USAGE
    if route.plain and not (reading.price_provider or reading.batch):
        return usage
    listed = reading.price_provider or route.price_provider or ("any" if route.gateway else None)
    extra = {
        PRICE_PROVIDER: None if listed == (reading.provider or route.provider) else listed,
        REGION: route.region,
        BATCH: "yes" if reading.batch else None,
        LOCAL: "yes" if route.local else None,
    }
    known = {name: value for name, value in extra.items() if value}
    return structs.replace(usage, traits={**usage.traits, **known}) if known else usage


def _cost(call: Call, exchange: Exchange, reading: Reading, book: PriceBook) -> Cost:
    if reading.pending:
        return _BILLED_LATER
    if reading.doubt is not None and reading.reported_cost is None:
        return UNPRICED._replace(reason=reading.doubt)
    if reading.usage is None and reading.reported_cost is None:
        return _cost_unsaid(call, exchange, reading)
    try:
        return price(call, book, reading.reported_cost)
    except Exception as error:
        # A fault in pricing must not take the tokens and the row with it.
        note_fault("pricing a call", error)
        return UNPRICED._replace(reason=f"pricing failed: {type(error).__name__}")


def _cost_unsaid(call: Call, exchange: Exchange, reading: Reading) -> Cost:
    """Return the cost of a call whose answer says nothing of it: none, or why it is not known."""
    if exchange.status is None:
        return NO_COST if exchange.error in _NEVER_SENT else _UNANSWERED
    # Providers bill no request that they refuse (4xx, 5xx, an error in place of an answer). A transport sees each hop
    # of a redirect; the answer is billed where it is given.
    if exchange.status >= 300:
        return NO_COST
    if call.error_type == wire.UNREADABLE:
        return _UNREAD
    if call.status is _FAILURE and exchange.outcome is not _BROKEN:
        # An error behind words is no refusal: those were made, and may be billed.
        spoken = call.stream and reading.visible_text is not None and reading.visible_text()
        return _CUT_OFF if spoken else NO_COST
    return UNPRICED if exchange.outcome is _COMPLETE else _CUT_OFF


def price(call: Call, book: PriceBook, reported_cost: Decimal | None = None) -> Cost:
    """Return what a call costs, from what the call itself says."""
    usage = call.usage
    traits = usage.traits
    answered, asked = call.response_model, call.request_model
    models = (answered, asked) if answered and asked and answered != asked else (answered or asked,)
    provider = call.provider
    listed = PRICE_LISTS.get(provider, provider)
    if reported_cost is None and not (traits or usage.units or usage.passes):
        tier, base = call.service_tier, call.api_base
        rates = book.token_rates(
            listed, models, call.operation, tier, base, usage.input_tokens, call.ended_at
        )
        if rates is not None and provider not in SELF_HOSTED:
            return rates.cost(usage)
    listed = traits.get(PRICE_PROVIDER) or listed
    cost = book.price(
        PriceQuery(
            provider="" if listed == "any" else listed,
            models=models,
            usage=usage,
            operation=call.operation,
            at=call.ended_at,
            service_tier=call.service_tier,
            batch=BATCH in traits,
            region=traits.get(REGION),
            api_base=call.api_base,
            reported_cost=reported_cost,
            response_seconds=call.ended_at - call.started_at,
        )
    )
    if (LOCAL in traits or provider in SELF_HOSTED) and is_self_hosted(call, cost):
        return _SELF_HOSTED
    return cost


def price_again(call: Call, usage: Usage, source: UsageSource, note: str | None, book: PriceBook) -> Call:
    """Return a call with another usage, priced with it: after an estimate, or for repricing a stored row."""
    traits = {name: call.usage.traits[name] for name in STORED_TRAITS if name in call.usage.traits}
    usage = structs.replace(usage, traits={**usage.traits, **traits}) if traits else usage
    counted = structs.replace(call, usage=usage, usage_source=source, usage_note=note)
    return structs.replace(counted, cost=price(counted, book, call.cost.reported_amount))


def status_of(exchange: Exchange, reading: Reading) -> Status:
    """Return how a call ended, from the wire and from what its answer says."""
    outcome, status = exchange.outcome, exchange.status or 0
    if outcome is _NO_ANSWER or outcome is _BROKEN or status >= 400 or reading.error_type:
        return _FAILURE
    if outcome is _CUT and reading.usage is None:
        return Status.ABORTED
    if reading.pending:
        return Status.PENDING
    return _SUCCESS if outcome is _COMPLETE or reading.finish_reason else Status.ABORTED


def error_of(exchange: Exchange, reading: Reading) -> str | None:
    """Return one short word for what failed; never a message, which may hold content."""
    if reading.error_type:
        return reading.error_type
    if exchange.error:
        return exchange.error
    return str(exchange.status) if (exchange.status or 0) >= 400 else None


def call_id_of(exchange: Exchange, reading: Reading) -> str:
    """Return the id of a row: the exchange's own, or one that every poll of the same provider object shares."""
    # The row that waits has an id of its own: under the result's, it would be there first and keep the result out.
    if reading.once_key is None or reading.pending:
        return exchange.call_id
    digest = hashlib.sha256(reading.once_key.encode("utf-8", "replace")).digest()
    # Without a creation time the time part must not differ between polls either.
    return new_call_id(reading.created_at or 0.0, digest[:10])


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
