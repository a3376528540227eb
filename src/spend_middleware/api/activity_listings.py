"""Daily activity of teams, tags, customers and organizations: one pair of routes under several names.

Annotations are objects here and not text: FastAPI reads them off functions that are made in a function.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.activity import DECLARED, WHOLE, Key, KeyLimit, Model, chosen, page_of
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.parameters import EndDate, Page, PageSize, StartDate, Zone, dated
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.store.report_values import By

routes = Routes("Budget & Spend Tracking")

# LiteLLM's word in the path, what is reported, and the name of the parameter that lists it.
LISTINGS = (
    ("tag", By.TAG, "tags"),
    ("team", By.TEAM, "team_ids"),
    ("customer", By.END_USER, "end_user_ids"),
    ("end_user", By.END_USER, "end_user_ids"),
    ("organization", By.ORGANIZATION, "organization_ids"),
)


def _listing(by: By, parameter: str) -> tuple[Callable[..., Response], Callable[..., Response]]:
    """Return the paged and the aggregated route of an entity."""
    wanted = Query(alias=parameter, description="Only these, separated by commas.")
    left_out = Query(alias=f"exclude_{parameter}", description="All but these, separated by commas.")

    def paged(
        house: TheHouse,
        caller: TheCaller,
        names: Annotated[str | None, wanted] = None,
        start_date: StartDate = None,
        end_date: EndDate = None,
        model: Model = None,
        api_key: Key = None,
        page: Page = 1,
        page_size: PageSize = 10,
        excluded: Annotated[str | None, left_out] = None,
        timezone: Zone = None,
    ) -> Response:
        period = dated(start_date, end_date, timezone, house.settings.timezone)
        where = chosen(house, caller, by, period, names, excluded, model, api_key)
        return page_of(house, caller, by, period, where, page, page_size)

    def aggregated(
        house: TheHouse,
        caller: TheCaller,
        api_key_limit: KeyLimit = 100,  # noqa: ARG001
        names: Annotated[str | None, wanted] = None,
        start_date: StartDate = None,
        end_date: EndDate = None,
        model: Model = None,
        api_key: Key = None,
        excluded: Annotated[str | None, left_out] = None,
        timezone: Zone = None,
    ) -> Response:
        period = dated(start_date, end_date, timezone, house.settings.timezone)
        where = chosen(house, caller, by, period, names, excluded, model, api_key)
        return page_of(house, caller, by, period, where, 1, WHOLE)

    return paged, aggregated


for _name, _by, _parameter in LISTINGS:
    _paged, _aggregated = _listing(_by, _parameter)
    _word = _name.replace("_", " ")
    _paged.__name__ = f"get_{_name}_daily_activity"
    _paged.__doc__ = f"Daily activity by {_word}; whoever is no administrator sees its own calls."
    _aggregated.__name__ = f"get_{_name}_daily_activity_aggregated"
    _aggregated.__doc__ = (
        f"Daily activity by {_word} on one page; whoever is no administrator sees its own calls."
    )
    _path = f"/{_name}/daily/activity"
    # LiteLLM serves /end_user/... without documenting it.
    _shown = {**DECLARED, "include_in_schema": _name != "end_user"}
    routes.get(_path, permission=Permission.SPEND, **_shown)(_paged)
    routes.get(f"{_path}/aggregated", permission=Permission.SPEND, **_shown)(_aggregated)
