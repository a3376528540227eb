"""Virtual keys: making, finding, changing, blocking, replacing and deleting them."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, false, func, or_
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.directory import Desk
from spend_middleware.store.directory_limits import set_limits
from spend_middleware.store.durations import Duration
from spend_middleware.store.entities import SpendBudget, SpendKey, SpendOrganization, SpendTeam
from spend_middleware.store.standing import instant, micros

SHORTEST_KEY = 16

_COLUMNS = frozenset(
    [
        "key_alias",
        "user_id",
        "team_id",
        "organization_id",
        "agent_id",
        "project_id",
        "budget_id",
        "key_type",
        "models",
        "allowed_routes",
        "permissions",
        "tpd_limit",
        "blocked",
    ]
)
_LIMITS = frozenset(["max_budget", "budget_duration", "tpm_limit", "rpm_limit", "max_parallel_requests"])
_EXTRAS = frozenset(
    [
        "aliases",
        "config",
        "router_settings",
        "allowed_cache_controls",
        "policies",
        "access_group_ids",
        "model_max_budget",
        "budget_fallbacks",
        "object_permission_id",
        "auto_rotate",
        "rotation_interval",
        "key_rotation_at",
        "budget_limits",
        "soft_budget_cooldown",
        "model_spend",
        "last_active",
    ]
)
_NEVER_NULL = frozenset(["models", "allowed_routes", "permissions"])

# Which routes each kind of key may call, in LiteLLM's names of route groups.
KEY_TYPES: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "llm_api": ("llm_api_routes",),
    "management": ("management_routes",),
    "read_only": ("info_routes",),
}


def hash_of(key: str) -> str:
    """Return the form that a key is stored in: sha256 hex; what is no `sk-` key is taken for a hash already."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() if key.startswith("sk-") else key


def new_secret() -> str:
    """Return a new key: `sk-` and 22 random characters (128 bits)."""
    return "sk-" + secrets.token_urlsafe(16)


def shown_name(secret: str) -> str:
    """Return the name that tells a key's owner which one it is."""
    return "sk-..." + secret[-4:]


def generate(desk: Desk, wanted: Mapping[str, Any], secret: str | None = None) -> tuple[SpendKey, str]:
    """Make a key and return it with its secret, which is stored nowhere.

    Args:
        wanted: LiteLLM's names of fields; only those that were given.
        secret: The key that is wished for.

    Raises:
        TakenError: The key or its alias exists.
        ConfigurationError: A value cannot work, or names a team, an organization or a budget that does not exist.
    """
    secret = new_secret() if secret is None else _checked_secret(secret)
    token = hash_of(secret)
    if desk.get(SpendKey, token) is not None:
        raise TakenError(
            f"The key {shown_name(secret)} exists already. Choose another one, or change it by /key/update."
        )
    key = SpendKey(token=token, key_name=shown_name(secret), created_at=desk.now, created_by=desk.actor)
    key.key_type = "default"
    if wanted.get("spend") is not None:
        key.spend_carried = key.total_carried = wanted["spend"]
    _apply(desk, key, wanted)
    if not key.allowed_routes:
        key.allowed_routes = list(KEY_TYPES.get(key.key_type or "default", ()))
    if wanted.get("soft_budget") is not None:
        key.budget_id = _soft_budget(desk, wanted["soft_budget"])
    desk.session.add(key)
    return key, secret


def change(desk: Desk, token: str, wanted: Mapping[str, Any]) -> SpendKey:
    """Change the fields of a key that were given, and return it.

    Raises:
        NotFoundError: There is no such key.
        TakenError: The alias belongs to another key.
        ConfigurationError: As for `generate`.
    """
    key = get(desk, token)
    if wanted.get("spend") is not None:
        key.spend_since, key.spend_carried = desk.now, wanted["spend"]
    _apply(desk, key, wanted)
    key.settings_updated_at = desk.now
    desk.session.add(key)
    return key


def get(desk: Desk, token: str) -> SpendKey:
    """Return a key by its hash.

    Raises:
        NotFoundError: There is no such key.
    """
    key = desk.get(SpendKey, token)
    if key is None:
        raise NotFoundError("Key not found in database")
    return key


def block(desk: Desk, token: str, blocked: bool) -> SpendKey:
    """Block or unblock a key and return it.

    Raises:
        NotFoundError: There is no such key.
    """
    return change(desk, token, {"blocked": blocked})


def reset_spend(desk: Desk, token: str, reset_to: Decimal) -> SpendKey:
    """Set what counts against a key; its whole life's total stays.

    Raises:
        NotFoundError: There is no such key.
    """
    key = get(desk, token)
    key.spend_since, key.spend_carried, key.updated_at = desk.now, reset_to, desk.now
    desk.session.add(key)
    return key


def regenerate(
    desk: Desk,
    token: str,
    wanted: Mapping[str, Any],
    *,
    secret: str | None = None,
    spend: Decimal = Decimal(0),
    total: Decimal = Decimal(0),
) -> tuple[SpendKey, str]:
    """Give a key a new secret; the old one is refused from now on.

    Args:
        spend: What counts against the old one now; it counts against the new one too. So does `total`.

    Raises:
        NotFoundError: There is no such key.
        TakenError: The wished-for secret exists.
        ConfigurationError: As for `generate`.
    """
    old = get(desk, token)
    secret = new_secret() if secret is None else _checked_secret(secret)
    if desk.get(SpendKey, hash_of(secret)) is not None:
        raise TakenError(f"The key {shown_name(secret)} exists already.")
    new = SpendKey(**{**old.model_dump(), "token": hash_of(secret), "key_name": shown_name(secret)})
    new.rotation_count, new.last_rotation_at = old.rotation_count + 1, desk.now
    new.spend_since, new.spend_carried = desk.now, spend
    new.total_since, new.total_carried = desk.now, total
    desk.session.delete(old)
    desk.session.flush()
    _apply(desk, new, wanted)
    desk.session.add(new)
    return new, secret


def delete(desk: Desk, keys: Sequence[SpendKey]) -> None:
    """Delete keys; the calls that were made with them stay in the ledger."""
    for key in keys:
        desk.session.delete(key)


def by_tokens(desk: Desk, tokens: Sequence[str]) -> list[SpendKey]:
    """Return the keys with these hashes that exist."""
    return desk.some(SpendKey, SpendKey.token, tokens)


def by_aliases(desk: Desk, aliases: Sequence[str]) -> list[SpendKey]:
    """Return the keys with these aliases that exist."""
    return desk.some(SpendKey, SpendKey.key_alias, aliases)


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


def _apply(desk: Desk, key: SpendKey, wanted: Mapping[str, Any]) -> None:
    _check_links(desk, key, wanted)
    for name in _COLUMNS & wanted.keys():
        value = wanted[name]
        if name in _NEVER_NULL and value is None:
            continue
        setattr(key, name, value)
    if wanted.get("metadata") is not None:
        key.key_metadata = dict(wanted["metadata"])
    key.extras = {**key.extras, **{name: wanted[name] for name in sorted(_EXTRAS & wanted.keys())}}
    set_limits(desk, key, key, {name: wanted[name] for name in _LIMITS & wanted.keys()})
    if "duration" in wanted:
        key.expires = _expiry(desk, wanted["duration"])
    key.updated_at, key.updated_by = desk.now, desk.actor


def _check_links(desk: Desk, key: SpendKey, wanted: Mapping[str, Any]) -> None:
    alias = wanted.get("key_alias")
    if alias is not None:
        taken = desk.session.exec(select(SpendKey.token).where(SpendKey.key_alias == alias)).first()
        if taken is not None and taken != key.token:
            raise TakenError(
                f"Key with alias '{alias}' already exists. Unique key aliases across all keys are required."
            )
    for name, model in (
        ("team_id", SpendTeam),
        ("organization_id", SpendOrganization),
        ("budget_id", SpendBudget),
    ):
        value = wanted.get(name)
        if value and desk.session.get(model, value) is None:
            raise ConfigurationError(
                f"{name} '{value}' does not exist. Create it first, or leave {name} out."
            )


def _checked_secret(secret: str) -> str:
    if not secret.startswith("sk-"):
        raise ConfigurationError("Invalid key format. A virtual key must start with 'sk-'.")
    if len(secret) < SHORTEST_KEY:
        raise ConfigurationError(
            f"Invalid key format. A virtual key must have at least {SHORTEST_KEY} characters."
        )
    return secret


def _expiry(desk: Desk, duration: str | None) -> int | None:
    if duration is None or duration == "-1":  # LiteLLM's word for never
        return None
    try:
        return micros(Duration.parse(duration).added_to(instant(desk.now)))
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace("budget_duration", "duration")) from None


def _soft_budget(desk: Desk, amount: Decimal) -> str:
    budget = SpendBudget(
        budget_id=str(uuid.uuid4()),
        model_max_budget={},
        created_at=desk.now,
        updated_at=desk.now,
        created_by=desk.actor,
        updated_by=desk.actor,
    )
    set_limits(desk, None, budget, {"soft_budget": amount})
    desk.session.add(budget)
    return budget.budget_id
