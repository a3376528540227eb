"""`/global/activity`: requests and tokens by day, and how calls ended."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer, short_day
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.parameters import EndDate, StartDate, Zone, dated
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_activity import (
    GlobalActivity,
    HostRateLimited,
    ModelActivity,
    RateLimited,
)
from spend_middleware.store.report_answers import Group
from spend_middleware.store.report_values import By, Filter
from spend_middleware.store.rows_values import LogFilter

routes = Routes("Budget & Spend Tracking")

TOP_MODELS = 10
TOO_MANY_REQUESTS = 429

ModelGroup = Annotated[str, Query(description="The group whose calls are meant.")]


@routes.get("/global/activity", permission=Permission.GLOBAL_SPEND, response_model=GlobalActivity)
def get_global_activity(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Requests and tokens of each day that has calls, in the order of time."""
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    report = house.store.reports.by([By.DAY], caller.scope, period)
    return answer(
        {
            "daily_data": [{"date": short_day(group.keys[0]), **_counts(group)} for group in report.groups],
            "sum_api_requests": report.total.requests,
            "sum_total_tokens": report.total.total_tokens,
        }
    )


@routes.get("/global/activity/model", permission=Permission.GLOBAL_SPEND, response_model=list[ModelActivity])
def get_global_activity_model(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """The same for each of the ten model groups with the most requests."""
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    reports = house.store.reports
    every = reports.by([By.MODEL_GROUP], caller.scope, period).groups
    busiest = sorted(every, key=lambda group: (-group.sums.requests, group.keys))[:TOP_MODELS]
    names = tuple(group.keys[0] for group in busiest)
    days: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    if names:
        by_day = reports.by([By.DAY, By.MODEL_GROUP], caller.scope, period, Filter(model_group=names))
        for group in by_day.groups:
            day, name = group.keys
            days[name].append({"model_group": name, "date": short_day(day), **_counts(group)})
    return answer(
        [
            {
                "model": group.keys[0],
                "daily_data": days[group.keys[0]],
                "sum_api_requests": group.sums.requests,
                "sum_total_tokens": group.sums.total_tokens,
            }
            for group in busiest
        ]
    )


@routes.get(
    "/global/activity/exceptions",
    permission=Permission.GLOBAL_SPEND,
    response_model=RateLimited,
    include_in_schema=False,
)
def get_global_activity_exceptions(
    house: TheHouse,
    caller: TheCaller,
    model_group: ModelGroup,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Calls of a model group that a provider refused for their number (429), by day."""
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    where = LogFilter(model_group=(model_group,), status_code=TOO_MANY_REQUESTS)
    found = house.store.reports.outcomes((), caller.scope, period, where, daily=True)
    return answer(_refused([(line.keys[0], line.requests) for line in found]))


@routes.get(
    "/global/activity/exceptions/deployment",
    permission=Permission.GLOBAL_SPEND,
    response_model=list[HostRateLimited],
    include_in_schema=False,
)
def get_global_activity_exceptions_per_deployment(
    house: TheHouse,
    caller: TheCaller,
    model_group: ModelGroup,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Calls of a model group that a provider refused for their number (429), for each of the ten hosts with the most."""
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    where = LogFilter(model_group=(model_group,), status_code=TOO_MANY_REQUESTS)
    found = house.store.reports.outcomes(("api_base",), caller.scope, period, where, daily=True)
    refused: Counter[str] = Counter()
    for line in found:
        refused[line.keys[1]] += line.requests
    most = sorted(refused, key=lambda host: (-refused[host], host))[:TOP_MODELS]
    return answer(
        [
            {
                "api_base": host,
                **_refused([(day, line.requests) for line in found for day, of in [line.keys] if of == host]),
            }
            for host in most
        ]
    )


def _refused(days: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        "daily_data": [{"date": short_day(day), "num_rate_limit_exceptions": count} for day, count in days],
        "sum_num_rate_limit_exceptions": sum(count for _, count in days),
    }


def _counts(group: Group) -> dict[str, int]:
    return {"api_requests": group.sums.requests, "total_tokens": group.sums.total_tokens}
