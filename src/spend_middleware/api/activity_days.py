"""How days of activity are shown: each taken apart by model, provider, endpoint, key and by whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import HTTPException
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.activity_asked import Asked
from spend_middleware.api.answers import TOTAL_HEADER, counted, number, plain, to_json, written
from spend_middleware.api.asked import House
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.names import entity_names, key_names
from spend_middleware.api.parameters import check_page
from spend_middleware.store.report_answers import ActivityDay, ActivityPage, ActivityPart
from spend_middleware.store.report_values import By, Filter, Sums

UNASSIGNED = "Unassigned"
UNKNOWN_PROVIDER = "unknown"
_WHOLE = 1_000_000_000
"""A page size that holds every line: the aggregated forms have one page."""

# Column of the report -> LiteLLM's name of the breakdown.
_BREAKDOWNS = {
    "model": "models",
    "model_group": "model_groups",
    "provider": "providers",
    "endpoint": "endpoints",
}

Known = Mapping[str, Mapping[str, Any]]


def page_of(house: House, caller: Caller, asked: Asked, page: int, page_size: int) -> Response:
    """Return one page of days."""
    try:
        check_page(page, page_size)
    except ProxyError as error:
        raise HTTPException(400, {"error": error.message}) from None
    where = asked.where(house, caller)
    found = house.store.reports.daily_activity(
        asked.by, caller.scope, asked.period, where, page=page, page_size=page_size
    )
    return _shown(house, asked.by, found, found.days, _totals(found))


def on_one_page(house: House, caller: Caller, asked: Asked, key_limit: int) -> Response:
    """Return all days on one page; the most expensive keys are taken apart, all are counted."""
    found = every_day(house, caller, asked, asked.where(house, caller))
    keys = key_sums(found)
    top = frozenset(sorted(keys, key=lambda key: (-keys[key].spend_pico, key))[:key_limit])
    totals = _totals(found) | {
        "total_pages": 1,
        "has_more": False,
        "api_key_limit": key_limit,
        "total_api_keys": len(keys),
        "entity_total_api_keys": None if asked.by is By.USER else _keys_by_entity(found),
    }
    # LiteLLM takes users apart on its pages alone.
    without = ("entities",) if asked.by is By.USER else ()
    days = [_narrowed(day, top, without) for day in found.days]
    return _shown(house, asked.by, found, days, totals)


def every_day(house: House, caller: Caller, asked: Asked, where: Filter) -> ActivityPage:
    """Return all days of these calls."""
    return house.store.reports.daily_activity(asked.by, caller.scope, asked.period, where, page_size=_WHOLE)


def key_sums(found: ActivityPage) -> dict[str, Sums]:
    """Return what each key has over all days."""
    sums: dict[str, Sums] = {}
    for day in found.days:
        for key, part in day.breakdown.get(By.KEY, {}).items():
            sums[key] = sums.get(key, Sums()) + part.sums
    return sums


def _keys_by_entity(found: ActivityPage) -> dict[str, int]:
    keys: dict[str, set[str]] = {}
    for day in found.days:
        for name, part in day.breakdown.get("entities", {}).items():
            keys.setdefault(name or UNASSIGNED, set()).update(part.keys)
    return {name: len(names) for name, names in sorted(keys.items())}


def _narrowed(day: ActivityDay, keys: frozenset[str], without: Sequence[str]) -> ActivityDay:
    breakdown = {
        column: {
            name: ActivityPart(part.sums, {key: sums for key, sums in part.keys.items() if key in keys})
            for name, part in parts.items()
            if column != By.KEY or name in keys
        }
        for column, parts in day.breakdown.items()
        if column not in without
    }
    return ActivityDay(day.day, day.sums, breakdown)


def _shown(
    house: House, by: By, found: ActivityPage, days: Sequence[ActivityDay], totals: dict[str, Any]
) -> Response:
    known = key_names(house, {key for day in days for key in _keys(day)})
    names = {name for day in days for name in day.breakdown.get("entities", {})}
    metadata = entity_names(house, by, names)
    # A day may be as long as megabytes: no more than one is in memory as anything but text.
    results = ",".join(to_json(_day(day, known, metadata)) for day in days)
    text = f'{{"results":[{results}],"metadata":{to_json(totals)}}}'
    headers = counted(found.total.unpriced, found.total.estimated)
    return written(text, {**headers, TOTAL_HEADER: plain(found.total.spend)})


def _keys(day: ActivityDay) -> set[str]:
    parts = [part for column in day.breakdown.values() for part in column.values()]
    return {key for part in parts for key in part.keys} | set(day.breakdown.get(By.KEY, {}))


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
        key: {"metrics": metrics_of(part.sums), "metadata": key_metadata(key, known)}
        for key, part in day.breakdown.get(By.KEY, {}).items()
    }
    breakdown["entities"] = {
        name or UNASSIGNED: _part(part, known, metadata.get(name))
        for name, part in day.breakdown.get("entities", {}).items()
    }
    return {"date": day.day, "metrics": metrics_of(day.sums), "breakdown": breakdown}


def _part(part: ActivityPart, known: Known, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metrics": metrics_of(part.sums),
        "metadata": dict(metadata or {}),
        "api_key_breakdown": {
            key: {"metrics": metrics_of(sums), "metadata": key_metadata(key, known)}
            for key, sums in part.keys.items()
        },
    }


def key_metadata(key: str, known: Known) -> dict[str, Any]:
    """Return whose key it is."""
    found = known.get(key, {})
    names = ("key_alias", "team_id", "user_id", "user_email")
    return {**{name: found.get(name) for name in names}, "key_exists": key in known}


def metrics_of(sums: Sums) -> dict[str, Any]:
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
    metrics = metrics_of(found.page_total)
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
