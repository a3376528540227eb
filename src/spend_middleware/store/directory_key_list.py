"""Which keys are asked for, and one page of them in a stable order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, and_, cast, false, func, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from spend_middleware.store.desk import Desk
from spend_middleware.store.entities import SpendKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQuery:
    """Which keys are asked for; all that is given must hold.

    Args:
        owner: Only keys of this user (with `owner_made` also those that the user made), or of the teams in `owner_teams`, or the one in `owner_token`; None for any.
        alias_part: A piece of the alias, in any case.
        status: "active", "blocked" (LiteLLM also says "revoked"), "expired" or "deleted": these are not kept.
        expires: "expired" or "active", whether blocked or not.
        access_group_id: A key with this group among its own.
        named: Only keys with an alias.
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
    expires: str | None = None
    access_group_id: str | None = None
    named: bool = False


STATUSES = ("active", "blocked", "revoked", "expired", "deleted")
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
    alive = ~func.coalesce(expired, false())
    states = {"expired": expired, "blocked": blocked, "revoked": blocked, "active": and_(~blocked, alive)}
    if query.status is not None:
        chosen = chosen.where(states.get(query.status, false()))
    if query.expires is not None:
        chosen = chosen.where(expired if query.expires == "expired" else alive)
    if query.named:
        chosen = chosen.where(col(SpendKey.key_alias).is_not(None), col(SpendKey.key_alias) != "")
    if query.access_group_id is not None:
        chosen = chosen.where(_in_group(query.access_group_id))
    return chosen if query.all_owners else chosen.where(_owned(query))


def _in_group(group: str) -> Any:
    """Return the condition that a group's id is one of the texts in a key's JSON of further fields."""
    kept = cast(col(SpendKey.extras), Text)
    return and_(kept.contains('"access_group_ids"'), kept.contains(json.dumps(group), autoescape=True))


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
