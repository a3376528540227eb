"""New secrets for keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller
from spend_middleware.api.desk import CHANGED_BY, TheDirectory, actor
from spend_middleware.api.key_rows import new_key
from spend_middleware.api.key_rules import check_bounds, check_owner, wanted_of
from spend_middleware.api.refusals import HANDLED, refusing, refusing_aliases
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Name, Part
from spend_middleware.api.schemas_key_rows import GenerateKeyResponse
from spend_middleware.api.schemas_keys import RegenerateKeyRequest
from spend_middleware.store import directory_keys
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_keys import hash_of
from spend_middleware.store.report_values import By

routes = Routes("key management")


@routes.post(
    "/key/regenerate",
    permission=Permission.OWN_KEYS,
    response_model=GenerateKeyResponse,
    dependencies=CHANGED_BY,
)
def regenerate_key_fn(
    directory: TheDirectory,
    caller: TheCaller,
    data: RegenerateKeyRequest | None = None,
    key: Annotated[Part | None, Query(description="The key or its hash.")] = None,
) -> Response:
    """Give a key a new secret; the old one is refused at once, what was spent stays with the key."""
    asked = data or RegenerateKeyRequest()
    return _regenerated(directory, caller, key or asked.key, asked)


@routes.post(
    "/key/{key}/regenerate",
    permission=Permission.OWN_KEYS,
    response_model=GenerateKeyResponse,
    operation_id="regenerate_key_fn_key__key__regenerate_post",
    dependencies=CHANGED_BY,
)
def regenerate_named_key(
    directory: TheDirectory, caller: TheCaller, key: Name, data: RegenerateKeyRequest | None = None
) -> Response:
    """Give a key a new secret; the old one is refused at once, what was spent stays with the key."""
    return _regenerated(directory, caller, key, data or RegenerateKeyRequest())


def _regenerated(
    directory: Directory, caller: Caller, key: str | None, data: RegenerateKeyRequest
) -> Response:
    if data.new_master_key is not None:
        raise HANDLED(400, "new_master_key: the master key is a setting of the service (SPEND_MASTER_KEY).")
    with refusing(), directory.read() as desk:
        found = directory_keys.get(desk, hash_of(key) if key else caller.key_hash)
    check_owner(caller, found)
    given = {name: value for name, value in data.given().items() if name not in ("key", "new_key")}
    wanted = wanted_of(given, found.key_metadata)
    check_bounds(caller, wanted)
    spend = directory.accounts.of(By.KEY, {found.token: found})[found.token].spend
    total = directory.accounts.lifetime([found])[found.token]
    with refusing(), refusing_aliases(), directory.write(actor(caller)) as desk:
        made, secret = directory_keys.regenerate(
            desk, found.token, wanted, secret=data.new_key, spend=spend, total=total
        )
    return answer(new_key(directory, made, secret, data.duration))
