"""What a price may need beyond its own row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from spend_middleware.pricing.rates import Rates

if TYPE_CHECKING:
    from spend_middleware.call import Charge, Usage


class Related(Protocol):
    """Other rows: picture sizes, containers, routers, the models of further passes."""

    def row(self, key: str) -> Rates | None:
        """Return the row under exactly this key."""

    def ending(self, name: str) -> Iterable[str]:
        """Give the keys whose last part is a model's name, such as "fal_ai/high/1024-x-768/name"."""

    def pass_charges(self, model: str, usage: Usage) -> list[Charge] | None:
        """Return the lines of a further pass that another model answered; None when its price is unknown."""
