"""Tools that a provider bills beside the tokens: each is added, none takes another's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spend_middleware.call import Charge, Usage
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates

if TYPE_CHECKING:
    from spend_middleware.pricing.calculate import Related, Sheet


def has_tool_prices(rates: Rates, provider: str) -> bool:
    """Return whether tools may be billed though the usage names no units."""
    return False


def charges(rates: Rates, query: PriceQuery, related: Related) -> list[Charge]:
    """Return the lines of tools."""
    return []


def pass_charges(model: str, usage: Usage, query: PriceQuery, related: Related, sheet: Sheet) -> list[Charge]:
    """Return the lines of a further pass by another model."""
    return []
