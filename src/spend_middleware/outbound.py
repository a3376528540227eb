"""Who an outbound call is for: what it says itself, then what surrounds it, then the key that it goes out with."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from spend_middleware.attribution import (
    MAX_NAME,
    Scope,
    clean_metadata,
    clean_name,
    clean_tags,
    hash_key,
    merge,
    of_credential,
    presented_key,
)
from spend_middleware.call import NO_METADATA, NOBODY, Attribution
from spend_middleware.settings import Settings
from spend_middleware.wire.request import NO_FIELDS, CallFields


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
    if scope is None and trace_id is None:
        # Most calls outside of a scope say no more than this, and the same again and again.
        if fields is NO_FIELDS:
            return of_credential(secret)
        end_user = fields.end_user
        if fields.says_user_alone and type(end_user) is str and len(end_user) <= MAX_NAME:
            return hide_end_user(of_credential(secret, end_user), settings)
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


def hide_end_user(attribution: Attribution, settings: Settings) -> Attribution:
    """Return an attribution with its end user as the settings want it kept: by name, hashed, or not at all."""
    if not attribution.end_user:
        return attribution
    if settings.disable_end_user_cost_tracking:
        return structs.replace(attribution, end_user=None)
    if settings.hash_end_users:
        return structs.replace(attribution, end_user=hash_key(attribution.end_user))
    return attribution
