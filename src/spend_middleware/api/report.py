"""`/global/spend/report` and its siblings: what to charge teams, customers, users and keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import groupby
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import HTTPException, Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller, hash_of
from spend_middleware.api.answers import TOTAL_HEADER, array, counted, number, plain, stream, to_json
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.names import UNASSIGNED_TEAM, team_aliases
from spend_middleware.api.parameters import EndDate, StartDate, Zone, dated, one, period_of
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_reports import CustomerDay, KeyCost, TeamCustomerDay, TeamDay
from spend_middleware.store.report_answers import DayGroup, Detail, KeySpend
from spend_middleware.store.report_values import EVERYTHING, By, Filter, Period, Scope, Sums, added

routes = Routes("Budget & Spend Tracking")

LONGEST_DAYS = 366
"""Days that the reports of one key, user, team or organization may cover, as in LiteLLM."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How days are taken apart: by what, and under which names of the answer."""

    by: tuple[By, ...]
    title: str
    labels: tuple[str, ...]


TEAM = Grouping((By.TEAM,), "teams", ("team_name",))
CUSTOMER = Grouping((By.END_USER,), "customers", ("customer",))
TEAM_CUSTOMER = Grouping((By.TEAM, By.END_USER), "teams_customers", ("team_name", "customer"))


@routes.get(
    "/global/spend/report",
    permission=Permission.GLOBAL_SPEND,
    response_model=list[TeamCustomerDay | TeamDay | CustomerDay | KeyCost],
)
def get_global_spend_report(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    group_by: Annotated[
        Literal["team", "customer", "api_key"] | None,
        Query(description="Whose spend stands together in a day; api_key has no days."),
    ] = "team",
    api_key: Annotated[str | None, Query(description="Only this key, raw or as its hash; by key.")] = None,
    internal_user_id: Annotated[str | None, Query(description="Only this user's keys; by key.")] = None,
    team_id: Annotated[str | None, Query(description="Only this team.")] = None,
    customer_id: Annotated[str | None, Query(description="Only this customer.")] = None,
    timezone: Zone = None,
) -> Response:
    """Spend by day and team or customer, or by key: sent while it is read, in any length.

    With team_id and customer_id together a day is taken apart by both; with api_key, internal_user_id or
    group_by=api_key the answer has one entry a key, most expensive first.
    """
    period = dated(start_date, end_date, timezone, house.settings.timezone)
    where = Filter(
        api_key=one(api_key and hash_of(api_key)),
        user_id=one(internal_user_id),
        team_id=one(team_id),
        end_user=one(customer_id),
    )
    if api_key or internal_user_id or group_by == "api_key":
        return by_key(house, caller.scope, period, where)
    grouping = CUSTOMER if group_by == "customer" else TEAM
    if team_id and customer_id:
        grouping = TEAM_CUSTOMER
    headers = _headers(house, caller.scope, period, where)
    groups = house.store.reports.daily_groups(grouping.by, caller.scope, period, where)
    aliases = team_aliases(house) if By.TEAM in grouping.by else {}
    return stream(_days(groups, grouping, aliases, period.zone or "UTC"), headers)


def _headers(house: House, scope: Scope, period: Period, where: Filter) -> dict[str, str]:
    total = house.store.reports.total(scope, period, where)
    return {**counted(total.unpriced, total.estimated), TOTAL_HEADER: plain(total.spend)}


def by_key(house: House, scope: Scope, period: Period, where: Filter) -> Response:
    """Return spend by key and model."""
    headers = _headers(house, scope, period, where)
    keys = house.store.reports.by_key(scope, period, where)
    return stream(array(to_json(_key(key)) for key in keys), headers)


def _key(key: KeySpend) -> dict[str, Any]:
    # LiteLLM's outer token sums are floats, the inner ones whole numbers.
    return {
        "api_key": key.api_key,
        "total_cost": number(key.sums.spend),
        "total_input_tokens": float(key.sums.prompt_tokens),
        "total_output_tokens": float(key.sums.completion_tokens),
        "model_details": [
            {
                "model": detail.model,
                "total_cost": number(detail.sums.spend),
                "total_input_tokens": detail.sums.prompt_tokens,
                "total_output_tokens": detail.sums.completion_tokens,
            }
            for detail in key.models
        ],
    }


def _days(
    groups: Iterable[DayGroup], grouping: Grouping, aliases: dict[str, str], zone: str
) -> Iterator[str]:
    """Yield the text of the answer; no more of a day is in memory than teams that share a name."""
    shared = {alias for alias, count in Counter(aliases.values()).items() if count > 1}
    yield "["
    for index, (day, parts) in enumerate(groupby(groups, key=lambda group: group.day)):
        midnight = datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone)).isoformat()
        yield ("," if index else "") + f'{{"group_by_day":"{midnight}","{grouping.title}":'
        named = _named(parts, grouping, aliases, shared)
        yield from array(to_json(_part(grouping, names, sums, details)) for names, sums, details in named)
        yield "}"
    yield "]"


Named = tuple[tuple[str, ...], Sums, Sequence[Detail]]


def _named(
    parts: Iterable[DayGroup], grouping: Grouping, aliases: dict[str, str], shared: set[str]
) -> Iterator[Named]:
    """Yield a day's parts under their names; teams under one name are one, as in LiteLLM, and come last."""
    merged: dict[tuple[str, ...], dict[tuple[str, str], Sums]] = {}
    for part in parts:
        if grouping.by[0] is not By.TEAM:
            yield part.keys, part.sums, part.details
            continue
        alias = aliases.get(part.keys[0], UNASSIGNED_TEAM)
        names = (alias, *part.keys[1:])
        if alias != UNASSIGNED_TEAM and alias not in shared:
            yield names, part.sums, part.details
            continue
        details = merged.setdefault(names, {})
        for detail in part.details:
            place = (detail.model, detail.api_key)
            before = details.get(place)
            details[place] = detail.sums if before is None else before + detail.sums
    for names, details in sorted(merged.items()):
        listed = [Detail(model, key, sums) for (model, key), sums in details.items()]
        listed.sort(key=lambda d: (-d.sums.spend_pico, d.model, d.api_key))
        yield names, added(detail.sums for detail in listed), listed


def _part(
    grouping: Grouping, names: tuple[str, ...], sums: Sums, details: Sequence[Detail]
) -> dict[str, Any]:
    labelled = dict(zip(grouping.labels, names, strict=True))
    lines = [
        {
            "model": detail.model,
            "spend": number(detail.sums.spend),
            "api_key": detail.api_key,
            "total_tokens": detail.sums.total_tokens,
        }
        for detail in details
    ]
    customer = {"customer": labelled["customer"]} if "customer" in labelled else {}
    team = {"team_name": labelled["team_name"]} if "team_name" in labelled else {}
    return {**customer, "metadata": lines, **team, "total_spend": number(sums.spend)}


# -- the reports of one key, user, team or organization


def _sibling_period(
    house: House, start_date: str | None, end_date: str | None, timezone: str | None
) -> Period:
    if not start_date or not end_date:
        raise HTTPException(400, "Please provide start_date and end_date")
    try:
        period = period_of(start_date, end_date, timezone, house.settings.timezone)
    except ProxyError as error:
        raise HTTPException(400, error.message) from None
    if period.start and period.end and (period.end - period.start).days > LONGEST_DAYS:
        raise HTTPException(
            400,
            f"The range from {period.start} to {period.end} has more than {LONGEST_DAYS} days. Ask for fewer.",
        )
    return period


def _clamped(caller: Caller, asked: str | None, own: str | None, scope: Scope) -> tuple[Scope, str | None]:
    """Return what a caller may see, and the value to look for: what was asked for, or what is the caller's own."""
    if caller.sees_all:
        return EVERYTHING, asked or None
    if not own or asked not in (None, "", own):
        raise HTTPException(403, "This key may only see spend of its own.")
    return scope, own


def _only(value: str | None) -> frozenset[str]:
    return frozenset({value} if value else ())


@routes.get("/key/spend/report", permission=Permission.ANY_KEY, response_model=list[KeyCost])
def get_key_spend_report(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    api_key: Annotated[str | None, Query(description="A raw key or its hash.")] = None,
    timezone: Zone = None,
) -> Response:
    """Spend of one key by model; whoever is no administrator sees its own."""
    period = _sibling_period(house, start_date, end_date, timezone)
    scope, key = _clamped(
        caller, api_key and hash_of(api_key), caller.key_hash, Scope(keys=_only(caller.key_hash))
    )
    return by_key(house, scope, period, Filter(api_key=one(key)))


@routes.get("/user/spend/report", permission=Permission.ANY_KEY, response_model=list[KeyCost])
def get_user_spend_report(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    internal_user_id: str | None = None,
    timezone: Zone = None,
) -> Response:
    """Spend of one user's keys; whoever is no administrator sees its own."""
    period = _sibling_period(house, start_date, end_date, timezone)
    scope, user = _clamped(caller, internal_user_id, caller.user_id, Scope(users=_only(caller.user_id)))
    return by_key(house, scope, period, Filter(user_id=one(user)))


@routes.get("/team/spend/report", permission=Permission.ANY_KEY, response_model=list[KeyCost])
def get_team_spend_report(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    team_id: str | None = None,
    timezone: Zone = None,
) -> Response:
    """Spend of one team's keys; whoever is no administrator sees the team of its key."""
    period = _sibling_period(house, start_date, end_date, timezone)
    scope, team = _clamped(caller, team_id, caller.team_id, Scope(teams=_only(caller.team_id)))
    return by_key(house, scope, period, Filter(team_id=one(team)))


@routes.get("/organization/spend/report", permission=Permission.READ_ALL, response_model=list[KeyCost])
def get_organization_spend_report(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    organization_id: str | None = None,
    timezone: Zone = None,
) -> Response:
    """Spend of one organization's keys."""
    period = _sibling_period(house, start_date, end_date, timezone)
    return by_key(house, caller.scope, period, Filter(organization_id=one(organization_id or None)))
