"""Whose key it is, and what may be asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from spend_middleware.api.access import Caller
from spend_middleware.api.desk import led_teams, own_teams
from spend_middleware.api.refusals import HANDLED, Wording, forbid
from spend_middleware.api.schemas_keys import IN_METADATA
from spend_middleware.store.entities import SpendKey


def wanted_of(
    given: dict[str, Any], metadata: Mapping[str, Any] | None = None, wording: Wording = HANDLED
) -> dict[str, Any]:
    """Return the fields for the directory: what LiteLLM keeps in metadata goes there.

    Args:
        given: What the client named.
        metadata: What the key has already, where the client names none.
    """
    kept = {name: given.pop(name) for name in sorted(IN_METADATA & given.keys())}
    kept = {name: _as_json(value) for name, value in kept.items() if value is not None}
    if kept:
        said = given.get("metadata")
        given["metadata"] = {**(said if said is not None else metadata or {}), **kept}
    spend = given.get("spend")
    if spend is not None and spend < 0:
        raise wording(400, f"spend cannot be negative. Received: {spend}")
    return given


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, datetime) else value


def is_own(caller: Caller, key: SpendKey) -> bool:
    """Return whether a key is the caller's: itself, its user's, or of a team that its user leads."""
    same_user = caller.user_id is not None and key.user_id == caller.user_id
    return key.token == caller.key_hash or same_user or (key.team_id or "") in led_teams(caller)


def check_owner(caller: Caller, key: SpendKey, wording: Wording = HANDLED) -> None:
    """Refuse who may not change a key."""
    if not (caller.is_admin or is_own(caller, key)):
        forbid(
            "This key belongs to somebody else. Only its owner, its team's admin or a proxy admin may change it.",
            wording,
        )


def check_bounds(caller: Caller, wanted: Mapping[str, Any], wording: Wording = HANDLED) -> None:
    """Refuse what would give somebody who is no administrator more than their own."""
    if caller.is_admin:
        return
    if wanted.get("user_id") not in (None, caller.user_id) or (
        "user_id" in wanted and wanted["user_id"] is None
    ):
        forbid(f"User can only create keys for themselves. Got user_id={wanted['user_id']}.", wording)
    if wanted.get("team_id") is not None and wanted["team_id"] not in own_teams(caller):
        forbid(f"You are not a member of team_id={wanted['team_id']}.", wording)
    if wanted.get("organization_id") not in (None, caller.organization_id):
        forbid(f"You do not belong to organization_id={wanted['organization_id']}.", wording)
    if any((wanted.get("permissions") or {}).values()):
        forbid("Only a proxy admin may give permissions to a key.", wording)
    reserved = sorted({"spend", "blocked", "budget_id", "soft_budget", "agent_id"} & wanted.keys())
    if any(wanted[name] is not None for name in reserved):
        forbid(f"Only a proxy admin may set {', '.join(reserved)}.", wording)
