"""`/global/spend` and its parts: what dashboards ask about everybody, mostly over the last 30 days."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Body, Query
from fastapi.responses import Response

from spend_middleware.api.access import hash_of
from spend_middleware.api.answers import answer, counted, counted_tags, number, rounded
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.names import key_names, team_aliases
from spend_middleware.api.parameters import (
    EndDate,
    StartDate,
    Zone,
    bad_value,
    last_days,
    listed,
    one,
    period_of,
)
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import Message
from spend_middleware.api.schemas_reports import (
    DaySpend,
    EndUserNames,
    GlobalEndUsersRequest,
    GlobalSpend,
    GlobalTeams,
    ProviderBudgetResponse,
    ProviderSpend,
    SpendPerTag,
    TagNames,
    TopEndUser,
    TopKey,
    TopModel,
)
from spend_middleware.store.report_values import By, Filter

routes = Routes("Budget & Spend Tracking")

DAYS = 30
TOP_END_USERS = 100
ALL_TAGS = "all-tags"

Limit = Annotated[
    int, Query(description="Entries at most.", json_schema_extra={"minimum": 1, "maximum": 1000})
]


def _limit(limit: int) -> int:
    if not 1 <= limit <= 1000:
        raise bad_value("limit", limit, "a number from 1 to 1000")
    return limit


@routes.get("/global/spend/tags", permission=Permission.GLOBAL_SPEND, response_model=SpendPerTag)
def global_view_spend_tags(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    tags: Annotated[
        str | None, Query(description="Only these tags, separated by commas; `all-tags` means all.")
    ] = None,
    timezone: Zone = None,
) -> Response:
    """Spend by tag over whole days, most expensive first, rounded to 4 decimals as LiteLLM does.

    `total_spend` beside it is exact, and so is the header `x-spend-total`: the sum over these calls, each once.
    """
    if not start_date or not end_date:
        raise ProxyError(400, "Please provide start_date and end_date", "bad_request", None)
    period = period_of(start_date, end_date, timezone, house.settings.timezone)
    wanted = listed(tags)
    if ALL_TAGS in wanted:
        wanted = ()
    report = house.store.reports.tags(caller.scope, period, Filter(tag=wanted))
    rows = [
        {
            "name": tag.tag,
            "spend": rounded(tag.sums.spend, 4),
            # LiteLLM's count is a whole number without a filter and a float with one.
            "log_count": float(tag.sums.requests) if wanted else tag.sums.requests,
            "total_spend": number(tag.sums.spend),
        }
        for tag in report.tags
    ]
    return answer({"spend_per_tag": rows}, counted_tags(report))


@routes.post("/global/spend/reset", permission=Permission.MASTER, response_model=Message)
def global_spend_reset(house: TheHouse) -> Response:
    """Set the spend of all keys and teams to zero; every call stays in the ledger."""
    house.directory.reset_spend()
    return answer({"message": "Spend for all API Keys and Teams reset successfully", "status": "success"})


@routes.get("/global/spend", permission=Permission.GLOBAL_SPEND, response_model=GlobalSpend)
def global_spend(house: TheHouse, caller: TheCaller) -> Response:
    """Spend of the last 30 days, and the budget that the settings name."""
    total = house.store.reports.total(caller.scope, last_days(DAYS, house.settings.timezone))
    spend = number(total.spend) if total.requests else None
    content = {"spend": spend, "max_budget": house.settings.max_budget}
    return answer(content, counted(total.unpriced, total.estimated))


@routes.post(
    "/global/spend/refresh", permission=Permission.ADMIN, response_model=None, include_in_schema=False
)
def global_spend_refresh() -> Response:
    """Do nothing: LiteLLM renews a view here that its reports read, and reports are of the moment here."""
    return answer(None)


@routes.get("/provider/budgets", permission=Permission.READ_ALL, response_model=ProviderBudgetResponse)
def provider_budgets() -> Response:
    """Show budgets of providers: none, because there is nothing here to keep them."""
    return answer({"providers": {}})


@routes.get("/global/spend/logs", permission=Permission.GLOBAL_SPEND, response_model=list[DaySpend])
def global_spend_logs(
    house: TheHouse,
    caller: TheCaller,
    api_key: Annotated[str | None, Query(description="Only this key, raw or as its hash.")] = None,
) -> Response:
    """Spend by day over the last 30 days."""
    key = hash_of(api_key) if api_key else None
    period = last_days(DAYS, house.settings.timezone)
    report = house.store.reports.by([By.DAY], caller.scope, period, Filter(api_key=one(key)))
    rows = [
        {"date": group.keys[0], "spend": number(group.sums.spend), **({"api_key": key} if key else {})}
        for group in report.groups
    ]
    return answer(rows, counted(report.total.unpriced, report.total.estimated))


@routes.get("/global/spend/keys", permission=Permission.GLOBAL_SPEND, response_model=list[TopKey])
def global_spend_keys(house: TheHouse, caller: TheCaller, limit: Limit = 10) -> Response:
    """The most expensive keys of the last 30 days."""
    period = last_days(DAYS, house.settings.timezone)
    report = house.store.reports.by([By.KEY], caller.scope, period, limit=_limit(limit))
    names = key_names(house, [group.keys[0] for group in report.groups])
    rows = [
        {
            "api_key": group.keys[0],
            "key_alias": names.get(group.keys[0], {}).get("key_alias"),
            "key_name": names.get(group.keys[0], {}).get("key_name"),
            "total_spend": number(group.sums.spend),
        }
        for group in report.groups
    ]
    return answer(rows, counted(report.total.unpriced, report.total.estimated))


@routes.get("/global/spend/models", permission=Permission.GLOBAL_SPEND, response_model=list[TopModel])
def global_spend_models(house: TheHouse, caller: TheCaller, limit: Limit = 10) -> Response:
    """The most expensive models of the last 30 days."""
    period = last_days(DAYS, house.settings.timezone)
    report = house.store.reports.by([By.MODEL], caller.scope, period, limit=_limit(limit))
    rows = [{"model": group.keys[0], "total_spend": number(group.sums.spend)} for group in report.groups]
    return answer(rows, counted(report.total.unpriced, report.total.estimated))


@routes.get("/global/spend/teams", permission=Permission.GLOBAL_SPEND, response_model=GlobalTeams)
def global_spend_per_team(house: TheHouse, caller: TheCaller) -> Response:
    """Spend of teams over the last 30 days, by day and in all; teams under one name are one."""
    period = last_days(DAYS, house.settings.timezone)
    report = house.store.reports.by([By.DAY, By.TEAM], caller.scope, period)
    aliases = team_aliases(house)
    days: dict[str, dict[str, Decimal]] = {}
    totals: dict[str, Decimal] = {}
    for group in report.groups:
        day, team_id = group.keys
        name = aliases.get(team_id, "Unassigned")
        spent = days.setdefault(day, {})
        spent[name] = spent.get(name, Decimal(0)) + group.sums.spend
        totals[name] = totals.get(name, Decimal(0)) + group.sums.spend
    ordered = sorted(totals, key=lambda name: (-totals[name], name))
    content = {
        "daily_spend": [
            {"date": day, **{name: number(spend) for name, spend in spent.items()}}
            for day, spent in sorted(days.items())
        ],
        "teams": ordered,
        "total_spend_per_team": [
            {"team_id": name, "total_spend": rounded(totals[name], 2)} for name in ordered
        ],
    }
    return answer(content, counted(report.total.unpriced, report.total.estimated))


@routes.post("/global/spend/end_users", permission=Permission.GLOBAL_SPEND, response_model=list[TopEndUser])
def global_spend_end_users(
    house: TheHouse, caller: TheCaller, request: Annotated[GlobalEndUsersRequest | None, Body()] = None
) -> Response:
    """The 100 most expensive customers, of the last 30 days where no dates are given."""
    asked = request or GlobalEndUsersRequest()
    zone = house.settings.timezone
    period = last_days(DAYS, zone)
    if asked.startTime or asked.endTime:
        period = period_of(asked.startTime, asked.endTime, None, zone)
    where = Filter(api_key=one(asked.api_key and hash_of(asked.api_key)))
    report = house.store.reports.by([By.END_USER], caller.scope, period, where, limit=TOP_END_USERS + 1)
    rows: list[dict[str, Any]] = [
        {
            "end_user": group.keys[0],
            "total_count": group.sums.requests,
            "total_spend": number(group.sums.spend),
        }
        for group in report.groups
        if group.keys[0]
    ]
    return answer(rows[:TOP_END_USERS], counted(report.total.unpriced, report.total.estimated))


@routes.get("/global/spend/provider", permission=Permission.GLOBAL_SPEND, response_model=list[ProviderSpend])
def get_global_spend_provider(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Spend by provider, most expensive first."""
    period = period_of(start_date, end_date, timezone, house.settings.timezone)
    report = house.store.reports.by([By.PROVIDER], caller.scope, period)
    rows = [
        {"provider": group.keys[0] or "unknown", "spend": number(group.sums.spend)} for group in report.groups
    ]
    return answer(rows, counted(report.total.unpriced, report.total.estimated))


@routes.get("/global/spend/all_tag_names", permission=Permission.GLOBAL_SPEND, response_model=TagNames)
def global_get_all_tag_names(house: TheHouse, caller: TheCaller) -> Response:
    """Every tag that a call ever had, sorted."""
    return answer({"tag_names": house.store.reports.names(By.TAG, caller.scope)})


@routes.get("/global/all_end_users", permission=Permission.GLOBAL_SPEND, response_model=EndUserNames)
def global_view_all_end_users(house: TheHouse, caller: TheCaller) -> Response:
    """Every customer that a call was ever made for, sorted."""
    return answer({"end_users": house.store.reports.names(By.END_USER, caller.scope)})
