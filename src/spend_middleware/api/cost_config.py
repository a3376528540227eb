"""The routes of discounts and margins: what is taken off or put on a price, by provider."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body
from fastapi.responses import Response
from pydantic import Field

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheHouse
from spend_middleware.api.desk import TheDirectory
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_budgets import CostConfig, CostConfigSet
from spend_middleware.api.schemas_entities import Name
from spend_middleware.errors import PriceError
from spend_middleware.pricing.book import PriceBook
from spend_middleware.store.directory import COST_DISCOUNTS, COST_MARGINS

routes = Routes("Cost Tracking")

Share = Annotated[float, Field(allow_inf_nan=False)]


@routes.get("/config/cost_discount_config", permission=Permission.READ_ALL, response_model=CostConfig)
def get_cost_discount_config(house: TheHouse, directory: TheDirectory) -> Response:
    """Show the share that is taken off the price of each provider."""
    return answer({"values": directory.cost_config(house.settings)[0]})


@routes.patch("/config/cost_discount_config", permission=Permission.ADMIN, response_model=CostConfigSet)
def update_cost_discount_config(
    house: TheHouse,
    directory: TheDirectory,
    values: Annotated[
        dict[Name, Share], Body(description="Provider -> share off, from 0 to 1.", max_length=500)
    ],
) -> Response:
    """Set the share that is taken off the price of each provider; calls that end from now on cost less."""
    _check(house.prices, "discount", values, {})
    return _set(directory, COST_DISCOUNTS, "discount", values)


@routes.get("/config/cost_margin_config", permission=Permission.READ_ALL, response_model=CostConfig)
def get_cost_margin_config(house: TheHouse, directory: TheDirectory) -> Response:
    """Show what is put on the price of each provider, or of all ("global")."""
    return answer({"values": directory.cost_config(house.settings)[1]})


@routes.patch("/config/cost_margin_config", permission=Permission.ADMIN, response_model=CostConfigSet)
def update_cost_margin_config(
    house: TheHouse,
    directory: TheDirectory,
    values: Annotated[
        dict[Name, Share | dict[Name, Share]],
        Body(description="Provider or global -> share, or {percentage, fixed_amount}.", max_length=500),
    ],
) -> Response:
    """Set what is put on the price of each provider; calls that end from now on cost more."""
    for provider, value in values.items():
        unknown = sorted(value.keys() - {"percentage", "fixed_amount"}) if isinstance(value, dict) else []
        if unknown:
            raise ProxyError(
                400, f"margin of '{provider}' knows percentage and fixed_amount, not {unknown[0]}."
            )
    _check(house.prices, "margin", {}, values)
    return _set(directory, COST_MARGINS, "margin", values)


def _check(prices: PriceBook, word: str, discounts: dict[str, Any], margins: dict[str, Any]) -> None:
    try:
        prices.check_adjustments(discounts, margins)
    except PriceError as error:
        raise ProxyError(400, f"Invalid {word}: {error}", param=f"cost_{word}_config") from None


def _set(directory: Any, name: str, word: str, values: dict[str, Any]) -> Response:
    directory.set_config(name, values)
    return answer(
        {
            "message": f"Cost {word} configuration updated successfully",
            "status": "success",
            "values": values,
        }
    )
