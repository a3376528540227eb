"""`/spend/keys` and `/spend/users`: keys and users with what they spent, most expensive first."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import Response
from sqlmodel import col, false, or_, select

from spend_middleware.api.answers import answer, short_number
from spend_middleware.api.asked import Caller, TheCaller, TheHouse
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_key_rows import KeyRow
from spend_middleware.api.schemas_users import UserRow, UserWithAliases
from spend_middleware.api.user_rows import user_rows
from spend_middleware.store.desk import Desk
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
    "/spend/users",
    permission=Permission.SPEND,
    response_model=list[UserRow | UserWithAliases],
    include_in_schema=False,
)
def spend_user_fn(
    house: TheHouse,
    caller: TheCaller,
    user_id: Annotated[str | None, Query(description="Only this user, with its relations.")] = None,
) -> Response:
    """The users in sight, most expensive first."""
    if not caller.scope.everything:
        own = caller.user_id if caller.user_id in caller.scope.users else None
        if own is None:
            return answer([])
        if user_id not in (None, "", own):
            raise HTTPException(403, {"error": "Not authorized to view spend for another user."})
        user_id = own
    statement = select(SpendUser).order_by(col(SpendUser.user_id))
    if user_id:
        statement = statement.where(SpendUser.user_id == user_id)
    with house.directory.read() as desk:
        users = list(desk.session.exec(statement).all())
        aliases = {} if user_id else _aliases(desk, [user.user_id for user in users])
    if user_id:
        more: dict[str, dict[str, Any]] = {user_id: {"organization_memberships": []}}
        return answer(user_rows(house.directory, users, UserRow, more))
    rows = _dearest(user_rows(house.directory, users, UserWithAliases, aliases))
    return answer([row | {"spend": short_number(Decimal(str(row["spend"])))} for row in rows])


def _aliases(desk: Desk, user_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the aliases of each user's keys, null for a key without one and for no key at all, as in LiteLLM."""
    found: dict[str, list[str | None]] = {}
    for key in desk.some(SpendKey, SpendKey.user_id, user_ids):
        found.setdefault(key.user_id or "", []).append(key.key_alias)
    return {
        user_id: {"key_aliases": sorted(found.get(user_id, [None]), key=lambda alias: alias or "")}
        for user_id in user_ids
    }


def _dearest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by spend, greatest first; what spent the same stays in the order of its names."""
    return sorted(rows, key=lambda row: -row["spend"])
