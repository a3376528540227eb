"""`/spend/logs/v2` and the forms of it that LiteLLM's dashboard reads: the calls, page by page."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from spend_middleware.api.access import hash_of
from spend_middleware.api.answers import answer, number
from spend_middleware.api.asked import Caller, House, TheCaller, TheHouse
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.parameters import EndDate, StartDate, bad_value, check_page, listed, one, range_of
from spend_middleware.api.routing import Permission, Routes
from spend_middleware.api.rows import paged_log
from spend_middleware.api.schemas_logs import (
    LogsPage,
    LogsQuery,
    SessionLogsPage,
    SessionPage,
    StoredContent,
)
from spend_middleware.api.spend import counts_of
from spend_middleware.call import to_pico
from spend_middleware.store.rows_values import Cursor, LogFilter, LogOrder, LogPage, LogRow, SessionSums

routes = Routes("Budget & Spend Tracking")

MOST_MODELS = 20
"""Models of a session that are named; `session_models_truncated` says when there are more."""

_ORDERS = {
    "startTime": LogOrder.START,
    "endTime": LogOrder.END,
    "spend": LogOrder.SPEND,
    "total_tokens": LogOrder.TOTAL_TOKENS,
    "request_duration_ms": LogOrder.DURATION,
    "model": LogOrder.MODEL,
    "ttft_ms": LogOrder.FIRST_TOKEN,
}
_MCP = ("call_mcp_tool", "list_mcp_tools")
_AGENT = ("asend_message",)
_BATCH = ("acreate_batch", "create_batch", "aretrieve_batch", "retrieve_batch", "batch")
# LiteLLM's word for a kind of call -> the call types of it, and those that are not.
_SPANS: dict[str, dict[str, Any]] = {
    "llm": {"other_call_types": _MCP + _AGENT + _BATCH},
    "agent": {"call_types": _AGENT},
    "mcp": {"call_types": _MCP},
    "batch": {"call_types": _BATCH},
}
# Columns that the page of one session does not have in LiteLLM.
_NOT_OF_A_SESSION = ("litellm_call_id", "request_duration_ms")


@routes.get("/spend/logs/v2", permission=Permission.SPEND, response_model=LogsPage)
def ui_view_spend_logs(house: TheHouse, caller: TheCaller, asked: Annotated[LogsQuery, Query()]) -> Response:
    """The calls, page by page, with an exact total; grouped by session, one that counts the newest 10,000 calls."""
    _check_dates(asked)
    found = _found(house, caller, asked)
    return answer(_page([paged_log(row) for row in found.rows], found, asked), counts_of(found.rows))


@routes.get(
    "/spend/logs/ui", permission=Permission.SPEND, response_model=SessionLogsPage, include_in_schema=False
)
def ui_view_spend_logs_of_sessions(
    house: TheHouse, caller: TheCaller, asked: Annotated[LogsQuery, Query()]
) -> Response:
    """The same with the sums of each call's session; a request_id is found whatever its day."""
    if asked.request_id is not None and asked.search is None:
        asked = asked.model_copy(update={"start_date": None, "end_date": None})
    else:
        _check_dates(asked)
    found = _found(house, caller, asked)
    sessions = house.store.reports.sessions(
        caller.scope, [_session(row) for row in found.rows if row.columns["session_id"]]
    )
    rows = [paged_log(row) | _session_part(sessions.get(_session(row))) for row in found.rows]
    return answer(_page(rows, found, asked), counts_of(found.rows))


@routes.get(
    "/spend/logs/ui/{request_id}",
    permission=Permission.SPEND,
    response_model=StoredContent | None,
    include_in_schema=False,
)
def ui_view_request_response_for_request_id(
    house: TheHouse,
    caller: TheCaller,
    request_id: str,
    start_date: StartDate = None,  # noqa: ARG001
    end_date: EndDate = None,  # noqa: ARG001
) -> Response:
    """What was stored of a call's content: nothing, ever; null for a call that is not known."""
    found = house.store.reports.logs(caller.scope, LogFilter(request_id=request_id), limit=1, count=False)
    if not found.rows:
        return answer(None)
    return answer({"messages": {}, "response": {}, "proxy_server_request": {}})


@routes.get(
    "/spend/logs/session/ui", permission=Permission.SPEND, response_model=SessionPage, include_in_schema=False
)
def ui_view_session_spend_logs(
    house: TheHouse,
    caller: TheCaller,
    session_id: Annotated[str, Query(description="The session.")],
    page: Annotated[int, Query(ge=1, le=1_000_000, description="Page, from 1.")] = 1,
    page_size: Annotated[int, Query(ge=1, le=100, description="Entries a page.")] = 50,
) -> Response:
    """The calls of one session, newest first."""
    found = house.store.reports.logs(
        caller.scope, LogFilter(session_id=session_id), limit=page_size, offset=(page - 1) * page_size
    )
    rows = [paged_log(row) for row in found.rows]
    shown = [{name: value for name, value in row.items() if name not in _NOT_OF_A_SESSION} for row in rows]
    content = {"data": shown, "total": found.total, "page": page, "page_size": page_size}
    return answer(content | {"total_pages": math.ceil(found.total / page_size)}, counts_of(found.rows))


# -- which calls


def _check_dates(asked: LogsQuery) -> None:
    if not asked.start_date or not asked.end_date:
        raise ProxyError(400, "Start date and end date are required", "bad_request")


def _found(house: House, caller: Caller, asked: LogsQuery) -> LogPage:
    check_page(asked.page, asked.page_size)
    order, after = _order(asked.sort_by), _cursor(asked.cursor)
    if after is not None and order is not LogOrder.START:
        raise bad_value("cursor", asked.cursor, "no cursor, or sort_by=startTime")
    if asked.session_cursor:
        raise bad_value("session_cursor", asked.session_cursor, "none: page through sessions with `page`")
    where = _filter(house, caller, asked)
    if asked.used_client_oauth_token is not None:
        return LogPage((), 0, None)
    return house.store.reports.logs(
        caller.scope,
        where,
        limit=asked.page_size,
        after=after,
        offset=0 if after else (asked.page - 1) * asked.page_size,
        order=order,
        descending=_choice("sort_order", (asked.sort_order or "desc").lower(), ("asc", "desc")) == "desc",
    )


def _filter(house: House, caller: Caller, asked: LogsQuery) -> LogFilter:
    since, until = range_of(asked.start_date, asked.end_date, asked.timezone, house.settings.timezone)
    hits = {"hit": True, "miss": False, None: None}
    return LogFilter(
        since=since,
        until=until,
        api_key=one(asked.api_key and hash_of(asked.api_key)),
        # An internal user sees its own rows whatever it asks for, as in LiteLLM.
        user_id=() if caller.scope.users else one(asked.user_id),
        request_id=asked.request_id,
        session_part=asked.session_id or None,
        team_id=one(asked.team_id),
        min_spend=_pico("min_spend", asked.min_spend),
        max_spend=_pico("max_spend", asked.max_spend),
        status=_choice("status_filter", asked.status_filter, ("success", "failure")),
        model=one(asked.model),
        model_id=asked.model_id or None,
        model_group=one(asked.model_group),
        alias_part=asked.key_alias or None,
        end_user=one(asked.end_user),
        status_code=_status_code(asked.error_code),
        error_type=asked.error_message or None,
        search=asked.search or None,
        tag=listed(asked.tags),
        cache_hit=hits[_choice("cache_hit_filter", asked.cache_hit_filter, ("hit", "miss"))],
        by_session=asked.group_by_session or None,
        **_SPANS.get(_choice("span_type", asked.span_type, tuple(_SPANS)) or "", {}),
    )


def _order(sort_by: str) -> LogOrder:
    if sort_by not in _ORDERS:
        raise bad_value("sort_by", sort_by, "one of " + ", ".join(_ORDERS), "bad_request")
    return _ORDERS[sort_by]


def _cursor(text: str | None) -> Cursor | None:
    if not text:
        return None
    start, _, call_id = text.partition(":")
    if not (start.isascii() and start.isdigit() and len(start) <= 17 and call_id):
        raise bad_value("cursor", text, "`next_cursor` of an earlier page")
    return Cursor(int(start), call_id)


def _choice(name: str, value: str | None, choices: tuple[str, ...]) -> str | None:
    if value is not None and value not in choices:
        raise bad_value(name, value, " or ".join(choices), "bad_request")
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


# -- how they are shown


def _page(rows: list[dict[str, Any]], found: LogPage, asked: LogsQuery) -> dict[str, Any]:
    following = found.next
    return {
        "data": rows,
        "total": found.total,
        "page": asked.page,
        "page_size": asked.page_size,
        "total_pages": math.ceil(found.total / asked.page_size),
        "total_is_capped": found.capped,
        "next_cursor": following and f"{following.start_time}:{following.id}",
    }


def _session(row: LogRow) -> tuple[str, str]:
    return row.columns["session_id"] or "", row.columns["api_key"]


def _session_part(session: SessionSums | None) -> dict[str, Any]:
    """Return what LiteLLM's dashboard shows of a call's session; nothing but a count where there is none."""
    if session is None:
        return {"session_total_count": 1}
    sums, calls = session.sums, session.calls_by_type
    of_others = sum(calls.get(name, 0) for name in _MCP + _AGENT)
    return {
        "session_total_count": sums.requests,
        "session_total_spend": number(sums.spend),
        "session_total_duration_ms": sums.duration_ms,
        "session_cache_hit_count": 0,
        "session_llm_count": sums.requests - of_others,
        "session_agent_count": sum(calls.get(name, 0) for name in _AGENT),
        "session_total_prompt_tokens": sums.prompt_tokens,
        "session_total_completion_tokens": sums.completion_tokens,
        "session_total_tokens": sums.total_tokens,
        "session_models": list(session.models[:MOST_MODELS]),
        "session_models_truncated": len(session.models) > MOST_MODELS,
    }
