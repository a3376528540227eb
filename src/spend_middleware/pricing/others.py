"""The other rows that one call's price may need: picture sizes, containers, routers, further passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from spend_middleware.call import Charge, Usage
from spend_middleware.pricing.calculate import Sheet, charges_of
from spend_middleware.pricing.layers import Layers
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates


class Others:
    """The rows of all layers as one query sees them.

    Args:
        sheet: Finds the row of a query, ready for pricing.
        layers: The rows.
        query: The call that is priced.
    """

    __slots__ = ("_layers", "_query", "_sheet")

    def __init__(
        self, sheet: Callable[[Layers, PriceQuery], Sheet | None], layers: Layers, query: PriceQuery
    ) -> None:
        self._sheet = sheet
        self._layers = layers
        self._query = query

    def row(self, key: str) -> Rates | None:
        """Return the row under exactly this key."""
        found = self._layers.row(key, self._query.at)
        return None if found is None else found[0]

    def ending(self, name: str) -> Iterable[str]:
        """Give the keys whose last part is a model's name."""
        return [key for key in self._layers.all_keys() if key.endswith(f"/{name}")]

    def pass_charges(self, model: str, usage: Usage) -> list[Charge] | None:
        """Return the lines of a further pass that another model answered; None when its price is unknown."""
        query = replace(self._query, models=(model,), usage=usage, base_model=None)
        sheet = self._sheet(self._layers, query)
        lines, reason = charges_of(sheet, query, self) if sheet else ([], "unknown")
        return None if reason else lines
