"""Who an outbound call is for: what it says itself, then what surrounds it, then the key that it goes out with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from msgspec import Raw, Struct, UnsetType, structs

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
from spend_middleware.costs import encoded_payer
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
    said = Attribution(
        tags=clean_tags(fields.tags, settings.max_tags, settings.max_tag_length) if fields.tags else (),
        end_user=clean_name(fields.end_user) if fields.end_user is not None else None,
        session_id=clean_name(fields.session_id) if fields.session_id is not None else None,
        agent_id=clean_name(fields.agent_id) if fields.agent_id is not None else None,
        metadata=clean_metadata(fields.metadata) if fields.metadata else NO_METADATA,
    )
    return within(said, presented_key(headers), scope, trace_id, settings)


def within(
    said: Attribution, secret: str | None, scope: Scope | None, trace_id: str | None, settings: Settings
) -> Attribution:
    """Return who a call is for.

    Args:
        said: What the request says itself.
        secret: The credential that it goes out with; it counts where nothing that surrounds it says a key.
        scope: What surrounds it.
        trace_id: The trace that was active.
        settings: How many tags are kept, and whether end users are hidden.
    """
    around = NOBODY if scope is None else scope.attribution
    session_id = said.session_id
    if session_id is None and scope is not None:
        session_id = around.session_id or scope.request_id
    own = structs.replace(
        said,
        key_hash=None if secret is None or around.key_hash is not None else hash_key(secret),
        session_id=session_id,
        trace_id=trace_id if around.trace_id is None else around.trace_id,
    )
    return hide_end_user(merge(own, around, max_tags=settings.max_tags), settings)


def credential_in(headers: Mapping[str, str]) -> str | None:
    """Return the header of a usual request that holds its credential, as `presented_key` would choose it."""
    get = headers.get
    return get("authorization") or get("x-api-key") or get("api-key") or get("x-goog-api-key")


class Owner(Struct, eq=False):
    """Who some usual calls are for.

    Args:
        said: What they say themselves.
        secret: What they go out with.
        attribution: Who they are for where nothing surrounds them.
        payer: The same, encoded, if it has a form.
    """

    said: Attribution
    secret: str
    attribution: Attribution
    payer: Raw | None


def owners_of_usual(settings: Settings) -> Callable[[str | None, str | UnsetType], Owner | None]:
    """Return what says who usual calls are for, and remembers it: they say the same again and again.

    It takes what `credential_in` gives and the `user` of a usual request, and says nothing of those whose credential is
    elsewhere, or none.
    """

    @lru_cache(maxsize=2048)
    def owner_of(credential: str | None, user: str | UnsetType) -> Owner | None:
        if credential is None:
            return None
        secret = presented_key({"authorization": credential})
        if secret is None:
            return None
        fields = fields_of_usual(UsualRequest(user=user))
        said = Attribution(end_user=clean_name(fields.end_user))
        found = within(said, secret, None, None, settings)
        return Owner(said, secret, found, encoded_payer(found))

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
