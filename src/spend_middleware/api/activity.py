"""`/user|team|tag|customer|organization/daily/activity`: each day taken apart by model, provider, key and entity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller, hash_of
from spend_middleware.api.answers import TOTAL_HEADER, answer, counted, number, plain
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.names import entity_names, key_names
from spend_middleware.api.parameters import (
    EndDate,
    Page,
    PageSize,
    StartDate,
    Zone,
    check_page,
    dated,
    listed,
    one,
)
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_reports import SpendAnalyticsPaginatedResponse
from spend_middleware.store.report_values import (
    ActivityDay,
    ActivityPage,
    ActivityPart,
    By,
    Filter,
    Period,
    Sums,
)

routes = Routes("Budget & Spend Tracking")

UNASSIGNED = "Unassigned"
UNKNOWN_PROVIDER = "unknown"
WHOLE = 1_000_000_000
"""A page size that holds every line: the aggregated forms have one page."""

# Column of the report -> LiteLLM's name of the breakdown.
_BREAKDOWNS = {
    "model": "models",
    "model_group": "model_groups",
    "provider": "providers",
    "endpoint": "endpoints",
}

Model = Annotated[str | None, Query(description="Only calls that this model answered.")]
Key = Annotated[str | None, Query(description="Only this key, raw or as its hash.")]
KeyLimit = Annotated[int, Query(description="Taken for LiteLLM's sake; every key is in the answer.")]

DECLARED: dict[str, Any] = {"response_model": SpendAnalyticsPaginatedResponse}


# -- users


@routes.get("/user/daily/activity", permission=Permission.ANALYTICS, **DECLARED)
def get_user_daily_activity(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    model: Model = None,
    api_key: Key = None,
    user_id: Annotated[str | None, Query(description="Only this user; one's own without rights.")] = None,
    page: Page = 1,
    page_size: PageSize = 50,
    timezone: Zone = None,
    include_current_utc_day: Annotated[  # noqa: ARG001
        bool, Query(description="Taken for LiteLLM's sake; the last day is always whole.")
    ] = False,
) -> Response:
    """Daily activity by user; administrators see all users, everybody else their own."""
    _check_user(caller, user_id)
    where = Filter(user_id=one(user_id), model=one(model), api_key=one(api_key and hash_of(api_key)))
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    return page_of(house, caller, By.USER, period, where, page, page_size)


@routes.get("/user/daily/activity/aggregated", permission=Permission.ANALYTICS, **DECLARED)
def get_user_daily_activity_aggregated(
    house: TheHouse,
    caller: TheCaller,
    api_key_limit: KeyLimit = 100,  # noqa: ARG001
    start_date: StartDate = None,
    end_date: EndDate = None,
    model: Model = None,
    api_key: Key = None,
    user_id: str | None = None,
    timezone: Zone = None,
    include_current_utc_day: bool = False,  # noqa: ARG001
) -> Response:
    """Daily activity by user on one page; administrators see all users, everybody else their own."""
    _check_user(caller, user_id)
    where = Filter(user_id=one(user_id), model=one(model), api_key=one(api_key and hash_of(api_key)))
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    return page_of(house, caller, By.USER, period, where, 1, WHOLE)


def _check_user(caller: Caller, user_id: str | None) -> None:
    if not caller.sees_all and user_id not in (None, "", caller.user_id):
        raise HTTPException(403, {"error": "Non-admin users can only view their own spend data."})


# -- every entity


def chosen(
    house: House,
    caller: Caller,
    by: By,
    period: Period,
    names: str | None,
    excluded: str | None,
    model: str | None,
    api_key: str | None,
) -> Filter:
    wanted = listed(names)
    left_out = set(listed(excluded))
    if left_out:
        every = wanted or ("", *house.store.reports.names(by, caller.scope, period))
        # A value that nothing has keeps an empty list from meaning "any".
        wanted = tuple(name for name in every if name not in left_out) or ("\x1f",)
    parts = {by.value: wanted} if wanted else {}
    return Filter(**parts, model=one(model), api_key=one(api_key and hash_of(api_key)))


def page_of(
    house: House, caller: Caller, by: By, period: Period, where: Filter, page: int, page_size: int
) -> Response:
    try:
        check_page(page, page_size, largest=1000 if page_size != WHOLE else WHOLE)
    except ProxyError as error:
        raise HTTPException(400, {"error": error.message}) from None
    found = house.store.reports.daily_activity(
        by, caller.scope, period, where, page=page, page_size=page_size
    )
    keys = {key for day in found.days for key in _keys(day)}
    entities = {name for day in found.days for name in day.breakdown.get("entities", {})}
    known = key_names(house, keys)
    metadata = entity_names(house, by, entities)
    content = {
        "results": [_day(day, known, metadata) for day in found.days],
        "metadata": _totals(found),
    }
    headers = counted(found.total.unpriced, found.total.estimated)
    return answer(content, {**headers, TOTAL_HEADER: plain(found.total.spend)})


def _keys(day: ActivityDay) -> set[str]:
    parts = [part for column in day.breakdown.values() for part in column.values()]
    return {key for part in parts for key in part.keys} | set(day.breakdown.get(By.KEY, {}))


Known = Mapping[str, Mapping[str, Any]]


def _day(day: ActivityDay, known: Known, metadata: Known) -> dict[str, Any]:
    breakdown: dict[str, Any] = {"mcp_servers": {}}
    for column, title in _BREAKDOWNS.items():
        parts = day.breakdown.get(column, {})
        breakdown[title] = {
            name or UNKNOWN_PROVIDER: _part(part, known)
            for name, part in parts.items()
            if name or column == "provider"
        }
    breakdown["api_keys"] = {
        key: {"metrics": _metrics(part.sums), "metadata": _key_metadata(key, known)}
        for key, part in day.breakdown.get(By.KEY, {}).items()
    }
    breakdown["entities"] = {
        name or UNASSIGNED: _part(part, known, metadata.get(name))
        for name, part in day.breakdown.get("entities", {}).items()
    }
    return {"date": day.day, "metrics": _metrics(day.sums), "breakdown": breakdown}


def _part(part: ActivityPart, known: Known, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metrics": _metrics(part.sums),
        "metadata": dict(metadata or {}),
        "api_key_breakdown": {
            key: {"metrics": _metrics(sums), "metadata": _key_metadata(key, known)}
            for key, sums in part.keys.items()
        },
    }


def _key_metadata(key: str, known: Known) -> dict[str, Any]:
    found = known.get(key, {})
    names = ("key_alias", "team_id", "user_id", "user_email")
    return {**{name: found.get(name) for name in names}, "key_exists": key in known}


def _metrics(sums: Sums) -> dict[str, Any]:
    """Return LiteLLM's 17 counters; those of a gateway's own savings are zero here."""
    return {
        "spend": number(sums.spend),
        "flat_cost": 0.0,
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "cache_read_input_tokens": sums.cache_read_input_tokens,
        "cache_creation_input_tokens": sums.cache_creation_input_tokens,
        "compression_saved_tokens": 0,
        "compression_savings_spend": 0.0,
        "prompt_caching_savings_spend": 0.0,
        "gateway_injected_caching_savings_spend": 0.0,
        "autorouter_savings_spend": 0.0,
        "total_tokens": sums.total_tokens,
        "successful_requests": sums.successes,
        "failed_requests": sums.failures,
        "api_requests": sums.requests,
        "total_response_time_ms": sums.duration_ms,
        "timed_requests": sums.requests,
    }


# In LiteLLM's order, which is not that of the metrics.
_TOTALS = (
    "spend",
    "flat_cost",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "api_requests",
    "successful_requests",
    "failed_requests",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "compression_saved_tokens",
    "compression_savings_spend",
    "prompt_caching_savings_spend",
    "gateway_injected_caching_savings_spend",
    "autorouter_savings_spend",
)


def _totals(found: ActivityPage) -> dict[str, Any]:
    """Return the sums of this page, as LiteLLM does; the whole range stands in the header `x-spend-total`."""
    metrics = _metrics(found.page_total)
    return {
        **{name if name.startswith("total_") else f"total_{name}": metrics[name] for name in _TOTALS},
        "total_response_time_ms": metrics["total_response_time_ms"],
        "total_timed_requests": metrics["timed_requests"],
        "page": found.page,
        "total_pages": found.total_pages,
        "has_more": found.page < found.total_pages,
        "api_key_limit": None,
        "total_api_keys": None,
        "entity_total_api_keys": None,
        "unpriced_requests": found.page_total.unpriced,
        "estimated_requests": found.page_total.estimated,
    }
