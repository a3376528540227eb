"""What is done to the ledger besides the live path: calls told by hand, repricing, and prices asked for."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from msgspec import structs

from spend_middleware.call import NO_USAGE, Attribution, Call, Charge, Cost, PricingStatus, Usage, UsageSource
from spend_middleware.errors import ConfigurationError
from spend_middleware.ids import new_call_id
from spend_middleware.metering import price
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.record import call_of
from spend_middleware.store.rows_values import LogRow


def recorded_call(
    provider: str,
    model: str,
    usage: Usage | None,
    cost: Decimal | float | str | None,
    operation: str,
    request_id: str | None,
    start_time: datetime | float | None,
    end_time: datetime | float | None,
    attribution: Attribution,
    book: PriceBook,
) -> Call:
    """Return a call told by hand, priced."""
    for name, told, kind in (
        ("provider", provider, str),
        ("model", model, str),
        ("usage", usage, Usage | None),
    ):
        if not isinstance(told, kind):
            raise ConfigurationError(f"{name}={told!r} is no {getattr(kind, '__name__', 'Usage')}.")
    started = moment(start_time, "start_time") if start_time is not None else time.time()
    ended = moment(end_time, "end_time") if end_time is not None else max(started, time.time())
    if ended < started:
        raise ConfigurationError(f"end_time={end_time!r} is before the start.")
    call = Call(
        call_id=_told_id(provider, request_id, started),
        provider=provider,
        operation=operation,
        request_model=model,
        response_model=model,
        started_at=started,
        ended_at=ended,
        response_id=request_id,
        usage=usage or NO_USAGE,
        usage_source=UsageSource.NONE if usage is None else UsageSource.REPORTED,
        attribution=attribution,
    )
    if cost is not None:
        return structs.replace(call, cost=_told_cost(cost))
    query = PriceQuery(
        provider=provider, models=(model,), usage=usage or NO_USAGE, operation=operation, at=ended
    )
    return structs.replace(call, cost=book.price(query))


def _told_id(provider: str, request_id: str | None, started: float) -> str:
    if request_id is None:
        return new_call_id(started)
    digest = hashlib.sha256(f"told/{provider}/{request_id}".encode("utf-8", "replace")).digest()
    return new_call_id(0.0, digest[:10])


def _told_cost(cost: Decimal | float | str) -> Cost:
    try:
        amount = Decimal(str(cost))
    except InvalidOperation:
        raise ConfigurationError(f"cost={cost!r} is not an amount in USD.") from None
    if not amount.is_finite():
        raise ConfigurationError(f"cost={cost!r} is not an amount in USD.")
    line = Charge("stated", Decimal(1), amount, amount)
    return Cost(amount=amount, status=PricingStatus.CUSTOM, charges=(line,))


def moment(value: datetime | float | str, name: str) -> float:
    """Return seconds since the epoch UTC for an aware datetime, a number of seconds, or ISO text (UTC if bare).

    Raises:
        ConfigurationError: The value is none of these.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigurationError(f"{name}={value!r} is not a date or time in ISO 8601.") from None
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError(f"{name}={value!r} has no time zone; give an aware datetime.")
        return value.timestamp()
    # What a ledger of calls can hold: 1970 to 9999.
    if not 0 <= value < 253_370_764_800:
        raise ConfigurationError(f"{name}={value!r} is no number of seconds since 1970.")
    return float(value)


def micros(value: datetime | float | str | None, name: str) -> int | None:
    """Return microseconds since the epoch for what `moment` reads; None stays None."""
    return None if value is None else round(moment(value, name) * 1_000_000)


def pricer(book: PriceBook, model: str | None) -> Callable[[LogRow], Cost | None]:
    """Return what prices stored rows again; it answers None for rows that are to be left alone."""

    def price_row(row: LogRow) -> Cost | None:
        columns = row.columns
        if model is not None and model not in (columns["model"], columns["model_group"]):
            return None
        if columns["usage_source"] == UsageSource.NONE and columns["reported_cost"] is None:
            return None
        # A price that is not ours (told by hand, imported) is not ours to change; a missing one is.
        if row.spend_pico is not None and columns["price_key"] is None and columns["reported_cost"] is None:
            return None
        call = call_of(columns)
        cost = price(call, book, call.cost.reported_amount)
        # A price of one's own that this process does not know of must not give way to a list price.
        forgotten = (
            columns["pricing_status"] == PricingStatus.CUSTOM and cost.status is not PricingStatus.CUSTOM
        )
        return None if forgotten else cost

    return price_row
