"""Exact LLM spend, recorded inside your service.

from spend_middleware import Spend, SpendMiddleware

spend = Spend("sqlite:///spend.db", master_key="sk-1234")
app.add_middleware(SpendMiddleware, spend=spend)
app.mount("/spend", spend.app)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spend_middleware.call import (
        Attribution,
        Call,
        Charge,
        Cost,
        PricingStatus,
        Status,
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
    from spend_middleware.functions import (
        completion_cost,
        cost_per_token,
        response_cost,
        token_counter,
    )
    from spend_middleware.middleware import SpendMiddleware
    from spend_middleware.settings import Settings
    from spend_middleware.spend import Spend
    from spend_middleware.tally import Tally

# Where each public name lives: a name is imported when it is first asked for, so that a script which only wants a
# price loads no server and no database.
_ROOMS = {
    "call": "Attribution Call Charge Cost PricingStatus Status Unit Usage UsageSource",
    "errors": "ConfigurationError MissingDependencyError NotFoundError PriceError SchemaError SpendError StoreError",
    "middleware": "SpendMiddleware",
    "functions": "completion_cost cost_per_token response_cost token_counter",
    "settings": "Settings",
    "spend": "Spend",
    "tally": "Tally",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}

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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("spend-middleware")
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"spend_middleware.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
