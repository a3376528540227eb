"""Virtual keys: making, finding, changing, blocking, replacing and deleting them."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlmodel import select

from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.desk import Desk
from spend_middleware.store.directory_limits import new_windows, set_limits
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
            f"The key {shown_name(secret)} exists already. Choose another one, or change it by /key/update.",
            "key",
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
    if wanted.get("soft_budget") is not None:
        _warn_from(desk, key, wanted["soft_budget"])
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
        raise TakenError(f"The key {shown_name(secret)} exists already.", "new_key")
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
    if wanted.get("budget_limits"):
        key.extras = {**key.extras, "budget_limits": new_windows(desk, wanted["budget_limits"])}
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
                f"Key with alias '{alias}' already exists. Unique key aliases across all keys are required.",
                "key_alias",
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


def _warn_from(desk: Desk, key: SpendKey, amount: Decimal) -> None:
    """Set the amount from which on the owner is warned, in a budget of the key's own."""
    budget = desk.get(SpendBudget, key.budget_id) if key.budget_id else None
    if budget is None:
        key.budget_id = _soft_budget(desk, amount)
    else:
        set_limits(desk, None, budget, {"soft_budget": amount})
        desk.session.add(budget)


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
