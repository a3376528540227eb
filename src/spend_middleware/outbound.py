"""Who an outbound call is for: what it says itself, then what surrounds it, then the key that it goes out with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from msgspec import Struct, UnsetType, structs

from spend_middleware.attribution import (
    Scope,
    clean_metadata,
    clean_name,
    clean_tags,
    hash_key,
    merge,
    presented_key,
)
from spend_middleware.call import NO_METADATA, NOBODY, Attribution
from spend_middleware.costs import Kinds
from spend_middleware.settings import Settings
from spend_middleware.wire.request import CallFields, UsualRequest, fields_of_usual


def asked_for(
    fields: CallFields,
    headers: Mapping[str, str],
    scope: Scope | None,
    trace_id: str | None,
    settings: Settings,
) -> Attribution:
    """Return who a call is for.

    Args:
        fields: What the request says.
        headers: The request's headers, by name in lower case.
        scope: What surrounds the call.
        trace_id: The trace that was active.
        settings: How much is kept of tags, and whether end users are hidden.
    """
    around = NOBODY if scope is None else scope.attribution
    secret = presented_key(headers) if around.key_hash is None else None
    if around.trace_id is not None:
        trace_id = around.trace_id
    session_id = clean_name(fields.session_id) if fields.session_id is not None else None
    if session_id is None and scope is not None:
        session_id = around.session_id or scope.request_id
    said = Attribution(
        tags=clean_tags(fields.tags, settings.max_tags, settings.max_tag_length) if fields.tags else (),
        end_user=clean_name(fields.end_user) if fields.end_user is not None else None,
        key_hash=None if secret is None else hash_key(secret),
        session_id=session_id,
        trace_id=trace_id,
        agent_id=clean_name(fields.agent_id) if fields.agent_id is not None else None,
        metadata=clean_metadata(fields.metadata) if fields.metadata else NO_METADATA,
    )
    if around is not NOBODY:
        said = merge(said, around, max_tags=settings.max_tags)
    return hide_end_user(said, settings)


def credential_in(headers: Mapping[str, str]) -> str | None:
    """Return the header of a usual request that holds its credential, as `presented_key` would choose it."""
    get = headers.get
    return get("authorization") or get("x-api-key") or get("api-key") or get("x-goog-api-key")


class Owner(Struct, eq=False):
    """Who some usual calls are for.

    Args:
        attribution: Who.
        kinds: What is remembered of these calls.
    """

    attribution: Attribution
    kinds: Kinds


def owners_of_usual(settings: Settings) -> Callable[[str | None, str | UnsetType], Owner | None]:
    """Return what says who calls are for that nothing surrounds, and remembers it: they say the same again and again.

    It takes what `credential_in` gives and the `user` of a usual request, and says nothing of those whose credential is
    elsewhere, or none.
    """

    @lru_cache(maxsize=2048)
    def owner_of(credential: str | None, user: str | UnsetType) -> Owner | None:
        if credential is None:
            return None
        fields = fields_of_usual(UsualRequest(user=user))
        found = asked_for(fields, {"authorization": credential}, None, None, settings)
        return None if found.key_hash is None else Owner(found, {})

    return owner_of


def hide_end_user(attribution: Attribution, settings: Settings) -> Attribution:
    """Return an attribution with its end user as the settings want it kept: by name, hashed, or not at all."""
    if not attribution.end_user:
        return attribution
    if settings.disable_end_user_cost_tracking:
        return structs.replace(attribution, end_user=None)
    if settings.hash_end_users:
        return structs.replace(attribution, end_user=hash_key(attribution.end_user))
    return attribution
