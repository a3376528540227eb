"""`/spend/unpriced`: which models have no price, and why; LiteLLM has no such route."""

from __future__ import annotations

from fastapi.responses import Response

from spend_middleware.api.answers import answer, counted, zulu
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.parameters import EndDate, StartDate, Zone, period_of
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.schemas import UnpricedModel

routes = Routes("Budget & Spend Tracking")


@routes.get("/spend/unpriced", permission=Permission.SPEND, response_model=list[UnpricedModel])
def view_unpriced(
    house: TheHouse,
    caller: TheCaller,
    start_date: StartDate = None,
    end_date: EndDate = None,
    timezone: Zone = None,
) -> Response:
    """Models whose calls have no cost, those with the most calls first."""
    period = period_of(start_date, end_date, timezone, house.settings.timezone)
    models = house.store.reports.unpriced(caller.scope, period)
    rows = [
        {
            "custom_llm_provider": model.provider,
            "model": model.model,
            "unpriced_reason": model.reason,
            "log_count": model.requests,
            "prompt_tokens": model.prompt_tokens,
            "completion_tokens": model.completion_tokens,
            "first_seen": zulu(model.first_seen),
            "last_seen": zulu(model.last_seen),
        }
        for model in models
    ]
    return answer(rows, counted(sum(model.requests for model in models)))
