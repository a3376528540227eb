"""Exact LLM spend, recorded inside your service.

    from spend_middleware import Spend, SpendMiddleware

    spend = Spend("sqlite:///spend.db", master_key="sk-1234")
    app.add_middleware(SpendMiddleware, spend=spend)
    app.mount("/spend", spend.app)
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from spend_middleware.call import (
    Attribution,
    Call,
    Charge,
    Cost,
    PricingStatus,
    Status,
    Tally,
    Unit,
    Usage,
    UsageSource,
)
from spend_middleware.errors import (
    ConfigurationError,
    MissingDependencyError,
    NotFoundError,
    PriceError,
    SchemaError,
    SpendError,
    StoreError,
)
from spend_middleware.middleware import SpendMiddleware
from spend_middleware.settings import Settings
from spend_middleware.spend import Spend

if TYPE_CHECKING:
    from spend_middleware.pricing.functions import completion_cost, cost_per_token, response_cost, token_counter

__all__ = [
    "Attribution",
    "Call",
    "Charge",
    "ConfigurationError",
    "Cost",
    "MissingDependencyError",
    "NotFoundError",
    "PriceError",
    "PricingStatus",
    "SchemaError",
    "Settings",
    "Spend",
    "SpendError",
    "SpendMiddleware",
    "Status",
    "StoreError",
    "Tally",
    "Unit",
    "Usage",
    "UsageSource",
    "completion_cost",
    "cost_per_token",
    "response_cost",
    "token_counter",
]

__version__ = metadata.version("spend-middleware")

_PRICING_FUNCTIONS = frozenset({"completion_cost", "cost_per_token", "response_cost", "token_counter"})


def __getattr__(name: str) -> Any:
    """Import the pricing functions when they are first asked for."""
    if name in _PRICING_FUNCTIONS:
        from spend_middleware.pricing import functions

        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
