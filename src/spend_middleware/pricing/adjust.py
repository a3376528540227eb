"""What comes after the list price: a provider's own statement, discounts and margins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from spend_middleware.call import EXACT, Charge
from spend_middleware.costs import MOST, exact
from spend_middleware.errors import PriceError
from spend_middleware.pricing.rates import ZERO

_ONE = Decimal(1)


def is_usable(cost: Decimal | None) -> bool:
    """Return whether a cost that a provider states can be one."""
    return cost is not None and cost.is_finite() and 0 <= cost < MOST


def stated(cost: Decimal) -> Charge:
    """Return the line of a cost that the provider itself stated."""
    return Charge("provider_reported", _ONE, cost, cost)


def share(value: Any, name: str) -> Decimal:
    """Return a share such as 0.05 as a decimal.

    Raises:
        PriceError: It is no number of 0 and more.
    """
    if isinstance(value, bool):
        raise PriceError(f"{name} is {value!r}: a truth value is not a number")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        raise PriceError(f"{name} is not a number: {value!r}") from None
    if not number.is_finite() or number < 0:
        raise PriceError(f"{name} is out of bounds: {value!r}")
    return number


@dataclass(frozen=True, slots=True)
class _Margin:
    percentage: Decimal
    fixed: Decimal


class Adjustments:
    """Discounts by provider, then margins: the provider's own entry, else "global"."""

    def __init__(self, discounts: Mapping[str, Any], margins: Mapping[str, Any]) -> None:
        self._discounts = {p: share(value, f"discount of {p!r}") for p, value in discounts.items()}
        for provider, off in self._discounts.items():
            if off > 1:
                raise PriceError(f"discount of {provider!r} is more than everything: {off}")
        self._margins = {p: _margin(value, p) for p, value in margins.items()}
        self.any = bool(self._discounts or self._margins)

    def apply(self, lines: list[Charge], provider: str) -> list[Charge]:
        """Return the lines with those of the discount and the margin behind them."""
        out = list(lines)
        amount = exact(lines)
        off = self._discounts.get(provider, ZERO)
        if off:
            cut = EXACT.multiply(amount, -off)
            out.append(Charge("discount", amount, -off, cut))
            amount = EXACT.add(amount, cut)
        margin = self._margins.get(provider) or self._margins.get("global")
        if margin is not None and margin.percentage:
            out.append(Charge("margin", amount, margin.percentage, EXACT.multiply(amount, margin.percentage)))
        if margin is not None and margin.fixed:
            out.append(Charge("margin_fixed", _ONE, margin.fixed, margin.fixed))
        return out


def _margin(value: Any, provider: str) -> _Margin:
    if isinstance(value, Mapping):
        return _Margin(
            share(value.get("percentage") or 0, f"margin percentage of {provider!r}"),
            share(value.get("fixed_amount") or 0, f"margin fixed_amount of {provider!r}"),
        )
    return _Margin(share(value, f"margin of {provider!r}"), ZERO)
