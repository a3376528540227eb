"""What goes into a report and what comes out of it: scopes, periods, filters, sums and the rows of answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from operator import add, attrgetter, sub
from typing import Any

from spend_middleware.call import from_pico


class By(StrEnum):
    """What spend can be grouped and filtered by; the values are the column names of the ledger."""

    DAY = "day"
    KEY = "api_key"
    USER = "user_id"
    TEAM = "team_id"
    ORGANIZATION = "organization_id"
    END_USER = "end_user"
    TAG = "tag"
    MODEL = "model"
    MODEL_GROUP = "model_group"
    PROVIDER = "provider"
    ENDPOINT = "endpoint"
    AGENT = "agent_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a caller may see; without anything named, nothing.

    A call is visible when it belongs to one of the users, or one of the teams, or one of the keys, or one of the
    organizations named here. The empty string stands for "nobody" in the ledger and never matches.

    Args:
        everything: The administrator's scope.
        keys: sha256 hex values, as in the `api_key` column.
    """

    everything: bool = False
    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()

    @property
    def nothing(self) -> bool:
        """True when no call at all can be visible."""
        return not self.everything and not any(values for _, values in self.parts())

    def parts(self) -> tuple[tuple[By, tuple[str, ...]], ...]:
        """Return the columns and the sorted values of which one must match."""
        named = (
            (By.USER, self.users),
            (By.TEAM, self.teams),
            (By.KEY, self.keys),
            (By.ORGANIZATION, self.organizations),
        )
        return tuple((by, tuple(sorted(values - {""}))) for by, values in named if values - {""})


EVERYTHING = Scope(everything=True)
NOTHING = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole days of one time zone, both ends included; an open end is None.

    Args:
        zone: An IANA name; the zone of the settings when None.
    """

    start: date | None = None
    end: date | None = None
    zone: str | None = None


ALL_TIME = Period()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which calls a report is about: for each column named, one of its values; an empty tuple means any.

    The empty string among the values means calls that have none (`team_id=("",)`: calls without a team).
    """

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

    def parts(self) -> tuple[tuple[By, tuple[str, ...]], ...]:
        """Return the columns and the sorted values that are asked for."""
        named = ((by, getattr(self, by.value)) for by in By if by is not By.DAY)
        return tuple((by, tuple(sorted(set(values)))) for by, values in named if values)


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums over calls: money in whole pico-dollars, counts, tokens and time.

    Args:
        requests: All calls, whatever their end.
        unpriced: Calls whose cost is not known; they add nothing to the spend.
        estimated: Calls whose tokens were counted by us and not by the provider.
        failures: Calls that did not end well: failed, aborted or interrupted.
        duration: Microseconds from start to end of all calls together.
    """

    spend_pico: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_tokens: int = 0
    requests: int = 0
    successes: int = 0
    failures: int = 0
    unpriced: int = 0
    estimated: int = 0
    duration: int = 0

    @property
    def spend(self) -> Decimal:
        """The exact amount in USD."""
        return from_pico(self.spend_pico)

    @property
    def total_tokens(self) -> int:
        """Tokens in and out."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def duration_ms(self) -> int:
        """Whole milliseconds from start to end of all calls together."""
        return self.duration // 1000

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over both."""
        return Sums(*map(add, _each(self), _each(other)))

    def __sub__(self, other: Sums) -> Sums:
        """Return the sums over what is here and not in the other, a part of it."""
        return Sums(*map(sub, _each(self), _each(other)))


_each = attrgetter(*Sums.__dataclass_fields__)


def added(parts: Iterable[Sums]) -> Sums:
    """Return many sums added up, column by column."""
    every = list(parts)
    return every[0] if len(every) == 1 else Sums(*map(sum, zip(*map(_each, every), strict=True)))


@dataclass(frozen=True, slots=True)
class Group:
    """One line of a report: the values that it is grouped by, in the order asked for, and its sums.

    A day among the keys is ISO text, such as "2026-05-01".
    """

    keys: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """The lines of a report, the total over calls (each counted once), and how it was made.

    Args:
        groups: Only the first ones where a limit was asked for; `total` is over all of them.
        from_rows: True when it was added up from single calls, because no rollup knows the days of this zone.
        zone: The time zone that days were cut in.
    """

    groups: tuple[Group, ...]
    total: Sums
    from_rows: bool
    zone: str


@dataclass(frozen=True, slots=True)
class TagSpend:
    """One tag; a call with several tags is counted under each."""

    tag: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class TagReport:
    """Spend by tag, most expensive first.

    Args:
        total: Over all calls of the period, each once, tagged or not.
        untagged: Over the calls that have no tag; None when only certain tags were asked for.
    """

    tags: tuple[TagSpend, ...]
    total: Sums
    untagged: Sums | None
    from_rows: bool
    zone: str


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One day of `/spend/logs?summarize=true`: its sums, and the spend by key, user and model in pico-dollars."""

    day: str
    sums: Sums
    keys: dict[str, int]
    users: dict[str, int]
    models: dict[str, int]


@dataclass(frozen=True, slots=True)
class Detail:
    """The part of a model (and a key, where the report has keys) in a group."""

    model: str
    api_key: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class DayGroup:
    """One day and one team, customer or (team, customer), with its models and keys."""

    day: str
    keys: tuple[str, ...]
    sums: Sums
    details: tuple[Detail, ...]


@dataclass(frozen=True, slots=True)
class KeySpend:
    """One key over a whole period, with its models, most expensive first."""

    api_key: str
    sums: Sums
    models: tuple[Detail, ...]


@dataclass(frozen=True, slots=True)
class ActivityPart:
    """One value of a breakdown: its sums, and those of each key in it (empty for the breakdown by key)."""

    sums: Sums
    keys: dict[str, Sums]


@dataclass(frozen=True, slots=True)
class ActivityDay:
    """One day of daily activity; `breakdown` goes by column and then by value.

    The columns are model, model_group, provider, endpoint, api_key, and "entities" for what was asked about.
    """

    day: str
    sums: Sums
    breakdown: dict[str, dict[str, ActivityPart]]


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of days, newest first, counted in lines as LiteLLM does: a day can go on upon the next page.

    Args:
        page_total: Over the lines of this page (LiteLLM's metadata shows these).
        total: Over the whole period, each call once.
        total_parts: Lines (day, entity, key, model, provider, endpoint) of the whole period: LiteLLM's pages count them.
    """

    days: tuple[ActivityDay, ...]
    page_total: Sums
    total: Sums
    page: int
    total_pages: int
    total_parts: int
    from_rows: bool
    zone: str


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model whose calls have no cost: how many, why, with how many tokens, and when first and last.

    Times are microseconds since the epoch, UTC.
    """

    provider: str
    model: str
    reason: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    first_seen: int
    last_seen: int


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
    """A page of rows; `next` continues after it (None: it was the last), `total` counts all that match."""

    rows: tuple[LogRow, ...]
    total: int
    next: Cursor | None
