"""The lists of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import QueryPage, Search, TheDirectory, led_teams, own_teams, pages, sorted_by
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import full_keys
from spend_middleware.api.refusals import enveloped, forbid
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part
from spend_middleware.api.schemas_key_rows import KeyAliases, KeyListResponseObject
from spend_middleware.api.schemas_lists import KeysAsked
from spend_middleware.store import directory_key_list
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_key_list import STATUSES, KeyQuery
from spend_middleware.store.directory_keys import hash_of
from spend_middleware.store.entities import SpendKey
from spend_middleware.store.report_values import By

routes = Routes("key management")

_BY_MONEY = ("spend", "total_spend", "max_budget")
_OF_OTHERS = enveloped("bad_request_error", "user_id")


@routes.get("/key/list", permission=Permission.ANY_KEY, response_model=KeyListResponseObject)
def list_keys(directory: TheDirectory, caller: TheCaller, asked: Annotated[KeysAsked, Query()]) -> Response:
    """List keys, newest first; who may not see all sees their own."""
    if not caller.sees_all and asked.user_id is not None and asked.user_id != caller.user_id:
        forbid("You are not authorized to check another user's keys.", _OF_OTHERS)
    _check("status", asked.status, STATUSES)
    _check("expires", asked.expires, ("active", "expired"))
    keys, total = _page_of(directory, _meant(caller, asked), asked)
    full = asked.return_full_object
    shown: Sequence[Any] = full_keys(directory, keys) if full else [key.token for key in keys]
    return answer(
        {
            "keys": shown,
            "total_count": total,
            "current_page": asked.page,
            "total_pages": pages(total, asked.size),
        }
    )


def _meant(caller: Caller, asked: KeysAsked) -> KeyQuery:
    theirs = asked.include_team_keys or asked.team_id
    return KeyQuery(
        all_owners=caller.sees_all,
        owner=caller.user_id,
        owner_made=asked.include_created_by_keys,
        owner_teams=tuple(sorted(led_teams(caller))) if theirs else (),
        owner_token=caller.key_hash,
        user_id=asked.user_id,
        team_id=asked.team_id,
        organization_id=asked.organization_id,
        agent_id=asked.agent_id,
        project_id=asked.project_id,
        token=hash_of(asked.key_hash) if asked.key_hash else None,
        key_alias=None if asked.substring_matching else asked.key_alias,
        alias_part=asked.key_alias if asked.substring_matching else None,
        search=asked.search,
        status=asked.status,
        expires=asked.expires,
        access_group_id=asked.access_group_id,
    )


@routes.get("/key/aliases", permission=Permission.ANY_KEY, response_model=KeyAliases)
def key_aliases(
    directory: TheDirectory,
    caller: TheCaller,
    page: QueryPage = 1,
    size: Annotated[int, Query(ge=1, le=100, description="Aliases a page.")] = 50,
    search: Search = None,
    team_id: Part | None = None,
) -> Response:
    """List the aliases of keys, by the alphabet; who may not see all sees those of its keys and teams."""
    query = KeyQuery(
        named=True,
        all_owners=caller.sees_all,
        owner=caller.user_id,
        owner_teams=tuple(sorted(own_teams(caller))),
        owner_token=caller.key_hash,
        alias_part=search,
        team_id=team_id,
    )
    with directory.read() as desk:
        keys, total = directory_key_list.find(
            desk, query, sort_by="key_alias", descending=False, offset=(page - 1) * size, limit=size
        )
    content = {"aliases": [key.key_alias for key in keys], "total_count": total, "current_page": page}
    return answer(content | {"total_pages": pages(total, size), "size": size})


def _check(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise ProxyError(
            400,
            f"Invalid {name} value '{value[:100]}'. Supported: {', '.join(known)}.",
            "internal_server_error",
        )


def _page_of(directory: Directory, query: KeyQuery, asked: KeysAsked) -> tuple[list[SpendKey], int]:
    sort_by = sorted_by(asked.sort_by, (*directory_key_list.SORTABLE, *_BY_MONEY), "created_at")
    by_money, descending = sort_by in _BY_MONEY, asked.sort_order == "desc"
    offset, size = (asked.page - 1) * asked.size, asked.size
    with directory.read() as desk:
        keys, total = directory_key_list.find(
            desk,
            query,
            sort_by="created_at" if by_money else sort_by,
            descending=descending,
            offset=0 if by_money else offset,
            limit=None if by_money else size,
        )
    if not by_money:
        return keys, total
    if sort_by == "max_budget":
        amounts: Mapping[str, Any] = {key.token: key.max_budget for key in keys}
    elif sort_by == "total_spend":
        amounts = directory.accounts.lifetime(keys)
    else:
        accounts = directory.accounts.of(By.KEY, {key.token: key for key in keys})
        amounts = {token: account.spend for token, account in accounts.items()}
    keys.sort(key=lambda key: key.token)
    keys.sort(key=lambda key: amounts[key.token] or 0, reverse=descending)
    return keys[offset : offset + size], total
