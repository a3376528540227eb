"""One row of prices in LiteLLM's fields, its numbers parsed exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from spend_middleware.call import EXACT
from spend_middleware.errors import PriceError
from spend_middleware.pricing.limits import checked_limits

MOST = Decimal(100_000)
"""USD a unit; no vendor quotes as much, so that such a number is a mistake."""

ZERO = Decimal(0)
_HALF = Decimal("0.5")


def is_price_field(name: str) -> bool:
    """Return whether LiteLLM's field of this name holds a price or a factor on prices."""
    return (
        "cost" in name
        or "pricing" in name
        or "multiplier" in name
        or name in ("provider_specific_entry", "web_search_billing_unit")
    )


def parse_price(value: Any, model: str, name: str) -> Decimal:
    """Return a price as an exact decimal.

    Args:
        value: An integer, a float (read as it prints), a decimal, "3e-7", or a vendor's fraction "2/7000000".
        model: Named in the error.
        name: Named in the error.

    Raises:
        PriceError: The value is no price.
    """
    if isinstance(value, bool):
        raise PriceError(f"price {name} of {model!r} is {value!r}: a truth value is not a number")
    try:
        if isinstance(value, str) and "/" in value:
            above, below = value.split("/")
            number = EXACT.divide(Decimal(above), Decimal(below))
        else:
            number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ArithmeticError, TypeError, ValueError):
        raise PriceError(f"price {name} of {model!r} is not a number: {value!r}") from None
    if not number.is_finite() or number < 0 or number > MOST:
        raise PriceError(f"price {name} of {model!r} is out of bounds: {value!r}")
    return number


class Rates:
    """One row of prices: numbers by LiteLLM's field name, parsed when they are first asked for."""

    __slots__ = ("_numbers", "compiled", "fields", "key", "mode", "provider")

    def __init__(self, key: str, fields: Mapping[str, Any]) -> None:
        self.key = key
        self.fields = fields
        self.provider = str(fields.get("litellm_provider") or "")
        self.mode = str(fields.get("mode") or "")
        self._numbers: dict[str, Decimal | None] = {}
        self.compiled: dict[Any, Any] = {}

    def get(self, name: str) -> Decimal | None:
        """Return a number of the row; None when it has none of that name (an explicit 0 is a price)."""
        try:
            return self._numbers[name]
        except KeyError:
            value = self.fields.get(name)
            number = (
                None
                if value is None or isinstance(value, Mapping | list)
                else parse_price(value, self.key, name)
            )
            self._numbers[name] = number
            return number

    def first(self, *names: str) -> Decimal | None:
        """Return the first number that the row has."""
        for name in names:
            number = self.get(name)
            if number is not None:
                return number
        return None

    def nested(self, name: str, inner: str) -> Decimal | None:
        """Return a number of a map inside the row, such as a search context size's price."""
        group = self.fields.get(name)
        value = group.get(inner) if isinstance(group, Mapping) else None
        if isinstance(value, int | float | str | Decimal):
            return parse_price(value, self.key, f"{name}.{inner}")
        return None

    @property
    def has_token_prices(self) -> bool:
        """Whether tokens have a price here, if only an explicit zero."""
        return any(f in self.fields for f in _TOKEN_FIELDS)


_TOKEN_FIELDS = (
    "input_cost_per_token", "output_cost_per_token", "tiered_pricing", "input_cost_per_audio_token",
    "input_cost_per_image_token", "output_cost_per_image_token", "output_cost_per_audio_token",
    "input_cost_per_token_batches", "output_cost_per_token_batches", "output_cost_per_video_token",
)  # fmt: skip


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value inside a price field with its dotted name."""
    if isinstance(value, Mapping):
        for inner, below in value.items():
            yield from leaves(below, f"{name}.{inner}" if name else str(inner))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from leaves(below, name)
    else:
        yield name, value


_GROUPS = frozenset(
    {
        "tiered_pricing",
        "off_peak_pricing",
        "search_context_cost_per_query",
        "guardrail_cost_per_unit",
        "web_search_billing_unit",
        "provider_specific_entry",
    }
)
"""Fields that hold more than one price, or a word."""

_WORDS = frozenset({"hours_utc", "weekday_timezone", "weekdays", "range", "max_results_range"})


def check_fields(model: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the price fields, provider, mode and limits of a row that a user or a fetched map gave.

    Raises:
        PriceError: A price is not usable; the message names the model and the field.
    """
    out: dict[str, Any] = dict(checked_limits(fields))
    for name, value in fields.items():
        if name in ("litellm_provider", "mode"):
            if value is not None:
                out[name] = str(value)
            continue
        if value is None or not is_price_field(name):
            continue
        if name not in _GROUPS:
            parse_price(value, model, name)
        elif name not in ("web_search_billing_unit", "provider_specific_entry"):
            for dotted, leaf in leaves(value, name):
                if leaf is not None and dotted.rsplit(".", 1)[-1] not in _WORDS:
                    parse_price(leaf, model, dotted)
        out[name] = value
    return out
