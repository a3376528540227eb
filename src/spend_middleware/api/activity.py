"""`/user|team|tag|customer|organization|agent/daily/activity`, in pages and on one page.

Annotations are objects here and not text: FastAPI reads them off functions that are made in a function.
"""

from typing import Annotated

from fastapi import Depends, Query
from fastapi.responses import Response

from spend_middleware.api.activity_asked import ENTITIES, Asked, Asking, Entity, asking
from spend_middleware.api.activity_days import on_one_page, page_of
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.parameters import Page, PageSize
from spend_middleware.api.routing import Routes
from spend_middleware.api.schemas_activity import SpendAnalyticsPaginatedResponse
from spend_middleware.store.report_values import By

routes = Routes("Budget & Spend Tracking")

_WHOSE = {By.USER: "administrators see all users, everybody else their own"}
_OWN = "whoever is no administrator sees its own calls"


def _paged(entity: Entity, ask: Asking) -> None:
    def paged(
        house: TheHouse,
        caller: TheCaller,
        asked: Annotated[Asked, Depends(ask)],
        page: Page = 1,
        page_size: PageSize = 50 if entity.by is By.USER else 10,
    ) -> Response:
        return page_of(house, caller, asked, page, page_size)

    paged.__name__ = f"get_{entity.word}_daily_activity"
    paged.__doc__ = f"Daily activity by {entity.name}; {_WHOSE.get(entity.by, _OWN)}."
    routes.get(
        f"/{entity.word}/daily/activity",
        permission=entity.permission,
        tags=list(entity.tags),
        include_in_schema=entity.shown,
        response_model=SpendAnalyticsPaginatedResponse,
    )(paged)


def _aggregated(entity: Entity, ask: Asking) -> None:
    def aggregated(
        house: TheHouse,
        caller: TheCaller,
        asked: Annotated[Asked, Depends(ask)],
        api_key_limit: Annotated[
            int, Query(ge=1, le=1000, description="Keys taken apart: the most expensive ones.")
        ] = 100,
    ) -> Response:
        return on_one_page(house, caller, asked, api_key_limit)

    aggregated.__name__ = f"get_{entity.word}_daily_activity_aggregated"
    aggregated.__doc__ = f"Daily activity by {entity.name} on one page; {_WHOSE.get(entity.by, _OWN)}."
    routes.get(
        f"/{entity.word}/daily/activity/aggregated",
        permission=entity.permission,
        tags=list(entity.tags),
        include_in_schema=entity.shown,
        response_model=SpendAnalyticsPaginatedResponse,
    )(aggregated)


for _entity in ENTITIES:
    _paged(_entity, asking(_entity))
    _aggregated(_entity, asking(_entity))
