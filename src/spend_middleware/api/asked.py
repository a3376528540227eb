"""What every route may ask for: the house, its caller and the caller's scope."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from spend_middleware.api.access import Caller
from spend_middleware.api.house import House


# Coroutines, so that they cost no visit to a thread.
async def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


__all__ = ["Caller", "House", "TheCaller", "TheHouse"]

TheHouse = Annotated[House, Depends(_house)]
TheCaller = Annotated[Caller, Depends(_caller)]
