"""The routes of virtual keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import (
    QueryPage,
    Search,
    TheDirectory,
    actor,
    forbid,
    led_teams,
    own_teams,
    pages,
    refusing,
    sorted_by,
)
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.key_rows import full_keys, key_rows, new_key, standing_word
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Name, Part, filled, usd
from spend_middleware.api.schemas_key_rows import (
    DeletedKeys,
    GenerateKeyResponse,
    KeyBlocked,
    KeyHealth,
    KeyInfo,
    KeyInfoRow,
    KeyList,
    KeyReset,
    KeyRow,
    KeyUpdated,
)
from spend_middleware.api.schemas_keys import (
    IN_METADATA,
    BlockKeyRequest,
    GenerateKeyRequest,
    KeyRequest,
    RegenerateKeyRequest,
    ResetSpendRequest,
    UpdateKeyRequest,
)
from spend_middleware.store import directory_key_list, directory_keys
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_key_list import KeyQuery
from spend_middleware.store.directory_keys import hash_of
from spend_middleware.store.entities import SpendKey
from spend_middleware.store.report_values import By

routes = Routes("key management")

# After a change LiteLLM shows a key's own columns only.
_NO_RELATIONS: Mapping[str, Any] = {"litellm_budget_table": None}

_BY_MONEY = ("spend", "total_spend", "max_budget")


@routes.post("/key/generate", permission=Permission.OWN_KEYS, response_model=GenerateKeyResponse)
def generate_key_fn(directory: TheDirectory, caller: TheCaller, data: GenerateKeyRequest) -> Response:
    """Make a key; the answer is the only place where it is ever shown."""
    wanted = _wanted(data.given())
    if not caller.is_admin:
        _bound_to_owner(caller, wanted)
        wanted.setdefault("user_id", caller.user_id)
    with refusing(_blamed(wanted)), directory.write(actor(caller)) as desk:
        key, secret = directory_keys.generate(desk, wanted, data.key)
    return answer(new_key(directory, key, secret, data.duration))


@routes.get("/key/info", permission=Permission.ANY_KEY, response_model=KeyInfo)
def info_key_fn(
    directory: TheDirectory,
    caller: TheCaller,
    key: Annotated[Part | None, Query(description="A key or its hash; the caller's own when absent.")] = None,
) -> Response:
    """Tell all about a key but its secret."""
    with refusing("key"), directory.read() as desk:
        found = directory_keys.get(desk, hash_of(key) if key else caller.key_hash)
    if not (caller.sees_all or _is_own(caller, found)):
        forbid("You are not allowed to access this key's info. It belongs to somebody else.")
    row = key_rows(directory, [found], KeyInfoRow, status=standing_word(found, directory.now()))[0]
    return answer({"key": key or caller.key_hash, "info": row})


@routes.post("/key/update", permission=Permission.OWN_KEYS, response_model=KeyUpdated)
def update_key_fn(directory: TheDirectory, caller: TheCaller, data: UpdateKeyRequest) -> Response:
    """Change the fields of a key that are given; a new max_budget counts at once."""
    given = data.given()
    del given["key"]
    with refusing(_blamed(given)), directory.write(actor(caller)) as desk:
        found = directory_keys.get(desk, hash_of(data.key))
        _check_owner(caller, found)
        wanted = _wanted(given, found.key_metadata)
        if not caller.is_admin:
            _bound_to_owner(caller, wanted)
        changed = directory_keys.change(desk, found.token, wanted)
    return answer(key_rows(directory, [changed], KeyUpdated, key=data.key, **_NO_RELATIONS)[0])


@routes.post("/key/delete", permission=Permission.OWN_KEYS, response_model=DeletedKeys)
def delete_key_fn(directory: TheDirectory, caller: TheCaller, data: KeyRequest) -> Response:
    """Delete keys; the calls that were made with them stay in the ledger."""
    named = data.keys if data.keys is not None else data.key_aliases
    if not named:
        raise ProxyError(400, "Name the keys to delete in `keys` or in `key_aliases`.", param="keys")
    with directory.write(actor(caller)) as desk:
        if data.keys is not None:
            found = {
                key.token: key for key in directory_keys.by_tokens(desk, [hash_of(key) for key in named])
            }
            deleted = [name for name in named if hash_of(name) in found]
        else:
            found = {key.key_alias or "": key for key in directory_keys.by_aliases(desk, named)}
            deleted = [name for name in named if name in found]
        if not found:
            raise ProxyError(404, "No keys found", "not_found_error", "keys")
        for key in found.values():
            _check_owner(caller, key)
        directory_keys.delete(desk, list(found.values()))
    return answer({"deleted_keys": list(dict.fromkeys(deleted))})


@routes.get("/key/list", permission=Permission.ANY_KEY, response_model=KeyList)
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
    status: Annotated[Part | None, Query(description="active, blocked or expired.")] = None,
    project_id: Part | None = None,
    agent_id: Part | None = None,
    substring_matching: Annotated[
        bool, Query(description="Take key_alias for a piece of the alias.")
    ] = False,
) -> Response:
    """List keys, newest first; who may not see all sees their own."""
    if not caller.sees_all and user_id is not None and user_id != caller.user_id:
        forbid("You are not authorized to check another user's keys.")
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
    )
    sort_by = sorted_by(sort_by, (*directory_key_list.SORTABLE, *_BY_MONEY), "created_at")
    keys, total = _page_of(directory, query, sort_by, sort_order == "desc", (page - 1) * size, size)
    shown: Sequence[Any] = full_keys(directory, keys) if return_full_object else [key.token for key in keys]
    return answer(
        {"keys": shown, "total_count": total, "current_page": page, "total_pages": pages(total, size)}
    )


@routes.post("/key/block", permission=Permission.ADMIN, response_model=KeyBlocked)
def block_key(directory: TheDirectory, caller: TheCaller, data: BlockKeyRequest) -> Response:
    """Block a key: every worker refuses it within a second."""
    with refusing("key"), directory.write(actor(caller)) as desk:
        key = directory_keys.block(desk, hash_of(data.key), True)
    return answer(key_rows(directory, [key], KeyBlocked, **_NO_RELATIONS)[0])


@routes.post("/key/unblock", permission=Permission.ADMIN, response_model=KeyRow)
def unblock_key(directory: TheDirectory, caller: TheCaller, data: BlockKeyRequest) -> Response:
    """Accept a blocked key again."""
    with refusing("key"), directory.write(actor(caller)) as desk:
        key = directory_keys.block(desk, hash_of(data.key), False)
    return answer(key_rows(directory, [key], **_NO_RELATIONS)[0])


@routes.post("/key/regenerate", permission=Permission.OWN_KEYS, response_model=GenerateKeyResponse)
def regenerate_key_fn(
    directory: TheDirectory,
    caller: TheCaller,
    data: RegenerateKeyRequest | None = None,
    key: Annotated[Part | None, Query(description="The key or its hash.")] = None,
) -> Response:
    """Give a key a new secret; the old one is refused at once, what was spent stays with the key."""
    asked = data or RegenerateKeyRequest()
    return _regenerate(directory, caller, key or asked.key, asked)


@routes.post(
    "/key/{key}/regenerate",
    permission=Permission.OWN_KEYS,
    response_model=GenerateKeyResponse,
    operation_id="regenerate_key_fn_key__key__regenerate_post",
)
def regenerate_named_key(
    directory: TheDirectory, caller: TheCaller, key: Name, data: RegenerateKeyRequest | None = None
) -> Response:
    """Give a key a new secret; the old one is refused at once, what was spent stays with the key."""
    return _regenerate(directory, caller, key, data or RegenerateKeyRequest())


@routes.post("/key/{key}/reset_spend", permission=Permission.ADMIN, response_model=KeyReset)
def reset_key_spend_fn(
    directory: TheDirectory, caller: TheCaller, key: Name, data: ResetSpendRequest
) -> Response:
    """Set what counts against a key; the ledger and the key's total stay."""
    token = hash_of(key)
    with refusing("key"), directory.read() as desk:
        found = directory_keys.get(desk, token)
    previous = directory.accounts(By.KEY, {token: found})[token].spend
    if not 0 <= data.reset_to <= previous:
        raise ProxyError(
            400,
            f"reset_to must be between 0 and the current spend, {previous.normalize():f}.",
            param="reset_to",
        )
    with refusing("key"), directory.write(actor(caller)) as desk:
        found = directory_keys.reset_spend(desk, token, data.reset_to)
    row = key_rows(directory, [found])[0]
    shown = {"key_hash": token, "spend": usd(data.reset_to), "previous_spend": usd(previous)}
    return answer(filled(KeyReset, shown, row))


@routes.post("/key/health", permission=Permission.ANY_KEY, response_model=KeyHealth)
def key_health() -> Response:
    """Say that the caller's key works."""
    return answer({"key": "healthy", "logging_callbacks": None})


def _regenerate(
    directory: Directory, caller: Caller, key: str | None, data: RegenerateKeyRequest
) -> Response:
    if data.new_master_key is not None:
        raise ProxyError(
            400, "The master key is a setting of the service (SPEND_MASTER_KEY).", param="new_master_key"
        )
    with refusing("key"), directory.read() as desk:
        found = directory_keys.get(desk, hash_of(key) if key else caller.key_hash)
    _check_owner(caller, found)
    wanted = _wanted(
        {k: v for k, v in data.given().items() if k not in ("key", "new_key")}, found.key_metadata
    )
    if not caller.is_admin:
        _bound_to_owner(caller, wanted)
    spend = directory.accounts(By.KEY, {found.token: found})[found.token].spend
    total = directory.lifetime([found])[found.token]
    with refusing(_blamed(wanted)), directory.write(actor(caller)) as desk:
        made, secret = directory_keys.regenerate(
            desk, found.token, wanted, secret=data.new_key, spend=spend, total=total
        )
    return answer(new_key(directory, made, secret, data.duration))


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


def _wanted(given: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields for the directory: what LiteLLM keeps in metadata goes there."""
    kept = {name: given.pop(name) for name in sorted(IN_METADATA & given.keys())}
    kept = {name: value for name, value in kept.items() if value is not None}
    if kept:
        said = given.get("metadata")
        given["metadata"] = {**(said if said is not None else metadata or {}), **kept}
    for window in given.get("budget_limits") or ():
        window["max_budget"] = float(window["max_budget"])
    spend = given.get("spend")
    if spend is not None and spend < 0:
        raise ProxyError(400, f"spend cannot be negative. Received: {spend}", param="spend")
    return given


def _is_own(caller: Caller, key: SpendKey) -> bool:
    same_user = caller.user_id is not None and key.user_id == caller.user_id
    return key.token == caller.key_hash or same_user or (key.team_id or "") in led_teams(caller)


def _check_owner(caller: Caller, key: SpendKey) -> None:
    if not (caller.is_admin or _is_own(caller, key)):
        forbid(
            "This key belongs to somebody else. Only its owner, its team's admin or a proxy admin may change it."
        )


def _bound_to_owner(caller: Caller, wanted: Mapping[str, Any]) -> None:
    """Refuse what would give somebody who is no administrator more than their own."""
    if wanted.get("user_id") not in (None, caller.user_id) or (
        "user_id" in wanted and wanted["user_id"] is None
    ):
        forbid(f"User can only create keys for themselves. Got user_id={wanted['user_id']}.")
    if wanted.get("team_id") is not None and wanted["team_id"] not in own_teams(caller):
        forbid(f"You are not a member of team_id={wanted['team_id']}.")
    if wanted.get("organization_id") not in (None, caller.organization_id):
        forbid(f"You do not belong to organization_id={wanted['organization_id']}.")
    if any((wanted.get("permissions") or {}).values()):
        forbid("Only a proxy admin may give permissions to a key.")
    reserved = sorted({"spend", "blocked", "budget_id", "soft_budget", "agent_id"} & wanted.keys())
    if any(wanted[name] is not None for name in reserved):
        forbid(f"Only a proxy admin may set {', '.join(reserved)}.")


def _blamed(wanted: Mapping[str, Any]) -> str:
    """Return the parameter that a refusal is most likely about."""
    return next((name for name in ("key_alias", "team_id", "budget_duration") if wanted.get(name)), "key")
