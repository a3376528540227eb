"""`/spend/logs/v2`: the calls, page by page."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import hash_of
from spend_middleware.api.answers import answer
from spend_middleware.api.asked import TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.parameters import (
    EndDate,
    Page,
    PageSize,
    StartDate,
    Zone,
    bad_value,
    check_page,
    listed,
    one,
    range_of,
)
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.rows import paged_log
from spend_middleware.api.schemas import LogsPage
from spend_middleware.api.spend import counts_of
from spend_middleware.call import to_pico
from spend_middleware.store.report_values import Cursor, LogFilter, LogOrder

routes = Routes("Budget & Spend Tracking")


@routes.get("/spend/logs/v2", permission=Permission.SPEND, response_model=LogsPage)
def ui_view_spend_logs(
    house: TheHouse,
    caller: TheCaller,
    api_key: Annotated[str | None, Query(description="A raw key or its hash.")] = None,
    user_id: str | None = None,
    request_id: str | None = None,
    session_id: str | None = None,
    team_id: str | None = None,
    min_spend: Annotated[float | None, Query(description="Calls of at least this many USD.")] = None,
    max_spend: Annotated[float | None, Query(description="Calls of at most this many USD.")] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    page: Page = 1,
    page_size: PageSize = 50,
    status_filter: Annotated[str | None, Query(description="success or failure.")] = None,
    cache_hit_filter: Annotated[str | None, Query(description="hit or miss; nothing is a hit here.")] = None,
    model: str | None = None,
    model_id: Annotated[str | None, Query(description="A deployment's id; there are none here.")] = None,
    model_group: str | None = None,
    key_alias: str | None = None,
    end_user: str | None = None,
    error_code: Annotated[str | None, Query(description="An HTTP status.")] = None,
    error_message: Annotated[str | None, Query(description="The word of an error type.")] = None,
    sort_by: str = "startTime",
    sort_order: str = "desc",
    search: Annotated[
        str | None, Query(description="A piece of a request id, model, key alias, user, team or end user.")
    ] = None,
    tags: Annotated[
        str | None, Query(description="Calls with one of these tags, separated by commas.")
    ] = None,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    timezone: Zone = None,
) -> Response:
    """The calls, page by page, with an exact total."""
    if not start_date or not end_date:
        raise ProxyError(400, "Start date and end date are required", "bad_request", None)
    check_page(page, page_size)
    since, until = range_of(start_date, end_date, timezone, house.settings.timezone)
    where = LogFilter(
        since=since,
        until=until,
        api_key=one(api_key and hash_of(api_key)),
        user_id=() if caller.scope.users else one(user_id),
        request_id=request_id,
        session_id=session_id,
        team_id=one(team_id),
        min_spend=_pico("min_spend", min_spend),
        max_spend=_pico("max_spend", max_spend),
        status=_choice("status_filter", status_filter, ("success", "failure")),
        model=one(model),
        model_group=one(model_group),
        key_alias=key_alias,
        end_user=one(end_user),
        status_code=_status_code(error_code),
        error_type=error_message or None,
        search=search or None,
        tag=listed(tags),
    )
    order = _order(sort_by)
    descending = _choice("sort_order", sort_order, ("asc", "desc")) == "desc"
    after = _cursor(cursor)
    if after is not None and order is not LogOrder.START:
        raise bad_value("cursor", cursor, "no cursor, or sort_by=startTime")
    # A gateway's cache hits and deployments do not exist here.
    if _choice("cache_hit_filter", cache_hit_filter, ("hit", "miss")) == "hit" or model_id:
        return answer(_page([], 0, page, page_size, None))
    found = house.store.reports.logs(
        caller.scope,
        where,
        limit=page_size,
        after=after,
        offset=0 if after else (page - 1) * page_size,
        order=order,
        descending=descending,
    )
    content = _page([paged_log(row) for row in found.rows], found.total, page, page_size, found.next)
    return answer(content, counts_of(found.rows))


_ORDERS = {
    "startTime": LogOrder.START,
    "endTime": LogOrder.END,
    "spend": LogOrder.SPEND,
    "total_tokens": LogOrder.TOTAL_TOKENS,
    "request_duration_ms": LogOrder.DURATION,
    "model": LogOrder.MODEL,
    "ttft_ms": LogOrder.FIRST_TOKEN,
}


def _order(sort_by: str) -> LogOrder:
    if sort_by not in _ORDERS:
        raise bad_value("sort_by", sort_by, "one of " + ", ".join(_ORDERS))
    return _ORDERS[sort_by]


def _page(
    rows: list[dict[str, Any]], total: int, page: int, page_size: int, following: Cursor | None
) -> dict[str, Any]:
    return {
        "data": rows,
        "total": total,
        "page": page,
        "page_size": page_size,
        "total_pages": math.ceil(total / page_size),
        "total_is_capped": False,
        "next_cursor": following and f"{following.start_time}:{following.id}",
    }


def _cursor(text: str | None) -> Cursor | None:
    if not text:
        return None
    start, _, call_id = text.partition(":")
    if not (start.isascii() and start.isdigit() and len(start) <= 17 and call_id):
        raise bad_value("cursor", text, "`next_cursor` of an earlier page")
    return Cursor(int(start), call_id)


def _choice(name: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    if value is not None and value not in choices:
        raise bad_value(name, value, " or ".join(choices))
    return value


def _status_code(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise bad_value("error_code", text, "an HTTP status such as 429")
    return int(text)


def _pico(name: str, amount: float | None) -> int | None:
    if amount is None:
        return None
    if not abs(amount) < 1_000_000:  # also refuses nan
        raise bad_value(name, amount, "an amount in USD below a million")
    return to_pico(Decimal(str(amount)))
