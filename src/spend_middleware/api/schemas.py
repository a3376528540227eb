"""The true shapes of the answers, for the OpenAPI document; key for key as they are sent."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """An object of an answer; further keys may be added to it one day."""

    model_config = ConfigDict(extra="allow")


class Message(Answer):
    """What was done."""

    message: str
    status: str


class TagSpend(Answer):
    """Spend of one tag; a call with several tags counts under each."""

    individual_request_tag: str | None
    log_count: int
    total_spend: float


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


class TotalSpend(Answer):
    """The total of all calls in sight."""

    cost: float
    total_spend: float
    log_count: int
    unpriced_calls: int
    estimated_calls: int


class CalculatedCost(Answer):
    """What one call costs or would cost, in USD."""

    cost: float


class SpendCalculateRequest(BaseModel):
    """A call that is to be priced: before it (model and messages), or after it (completion_response)."""

    model: str | None = None
    messages: list[Any] | None = None
    completion_response: dict[str, Any] | None = None


class CostEstimateRequest(BaseModel):
    """A planned load on one model."""

    model: str
    input_tokens: int = Field(ge=0, le=10**12)
    output_tokens: int = Field(ge=0, le=10**12)
    cache_read_input_tokens: int = Field(default=0, ge=0, le=10**12)
    cache_creation_input_tokens: int = Field(default=0, ge=0, le=10**12)
    reasoning_tokens: int = Field(default=0, ge=0, le=10**12)
    num_requests_per_day: int | None = Field(default=None, ge=0, le=10**12)
    num_requests_per_month: int | None = Field(default=None, ge=0, le=10**12)


class CostEstimateResponse(Answer):
    """What a planned load costs by request, day and month; None where no number of requests was given."""

    model: str
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_tokens: int
    num_requests_per_day: int | None
    num_requests_per_month: int | None
    cost_per_request: float
    input_cost_per_request: float
    output_cost_per_request: float
    margin_cost_per_request: float
    cache_read_cost_per_request: float
    cache_creation_cost_per_request: float
    reasoning_cost_per_request: float
    daily_cost: float | None
    daily_input_cost: float | None
    daily_output_cost: float | None
    daily_margin_cost: float | None
    daily_cache_read_cost: float | None
    daily_cache_creation_cost: float | None
    daily_reasoning_cost: float | None
    monthly_cost: float | None
    monthly_input_cost: float | None
    monthly_output_cost: float | None
    monthly_margin_cost: float | None
    monthly_cache_read_cost: float | None
    monthly_cache_creation_cost: float | None
    monthly_reasoning_cost: float | None
    input_cost_per_token: float | None
    output_cost_per_token: float | None
    cache_read_input_token_cost: float | None
    cache_creation_input_token_cost: float | None
    output_cost_per_reasoning_token: float | None
    provider: str | None


class IPAddress(BaseModel):
    """An address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32."""

    ip: str


class AllowedIPs(Answer):
    """Who may call; null while everybody may."""

    data: list[str] | None


class UnpricedModel(Answer):
    """A model whose calls have no cost, and why."""

    custom_llm_provider: str
    model: str
    unpriced_reason: str
    log_count: int
    prompt_tokens: int
    completion_tokens: int
    first_seen: str
    last_seen: str


class Readiness(Answer):
    """Whether requests can be answered, and how the ledger is; no addresses and no messages, as it is public."""

    status: str
    db: str
    pending: int
    queue: int
    journal_bytes: int
    oldest_seconds: float
    set_aside: int
    refused: int
    degraded: bool


class Health(Answer):
    """How recording is going."""

    healthy_endpoints: list[dict[str, Any]]
    unhealthy_endpoints: list[dict[str, Any]]
    healthy_count: int
    unhealthy_count: int


class ModelList(Answer):
    """Models that have a price, as OpenAI lists models."""

    data: list[dict[str, Any]]
    object: Literal["list"]


class ModelInfo(Answer):
    """Models and their prices in LiteLLM's fields."""

    data: list[dict[str, Any]]
