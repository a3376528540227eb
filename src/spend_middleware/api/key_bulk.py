"""Changes of many keys at once: each on its own, so that one refusal stops no other."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import CHANGED_BY, TheDirectory
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import key_rows
from spend_middleware.api.keys import NO_RELATIONS, changed_key
from spend_middleware.api.refusals import detailed
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_key_rows import BulkUpdateKeyResponse, KeyUpdated
from spend_middleware.api.schemas_keys import (
    BulkUpdateKeyRequest,
    BulkUpdateTeamKeysRequest,
    UpdateKeyRequest,
)
from spend_middleware.store import directory_keys, directory_teams
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_keys import hash_of

routes = Routes("key management")

MOST_KEYS = 500
"""Keys that change in one request, at most."""


@routes.post(
    "/key/bulk_update",
    permission=Permission.ADMIN,
    response_model=BulkUpdateKeyResponse,
    dependencies=CHANGED_BY,
)
def bulk_update_keys(directory: TheDirectory, caller: TheCaller, data: BulkUpdateKeyRequest) -> Response:
    """Change many keys, each as it says, and tell which could not be changed and why."""
    if not data.keys:
        raise detailed(400, "No keys provided for update")
    return _each(directory, caller, [(one.key, one.given()) for one in data.keys])


@routes.post(
    "/team/key/bulk_update",
    permission=Permission.ADMIN,
    response_model=BulkUpdateKeyResponse,
    dependencies=CHANGED_BY,
)
def bulk_update_team_keys(
    directory: TheDirectory, caller: TheCaller, data: BulkUpdateTeamKeysRequest
) -> Response:
    """Change keys of one team in the same way."""
    if not data.key_ids and not data.all_keys_in_team:
        raise detailed(400, "key_ids must be provided when all_keys_in_team is False")
    with directory.read() as desk:
        of_team = {key.token for key in directory_teams.keys_of(desk, [data.team_id])[data.team_id]}
    if not of_team:
        raise detailed(404, f"No keys found for team {data.team_id}")
    named = sorted(of_team) if data.all_keys_in_team else list(data.key_ids or ())
    if any(hash_of(key) not in of_team for key in named):
        raise detailed(404, f"Key not found in team {data.team_id}")
    fields = data.update_fields.given()
    return _each(directory, caller, [(key, {**fields, "key": key}) for key in named])


def _each(directory: Directory, caller: Caller, wanted: list[tuple[str, dict[str, Any]]]) -> Response:
    if len(wanted) > MOST_KEYS:
        raise detailed(400, f"Maximum {MOST_KEYS} keys can be updated at once. Found {len(wanted)} keys.")
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for key, fields in wanted:
        try:
            changed = changed_key(directory, caller, UpdateKeyRequest(**fields))
        except (ProxyError, HTTPException) as error:
            failed.append({"key": key, "key_info": _shown(directory, key), "failed_reason": _reason(error)})
        else:
            done.append({"key": key, "key_info": _shown(directory, changed.token)})
    return answer({"total_requested": len(wanted), "successful_updates": done, "failed_updates": failed})


def _shown(directory: Directory, key: str) -> dict[str, Any] | None:
    with directory.read() as desk:
        found = directory_keys.by_tokens(desk, [hash_of(key)])
    rows = key_rows(directory, found, KeyUpdated, key=key, **NO_RELATIONS)
    return {name: value for name, value in rows[0].items() if name not in ("token", "key")} if rows else None


def _reason(error: ProxyError | HTTPException) -> str:
    return error.message if isinstance(error, ProxyError) else str(error.detail)
