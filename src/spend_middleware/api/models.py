"""`/model/info`, `/model_group/info`, `/v1/models`: the price table as LiteLLM's clients read it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import Response

from spend_middleware.api.answers import answer, number
from spend_middleware.api.asked import House, TheHouse
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import ModelGroups, ModelInfo, ModelList
from spend_middleware.pricing.limits import limits_of

routes = Routes("model management")

# OpenAI's own list gives each model a moment of creation; LiteLLM answers this constant for all.
_CREATED = 1677610602

PRICES = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_reasoning_token",
)
_LIMITS = ("max_tokens", "max_input_tokens", "max_output_tokens")
_ABILITIES = (
    "supports_parallel_function_calling",
    "supports_vision",
    "supports_web_search",
    "supports_url_context",
    "supports_reasoning",
    "supports_function_calling",
    "supports_fast_mode",
)

# What only a proxy with deployments, teams and groups of its own can be asked.
_Flag = Annotated[bool | None, Query(description="Taken for LiteLLM's sake.")]
_Word = Annotated[str | None, Query(description="Taken for LiteLLM's sake.")]


def known_models(house: House) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yield (key, provider, mode, fields) of every model that has a price today, limits and abilities among the fields."""
    now = time.time()
    for key, provider, mode in sorted(house.prices.models(now)):
        rates = house.prices.rates(provider, key, now) or {}
        # "anthropic/claude-x" among your own prices is the model that the table has as "claude-x".
        limits = limits_of(key) or limits_of(key.removeprefix(f"{provider}/"))
        yield key, provider, mode, {**limits, **rates}


@routes.get("/v1/models", permission=Permission.ANY_KEY, response_model=ModelList)
@routes.get("/models", permission=Permission.ANY_KEY, response_model=ModelList)
def model_list(
    house: TheHouse,
    return_wildcard_routes: _Flag = False,  # noqa: ARG001
    team_id: _Word = None,  # noqa: ARG001
    include_model_access_groups: _Flag = False,  # noqa: ARG001
    only_model_access_groups: _Flag = False,  # noqa: ARG001
    include_metadata: _Flag = False,  # noqa: ARG001
    fallback_type: _Word = None,  # noqa: ARG001
    scope: _Word = None,  # noqa: ARG001
    healthy_only: _Flag = False,  # noqa: ARG001
    client_version: _Word = None,  # noqa: ARG001
) -> Response:
    """Every model that has a price today."""
    models = [
        {
            "id": key,
            "object": "model",
            "created": _CREATED,
            "owned_by": provider or "openai",
            "mode": mode,
            "max_input_tokens": fields.get("max_input_tokens"),
            "max_output_tokens": fields.get("max_output_tokens"),
        }
        for key, provider, mode, fields in known_models(house)
    ]
    return answer({"data": models, "object": "list"})


ModelId = Annotated[str | None, Query(description="Only this model.")]


@routes.get("/model/info", permission=Permission.ANY_KEY, response_model=ModelInfo)
def model_info_v1(
    house: TheHouse,
    litellm_model_id: ModelId = None,
    include_team_models: _Flag = False,  # noqa: ARG001
    team: Annotated[str | None, Query(alias="teamId", description="Taken for LiteLLM's sake.")] = None,  # noqa: ARG001
    healthy_only: _Flag = False,  # noqa: ARG001
) -> Response:
    """Every model with its prices, limits and abilities, in LiteLLM's fields; fields that say nothing are left out."""
    return _model_info(house, litellm_model_id)


@routes.get(
    "/v1/model/info",
    permission=Permission.ANY_KEY,
    response_model=ModelInfo,
    operation_id="model_info_v1_v1_model_info_get",
)
def model_info_v1_again(
    house: TheHouse,
    litellm_model_id: ModelId = None,
    include_team_models: _Flag = False,  # noqa: ARG001
    team: Annotated[str | None, Query(alias="teamId", description="Taken for LiteLLM's sake.")] = None,  # noqa: ARG001
    healthy_only: _Flag = False,  # noqa: ARG001
) -> Response:
    """Every model with its prices, limits and abilities, in LiteLLM's fields; fields that say nothing are left out."""
    return _model_info(house, litellm_model_id)


def _model_info(house: House, wanted: str | None) -> Response:
    entries = [
        _entry(key, provider, mode, fields)
        for key, provider, mode, fields in known_models(house)
        if wanted in (None, "", key)
    ]
    if wanted and not entries:
        raise HTTPException(400, f"Model id = {wanted[:200]} is not known here.")
    return answer({"data": entries})


def _entry(key: str, provider: str, mode: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_name": key,
        "litellm_params": {"model": key},
        "model_info": {
            "id": key,
            "db_model": False,
            "access_via_team_ids": [],
            "direct_access": True,
            "key": key,
            **dict.fromkeys((*_LIMITS, *PRICES)),
            **{name: json_rate(value) for name, value in fields.items() if name != "key"},
            "litellm_provider": provider,
            "mode": mode,
        },
    }


@routes.get("/model_group/info", permission=Permission.ANY_KEY, response_model=ModelGroups)
def model_group_info(
    house: TheHouse, model_group: Annotated[str | None, Query(description="Only this model.")] = None
) -> Response:
    """Every model as a group of its own: what it costs, takes and can."""
    groups = [
        _group(key, provider, mode, fields)
        for key, provider, mode, fields in known_models(house)
        if model_group in (None, key)
    ]
    return answer({"data": groups})


def _group(key: str, provider: str, mode: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    def amount(name: str) -> float | None:
        value = json_rate(fields.get(name))
        return None if value is None else float(value)

    return {
        "model_group": key,
        "providers": [provider] if provider else [],
        "max_input_tokens": amount("max_input_tokens"),
        "max_output_tokens": amount("max_output_tokens"),
        "input_cost_per_token": amount("input_cost_per_token"),
        "output_cost_per_token": amount("output_cost_per_token"),
        "input_cost_per_pixel": amount("input_cost_per_pixel"),
        "mode": mode,
        "tpm": None,
        "rpm": None,
        "itpm": None,
        "otpm": None,
        **{name: fields.get(name) is True for name in _ABILITIES},
        "supported_reasoning_efforts": [],
        "supported_openai_params": [],
        "configurable_clientside_auth_params": None,
        "is_public_model_group": False,
        "health_status": None,
        "health_response_time": None,
        "health_checked_at": None,
    }


def json_rate(value: Any) -> Any:
    """Return a stored rate as JSON can carry it."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, Mapping):
        return {name: json_rate(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_rate(part) for part in value]
    return value
