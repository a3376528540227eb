"""Who pays: what callers say, what their virtual keys say, and looking those up without ever holding a request up."""

from __future__ import annotations

import asyncio
import hmac
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from spend_middleware.attribution import Scope, hash_key, inbound_scope, merge
from spend_middleware.call import NOBODY, Attribution
from spend_middleware.headers import tally_headers
from spend_middleware.inbound import InboundScope, KeyHolder, RawHeaders, attribution_of, key_in, of_holder
from spend_middleware.scopes import said_by
from spend_middleware.settings import Settings
from spend_middleware.store.key_cache import UNKNOWN
from spend_middleware.store.running import RunningSpend

if TYPE_CHECKING:
    from spend_middleware.store.directory import Directory

log = logging.getLogger("spend_middleware")

LOOKUP_SECONDS = 3.0
"""How long a request waits for its key to be looked up; without an answer it goes on without a payer."""

PAUSE_SECONDS = 5.0
"""How long no request waits after one that waited in vain, so that a database that hangs holds up one, not all."""


class Payers:
    """Finds out who calls are for; nothing here raises into a request.

    Args:
        settings: Which words count, and bounds.
        master_key: The administrator's key, whose bearer's words count.
        directory: Opens the directory of keys, where it is not open yet.
        running: What known keys have spent.
    """

    def __init__(
        self,
        settings: Settings,
        master_key: str | None,
        directory: Callable[[], Directory],
        running: RunningSpend,
    ) -> None:
        self.settings = settings
        self._master_key = master_key
        self._directory = directory
        self._running = running
        self._open: Directory | None = None
        self._paused_until = 0.0
        self.failures = 0

    def said(self, tags: Sequence[object], *, api_key: str | None, **names: Any) -> Attribution:
        """Return what the arguments of `Spend.tag` say, with what a virtual key among them adds."""
        names |= {"max_tags": self.settings.max_tags, "max_tag_length": self.settings.max_tag_length}
        said = said_by(tuple(tags), api_key=api_key, **names)
        if said.key_hash is None:
            return said
        holder = self._holder_now(said.key_hash)
        return said if holder is None else merge(said, of_holder(holder), max_tags=self.settings.max_tags)

    def _holder_now(self, key_hash: str) -> KeyHolder | None:
        """Return the holder of a key; on an event loop only if it is known already, since a query would block it."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._find_or_nobody(key_hash)
        found = UNKNOWN if self._open is None else self._open.recall_key(key_hash)
        return None if found is UNKNOWN else found

    def _find_or_nobody(self, key_hash: str) -> KeyHolder | None:
        if time.monotonic() < self._paused_until:
            return None
        try:
            return self._find(key_hash)
        except Exception:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._failed("The key of a block could not be looked up.")
            return None

    def _find(self, key_hash: str) -> KeyHolder | None:
        if self._open is None:
            self._open = self._directory()
        return self._open.find_key(key_hash)

    def inbound(self, headers: RawHeaders, client: str | None) -> Scope | Callable[[], Awaitable[Scope]]:
        """Return the scope of an inbound request, or a coroutine function that finds it (for the middleware)."""
        try:
            key = key_in(headers)
            if key is None:
                return self._inbound_scope(headers, client, None)
            if self._master_key is not None and hmac.compare_digest(key.encode(), self._master_key.encode()):
                return self._inbound_scope(headers, client, None, trusted=True)
            digest = hash_key(key)
            # The directory's own first import and connection are left to the thread as well.
            found = UNKNOWN if self._open is None else self._open.peek_key(digest)
            if found is not UNKNOWN:
                return self._inbound_scope(headers, client, found)
        except Exception:
            self._failed("The key of an inbound request could not be looked up.")
            return inbound_scope(NOBODY)

        async def looked_up() -> Scope:
            if time.monotonic() < self._paused_until:
                return self._inbound_scope(headers, client, None)
            try:
                holder = await asyncio.wait_for(asyncio.to_thread(self._find, digest), LOOKUP_SECONDS)
            except Exception:
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                self._failed("The key of an inbound request could not be looked up.")
                holder = None
            return self._inbound_scope(headers, client, holder)

        return looked_up

    def _inbound_scope(
        self, headers: RawHeaders, client: str | None, holder: KeyHolder | None, *, trusted: bool = False
    ) -> Scope:
        good = (
            holder is not None
            and not holder.blocked
            and not (holder.expires_at and holder.expires_at < time.time())
        )
        trusted = trusted or good or self.settings.trust_client_headers

        def resolve() -> Attribution:
            return attribution_of(headers, client, holder, self.settings, trusted=trusted)

        return InboundScope(resolve)

    def answer_headers(self, scope: Scope) -> Sequence[tuple[bytes, bytes]]:
        """Return the headers that say what the calls of a scope cost so far (for the middleware)."""
        if not self.settings.response_headers:
            return ()
        try:
            said = scope.attribution
            spent = self._running.of(said.key_hash) if self._running.known else None
            told = tally_headers(said.session_id or scope.request_id or "", scope.tally, spent)
            return list(told.items())
        except Exception:
            self._failed("The cost headers of an answer could not be made.")
            return ()

    def _failed(self, message: str) -> None:
        self.failures += 1
        if self.failures == 1:
            log.warning("%s Further failures are only counted.", message, exc_info=sys.exception())
