"""What an inbound request says about who pays: its virtual key, and its headers where they are trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from spend_middleware.attribution import (
    CREDENTIAL_HEADERS,
    Scope,
    clean,
    clean_metadata,
    clean_name,
    clean_tags,
    current_scope,
    merge,
    presented_key,
)
from spend_middleware.call import NOBODY, Attribution
from spend_middleware.ids import new_call_id
from spend_middleware.settings import Settings
from spend_middleware.wire.reading import Route
from spend_middleware.wire.request import fields_of

RawHeaders = list[tuple[bytes, bytes]]

_CREDENTIALS = frozenset(name.encode() for name in CREDENTIAL_HEADERS)

# Inbound headers are read as a LiteLLM proxy reads them.
_PROXY = Route(provider="litellm_proxy", operation="completion", wire_format="openai.chat")


class KeyHolder(Protocol):
    """What a virtual key says about the calls that it pays for."""

    @property
    def key_hash(self) -> str: ...
    @property
    def key_alias(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def team_id(self) -> str | None: ...
    @property
    def organization_id(self) -> str | None: ...
    @property
    def agent_id(self) -> str | None: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def spend_logs_metadata(self) -> Mapping[str, Any]: ...
    @property
    def blocked(self) -> bool: ...
    @property
    def expires_at(self) -> float | None: ...


class InboundScope(Scope):
    """The scope of an inbound request; what its headers say is read when its first call goes out."""

    __slots__ = ("_attribution", "_resolve")

    def __init__(self, resolve: Callable[[], Attribution]) -> None:
        self._attribution: Attribution | None = None
        self._resolve = resolve
        # An application that is called in-process, as in tests or behind another, may stand inside a tagged block.
        super().__init__(NOBODY, current_scope.get(), request_id=new_call_id())
        self._attribution = None

    @property
    def attribution(self) -> Attribution:
        """Who the request is for."""
        if self._attribution is None:
            said = self._resolve()
            self._attribution = said if self.parent is None else merge(said, self.parent.attribution)
        return self._attribution

    @attribution.setter
    def attribution(self, value: Attribution) -> None:
        self._attribution = value


def key_in(headers: RawHeaders) -> str | None:
    """Return the virtual key that raw headers present: an `sk-` credential in any of LiteLLM's places."""
    for name, _ in headers:
        if name in _CREDENTIALS:
            found = {n.decode("latin-1"): v.decode("latin-1") for n, v in headers if n in _CREDENTIALS}
            key = presented_key(found)
            return key if key is not None and key.startswith("sk-") else None
    return None


def of_holder(holder: KeyHolder) -> Attribution:
    """Return what a virtual key says about its calls."""
    return Attribution(
        tags=holder.tags,
        user_id=holder.user_id,
        team_id=holder.team_id,
        organization_id=holder.organization_id,
        key_hash=holder.key_hash,
        key_alias=holder.key_alias,
        agent_id=holder.agent_id,
        metadata=holder.spend_logs_metadata,
    )


def attribution_of(
    headers: RawHeaders, client: str | None, holder: KeyHolder | None, settings: Settings, *, trusted: bool
) -> Attribution:
    """Return who an inbound request is for.

    Args:
        headers: The raw headers, names in lower case as ASGI gives them.
        client: The address of the caller.
        holder: Whom the presented virtual key belongs to; None without a known key.
        settings: Which headers become tags or end users.
        trusted: Whether the caller's own words (x-litellm-* headers) count.
    """
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    found = Attribution(
        tags=_configured_tags(texts, settings),
        end_user=_mapped(texts, settings, ("customer", "end_user")),
        user_id=_mapped(texts, settings, ("internal_user",)),
        ip_address=client,
        user_agent=clean(texts["user-agent"], 256) or None if "user-agent" in texts else None,
        trace_id=_trace_id(texts.get("traceparent", "")),
    )
    if trusted:
        # A list may come in several lines of one name (RFC 9110, section 5.3).
        lines = [value.decode("latin-1") for name, value in headers if name == b"x-litellm-tags"]
        if len(lines) > 1:
            texts["x-litellm-tags"] = ",".join(lines)
        fields = fields_of(None, texts, _PROXY)
        said = Attribution(
            tags=clean_tags(fields.tags, settings.max_tags, settings.max_tag_length),
            end_user=clean_name(fields.end_user),
            session_id=clean_name(fields.session_id),
            agent_id=clean_name(fields.agent_id),
            metadata=clean_metadata(fields.metadata) if fields.metadata else {},
        )
        found = merge(said, found, max_tags=settings.max_tags)
    return found if holder is None else _with_holder(found, of_holder(holder), settings.max_tags)


def _with_holder(found: Attribution, holder: Attribution, max_tags: int) -> Attribution:
    """Join what a request says with what its key says; who owns the key is never the caller's to say."""
    joined = merge(found, holder, max_tags=max_tags)
    if found.user_id is not None and holder.user_id is not None:
        joined = merge(Attribution(user_id=holder.user_id), joined, max_tags=max_tags)
    return joined


def _configured_tags(headers: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    tags = []
    agent = headers.get("user-agent")
    if settings.user_agent_tags and agent:
        tags += [f"User-Agent: {agent.partition('/')[0]}", f"User-Agent: {agent}"]
    for name in settings.extra_spend_tag_headers:
        value = headers.get(name.lower())
        if value:
            tags.append(f"{name}: {value}")
    return clean_tags(tags, settings.max_tags, settings.max_tag_length) if tags else ()


def _mapped(headers: Mapping[str, str], settings: Settings, roles: tuple[str, ...]) -> str | None:
    for mapping in settings.user_header_mappings:
        if mapping.get("litellm_user_role", "") in roles:
            value = clean_name(headers.get(mapping.get("header_name", "").lower()))
            if value:
                return value
    if "customer" in roles and settings.user_header_name:
        return clean_name(headers.get(settings.user_header_name.lower()))
    return None


def _trace_id(traceparent: str) -> str | None:
    parts = traceparent.split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 and parts[1].isalnum() else None
