"""How many users each tag has, and what it cost them: LiteLLM's analytics of user agents, which come as tags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer, number, short_day
from spend_middleware.api.asked import TheHouse
from spend_middleware.api.desk import TheDirectory
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.names import entity_names
from spend_middleware.api.parameters import period_of
from spend_middleware.api.refusals import plain
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_entities import Part
from spend_middleware.api.schemas_tags import (
    ActiveUsersAnalyticsResponse,
    DistinctTagsResponse,
    PerUserAnalyticsResponse,
    TagSummaryResponse,
)
from spend_middleware.store.directory import Directory
from spend_middleware.store.report_values import ALL_TIME, EVERYTHING, By, Filter, Period, Sums
from spend_middleware.store.reports import Reports

routes = Routes("tag management")

TAGS = ["tag management", "user agent analytics"]
USER_AGENT = "User-Agent:"
MOST_TAGS = 250
"""Tags in the list of them, as in LiteLLM."""
MOST_NAMES = 10_000
"""Tags that one question can name: databases bound the values of a statement."""
STRETCHES = 7
DAYS = 30

OneTag = Annotated[Part | None, Query(description="Only tags that hold this text, whatever its case.")]
SomeTags = Annotated[list[Part] | None, Query(description="Only these tags; goes before tag_filter.")]


@routes.get("/tag/distinct", permission=Permission.READ_ALL, response_model=DistinctTagsResponse, tags=TAGS)
def get_distinct_user_agent_tags(directory: TheDirectory) -> Response:
    """List the 250 busiest tags of user agents, and those without a colon, which would be a header's."""
    lines = directory.reports.tags(EVERYTHING, ALL_TIME).tags
    shown = [line for line in lines if line.tag.startswith(USER_AGENT) or ":" not in line.tag]
    busiest = sorted(shown, key=lambda line: (-line.sums.requests, line.tag))[:MOST_TAGS]
    return answer({"results": [{"tag": line.tag} for line in busiest]})


@routes.get("/tag/summary", permission=Permission.READ_ALL, response_model=TagSummaryResponse, tags=TAGS)
def get_tag_summary(
    house: TheHouse,
    directory: TheDirectory,
    start_date: Annotated[Part, Query(description="First day, YYYY-MM-DD.")],
    end_date: Annotated[Part, Query(description="Last day, counted whole.")],
    tag_filter: OneTag = None,
    tag_filters: SomeTags = None,
) -> Response:
    """Sum up each tag over a period, the busiest first."""
    try:
        period = period_of(start_date, end_date, None, house.settings.timezone)
    except ProxyError as error:
        raise plain(400, error.message) from None
    named = _named(directory.reports, period, tag_filter, tag_filters)
    if named is None:
        return answer({"results": []})
    lines = directory.reports.tags(EVERYTHING, period, named).tags
    users = _users(directory.reports, period, named)
    busiest = sorted(lines, key=lambda line: (-line.sums.requests, line.tag))
    return answer(
        {
            "results": [
                {"tag": line.tag, "unique_users": users.get(line.tag, 0), **_summed(line.sums)}
                for line in busiest
            ]
        }
    )


def _summed(sums: Sums) -> dict[str, Any]:
    return {
        "total_requests": sums.requests,
        "successful_requests": sums.successes,
        "failed_requests": sums.failures,
        "total_tokens": sums.total_tokens,
        "total_spend": number(sums.spend),
    }


def _named(reports: Reports, period: Period, part: str | None, wanted: Sequence[str] | None) -> Filter | None:
    """Return the filter on tags; None when no tag of the period is meant."""
    names = tuple(wanted or ())
    if not names and part:
        known = reports.names(By.TAG, EVERYTHING, period)
        names = tuple(name for name in known if part.casefold() in name.casefold())
        if not names:
            return None
    return _bounded(names)


def _bounded(names: Sequence[str]) -> Filter:
    if len(names) > MOST_NAMES:
        raise plain(400, f"{len(names)} tags are meant, and {MOST_NAMES} can be. Ask for fewer.")
    return Filter(tag=tuple(names))


def _users(reports: Reports, period: Period, named: Filter) -> dict[str, int]:
    """Return how many users each tag has."""
    users: dict[str, int] = {}
    for group in reports.by([By.TAG, By.USER], EVERYTHING, period, named).groups:
        if group.keys[1]:
            users[group.keys[0]] = users.get(group.keys[0], 0) + 1
    return users


# -- active users


def _active(directory: Directory, days: int, part: str | None, wanted: Sequence[str] | None) -> Response:
    """Count the users of tags in seven stretches of so many days; the last one ends tomorrow in UTC, as LiteLLM's."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    found: list[dict[str, Any]] = []
    for place in range(1, STRETCHES + 1):
        last = tomorrow - timedelta(days=days * (STRETCHES - place))
        first = last - timedelta(days=days - 1)
        period = Period(start=first, end=last, zone="UTC")
        named = _named(directory.reports, period, part, wanted)
        users = {} if named is None else _users(directory.reports, period, named)
        found += [
            {"tag": tag, "active_users": count, **_when(place, first, last)}
            for tag, count in sorted(users.items(), key=lambda item: (-item[1], item[0]))
        ]
    return answer({"results": found})


def _when(place: int, first: date, last: date) -> dict[str, str | None]:
    if first == last:
        return {"date": last.isoformat(), "period_start": None, "period_end": None}
    day = short_day(first)
    label = f"Week {place} ({day})" if last - first < timedelta(days=7) else f"Month {place} ({day[:3]})"
    return {"date": label, "period_start": f"{first} 00:00:00", "period_end": f"{last} 00:00:00"}


@routes.get(
    "/tag/dau", permission=Permission.READ_ALL, response_model=ActiveUsersAnalyticsResponse, tags=TAGS
)
def get_daily_active_users(
    directory: TheDirectory, tag_filter: OneTag = None, tag_filters: SomeTags = None
) -> Response:
    """Count the users of each tag on each of the last seven days."""
    return _active(directory, 1, tag_filter, tag_filters)


@routes.get(
    "/tag/wau", permission=Permission.READ_ALL, response_model=ActiveUsersAnalyticsResponse, tags=TAGS
)
def get_weekly_active_users(
    directory: TheDirectory, tag_filter: OneTag = None, tag_filters: SomeTags = None
) -> Response:
    """Count the users of each tag in each of the last seven weeks."""
    return _active(directory, 7, tag_filter, tag_filters)


@routes.get(
    "/tag/mau", permission=Permission.READ_ALL, response_model=ActiveUsersAnalyticsResponse, tags=TAGS
)
def get_monthly_active_users(
    directory: TheDirectory, tag_filter: OneTag = None, tag_filters: SomeTags = None
) -> Response:
    """Count the users of each tag in each of the last seven months of 30 days."""
    return _active(directory, DAYS, tag_filter, tag_filters)


# -- users


@routes.get(
    "/tag/user-agent/per-user-analytics",
    permission=Permission.READ_ALL,
    response_model=PerUserAnalyticsResponse,
    tags=TAGS,
)
def get_per_user_analytics(
    house: TheHouse,
    directory: TheDirectory,
    tag_filter: OneTag = None,
    tag_filters: SomeTags = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """Show what each user did with tagged calls in the last 30 days, those with the most answered calls first."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    period = Period(start=tomorrow - timedelta(days=DAYS), end=tomorrow, zone="UTC")
    rows = _by_user(directory.reports, period, tag_filter, tag_filters)
    shown = rows[(page - 1) * page_size : page * page_size]
    known = entity_names(house, By.USER, [user_id for user_id, _, _ in shown])
    return answer(
        {
            "results": [_user(*row, known.get(row[0], {}).get("user_email")) for row in shown],
            "total_count": len(rows),
            "page": page,
            "page_size": page_size,
            "total_pages": -(-len(rows) // page_size),
        }
    )


def _user(user_id: str, tag: str, sums: Sums, address: str | None) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "user_email": address,
        "user_agent": tag,
        "successful_requests": sums.successes,
        "failed_requests": sums.failures,
        "total_requests": sums.requests,
        "total_tokens": sums.total_tokens,
        "spend": number(sums.spend),
    }


def _by_user(
    reports: Reports, period: Period, part: str | None, wanted: Sequence[str] | None
) -> list[tuple[str, str, Sums]]:
    """Return each user with its busiest tag and its sums, in which a call with several tags counts once."""
    named = _named(reports, period, part, wanted)
    if named is not None and not named.tag:
        named = _bounded(reports.names(By.TAG, EVERYTHING, period))
    if named is None or not named.tag:
        return []
    busiest: dict[str, tuple[int, str]] = {}
    for group in reports.by([By.USER, By.TAG], EVERYTHING, period, named).groups:
        user_id, tag = group.keys
        busiest[user_id] = min(busiest.get(user_id, (0, "")), (-group.sums.requests, tag))
    groups = reports.by([By.USER], EVERYTHING, period, named).groups
    rows = [(group.keys[0], busiest[group.keys[0]][1], group.sums) for group in groups if group.keys[0]]
    return sorted(rows, key=lambda row: (-row[2].successes, row[0]))
