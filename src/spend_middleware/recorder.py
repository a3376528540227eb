"""The live path's only place with effects: each finished exchange becomes a row, a span, a tally and headers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

from spend_middleware.attribution import Scope, current_scope
from spend_middleware.call import Attribution, Call
from spend_middleware.costs import MeteredCall
from spend_middleware.estimates import counted, to_be_counted
from spend_middleware.headers import cost_headers, id_headers, metered_headers
from spend_middleware.ids import new_call_id
from spend_middleware.interception.exchange import NONE_ADDED, Added, Answer, Exchange
from spend_middleware.metering import measure
from spend_middleware.opened import Opened
from spend_middleware.outbound import asked_for, credential_in, owners_of_usual, within
from spend_middleware.pricing.book import PriceBook
from spend_middleware.settings import Settings
from spend_middleware.store.facts import Started
from spend_middleware.store.running import RunningSpend
from spend_middleware.telemetry import Telemetry
from spend_middleware.usual import usual_call
from spend_middleware.wire import request, table
from spend_middleware.wire.reading import ENDPOINTS, Reading, Route, Sent
from spend_middleware.wire.rewriting import all_stays, headers_to_drop, without_our_fields
from spend_middleware.wire.stream_usage import usage_chunk_filter, want_stream_usage
from spend_middleware.wire.written import encode, read_object

log = logging.getLogger("spend_middleware")

BATCH_FILES = frozenset(("openai.batch_lines", "gemini.batch_lines"))
"""The wire formats of files that hold the results of a batch."""

MOST_RESULTS = 10_000
"""Results of background calls that are remembered, so that reading one again makes no second span."""


class Ledger(Protocol):
    """What the recorder needs of the store. No method raises or blocks."""

    def append_call(self, call: Call, *, provisional: bool = False) -> None:
        """Take one finished call; a provisional one is followed by its final form."""

    def append_metered(self, call: MeteredCall) -> None:
        """Take one finished call whose cost is still to be multiplied."""

    def mark(self, started: Started) -> None:
        """Note that a call went out."""

    def unmark(self, call_id: str) -> None:
        """Note that a call that went out leaves no row."""


class Estimator(Protocol):
    """Counts tokens off the caller's path."""

    def submit(self, work: Callable[[], None]) -> bool:
        """Run the work soon on another thread; False when it cannot be taken."""


Gate = Callable[[Attribution, Route, Mapping[str, Any]], Answer | None]
"""Asked before each call goes out; an answer refuses the call (the seam for budgets)."""


class Recorder:
    """Observes exchanges and records them.

    Args:
        settings: All knobs.
        ledger: Where rows go.
        prices: Gives the price book; asked at each call, so that a refreshed book counts at once.
        telemetry: Spans and metrics.
        estimator: Counts tokens where a provider sent no usage.
        running: What known keys have spent.
        gate: Refuses calls before they go out.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        prices: Callable[[], PriceBook],
        telemetry: Telemetry,
        estimator: Estimator,
        running: RunningSpend,
        gate: Gate | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._prices = prices
        self._telemetry = telemetry
        self._estimator = estimator
        self._running = running
        self._gate = gate
        self._owner_of = owners_of_usual(settings)
        self._rules = table.rules_of(settings.providers)
        # Of two that write to the same database, as a notebook's cell makes that is run again, one sees a call.
        self.books = settings.books
        self._warned: set[tuple[str, str, str | None]] = set()
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Begin anew in a forked child, whose parent's threads may have held the lock."""
        self._lock = threading.Lock()

    # -- what interception asks

    def recognise(self, method: str, host: str, path: str) -> Route | None:
        """Return the route of a request that is to be metered, None for all other traffic."""
        route = table.recognise(method, host, path, self._rules)
        # A file is no call; that of a batch's results holds many, where the user says that it is to be read.
        if route is not None and route.wire_format in BATCH_FILES and not self._settings.batch_result_files:
            return None
        return route

    def opened(self, exchange: Exchange) -> None:
        """See a request before it goes out: who asked, what of it is ours and must not leave."""
        route: Any = exchange.route
        headers, settings = exchange.request_headers, self._settings
        exchange.max_body_bytes = settings.max_body_bytes
        exchange.call_id = new_call_id(exchange.started)
        scope = current_scope.get()
        trace_id, context = self._telemetry.active()
        asked = request.usual_request(exchange.request_body, headers)
        owner = None
        if asked is not None and request.leaves_as_it_is(asked, route):
            owner = self._owner_of(credential_in(headers), asked.user)
        if owner is None or settings.include_stream_usage:
            opened = self._opened_otherwise(exchange, asked, scope, trace_id)
        elif scope is None and trace_id is None:
            opened = Opened(asked, None, owner.attribution, owner.payer)
        else:
            opened = Opened(asked, None, within(owner.said, owner.secret, scope, trace_id, settings))
        if scope is not None and not exchange.seen_before:
            opened.scope = scope
            scope.open()
        opened.context = context
        retries = headers.get("x-stainless-retry-count", "0")
        if retries != "0":
            opened.attempt = _attempt(retries)
        exchange.state = opened
        if self._gate is not None:
            exchange.answer = self._gate(opened.attribution, route, opened.sent(exchange).content or {})
            opened.refused = exchange.answer is not None
        if settings.journal_marks and route.certain and not route.follow_up:
            self._mark(exchange, route, opened)

    def _opened_otherwise(
        self,
        exchange: Exchange,
        asked: request.UsualRequest | None,
        scope: Scope | None,
        trace_id: str | None,
    ) -> Opened:
        """See a request that says more than the usual."""
        route: Any = exchange.route
        headers, settings = exchange.request_headers, self._settings
        content: Mapping[str, Any] | None = None
        if asked is not None:
            fields = request.fields_of_usual(asked)
        else:
            content = read_object(exchange.request_body) or exchange.request_form
            fields = request.fields_of(content, headers, route)
            asked = None if content is None else request.usual_in(content)
        opened = Opened(asked, content, asked_for(fields, headers, scope, trace_id, settings))
        # What only looks like an LLM call leaves as it is: its `metadata` and headers are its own service's.
        if route.certain:
            if not (fields is request.NO_FIELDS or fields.says_user_alone):
                exchange.drop_headers = headers_to_drop(headers, route)
            if settings.include_stream_usage or not all_stays(fields, route):
                self._rewrite(exchange, opened.sent(exchange).content, route)
        return opened

    def answered(self, exchange: Exchange) -> Added:
        """Return the headers for a streamed answer: the id under which its cost is found later."""
        if not self._settings.response_headers:
            return NONE_ADDED
        opened: Any = exchange.state
        return partial(id_headers, exchange.call_id, self._key_spent(opened) if self._running.known else None)

    def finished(self, exchange: Exchange) -> Added:
        """Record a whole exchange, and return the headers for an answer that was not streamed."""
        opened: Any = exchange.state
        book = self._prices()
        if opened.asked is not None:
            usual = usual_call(exchange, opened.asked, book, opened.attribution, opened.payer, opened.attempt)
            if usual is not None:
                return self._finished_usual(usual, opened)
        return self._finished_otherwise(exchange, opened, book)

    def _finished_usual(self, usual: MeteredCall, opened: Opened) -> Added:
        """Record a call of the usual kind; its cost is worked out here only if somebody wants to know it now."""
        self._ledger.append_metered(usual)
        if self._running.known or self._telemetry.listens:
            call = usual.rated()
            self._tell(call, opened.scope, opened.context)
            return self._said_of(call, opened)
        if opened.scope is not None:
            opened.scope.tally.add(usual)
        return partial(metered_headers, usual) if self._settings.response_headers else NONE_ADDED

    def _finished_otherwise(self, exchange: Exchange, opened: Opened, book: PriceBook) -> Added:
        """Record an exchange of any kind."""
        sent = opened.sent(exchange)
        calls, reading = measure(exchange, sent, book, opened.attribution, opened.attempt)
        if not calls:
            self._ledger.unmark(exchange.call_id)
            return NONE_ADDED
        first, *others = calls
        once = reading.once_key is not None
        if once and not reading.pending and self._told_before(first.call_id):
            return NONE_ADDED
        if not self._counted_later(first, reading, opened, sent):
            self.record(first, opened.scope, opened.context)
        for call in others:  # of the calls of a batch nobody here knows the questions
            self.record(call, opened.scope, opened.context)
        if once and exchange.call_id not in [call.call_id for call in calls]:
            self._ledger.unmark(exchange.call_id)
        return self._said_of(first, opened)

    def _said_of(self, call: Call, opened: Opened) -> Added:
        """Return the headers that an answer gets."""
        if not self._settings.response_headers:
            return NONE_ADDED
        return partial(cost_headers, call, self._key_spent(opened) if self._running.known else None)

    def _key_spent(self, opened: Opened) -> Decimal | None:
        """Return what the key of a call has spent by now, where that key is known."""
        return self._running.of(opened.attribution.key_hash)

    def _told_before(self, call_id: str) -> bool:
        """Whether this result was recorded by this process already; the database sees to all others."""
        with self._lock:
            if call_id in self._told:
                return True
            if len(self._told) >= MOST_RESULTS:
                self._told.clear()
            self._told.add(call_id)
            return False

    # -- what becomes of a call

    def record(self, call: Call, scope: Scope | None = None, context: Any = None) -> None:
        """Put one finished call into the ledger, the tallies around it, and telemetry."""
        self._ledger.append_call(call)
        self._tell(call, scope, context)

    def _tell(self, call: Call, scope: Scope | None, context: Any) -> None:
        """Let everybody but the ledger know of a finished call."""
        if self._running.known:
            self._running.add(call)
        if scope is not None:
            scope.tally.add(call)
        if call.cost.amount is None:
            self._warn_once(call)
        self._telemetry.record(call, context)

    def _counted_later(self, call: Call, reading: Reading, opened: Opened, sent: Sent) -> bool:
        """Hand a call without reported usage to the estimator; False when it is to be recorded as it is."""
        if not (self._settings.estimate_missing_usage and to_be_counted(call, reading)):
            return False

        def count() -> None:
            self.record(counted(call, reading, sent, self._prices()), opened.scope, opened.context)

        self._ledger.append_call(call, provisional=True)
        return self._estimator.submit(count)

    def _warn_once(self, call: Call) -> None:
        key = (call.provider, call.model, call.cost.reason)
        with self._lock:
            if key in self._warned or len(self._warned) > 10_000:
                return
            self._warned.add(key)
        log.warning(
            "Unpriced: a call to %s/%s has no cost (%s). Further ones like it are only counted.", *key
        )

    # -- going out

    def _rewrite(self, exchange: Exchange, content: Mapping[str, Any] | None, route: Route) -> None:
        if content is None or not exchange.request_body:
            return
        headers = exchange.request_headers
        changed = without_our_fields(content, route, headers)
        if self._settings.include_stream_usage:
            asking = want_stream_usage(changed if changed is not None else content, route, headers)
            if asking is not None:
                changed = asking
                exchange.filter = usage_chunk_filter()
        if changed is not None:
            exchange.new_body = encode(changed)

    def _mark(self, exchange: Exchange, route: Route, opened: Opened) -> None:
        asked = opened.asked
        model = (opened.sent(exchange).content or {}).get("model") if asked is None else asked.model
        self._ledger.mark(
            (
                exchange.call_id,
                route.operation,
                route.provider,
                model if isinstance(model, str) else route.model or "",
                exchange.origin,
                ENDPOINTS.get(route.operation) or f"/{route.operation}",
                exchange.started,
                opened.attempt,
                opened.attribution,
            )
        )


def _attempt(retries: str) -> int:
    return int(retries) if retries.isdecimal() and len(retries) < 4 else 0
