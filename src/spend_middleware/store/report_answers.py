"""What comes out of a report: its lines, its pages of days, and the models without a price."""

from __future__ import annotations

from dataclasses import dataclass

from spend_middleware.store.report_values import Sums


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
