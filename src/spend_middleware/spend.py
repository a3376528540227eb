"""Spend: builds the parts from the settings, starts them, hooks them in, and closes them."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import SecretStr, ValidationError

from spend_middleware.attribution import NOBODY, Scope, current_scope, hash_key, inbound_scope, merge
from spend_middleware.call import Attribution, Call, Cost, Usage
from spend_middleware.errors import ConfigurationError
from spend_middleware.estimator import BackgroundEstimator
from spend_middleware.headers import tally_headers
from spend_middleware.inbound import InboundScope, KeyHolder, RawHeaders, attribution_of, key_in, of_holder
from spend_middleware.metering import price_response
from spend_middleware.operations import micros, pricer, recorded_call
from spend_middleware.pricing.book import PriceBook
from spend_middleware.recorder import Gate, Recorder
from spend_middleware.scopes import Tag, said_by
from spend_middleware.settings import Settings
from spend_middleware.store.key_cache import UNKNOWN
from spend_middleware.store.report_values import LogFilter
from spend_middleware.store.store import Store
from spend_middleware.telemetry import Telemetry

if TYPE_CHECKING:
    from spend_middleware.store.directory import Directory
    from spend_middleware.store.forget import Forgotten
    from spend_middleware.store.importing import Imported
    from spend_middleware.store.reprice import Repricing
    from spend_middleware.store.verify import Verification

log = logging.getLogger("spend_middleware")

T = TypeVar("T")

WELL_KNOWN_KEY = "sk-1234"
SHORTEST_SAFE_KEY = 16


class Spend:
    """Records what LLM calls cost, in your database.

    Args:
        database_url: Such as "sqlite:///spend.db" or "postgresql://..."; the environment's when None.
        master_key: The administrator's key for the routes; the environment's when None. Without one they are closed.
        settings: Every knob at once, in place of the other arguments.
        knobs: Any further field of `Settings`.

    Raises:
        ConfigurationError: An argument has a value that cannot work.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *,
        master_key: str | None = None,
        settings: Settings | None = None,
        **knobs: Any,
    ) -> None:
        if settings is not None and (database_url is not None or master_key is not None or knobs):
            raise ConfigurationError("Give either `settings` or single arguments, not both.")
        if database_url is not None:
            knobs["database_url"] = database_url
        if master_key is not None:
            knobs["master_key"] = SecretStr(master_key)
        self.settings: Settings = settings if settings is not None else _settings(knobs)
        self.store = Store(self.settings)
        self._book: PriceBook | None = None
        self._app: Any = None
        self._directory: Directory | None = None
        self._lock = threading.RLock()
        self._telemetry = Telemetry(self.settings.spans)
        self._estimator = BackgroundEstimator()
        self.recorder = Recorder(
            self.settings, self.store, lambda: self.prices, self._telemetry, self._estimator, self._gate()
        )
        self._failures = 0
        _warn_of_weak_key(self.master_key)

    def _gate(self) -> Gate | None:
        return None

    # -- the parts

    @property
    def master_key(self) -> str | None:
        """The administrator's key."""
        key = self.settings.master_key
        return None if key is None else key.get_secret_value() or None

    @property
    def prices(self) -> PriceBook:
        """The price table, with your own prices in it; loaded when it is first needed."""
        if self._book is None:
            with self._lock:
                if self._book is None:
                    self._book = _book_of(self.settings)
        return self._book

    @property
    def directory(self) -> Directory:
        """Keys, teams, users and allowed addresses."""
        if self._directory is None:
            from spend_middleware.store.directory import Directory

            with self._lock:
                if self._directory is None:
                    directory = Directory(
                        self.store.engine, self.store.reports, ZoneInfo(self.settings.timezone)
                    )
                    # Discounts and margins that a route has set count in every worker that hears of them.
                    directory.on_change(lambda: self.prices.adjust_by(*directory.cost_config(self.settings)))
                    self._directory = directory
        return self._directory

    @property
    def app(self) -> Any:
        """The ASGI sub-application with LiteLLM's spend routes; mount it at any path, or serve it alone."""
        if self._app is None:
            from spend_middleware.api.app import build_app

            with self._lock:
                if self._app is None:
                    self.start()
                    self._app = build_app(self)
        return self._app

    # -- hooking in

    def start(self) -> None:
        """Open the journal and the database in the background; done by itself where it is needed."""
        self.store.start()

    def instrument(self) -> Self:
        """Meter every httpx and httpx2 client of this process, existing ones too; idempotent."""
        from spend_middleware.interception import clients

        self.start()
        clients.instrument(self.recorder)
        return self

    def uninstrument(self) -> None:
        """Undo `instrument()`."""
        from spend_middleware.interception import clients

        clients.uninstrument(self.recorder)

    def transport(self, inner: T) -> T:
        """Return a transport of httpx or httpx2, sync or async, that meters what goes through `inner`.

        `Client(transport=...)` switches off the proxies of the environment; `instrument()` leaves them alone.
        """
        from spend_middleware.interception import clients

        self.start()
        wrapped: T = clients.wrap_transport(inner, self.recorder)
        return wrapped

    # -- who pays

    def tag(
        self,
        *tags: str,
        end_user: str | None = None,
        user: str | None = None,
        team_id: str | None = None,
        organization_id: str | None = None,
        api_key: str | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Tag:
        """Return a block (with, async with) or decorator whose calls are for whom the arguments say.

        Args:
            tags: Labels; joined with those of outer blocks and of the call itself.
            end_user: The customer that the service acts for.
            user: The internal user.
            team_id: The team.
            organization_id: The organization.
            api_key: A virtual key (or its sha256): its user, team and default tags count where nothing else is said.
            session_id: Groups calls, such as a conversation.
            metadata: Free key/value pairs, kept on each row as `spend_logs_metadata`.
        """
        said = self._said(
            tags,
            end_user=end_user,
            user=user,
            team_id=team_id,
            organization_id=organization_id,
            api_key=api_key,
            session_id=session_id,
            metadata=metadata,
        )
        return Tag(said, self.settings.max_tags)

    def _said(self, tags: Sequence[object], *, api_key: str | None, **names: Any) -> Attribution:
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
            return self.directory.find_key(key_hash)
        found = UNKNOWN if self._directory is None else self._directory.peek_key(key_hash)
        return None if found is UNKNOWN else found

    def inbound(self, headers: RawHeaders, client: str | None) -> Scope | Callable[[], Awaitable[Scope]]:
        """Return the scope of an inbound request, or a coroutine function that finds it (for the middleware)."""
        try:
            key = key_in(headers)
            if key is None:
                return self._inbound_scope(headers, client, None)
            if self.master_key is not None and key == self.master_key:
                return self._inbound_scope(headers, client, None, trusted=True)
            digest = hash_key(key)
            # The directory's own first import and connection are left to the thread as well.
            found = UNKNOWN if self._directory is None else self._directory.peek_key(digest)
            if found is not UNKNOWN:
                return self._inbound_scope(headers, client, found)
        except Exception:
            self._failed("The key of an inbound request could not be looked up.")
            return inbound_scope(NOBODY)

        async def looked_up() -> Scope:
            try:
                holder = await asyncio.to_thread(lambda: self.directory.find_key(digest))
            except Exception:
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
            return tally_headers(scope.attribution.session_id or scope.request_id or "", scope.tally)
        except Exception:
            self._failed("The cost headers of an answer could not be made.")
            return ()

    def _failed(self, message: str) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("%s Further failures are only counted.", message, exc_info=sys.exception())

    # -- prices

    def register_model(self, prices: Mapping[str, Mapping[str, Any]]) -> None:
        """Set your own prices, in LiteLLM's field names; fields are merged into a known model's, and yours win.

        Raises:
            PriceError: A price is not a number; the message names the model and the field, and nothing is changed.
        """
        self.prices.register(prices)

    def price_response(self, completion_response: Mapping[str, Any], model: str | None = None) -> Cost:
        """Price an answer of any supported shape on the path that live calls take."""
        return price_response(completion_response, self.prices, model)

    def count_tokens(self, model: str, messages: Sequence[Mapping[str, Any]]) -> int:
        """Count the prompt tokens of chat messages with the local tokenizer."""
        from spend_middleware.pricing.estimate import count_messages

        return count_messages(messages, model)

    # -- the ledger

    def record(
        self,
        *,
        provider: str,
        model: str,
        usage: Usage | None = None,
        cost: Decimal | float | str | None = None,
        operation: str = "completion",
        tags: Sequence[str] = (),
        request_id: str | None = None,
        start_time: datetime | float | None = None,
        end_time: datetime | float | None = None,
        api_key: str | None = None,
        user: str | None = None,
        team_id: str | None = None,
        organization_id: str | None = None,
        end_user: str | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Call:
        """Record a call that no hook can see, such as one over gRPC or a vector database's.

        Args:
            cost: What it cost, USD; None prices the usage.
            request_id: The provider's id; with one, recording the same call again changes nothing.
            start_time: When it went out: an aware datetime or seconds UTC; now when None. So is end_time.

        Raises:
            ConfigurationError: A value cannot be used; the message names it.
        """
        said = self._said(
            tags,
            end_user=end_user,
            user=user,
            team_id=team_id,
            organization_id=organization_id,
            api_key=api_key,
            session_id=session_id,
            metadata=metadata,
        )
        scope = current_scope.get()
        if scope is not None:
            said = merge(said, scope.attribution, max_tags=self.settings.max_tags)
        call = recorded_call(
            provider, model, usage, cost, operation, request_id, start_time, end_time, said, self.prices
        )
        self.start()
        self.recorder.record(call, scope)
        return call

    def reprice(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        model: str | None = None,
        dry_run: bool = True,
        who: str = "",
        why: str = "repriced",
    ) -> Repricing:
        """Price stored calls again from their stored usage, and enter the differences as adjustments.

        Calls whose cost was told by hand or imported are left alone, unless they have no price. Doing it twice
        enters each difference once.

        Args:
            since: The first moment: an aware datetime, or text such as "2026-11-01" (UTC).
            until: The end, itself not included.
            model: Only this model's calls, as asked for or as answered.
            dry_run: Only say what would change.
            who: Stands in the entries, as `why` does.

        Raises:
            ConfigurationError: A moment cannot be read.
        """
        where = LogFilter(since=micros(since, "since"), until=micros(until, "until"))
        self.flush()
        return self.store.upkeep.reprice(
            pricer(self.prices, model), where, dry_run=dry_run, made_by=who, reason=why
        )

    def verify(self, repair: bool = False) -> Verification:
        """Compare rollups with rows, and journal with database; name each difference, and mend it on request."""
        self.flush()
        return self.store.upkeep.verify(repair=repair)

    def forget(self, *, end_user: str) -> Forgotten:
        """Erase a person from rows, tags, rollups and journal; totals stay."""
        self.flush()
        return self.store.upkeep.forget(end_user=end_user)

    def import_litellm(self, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, Imported]:
        """Take over LiteLLM's rows, by table name ("LiteLLM_SpendLogs", "LiteLLM_TeamTable", ...).

        Again and again without doubling anything.

        Returns:
            For each table how many rows were imported, were there already, or were refused, with the reasons.
        """
        return self.store.upkeep.import_litellm(tables)

    def health(self) -> dict[str, Any]:
        """Return how the ledger is: database reachable, queue, journal, what was set aside or refused."""
        return {**self.store.health(), "unhandled": self._failures}

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all recorded calls are in the database; False (and a log line) when some are not yet."""
        from spend_middleware.interception.attempt import settle

        until = time.monotonic() + timeout
        settle()
        counted = self._estimator.drain(timeout)
        left = self.store.flush(max(0.0, until - time.monotonic()))
        if left or not counted:
            log.warning("Flush: %d calls are not in the database yet; the journal keeps them.", left)
        return counted and not left

    def close(self, timeout: float = 5.0) -> None:
        """Undo the instrumentation, write what is waiting, and stop; idempotent."""
        from spend_middleware.interception.attempt import settle

        self.uninstrument()
        settle()
        self._estimator.drain(timeout)
        if self._directory is not None:
            self._directory.close()
        self.store.close(timeout)

    async def aclose(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Do what `close` does without blocking the event loop."""
        await asyncio.to_thread(self.close, timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _settings(knobs: dict[str, Any]) -> Settings:
    try:
        return Settings(**knobs)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"Setting {name!r}: {first['msg']}.") from None


def _book_of(settings: Settings) -> PriceBook:
    book = PriceBook(
        discounts=settings.cost_discount_config,
        margins=settings.cost_margin_config,
        base_models=settings.base_models,
    )
    if settings.model_prices:
        book.register(settings.model_prices)
    return book


def _warn_of_weak_key(key: str | None) -> None:
    if key == WELL_KNOWN_KEY:
        log.warning("The master key is %s, which everybody knows: set SPEND_MASTER_KEY to a secret one.", key)
    elif key is not None and len(key) < SHORTEST_SAFE_KEY:
        log.warning("The master key is shorter than %d characters: set a longer one.", SHORTEST_SAFE_KEY)
