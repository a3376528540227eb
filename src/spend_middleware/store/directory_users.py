"""Internal users: those who own keys."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, or_
from sqlmodel import col, select

from spend_middleware.errors import NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_limits import set_limits
from spend_middleware.store.directory_members import TEAM
from spend_middleware.store.entities import SpendKey, SpendMembership, SpendUser

_COLUMNS = frozenset(
    ["user_alias", "user_email", "user_role", "team_id", "organization_id", "sso_user_id", "models"]
)
_LIMITS = frozenset(["max_budget", "budget_duration", "tpm_limit", "rpm_limit", "max_parallel_requests"])
_EXTRAS = frozenset(
    [
        "allowed_cache_controls",
        "policies",
        "model_spend",
        "model_max_budget",
        "object_permission_id",
        "password_reset_required",
        "last_breach_check_at",
    ]
)
SORTABLE = ("user_id", "user_email", "user_alias", "user_role", "created_at", "updated_at")


def create(desk: Desk, wanted: Mapping[str, Any]) -> SpendUser:
    """Make a user; without an id it gets a new one.

    Raises:
        TakenError: The id or the e-mail address belongs to somebody.
        ConfigurationError: A value cannot work.
    """
    user_id = wanted.get("user_id") or str(uuid.uuid4())
    if desk.get(SpendUser, user_id) is not None:
        raise TakenError(f"User with id {user_id} already exists. Use /user/update to change it.")
    user = SpendUser(user_id=user_id, created_at=desk.now)
    if wanted.get("spend") is not None:
        user.spend_carried = wanted["spend"]
    _apply(desk, user, wanted)
    desk.session.add(user)
    return user


def get(desk: Desk, user_id: str) -> SpendUser:
    """Return a user.

    Raises:
        NotFoundError: There is no such user.
    """
    user = desk.get(SpendUser, user_id)
    if user is None:
        raise NotFoundError(f"User {user_id} not found")
    return user


def by_email(desk: Desk, user_email: str) -> SpendUser:
    """Return a user by e-mail address, in any case of letters.

    Raises:
        NotFoundError: There is no such user.
    """
    user = _holder(desk, user_email)
    if user is None:
        raise NotFoundError(f"User with user_email {user_email} not found")
    return user


def change(desk: Desk, user: SpendUser, wanted: Mapping[str, Any]) -> SpendUser:
    """Change the fields of a user that were given, and return it.

    Raises:
        TakenError: The e-mail address belongs to somebody else.
        ConfigurationError: A value cannot work.
    """
    if wanted.get("spend") is not None:
        user.spend_since, user.spend_carried = desk.now, wanted["spend"]
    _apply(desk, user, wanted)
    desk.session.add(user)
    return user


def delete(desk: Desk, user_ids: Sequence[str]) -> int:
    """Delete users with their keys and memberships, and return how many; their calls stay in the ledger.

    Raises:
        NotFoundError: One of them does not exist; then none is deleted.
    """
    users = [get(desk, user_id) for user_id in dict.fromkeys(user_ids)]
    for user in users:
        desk.session.execute(delete_rows(SpendKey).where(col(SpendKey.user_id) == user.user_id))
        desk.session.execute(delete_rows(SpendMembership).where(col(SpendMembership.user_id) == user.user_id))
        desk.session.delete(user)
    return len(users)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuery:
    """Which users are asked for; all that is given must hold."""

    role: str | None = None
    user_ids: tuple[str, ...] = ()
    sso_user_ids: tuple[str, ...] = ()
    email_part: str | None = None
    search: str | None = None
    team: str | None = None
    organization_ids: tuple[str, ...] = ()


def find(
    desk: Desk, query: UserQuery, *, sort_by: str, descending: bool, offset: int, limit: int
) -> tuple[list[SpendUser], int]:
    """Return one page of users in a stable order, and how many match in all."""
    chosen = select(SpendUser)
    if query.role is not None:
        chosen = chosen.where(SpendUser.user_role == query.role)
    if query.user_ids:
        chosen = chosen.where(col(SpendUser.user_id).in_(query.user_ids))
    if query.sso_user_ids:
        chosen = chosen.where(col(SpendUser.sso_user_id).in_(query.sso_user_ids))
    if query.organization_ids:
        chosen = chosen.where(col(SpendUser.organization_id).in_(query.organization_ids))
    if query.email_part:
        chosen = chosen.where(col(SpendUser.user_email).icontains(query.email_part, autoescape=True))
    if query.search:
        columns = (col(SpendUser.user_email), col(SpendUser.user_id), col(SpendUser.user_alias))
        chosen = chosen.where(or_(*(column.icontains(query.search, autoescape=True) for column in columns)))
    if query.team is not None:
        inside = select(SpendMembership.user_id).where(
            SpendMembership.kind == TEAM, SpendMembership.group_id == query.team
        )
        chosen = chosen.where(col(SpendUser.user_id).in_(inside))
    total = desk.session.exec(select(func.count()).select_from(chosen.subquery())).one()
    column = col(getattr(SpendUser, sort_by))
    order = (column.is_(None), column.desc() if descending else column.asc(), col(SpendUser.user_id).asc())
    return list(desk.session.exec(chosen.order_by(*order).offset(offset).limit(limit)).all()), total


def key_counts(desk: Desk, user_ids: Sequence[str]) -> dict[str, int]:
    """Return how many keys each user has."""
    counted = desk.session.exec(
        select(SpendKey.user_id, func.count())
        .where(col(SpendKey.user_id).in_(user_ids))
        .group_by(col(SpendKey.user_id))
    ).all()
    return {str(user_id): count for user_id, count in counted}


def keys_of(desk: Desk, user_id: str) -> list[SpendKey]:
    """Return the keys of a user, oldest first."""
    return sorted(
        desk.some(SpendKey, SpendKey.user_id, [user_id]), key=lambda key: (key.created_at, key.token)
    )


def _holder(desk: Desk, user_email: str) -> SpendUser | None:
    lowered = func.lower(SpendUser.user_email)
    return desk.session.exec(
        select(SpendUser).where(lowered == user_email.lower()).order_by(col(SpendUser.user_id))
    ).first()


def _apply(desk: Desk, user: SpendUser, wanted: Mapping[str, Any]) -> None:
    email = wanted.get("user_email")
    if email:
        holder = _holder(desk, email)
        if holder is not None and holder.user_id != user.user_id:
            raise TakenError(f"User with email {email} already exists. Each address belongs to one user.")
    for name in _COLUMNS & wanted.keys():
        if wanted[name] is not None or name != "models":
            setattr(user, name, wanted[name])
    if wanted.get("metadata") is not None:
        user.user_metadata = dict(wanted["metadata"])
    user.extras = {**user.extras, **{name: wanted[name] for name in sorted(_EXTRAS & wanted.keys())}}
    set_limits(desk, user, user, {name: wanted[name] for name in _LIMITS & wanted.keys()})
    user.updated_at = desk.now
