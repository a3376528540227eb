"""What a virtual key says about its holder, in one value that can be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spend_middleware.store.entities import SpendKey, SpendMembership, SpendTeam, SpendUser


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What a virtual key says about its holder.

    Args:
        user_role: The role of the user who owns the key; None for a key without a user.
        teams: The teams that the user is a member of; in `admin_teams` those where the user is an admin.
        tags: Default tags of its calls: the key's, then its team's.
        spend_logs_metadata: Default key/value pairs of its calls: the key's, and the team's where the key has none.
        expires_at: Seconds since the epoch after which it is refused; None for never.
        blocked: True while it is refused; `team_blocked` while its team is.
        counts_until: Seconds since the epoch at which what counts against it starts again; None for never.
    """

    key_hash: str
    key_name: str | None = None
    key_alias: str | None = None
    key_type: str | None = None
    user_id: str | None = None
    user_role: str | None = None
    user_email: str | None = None
    teams: tuple[str, ...] = ()
    admin_teams: tuple[str, ...] = ()
    team_id: str | None = None
    team_alias: str | None = None
    organization_id: str | None = None
    agent_id: str | None = None
    permissions: Mapping[str, Any] = field(default_factory=dict)
    allowed_routes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    spend_logs_metadata: Mapping[str, Any] = field(default_factory=dict)
    max_budget: Decimal | None = None
    team_max_budget: Decimal | None = None
    user_max_budget: Decimal | None = None
    expires_at: float | None = None
    blocked: bool = False
    team_blocked: bool = False
    counts_until: float | None = None


def record_of(
    key: SpendKey, team: SpendTeam | None, user: SpendUser | None, memberships: Sequence[SpendMembership]
) -> KeyRecord:
    """Return the record of a key, with what its team and its user say."""
    team_metadata = team.team_metadata if team is not None else {}
    return KeyRecord(
        key_hash=key.token,
        key_name=key.key_name,
        key_alias=key.key_alias,
        key_type=key.key_type,
        user_id=key.user_id,
        user_role=user.user_role if user is not None else None,
        user_email=user.user_email if user is not None else None,
        teams=tuple(member.group_id for member in memberships),
        admin_teams=tuple(member.group_id for member in memberships if member.role == "admin"),
        team_id=key.team_id,
        team_alias=team.team_alias if team is not None else None,
        organization_id=key.organization_id
        or (team.organization_id if team is not None else None)
        or (user.organization_id if user is not None else None),
        agent_id=key.agent_id,
        permissions=key.permissions,
        allowed_routes=tuple(key.allowed_routes),
        models=tuple(key.models),
        tags=_default_tags(key.key_metadata, team_metadata),
        spend_logs_metadata={**_pairs(team_metadata), **_pairs(key.key_metadata)},
        max_budget=key.max_budget,
        team_max_budget=team.max_budget if team is not None else None,
        user_max_budget=user.max_budget if user is not None else None,
        expires_at=None if key.expires is None else key.expires / 1_000_000,
        blocked=bool(key.blocked),
        team_blocked=team is not None and team.blocked,
    )


def _default_tags(*metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the `tags` of several metadata, each once, in order; what is not a text is left out."""
    listed = [tags for tags in (one.get("tags") for one in metadata) if isinstance(tags, list)]
    return tuple(
        dict.fromkeys(tag for tags in listed for tag in tags if isinstance(tag, str) and tag.strip())
    )


def _pairs(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    pairs = metadata.get("spend_logs_metadata")
    return pairs if isinstance(pairs, dict) else {}
