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


class ModelGroup(Answer):
    """A model as a group of its own."""

    model_group: str
    providers: list[str]
    max_input_tokens: float | None
    max_output_tokens: float | None
    input_cost_per_token: float | None
    output_cost_per_token: float | None
    mode: str | None
    supports_function_calling: bool
    supports_vision: bool


class ModelGroups(Answer):
    """Models with what they cost, take and can."""

    data: list[ModelGroup]


class TokenCountRequest(BaseModel):
    """A prompt whose tokens are counted."""

    model: str
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    contents: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    system: Any = None


class TokenCountResponse(Answer):
    """How many tokens a prompt has, and how they were counted."""

    total_tokens: int
    request_model: str
    model_used: str
    tokenizer_type: str
    count_source: str | None = None
    original_response: dict[str, Any] | None = None
    error: bool = False
    error_message: str | None = None
    status_code: int | None = None
