"""Spend: builds the parts from the settings, starts them, hooks them in, and closes them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from spend_middleware import forks
from spend_middleware.attribution import Scope, current_scope, hash_key, merge
from spend_middleware.call import Call, Cost, Usage
from spend_middleware.errors import ConfigurationError
from spend_middleware.estimator import BackgroundEstimator
from spend_middleware.functions import price_response
from spend_middleware.guard import faults
from spend_middleware.inbound import RawHeaders
from spend_middleware.opening import book_of, check_urls, prices_in, settings_from, warn_of_weak_key
from spend_middleware.operations import micros, pricer, recorded_call
from spend_middleware.outbound import hide_end_user
from spend_middleware.payers import Payers
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.maps import Follower
from spend_middleware.recorder import Gate, Recorder
from spend_middleware.scopes import Tag
from spend_middleware.settings import Settings
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.running import RunningSpend
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
        self.settings: Settings = settings if settings is not None else settings_from(knobs)
        check_urls(self.settings)
        self.store = Store(self.settings)
        self._book: PriceBook | None = None
        self._follower: Follower | None = None
        self._following = False
        self._warmed = False
        self._app: Any = None
        self._directory: Directory | None = None
        self.fork_lock = threading.RLock()
        self._telemetry = Telemetry(self.settings.spans)
        self._estimator = BackgroundEstimator()
        self._running = RunningSpend(self.store.held)
        self.recorder = Recorder(
            self.settings,
            self.store,
            self._prices_now,
            self._telemetry,
            self._estimator,
            self._running,
            self._gate(),
        )
        self._payers = Payers(self.settings, self.master_key, lambda: self.directory, self._running)
        self._telemetry.watch(_health_of(weakref.ref(self.store)))
        warn_of_weak_key(self.master_key)
        if (
            self.settings.model_prices
            or self.settings.cost_discount_config
            or self.settings.cost_margin_config
        ):
            # A price that cannot be used is to be heard of here, not at the first call.
            _ = self.prices
        forks.watch(self)

    def after_fork(self) -> None:
        """Begin anew in a forked child, whose parent's threads may have held any lock."""
        self.fork_lock = threading.RLock()
        self._following = False
        self._running.after_fork()
        self.recorder.after_fork()
        self._estimator.after_fork()

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
        return self._prices_now()

    def _prices_now(self) -> PriceBook:
        if self._book is None:
            with self.fork_lock:
                if self._book is None:
                    self._book = book_of(self.settings)
        if not self._following:
            self._follow_map(self._book)
        return self._book

    def _follow_map(self, book: PriceBook) -> None:
        """Keep to the price map that the settings name, if any, in every process: a fork leaves threads behind."""
        with self.fork_lock:
            if not self._following:
                location = self.settings.model_cost_map_url
                if location and not self.settings.local_model_cost_map:
                    self._follower = book.follow_map(location)
                self._following = True

    @property
    def directory(self) -> Directory:
        """Keys, teams, users and allowed addresses."""
        if self._directory is None:
            from spend_middleware.store.directory import Directory

            with self.fork_lock:
                if self._directory is None:
                    directory = Directory(
                        self.store.engine,
                        self.store.reports,
                        ZoneInfo(self.settings.timezone),
                        running=self._running,
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

            with self.fork_lock:
                if self._app is None:
                    self.start()
                    self._app = build_app(self)
        return self._app

    # -- hooking in

    def start(self) -> None:
        """Open the journal and the database in the background; done by itself where it is needed."""
        self.store.start()
        if not self._warmed:
            self._warmed = True
            # So that the first call does not wait for the table to be read.
            threading.Thread(target=lambda: self.prices, name="spend-warm-up", daemon=True).start()

    def instrument(self) -> Self:
        """Meter every httpx, httpx2 and aiohttp client of this process, existing ones too; idempotent."""
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
        said = self._payers.said(
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

    def inbound(self, headers: RawHeaders, client: str | None) -> Scope | Callable[[], Awaitable[Scope]]:
        """Return the scope of an inbound request, or a coroutine function that finds it (for the middleware)."""
        return self._payers.inbound(headers, client)

    def answer_headers(self, scope: Scope) -> Sequence[tuple[bytes, bytes]]:
        """Return the headers that say what the calls of a scope cost so far (for the middleware)."""
        return self._payers.answer_headers(scope)

    # -- prices

    def register_model(self, prices: Mapping[str, Mapping[str, Any]] | str | Path) -> None:
        """Set your own prices, in LiteLLM's field names; fields are merged into a known model's, and yours win.

        Args:
            prices: Model -> price fields, or the path of a JSON file that holds them.

        Raises:
            ConfigurationError: The file cannot be read or is not an object of models.
            PriceError: A price is not a number; the message names the model and the field, and nothing is changed.
        """
        self.prices.register(prices if isinstance(prices, Mapping) else prices_in(prices))

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
        said = self._payers.said(
            (tags,) if isinstance(tags, str) else tags,
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
        said = hide_end_user(said, self.settings)
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
        """Erase a person from rows, tags, rollups and journal, hashed names too; totals stay.

        Raises:
            ConfigurationError: The name is empty.
        """
        self.flush()
        found = self.store.upkeep.forget(end_user=end_user)
        # Rows from before the setting hold the name, later ones its hash.
        return (
            found + self.store.upkeep.forget(end_user=hash_key(end_user))
            if self.settings.hash_end_users
            else found
        )

    def import_litellm(self, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, Imported]:
        """Take over LiteLLM's rows, by table name ("LiteLLM_SpendLogs", "LiteLLM_TeamTable", ...).

        Again and again without doubling anything.

        Returns:
            For each table how many rows were imported, were there already, or were refused, with the reasons.
        """
        return self.store.upkeep.import_litellm(tables)

    def health(self) -> dict[str, Any]:
        """Return how the ledger is: database reachable, queue, journal, what was set aside or refused.

        `unhandled` counts look-ups of payers that failed, `faults` the failures of our own work in this process that
        were kept from the host: each may be a call without a row.
        """
        return {**self.store.health(), "unhandled": self._payers.failures, "faults": faults.total()}

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all recorded calls are in the database; False (and a log line) when some are not yet."""
        from spend_middleware.interception.attempt import settle

        until = time.monotonic() + timeout
        settle()
        counted = self._estimator.drain(timeout)
        left = self.store.flush(max(0.0, until - time.monotonic()))
        if left or not counted:
            keeper = "the journal" if self.store.folder is not None else "memory"
            log.warning("Flush: %d calls are not in the database yet; %s keeps them.", left, keeper)
        return counted and not left

    def close(self, timeout: float = 5.0) -> None:
        """Undo the instrumentation, write what is waiting, and stop; idempotent."""
        from spend_middleware.interception.attempt import settle

        self.uninstrument()
        settle()
        self._estimator.drain(timeout)
        if self._directory is not None:
            self._directory.close()
        if self._follower is not None:
            self._follower.stop()
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


def _health_of(reference: Callable[[], Store | None]) -> Callable[[], Mapping[str, Any]]:
    """Return what reads a store's health while the store lives."""

    def health() -> Mapping[str, Any]:
        store = reference()
        return {} if store is None or not store.is_open else store.health()

    return health
