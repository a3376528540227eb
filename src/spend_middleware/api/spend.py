"""`/spend/tags` and `/spend/logs`: spend by tag, and the calls themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import hash_of
from spend_middleware.api.answers import answer, counted, counted_tags, number, short_number
from spend_middleware.api.asked import Caller, House, TheCaller, TheHouse
from spend_middleware.api.parameters import (
    EndDate,
    StartDate,
    Zone,
    listed,
    one,
    period_of,
    range_of,
)
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.rows import spend_log
from spend_middleware.api.schemas import TagSpend
from spend_middleware.api.schemas_logs import LiteLLM_SpendLogs, SpendLogsDay
from spend_middleware.call import UsageSource, from_pico
from spend_middleware.store.report_answers import DaySummary
from spend_middleware.store.report_values import Filter, Period
from spend_middleware.store.rows_values import LogFilter, LogRow

routes = Routes("Budget & Spend Tracking")

MOST_ROWS = 10_000
"""Rows of `/spend/logs` at most; `/spend/logs/v2` pages through more."""

TRUNCATED_HEADER = "x-litellm-spend-logs-truncated"


@routes.get("/spend/tags", permission=Permission.SPEND, response_model=list[TagSpend])
def view_spend_tags(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Spend by request tag, most expensive first.

    A call with several tags counts under each of them. The header `x-spend-total` is the sum over the tagged calls,
    each counted once.
    """
    period = period_of(start_date, end_date, timezone, house.settings.timezone)
    report = house.store.reports.tags(caller.scope, period)
    rows = [
        {
            "individual_request_tag": tag.tag,
            "log_count": tag.sums.requests,
            "total_spend": short_number(tag.sums.spend),
        }
        for tag in report.tags
    ]
    return answer(rows, counted_tags(report))


@routes.get("/spend/logs", permission=Permission.SPEND, response_model=list[LiteLLM_SpendLogs | SpendLogsDay])
def view_spend_logs(
    house: TheHouse,
    caller: TheCaller,
    api_key: Annotated[str | None, Query(description="A raw key or its hash.")] = None,
    user_id: Annotated[str | None, Query(description="Calls of one internal user.")] = None,
    request_id: Annotated[
        str | None, Query(description="A provider's id, our call id, a session id or a trace id.")
    ] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    summarize: Annotated[
        bool, Query(description="With both dates: one object a day in place of the rows.")
    ] = True,
    team_id: Annotated[str | None, Query(description="Calls of one team.")] = None,
    tags: Annotated[
        str | None, Query(description="Calls with one of these tags, separated by commas.")
    ] = None,
    model: Annotated[str | None, Query(description="Calls that this model answered.")] = None,
    end_user: Annotated[str | None, Query(description="Calls for one customer.")] = None,
    timezone: Zone = None,
    strict_compat: Annotated[
        bool | None,
        Query(description="Leave out the end day but for its first instant, as LiteLLM's proxy does."),
    ] = None,
) -> Response:
    """The calls, newest first; with both dates, a summary of each day unless summarize=false.

    Without a summary at most 10,000 rows come back; the header `x-litellm-spend-logs-truncated` says when there are more.
    """
    where = LogFilter(
        request_id=request_id,
        api_key=one(api_key and hash_of(api_key)),
        # An internal user sees its own rows whatever it asks for, as in LiteLLM.
        user_id=() if caller.scope.users else one(user_id),
        team_id=one(team_id),
        tag=listed(tags),
        model=one(model),
        end_user=one(end_user),
    )
    strict = house.settings.strict_compat if strict_compat is None else strict_compat
    zone = house.settings.timezone
    if start_date and end_date and summarize and request_id is None:
        period = period_of(start_date, end_date, timezone, zone)
        return _summary(house, caller, period, where, strict=strict)
    since, until = range_of(start_date, end_date, timezone, zone)
    if strict and end_date and until is not None:
        until = (range_of(end_date, None, timezone, zone)[0] or 0) + 1
    return _rows(house, caller, replace(where, since=since, until=until))


def _rows(house: House, caller: Caller, where: LogFilter) -> Response:
    page = house.store.reports.logs(caller.scope, where, limit=MOST_ROWS, count=False)
    headers = counts_of(page.rows)
    if page.next is not None:
        headers[TRUNCATED_HEADER] = "true"
    return answer([spend_log(row) for row in page.rows], headers)


def counts_of(rows: tuple[LogRow, ...]) -> dict[str, str]:
    """Return the headers that say how far the rows can be relied on."""
    estimated = sum(row.columns["usage_source"] == UsageSource.ESTIMATED for row in rows)
    return counted(sum(row.spend_pico is None for row in rows), estimated)


def _summary(house: House, caller: Caller, period: Period, where: LogFilter, *, strict: bool) -> Response:
    last = period.end
    if strict and last is not None:
        period = replace(period, end=last - timedelta(days=1))
    filters = Filter(
        api_key=where.api_key,
        user_id=where.user_id,
        team_id=where.team_id,
        tag=where.tag,
        model=where.model,
        end_user=where.end_user,
    )
    days = list(house.store.reports.daily_summary(caller.scope, period, filters))
    unpriced, estimated = sum(d.sums.unpriced for d in days), sum(d.sums.estimated for d in days)
    return answer([*map(_day, days), *_padding(days, last)], counted(unpriced, estimated))


def _day(day: DaySummary) -> dict[str, Any]:
    return {
        **{key: _amount(pico) for key, pico in day.keys.items()},
        "startTime": day.day,
        "spend": number(day.sums.spend),
        "users": {user: _amount(pico) for user, pico in day.users.items()},
        "models": {model: _amount(pico) for model, pico in day.models.items()},
    }


def _padding(days: list[DaySummary], last: date | None) -> Iterator[dict[str, Any]]:
    """Yield empty days after the last one with calls, as LiteLLM does; none when there are no calls at all."""
    if not days or last is None:
        return
    day = date.fromisoformat(days[-1].day)
    while day < last:
        day += timedelta(days=1)
        yield {"startTime": day.isoformat(), "spend": 0, "users": {}, "models": {}}


def _amount(pico: int) -> float:
    return number(from_pico(pico))
