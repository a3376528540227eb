"""What the routes of single calls take and answer: LiteLLM's columns in its order, ours behind them."""

from typing import Any

from pydantic import BaseModel, Field

from spend_middleware.api.parameters import EndDate, Page, PageSize, StartDate, Zone
from spend_middleware.api.schemas import Answer


class LogsQuery(BaseModel):
    """Which calls a paged route is asked for."""

    api_key: str | None = Field(None, description="A raw key or its hash.")
    user_id: str | None = None
    request_id: str | None = Field(
        None, description="A provider's id, our call id, a session id or a trace id."
    )
    session_id: str | None = Field(None, description="A piece of a session id.")
    team_id: str | None = None
    min_spend: float | None = Field(None, description="Calls of at least this many USD.")
    max_spend: float | None = Field(None, description="Calls of at most this many USD.")
    start_date: StartDate = None
    end_date: EndDate = None
    page: Page = 1
    page_size: PageSize = 50
    status_filter: str | None = Field(None, description="success or failure.")
    cache_hit_filter: str | None = Field(
        None, description="hit or miss; only imported calls can be hits, nothing is cached here."
    )
    used_client_oauth_token: bool | None = Field(
        None, description="Says no row of ours: either value finds none."
    )
    span_type: str | None = Field(None, description="llm, agent, mcp or batch.")
    model: str | None = None
    model_id: str | None = Field(None, description="A LiteLLM deployment, which only imported calls have.")
    model_group: str | None = None
    key_alias: str | None = Field(None, description="A piece of a key's alias.")
    end_user: str | None = None
    error_code: str | None = Field(None, description="An HTTP status.")
    error_message: str | None = Field(None, description="The word of an error type; messages are not kept.")
    sort_by: str = Field(
        "startTime",
        description="spend, total_tokens, startTime, endTime, request_duration_ms, model or ttft_ms.",
    )
    sort_order: str | None = Field("desc", description="asc or desc.")
    exclude_internal_health_checks: bool = Field(
        False, description="Taken for LiteLLM's sake: there are no such calls here."
    )
    group_by_session: bool = Field(
        False, description="The newest call of each session alone; the total counts sessions."
    )
    session_cursor: str | None = Field(None, description="Refused: sessions are paged with `page`.")
    search: str | None = Field(
        None, description="A piece of a request id, model, key alias, user, team or end user."
    )
    tags: str | None = Field(None, description="Calls with one of these tags, separated by commas.")
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")
    timezone: Zone = None


class LiteLLM_SpendLogs(Answer):  # noqa: N801 - the name of the schema in LiteLLM's document
    """One call of the ledger, in LiteLLM's columns, with ours behind them."""

    request_id: str
    call_type: str
    api_key: str
    spend: float
    total_tokens: int
    prompt_tokens: int
    completion_tokens: int
    startTime: str
    endTime: str
    request_duration_ms: int
    completionStartTime: str | None
    model: str
    model_id: str | None
    model_group: str | None
    custom_llm_provider: str | None
    api_base: str | None
    user: str | None
    metadata: dict[str, Any]
    cache_hit: str | None
    cache_key: str | None
    request_tags: list[str]
    team_id: str | None
    organization_id: str | None
    end_user: str | None
    requester_ip_address: str | None
    messages: dict[str, Any]
    response: dict[str, Any]
    session_id: str | None
    status: str
    mcp_namespaced_tool_name: str | None
    billing_agent_id: str | None
    agent_id: str | None
    proxy_server_request: dict[str, Any]
    litellm_call_id: str
    created_at: str
    updated_at: str
    pricing_status: str
    unpriced_reason: str | None
    usage_source: str
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_tokens: int


class SpendLogsDay(Answer):
    """One day of the summary; besides these, each key's hash is a key of its own with its spend."""

    startTime: str
    spend: float
    users: dict[str, float]
    models: dict[str, float]


class PagedLog(Answer):
    """One call in the paged routes: without messages and response."""

    request_id: str
    call_type: str
    api_key: str
    spend: float
    total_tokens: int
    prompt_tokens: int
    completion_tokens: int
    startTime: str
    endTime: str
    completionStartTime: str | None
    model: str
    custom_llm_provider: str | None
    user: str | None
    metadata: dict[str, Any]
    request_tags: list[str]
    team_id: str | None
    end_user: str | None
    session_id: str | None
    status: str
    litellm_call_id: str
    request_duration_ms: int


class LogsPage(Answer):
    """A numbered page of calls."""

    data: list[PagedLog]
    total: int
    page: int
    page_size: int
    total_pages: int
    total_is_capped: bool


class SessionLog(PagedLog):
    """One call in the paged routes of the dashboard, with what its whole session adds up to, where it has one."""

    session_total_count: int


class SessionLogsPage(LogsPage):
    """A numbered page of calls with their sessions."""

    data: list[SessionLog]  # type: ignore[assignment]


class SessionPage(Answer):
    """A numbered page of the calls of one session."""

    data: list[PagedLog]
    total: int
    page: int
    page_size: int
    total_pages: int


class StoredContent(Answer):
    """What LiteLLM may have stored of a call's content; nothing of it ever is, here."""

    messages: dict[str, Any]
    response: dict[str, Any]
    proxy_server_request: dict[str, Any]
