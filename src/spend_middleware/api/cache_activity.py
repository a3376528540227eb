"""`/global/activity/cache_hits`: how calls ended, by their type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.names import key_names
from spend_middleware.api.parameters import Zone, period_of
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas_activity import CacheActivityResponse
from spend_middleware.call import Status
from spend_middleware.store.report_outcomes import Outcomes
from spend_middleware.store.rows_values import LogFilter

routes = Routes("Budget & Spend Tracking")

UNNAMED_KEY = "Unnamed Key"
UNKNOWN = "Unknown"
_COLUMNS = ("call_type", "api_key", "model")


@routes.get(
    "/global/activity/cache_hits",
    permission=Permission.GLOBAL_SPEND,
    response_model=CacheActivityResponse,
    include_in_schema=False,
)
def get_global_activity_cache_hits(
    house: TheHouse,
    caller: TheCaller,
    start_date: Annotated[str, Query(description="First day, YYYY-MM-DD.")],
    end_date: Annotated[str, Query(description="Last day, counted whole.")],
    key_aliases: Annotated[list[str] | None, Query(description="Only keys with these aliases.")] = None,
    models: Annotated[list[str] | None, Query(description="Only these models.")] = None,
    timezone: Zone = None,
) -> Response:
    """Calls, failures and answers out of LiteLLM's cache by type of call; only imported rows have such answers."""
    try:
        period = period_of(start_date, end_date, timezone, house.settings.timezone)
    except ProxyError as error:
        raise HTTPException(400, {"error": error.message}) from None
    reports = house.store.reports
    every = reports.outcomes(_COLUMNS, caller.scope, period)
    failed = reports.outcomes(
        (*_COLUMNS, "status_code", "error_type"),
        caller.scope,
        period,
        LogFilter(status=Status.FAILURE.value),
    )
    aliases = _aliases(house, every)
    wanted = _chosen(aliases, key_aliases or [], models or [])
    groups = _groups(filter(wanted, every))
    return answer(
        {
            "groups": groups,
            "totals": _totals(groups),
            "filter_options": {
                "key_aliases": sorted({aliases.get(line.keys[1]) or UNNAMED_KEY for line in every}),
                "models": sorted({line.keys[2] for line in every if line.keys[2]}),
            },
            "error_breakdown": _errors(filter(wanted, failed)),
        }
    )


def _aliases(house: House, lines: Iterable[Outcomes]) -> dict[str, Any]:
    known = key_names(house, {line.keys[1] for line in lines})
    return {key: names.get("key_alias") for key, names in known.items()}


def _chosen(aliases: dict[str, Any], wanted: list[str], models: list[str]) -> Callable[[Outcomes], bool]:
    def chosen(line: Outcomes) -> bool:
        _, key, model, *_ = line.keys
        return (not wanted or (aliases.get(key) or UNNAMED_KEY) in wanted) and (not models or model in models)

    return chosen


def _groups(lines: Iterable[Outcomes]) -> list[dict[str, Any]]:
    """Return the counts by type of call, the busiest first."""
    types: dict[str, Outcomes] = {}
    for line in lines:
        name = line.keys[0] or UNKNOWN
        types[name] = types[name] + line if name in types else replace(line, keys=(name,))
    return [
        {
            "call_type": name,
            "api_requests": of.requests - of.cache_hits - of.failures,
            "cache_hits": of.cache_hits,
            "failed_requests": of.failures,
            "cached_completion_tokens": of.cached_completion_tokens,
            "generated_completion_tokens": of.completion_tokens - of.cached_completion_tokens,
        }
        for name, of in sorted(types.items(), key=lambda item: (-item[1].requests, item[0]))
    ]


def _totals(groups: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("api_requests", "cache_hits", "failed_requests", "cached_completion_tokens")
    totals = {name: sum(group[name] for group in groups) for name in names}
    every = totals["api_requests"] + totals["cache_hits"] + totals["failed_requests"]
    return {**totals, "cache_hit_ratio": totals["cache_hits"] / every * 100 if every else 0.0}


def _errors(lines: Iterable[Outcomes]) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        call_type, _, _, code, kind = line.keys
        counts[call_type or UNKNOWN, code or UNKNOWN, kind or UNKNOWN] += line.requests
    return [
        {"call_type": call_type, "error_code": code, "error_class": kind, "count": count}
        for (call_type, code, kind), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
