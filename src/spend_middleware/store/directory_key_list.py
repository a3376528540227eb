"""Which keys are asked for, and one page of them in a stable order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, false, func, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from spend_middleware.store.directory import Desk
from spend_middleware.store.entities import SpendKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """Which keys are asked for; all that is given must hold.

    Args:
        owner: Only keys of this user (with `owner_made` also those that the user made), or of the teams in `owner_teams`, or the one in `owner_token`; None for any.
        alias_part: A piece of the alias, in any case.
        status: "active", "blocked" or "expired".
    """

    owner: str | None = None
    owner_made: bool = False
    owner_teams: tuple[str, ...] = ()
    owner_token: str | None = None
    all_owners: bool = False
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    agent_id: str | None = None
    project_id: str | None = None
    token: str | None = None
    key_alias: str | None = None
    alias_part: str | None = None
    search: str | None = None
    status: str | None = None


SORTABLE = ("created_at", "updated_at", "key_alias", "token", "user_id", "team_id", "expires")


def find(
    desk: Desk,
    query: KeyQuery,
    *,
    sort_by: str = "created_at",
    descending: bool = True,
    offset: int,
    limit: int | None,
) -> tuple[list[SpendKey], int]:
    """Return one page of keys in a stable order, and how many match in all."""
    chosen = _chosen(desk, query)
    total = desk.session.exec(select(func.count()).select_from(chosen.subquery())).one()
    column = col(getattr(SpendKey, sort_by))
    order = (column.is_(None), column.desc() if descending else column.asc(), col(SpendKey.token).asc())
    page = desk.session.exec(chosen.order_by(*order).offset(offset).limit(limit)).all()
    return list(page), total


def _chosen(desk: Desk, query: KeyQuery) -> SelectOfScalar[SpendKey]:
    chosen = select(SpendKey)
    for name in ("user_id", "team_id", "organization_id", "agent_id", "project_id", "token", "key_alias"):
        value = getattr(query, name)
        if value is not None:
            chosen = chosen.where(col(getattr(SpendKey, name)) == value)
    for name, value in (("key_alias", query.alias_part), ("search", query.search)):
        if value:
            columns = [col(SpendKey.key_alias)]
            if name == "search":
                columns += [col(SpendKey.token), col(SpendKey.user_id), col(SpendKey.key_name)]
            chosen = chosen.where(or_(*(column.icontains(value, autoescape=True) for column in columns)))
    expired = and_(col(SpendKey.expires).is_not(None), col(SpendKey.expires) <= desk.now)
    blocked = func.coalesce(col(SpendKey.blocked), false())
    states = {
        "expired": expired,
        "blocked": blocked,
        "active": and_(~blocked, ~func.coalesce(expired, false())),
    }
    if query.status is not None:
        chosen = chosen.where(states.get(query.status, false()))
    return chosen if query.all_owners else chosen.where(_owned(query))


def _owned(query: KeyQuery) -> Any:
    parts: list[Any] = []
    if query.owner:
        parts.append(col(SpendKey.user_id) == query.owner)
        if query.owner_made:
            parts.append(col(SpendKey.created_by) == query.owner)
    if query.owner_teams:
        parts.append(col(SpendKey.team_id).in_(query.owner_teams))
    if query.owner_token:
        parts.append(col(SpendKey.token) == query.owner_token)
    return or_(false(), *parts)
