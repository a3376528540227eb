"""`/global/activity`: requests and tokens by day."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.parameters import EndDate, StartDate, Zone, dated
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_reports import GlobalActivity, ModelActivity
from spend_middleware.store.report_values import By, Filter, Group

routes = Routes("Budget & Spend Tracking")

TOP_MODELS = 10
# Not strftime: its names follow the locale of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


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
            "daily_data": [{"date": _short(group.keys[0]), **_counts(group)} for group in report.groups],
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
            days[name].append({"model_group": name, "date": _short(day), **_counts(group)})
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


def _counts(group: Group) -> dict[str, int]:
    return {"api_requests": group.sums.requests, "total_tokens": group.sums.total_tokens}


def _short(day: str) -> str:
    """Return a day as LiteLLM writes it here, such as "May 01"."""
    moment = date.fromisoformat(day)
    return f"{_MONTHS[moment.month - 1]} {moment.day:02d}"
