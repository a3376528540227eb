"""Keys in daily activity: pages of them, those that match a text, the most expensive ones of a model.

Annotations are objects here and not text: FastAPI reads them off functions that are made in a function.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.activity_asked import ENTITIES, Asked, Asking, Entity, asking
from spend_middleware.api.activity_days import every_day, key_metadata, key_sums, metrics_of
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import House, TheCaller, TheHouse
from spend_middleware.api.names import key_names
from spend_middleware.api.routing import Routes
from spend_middleware.api.schemas_activity import (
    CacheLeakageKeysResponse,
    DailyActivityKeyPageResponse,
    DailyActivityKeySearchResponse,
    KeySpendMetrics,
    ModelTopKeysResponse,
)
from spend_middleware.store.report_values import By, Filter, Sums

routes = Routes("Budget & Spend Tracking")

Limit = Annotated[int, Query(ge=1, le=100, description="Keys at most.")]
Sorted = list[tuple[str, Sums]]

_FEW = tuple(KeySpendMetrics.model_fields)


def _keys(house: House, caller: Caller, asked: Asked, where: Filter | None = None) -> Sorted:
    """Return the keys of the calls that are meant, most expensive first."""
    chosen = where or asked.where(house, caller)
    if asked.by is By.TAG:
        # A call counts once, whatever tags it has, and not at all without one: days know that, sums by key do not.
        keys = key_sums(every_day(house, caller, asked, chosen))
        return sorted(keys.items(), key=lambda item: (-item[1].spend_pico, item[0]))
    report = house.store.reports.by([By.KEY], caller.scope, asked.period, chosen)
    return [(group.keys[0], group.sums) for group in report.groups]


def _rows(house: House, keys: Sorted, metrics: Callable[[Sums], Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = key_names(house, [key for key, _ in keys])
    return [
        {"api_key": key, "metrics": metrics(sums), "metadata": key_metadata(key, known)} for key, sums in keys
    ]


def _few(sums: Sums) -> dict[str, Any]:
    metrics = metrics_of(sums)
    return {name: metrics[name] for name in _FEW}


def _paged(entity: Entity, ask: Asking) -> Callable[..., Response]:
    def keys(
        house: TheHouse,
        caller: TheCaller,
        asked: Annotated[Asked, Depends(ask)],
        offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="Keys to skip.")] = 0,
        limit: Limit = 50,
    ) -> Response:
        found = _keys(house, caller, asked)
        page = _rows(house, found[offset : offset + limit], _few)
        return answer({"api_keys": page, "total_api_keys": len(found), "offset": offset, "limit": limit})

    keys.__name__ = f"get_{entity.word}_daily_activity_aggregated_keys"
    keys.__doc__ = f"Keys in the daily activity by {entity.name}, most expensive first."
    return keys


def _searched(entity: Entity, ask: Asking) -> Callable[..., Response]:
    def search_keys(
        house: TheHouse,
        caller: TheCaller,
        asked: Annotated[Asked, Depends(ask)],
        search: Annotated[
            str,
            Query(
                min_length=1, description="A piece of a key's hash or alias, or of its user's id or address."
            ),
        ],
        limit: Limit = 100,
    ) -> Response:
        found = _keys(house, caller, asked)
        known = key_names(house, [key for key, _ in found])
        matching = [(key, sums) for key, sums in found if _matches(search, key, known.get(key, {}))]
        return answer({"api_keys": _rows(house, matching[:limit], metrics_of)})

    search_keys.__name__ = f"get_{entity.word}_daily_activity_aggregated_search"
    search_keys.__doc__ = f"Keys in the daily activity by {entity.name} that match a text."
    return search_keys


def _matches(search: str, key: str, names: Mapping[str, Any]) -> bool:
    looked_at: Iterable[Any] = (key, *(names.get(name) for name in ("key_alias", "user_id", "user_email")))
    return any(search.casefold() in (text or "").casefold() for text in looked_at)


def _of_model(entity: Entity, ask: Asking) -> Callable[..., Response]:
    def top_keys(
        house: TheHouse,
        caller: TheCaller,
        asked: Annotated[Asked, Depends(ask)],
        model_group: Annotated[str, Query(min_length=1, description="The group, or the model.")],
        by_model_group: Annotated[bool, Query(description="Whether it is a group's name.")] = True,
        limit: Limit = 5,
    ) -> Response:
        where = asked.where(house, caller)
        narrowed = {"model_group" if by_model_group else "model": (model_group,)}
        found = _keys(house, caller, asked, replace(where, **narrowed))
        content = {"model": model_group, "by_model_group": by_model_group}
        return answer({**content, "api_keys": _rows(house, found[:limit], _few)})

    top_keys.__name__ = f"get_{entity.word}_daily_activity_model_top_keys"
    top_keys.__doc__ = f"The most expensive keys of one model in the daily activity by {entity.name}."
    return top_keys


def _uncached(entity: Entity, ask: Asking) -> Callable[..., Response]:
    def uncached(
        house: TheHouse, caller: TheCaller, asked: Annotated[Asked, Depends(ask)], limit: Limit = 20
    ) -> Response:
        left = [
            (sums.prompt_tokens - sums.cache_read_input_tokens, key, sums)
            for key, sums in _keys(house, caller, asked)
        ]
        most = sorted((each for each in left if each[0] > 0), key=lambda each: (-each[0], each[1]))
        return answer({"api_keys": _rows(house, [(key, sums) for _, key, sums in most[:limit]], _few)})

    uncached.__name__ = f"get_{entity.word}_daily_activity_cache_leakage_keys"
    uncached.__doc__ = "The keys with the most prompt tokens that a provider did not read out of its cache."
    return uncached


_FORMS = (
    ("keys", _paged, DailyActivityKeyPageResponse),
    ("search", _searched, DailyActivityKeySearchResponse),
    ("model_top_keys", _of_model, ModelTopKeysResponse),
    ("cache_leakage_keys", _uncached, CacheLeakageKeysResponse),
)

for _entity in ENTITIES:
    for _form, _make, _shape in _FORMS:
        if _form == "cache_leakage_keys" and _entity.by is not By.USER:
            continue
        routes.get(
            f"/{_entity.word}/daily/activity/aggregated/{_form}",
            permission=_entity.permission,
            tags=list(_entity.tags),
            include_in_schema=_entity.shown,
            response_model=_shape,
        )(_make(_entity, asking(_entity)))
