"""`/spend/keys` and `/spend/users`: keys and users with what they spent, most expensive first."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response
from sqlmodel import col, false, or_, select

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import Caller, TheCaller, TheHouse
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_key_rows import KeyRow
from spend_middleware.api.schemas_users import UserRow
from spend_middleware.api.user_rows import user_rows
from spend_middleware.store.entities import SpendKey, SpendUser

routes = Routes("Budget & Spend Tracking")


@routes.get("/spend/keys", permission=Permission.SPEND, response_model=list[KeyRow], include_in_schema=False)
def spend_key_fn(house: TheHouse, caller: TheCaller) -> Response:
    """The keys in sight, most expensive first."""
    statement = select(SpendKey)
    if not caller.scope.everything:
        statement = statement.where(_own_keys(caller))
    with house.directory.read() as desk:
        keys = list(desk.session.exec(statement.order_by(col(SpendKey.token))).all())
    return answer(_dearest(key_rows(house.directory, keys)))


def _own_keys(caller: Caller) -> Any:
    scope = caller.scope
    return or_(
        false(),
        col(SpendKey.user_id).in_(sorted(scope.users)),
        col(SpendKey.team_id).in_(sorted(scope.teams)),
        col(SpendKey.token).in_(sorted(scope.keys)),
    )


@routes.get(
    "/spend/users", permission=Permission.SPEND, response_model=list[UserRow], include_in_schema=False
)
def spend_user_fn(
    house: TheHouse,
    caller: TheCaller,
    user_id: Annotated[str | None, Query(description="Only this user.")] = None,
) -> Response:
    """The users in sight, most expensive first."""
    statement = select(SpendUser)
    if user_id:
        statement = statement.where(SpendUser.user_id == user_id)
    if not caller.scope.everything:
        statement = statement.where(col(SpendUser.user_id).in_(sorted(caller.scope.users)))
    with house.directory.read() as desk:
        users = list(desk.session.exec(statement.order_by(col(SpendUser.user_id))).all())
    return answer(_dearest(user_rows(house.directory, users)))


def _dearest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by spend, greatest first; what spent the same stays in the order of its names."""
    return sorted(rows, key=lambda row: -row["spend"])
