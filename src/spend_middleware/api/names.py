"""The names behind ids: aliases of teams, owners of keys, e-mail addresses of users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import select

from spend_middleware.api.house import House
from spend_middleware.store.entities import (
    SpendEndUser,
    SpendKey,
    SpendOrganization,
    SpendTeam,
    SpendUser,
)
from spend_middleware.store.report_values import By

UNASSIGNED_TEAM = "Unassigned Team"
"""LiteLLM's name for calls without a team, or of a team that is gone or has no alias."""


def team_aliases(house: House) -> dict[str, str]:
    """Return the alias of every team that has one."""
    with house.directory.read() as desk:
        teams = desk.session.exec(select(SpendTeam.team_id, SpendTeam.team_alias)).all()
    return {team_id: alias for team_id, alias in teams if alias}


def key_names(house: House, hashes: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return alias, name and owner of each known key."""
    with house.directory.read() as desk:
        keys = desk.some(SpendKey, SpendKey.token, list(hashes))
        emails = _emails(
            desk.some(SpendUser, SpendUser.user_id, [key.user_id for key in keys if key.user_id])
        )
    return {
        key.token: {
            "key_alias": key.key_alias,
            "key_name": key.key_name,
            "team_id": key.team_id,
            "user_id": key.user_id,
            "user_email": emails.get(key.user_id or ""),
        }
        for key in keys
    }


def _emails(users: Iterable[SpendUser]) -> dict[str, str | None]:
    return {user.user_id: user.user_email for user in users}


def entity_names(house: House, by: By, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what daily activity says about its entities besides their ids."""
    wanted = [name for name in ids if name]
    with house.directory.read() as desk:
        match by:
            case By.USER:
                return {
                    user.user_id: {"user_email": user.user_email, "user_alias": user.user_alias}
                    for user in desk.some(SpendUser, SpendUser.user_id, wanted)
                }
            case By.TEAM:
                teams = desk.some(SpendTeam, SpendTeam.team_id, wanted)
                return {team.team_id: {"team_alias": team.team_alias} for team in teams}
            case By.ORGANIZATION:
                found = desk.some(SpendOrganization, SpendOrganization.organization_id, wanted)
                return {one.organization_id: {"organization_alias": one.organization_alias} for one in found}
            case By.END_USER:
                customers = desk.some(SpendEndUser, SpendEndUser.user_id, wanted)
                return {customer.user_id: {"alias": customer.alias} for customer in customers}
            case _:
                return {}
