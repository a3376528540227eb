"""What goes into a question for single rows and what comes out of it: the filter, the order, rows and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from spend_middleware.call import from_pico
from spend_middleware.store.report_values import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which rows of the ledger are asked for; all that is given must hold.

    Args:
        request_id: A provider's id, our call id, a session id or a trace id.
        since: Microseconds since the epoch: calls that started then or later.
        until: Microseconds since the epoch: calls that started before.
        status: "success" or "failure" (everything else), or one of the statuses of a call.
        search: A piece of text within request id, model, key alias, user, team or end user.
        min_spend: In pico-dollars, adjustments included; so is max_spend.
        session_part: A piece of the session id; alias_part is one of the key's alias.
        session_ids: One of these sessions.
        call_types: One of these; other_call_types: none of these.
        cache_hit: Whether LiteLLM answered out of its cache; of rows that were imported from there alone.
        model_id: LiteLLM's deployment; of such rows too.
        by_session: Only the newest row of each session of a key; rows without a session stand for themselves.
    """

    request_id: str | None = None
    since: int | None = None
    until: int | None = None
    api_key: tuple[str, ...] = ()
    user_id: tuple[str, ...] = ()
    team_id: tuple[str, ...] = ()
    organization_id: tuple[str, ...] = ()
    end_user: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    model_group: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    agent_id: tuple[str, ...] = ()
    session_id: str | None = None
    trace_id: str | None = None
    key_alias: str | None = None
    call_type: str | None = None
    status: str | None = None
    status_code: int | None = None
    error_type: str | None = None
    pricing_status: str | None = None
    min_spend: int | None = None
    max_spend: int | None = None
    search: str | None = None
    session_part: str | None = None
    session_ids: tuple[str, ...] | None = None
    alias_part: str | None = None
    call_types: tuple[str, ...] | None = None
    other_call_types: tuple[str, ...] | None = None
    cache_hit: bool | None = None
    model_id: str | None = None
    by_session: bool | None = None


class LogOrder(StrEnum):
    """What rows can be sorted by; ties are broken by start and id, so that every order is total."""

    START = "start_time"
    END = "end_time"
    SPEND = "spend"
    TOTAL_TOKENS = "total_tokens"
    DURATION = "duration"
    MODEL = "model"
    FIRST_TOKEN = "first_token"  # noqa: S105 - a column of times, not a secret


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One signed entry that belongs to a call: what it adds to the call's spend, and who did so when and why."""

    id: str
    log_id: str
    amount_pico: int
    kind: str
    actor: str
    reason: str
    created_at: int

    @property
    def amount(self) -> Decimal:
        """The exact amount in USD, negative for a refund."""
        return from_pico(self.amount_pico)


@dataclass(frozen=True, slots=True)
class LogRow:
    """One call as it was written, and what was added to it later.

    Args:
        columns: Column name of `spend_logs` -> stored value: money as whole pico-dollars or None, times as
            microseconds since the epoch, JSON columns as JSON text.
        adjustments: In the order they were made.
    """

    columns: Mapping[str, Any]
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def spend_pico(self) -> int | None:
        """The spend with its adjustments; None when the call is unpriced and nobody priced it since."""
        spend: int | None = self.columns["spend"]
        if spend is None and not self.adjustments:
            return None
        return (spend or 0) + sum(entry.amount_pico for entry in self.adjustments)

    @property
    def spend(self) -> Decimal | None:
        """The same, in USD."""
        pico = self.spend_pico
        return None if pico is None else from_pico(pico)


@dataclass(frozen=True, slots=True)
class SessionSums:
    """All calls of one session under one key, and the models that answered them.

    Args:
        calls_by_type: How many calls there are of each call type.
    """

    sums: Sums
    calls_by_type: Mapping[str, int]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the start time and the id of its last row."""

    start_time: int
    id: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of rows; `next` continues after it (None: it was the last), `total` counts all that match.

    `capped` says that there are more calls than were looked at, and the total is the least that there are.
    """

    rows: tuple[LogRow, ...]
    total: int
    next: Cursor | None
    capped: bool = False
