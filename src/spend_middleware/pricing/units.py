"""Everything that is billed by another unit than the token."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from spend_middleware.call import Charge
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates
from spend_middleware.pricing.tokens import TokenCard, add, token_charges

if TYPE_CHECKING:
    from spend_middleware.pricing.calculate import Related


def clock_price(rates: Rates) -> Decimal | None:
    """Return the price of a second of a call's own duration."""
    return None


def clock_charges(price: Decimal, query: PriceQuery) -> list[Charge]:
    """Return the line of a call that is billed by its duration."""
    lines: list[Charge] = []
    add(lines, "wall_seconds", Decimal(repr(query.response_seconds or 0.0)), price)
    return lines


def charges(
    rates: Rates, card: TokenCard | None, query: PriceQuery, related: Related
) -> tuple[list[Charge], str | None]:
    """Return the lines of a call."""
    if card is None:
        return [], f"the price of {rates.key} has no rate for tokens"
    return token_charges(query.usage, card.at(query.usage.input_tokens, query.at)), None
