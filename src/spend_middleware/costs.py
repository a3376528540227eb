"""What calls cost: each charge exactly, their sum rounded once, half to even, to a pico-dollar; at once or later.

Nearly all calls are whole answers with plain counts of tokens at list prices, and nobody asks for the amount before the
row is in the database. Such a call is journaled as counts and prices (`MeteredCall`). Whoever needs the amount (a header
that is read, a tally, a span, the row) multiplies, and all of them come to the same. What many calls have in common is
encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache, reduce
from operator import itemgetter
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder as JsonDecoder
from msgspec.msgpack import Decoder, Encoder

from spend_middleware.call import (
    EXACT,
    Attribution,
    Call,
    Charge,
    Cost,
    PricingStatus,
    Status,
    Usage,
    UsageSource,
)

Line = tuple[str, int, Decimal]
"""A charge line before it is multiplied: meter, quantity, USD price of one unit."""

MOST = Decimal(9_000_000)
"""USD: one row of the ledger holds 9.2 million, and no single call costs as much."""

TOO_MUCH = "the counts of this call cannot be right: they cost millions"

_ZERO = Decimal(0)
_PICO_DOLLAR = Decimal("1e-12")
_add, _times, _quantize = EXACT.add, EXACT.multiply, EXACT.quantize
_amount_of: Callable[[Charge], Decimal] = itemgetter(Charge._fields.index("amount"))
# As a bare tuple is made into one: a third of the time of the class itself.
_new: Any = tuple.__new__
_CUSTOM, _PRICED, _FREE = PricingStatus.CUSTOM, PricingStatus.PRICED, PricingStatus.FREE


def charge(meter: str, quantity: int | Decimal, price: Decimal) -> Charge:
    """Return a line with its exact amount."""
    count = Decimal(quantity)
    line: Charge = _new(Charge, (meter, count, price, _times(count, price)))
    return line


def charged(lines: Iterable[Line]) -> list[Charge]:
    """Return lines with their exact amounts."""
    return [charge(*line) for line in lines]


def exact(lines: Iterable[Charge]) -> Decimal:
    """Return the unrounded sum of charge lines."""
    return reduce(_add, map(_amount_of, lines), _ZERO)


def total(lines: Iterable[Charge]) -> Decimal | None:
    """Return the sum of charge lines, rounded once, half to even, to a pico-dollar; None when it is out of bounds."""
    amount = exact(lines)
    return _quantize(amount, _PICO_DOLLAR) if amount < MOST else None


def status_of(own: bool, listed: Decimal, lines: list[Charge]) -> PricingStatus:
    """Return the status of a list price; without lines there was nothing to be free of."""
    return _CUSTOM if own else _PRICED if listed or not lines else _FREE


def listed_cost(
    own: bool, listed: Decimal | None, lines: list[Charge], key: str | None, version: str
) -> Cost:
    """Return a cost that is the list price and nothing else.

    Args:
        own: Whether the price is the user's own.
        listed: The total of the lines.
        lines: What was charged.
        key: The row of the price table.
        version: The version of the price table.
    """
    if listed is None:
        return unpriced(TOO_MUCH, version)
    status = status_of(own, listed, lines)
    cost: Cost = _new(Cost, (listed, status, tuple(lines), None, key, version, listed, None))
    return cost


def unpriced(reason: str, version: str) -> Cost:
    """Return the cost of a call whose price is not known: no amount, and why."""
    return Cost(amount=None, status=PricingStatus.UNPRICED, reason=reason, price_version=version)


_SUCCESS, _REPORTED = Status.SUCCESS, UsageSource.REPORTED


class CallKind(Struct, frozen=True, array_like=True, gc=False):
    """What the calls of one kind have in common.

    Args:
        own: Whether the prices are the user's own.
        prices: Meter and USD price of one unit, for each line that such a call is charged for.
    """

    provider: str
    operation: str
    request_model: str
    response_model: str
    api_base: str
    endpoint: str
    service_tier: str | None
    own: bool
    price_key: str
    price_version: str
    prices: tuple[tuple[str, Decimal], ...]


kind_in = lru_cache(maxsize=1024)(Decoder(CallKind).decode)
"""Returns an encoded kind as it was."""

payer_in = Decoder(Attribution).decode
"""Returns an encoded payer as it was."""

_encoded = Encoder().encode
_object = JsonDecoder(dict[str, Any]).decode

LARGEST_KIND = 1024
"""Bytes of an encoded kind."""


def encoded_kind(kind: CallKind) -> Raw | None:
    """Return a kind as calls hold it; None for one that is too large to be kept, or has no form in bytes."""
    try:
        raw = _encoded(kind)
    except ValueError:  # a lone surrogate
        return None
    return Raw(raw) if len(raw) <= LARGEST_KIND else None


def encoded_payer(payer: Attribution) -> Raw | None:
    """Return who a call is for as calls hold it; None for one that does not come back as it was.

    A text may have a lone surrogate, and metadata may hold what has no form or nests too deep.
    """
    try:
        raw = _encoded(payer)
        return Raw(raw) if not payer.metadata or payer_in(raw) == payer else None
    except (ValueError, OverflowError, TypeError, RecursionError):
        return None


class MeteredCall(Struct, array_like=True, gc=False):
    """One finished call of tokens alone; its fields are those of `Call`.

    Args:
        raw_usage: The provider's own usage object, JSON as it is written.
        quantities: Units of each meter of its kind, in the order of `CallKind.prices`.
        payer: Its encoded `Attribution`.
        kind: Its encoded `CallKind`.
    """

    call_id: str
    started_at: float
    ended_at: float
    first_token_at: float | None
    attempt: int
    response_id: str | None
    finish_reason: str | None
    usage: Usage
    raw_usage: bytes
    quantities: tuple[int, ...]
    payer: Raw
    kind: Raw

    @property
    def reported(self) -> dict[str, Any]:
        """The provider's own usage object."""
        return _object(self.raw_usage)

    def cost(self, kind: CallKind | None = None) -> Cost:
        """Return what the call costs.

        Args:
            kind: Its kind, where that is at hand.
        """
        kind = kind or kind_in(bytes(self.kind))
        prices = zip(kind.prices, self.quantities, strict=True)
        lines = charged([(meter, quantity, price) for (meter, price), quantity in prices])
        return listed_cost(kind.own, total(lines), lines, kind.price_key, kind.price_version)

    def rated(self, kind: CallKind | None = None) -> Call:
        """Return the whole call, with its cost.

        Args:
            kind: Its kind, where that is at hand.
        """
        kind = kind or kind_in(bytes(self.kind))
        return Call(
            call_id=self.call_id,
            provider=kind.provider,
            operation=kind.operation,
            request_model=kind.request_model,
            response_model=kind.response_model,
            api_base=kind.api_base,
            endpoint=kind.endpoint,
            started_at=self.started_at,
            ended_at=self.ended_at,
            first_token_at=self.first_token_at,
            status=_SUCCESS,
            status_code=200,
            attempt=self.attempt,
            response_id=self.response_id,
            finish_reason=self.finish_reason,
            service_tier=kind.service_tier,
            usage=self.usage,
            usage_source=_REPORTED,
            raw_usage=self.reported,
            cost=self.cost(kind),
            attribution=payer_in(self.payer),
        )
