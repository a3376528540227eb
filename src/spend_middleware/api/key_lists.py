"""The lists of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import QueryPage, Search, TheDirectory, led_teams, own_teams, pages, sorted_by
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import full_keys
from spend_middleware.api.refusals import enveloped, forbid
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part
from spend_middleware.api.schemas_key_rows import KeyAliases, KeyListResponseObject
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
def list_keys(
    directory: TheDirectory,
    caller: TheCaller,
    page: QueryPage = 1,
    size: Annotated[int, Query(ge=1, le=100, description="Keys a page.")] = 10,
    user_id: Part | None = None,
    team_id: Part | None = None,
    organization_id: Part | None = None,
    key_hash: Annotated[Part | None, Query(description="A key or its hash.")] = None,
    key_alias: Part | None = None,
    search: Search = None,
    return_full_object: Annotated[bool, Query(description="Whole keys in place of hashes.")] = False,
    include_team_keys: Annotated[
        bool, Query(description="Also the keys of the teams that the caller leads.")
    ] = False,
    include_created_by_keys: Annotated[
        bool, Query(description="Also the keys that the caller has made for others.")
    ] = False,
    expand: Annotated[list[Part] | None, Query(description="Accepted; whole keys name their users.")] = None,  # noqa: ARG001
    sort_by: Part | None = None,
    sort_order: Literal["asc", "desc"] = "desc",
    status: Annotated[
        Part | None, Query(description="active, blocked (or revoked), expired or deleted.")
    ] = None,
    project_id: Part | None = None,
    access_group_id: Part | None = None,
    agent_id: Part | None = None,
    substring_matching: Annotated[
        bool, Query(description="Take key_alias for a piece of the alias.")
    ] = False,
    expires: Annotated[Part | None, Query(description="active or expired, whether blocked or not.")] = None,
) -> Response:
    """List keys, newest first; who may not see all sees their own."""
    if not caller.sees_all and user_id is not None and user_id != caller.user_id:
        forbid("You are not authorized to check another user's keys.", _OF_OTHERS)
    _check("status", status, STATUSES)
    _check("expires", expires, ("active", "expired"))
    query = KeyQuery(
        all_owners=caller.sees_all,
        owner=caller.user_id,
        owner_made=include_created_by_keys,
        owner_teams=tuple(sorted(led_teams(caller))) if include_team_keys or team_id else (),
        owner_token=caller.key_hash,
        user_id=user_id,
        team_id=team_id,
        organization_id=organization_id,
        agent_id=agent_id,
        project_id=project_id,
        token=hash_of(key_hash) if key_hash else None,
        key_alias=None if substring_matching else key_alias,
        alias_part=key_alias if substring_matching else None,
        search=search,
        status=status,
        expires=expires,
        access_group_id=access_group_id,
    )
    sort_by = sorted_by(sort_by, (*directory_key_list.SORTABLE, *_BY_MONEY), "created_at")
    keys, total = _page_of(directory, query, sort_by, sort_order == "desc", (page - 1) * size, size)
    shown: Sequence[Any] = full_keys(directory, keys) if return_full_object else [key.token for key in keys]
    return answer(
        {"keys": shown, "total_count": total, "current_page": page, "total_pages": pages(total, size)}
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


def _page_of(
    directory: Directory, query: KeyQuery, sort_by: str, descending: bool, offset: int, size: int
) -> tuple[list[SpendKey], int]:
    by_money = sort_by in _BY_MONEY
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
        amounts = directory.lifetime(keys)
    else:
        accounts = directory.accounts(By.KEY, {key.token: key for key in keys})
        amounts = {token: account.spend for token, account in accounts.items()}
    keys.sort(key=lambda key: key.token)
    keys.sort(key=lambda key: amounts[key.token] or 0, reverse=descending)
    return keys[offset : offset + size], total
