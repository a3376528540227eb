"""The true shapes of daily activity, for the OpenAPI document."""

from enum import StrEnum
from typing import Any

from spend_middleware.api.schemas import Answer


class SpendMetrics(Answer):
    """Counters of a day or a part of it; those of a gateway's own savings are 0 here."""

    spend: float
    flat_cost: float
    prompt_tokens: int
    completion_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    compression_saved_tokens: int
    compression_savings_spend: float
    prompt_caching_savings_spend: float
    gateway_injected_caching_savings_spend: float
    autorouter_savings_spend: float
    total_tokens: int
    successful_requests: int
    failed_requests: int
    api_requests: int
    total_response_time_ms: int
    timed_requests: int


class KeyMetadata(Answer):
    """Whose key it is."""

    key_alias: str | None
    team_id: str | None
    user_id: str | None
    user_email: str | None
    key_exists: bool


class KeyMetricWithMetadata(Answer):
    """Counters of one key."""

    metrics: SpendMetrics
    metadata: KeyMetadata


class MetricWithMetadata(Answer):
    """Counters of one value of a breakdown, and of each key in it."""

    metrics: SpendMetrics
    metadata: dict[str, Any]
    api_key_breakdown: dict[str, KeyMetricWithMetadata]


class BreakdownMetrics(Answer):
    """A day taken apart."""

    mcp_servers: dict[str, MetricWithMetadata]
    models: dict[str, MetricWithMetadata]
    model_groups: dict[str, MetricWithMetadata]
    providers: dict[str, MetricWithMetadata]
    endpoints: dict[str, MetricWithMetadata]
    api_keys: dict[str, KeyMetricWithMetadata]
    entities: dict[str, MetricWithMetadata]


class DailySpendData(Answer):
    """One day."""

    date: str
    metrics: SpendMetrics
    breakdown: BreakdownMetrics


class DailySpendMetadata(Answer):
    """Totals over the lines of the page, and which page it is."""

    total_spend: float
    total_flat_cost: float
    total_prompt_tokens: int
    total_completion_tokens: int
    total_tokens: int
    total_api_requests: int
    total_successful_requests: int
    total_failed_requests: int
    total_cache_read_input_tokens: int
    total_cache_creation_input_tokens: int
    total_compression_saved_tokens: int
    total_compression_savings_spend: float
    total_prompt_caching_savings_spend: float
    total_gateway_injected_caching_savings_spend: float
    total_autorouter_savings_spend: float
    total_response_time_ms: int
    total_timed_requests: int
    page: int
    total_pages: int
    has_more: bool
    api_key_limit: int | None
    total_api_keys: int | None
    entity_total_api_keys: dict[str, int] | None


class SpendAnalyticsPaginatedResponse(Answer):
    """Days, newest first, with totals."""

    results: list[DailySpendData]
    metadata: DailySpendMetadata


class KeySpendMetrics(Answer):
    """Counters of one key over all days."""

    spend: float
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    api_requests: int
    successful_requests: int
    failed_requests: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int


class KeySpendActivityRow(Answer):
    """One key over all days."""

    api_key: str
    metrics: KeySpendMetrics
    metadata: KeyMetadata


class DailyActivityKeyPageResponse(Answer):
    """Keys, most expensive first, a page of them."""

    api_keys: list[KeySpendActivityRow]
    total_api_keys: int
    offset: int
    limit: int


class KeyActivityRow(Answer):
    """One key over all days, with every counter."""

    api_key: str
    metrics: SpendMetrics
    metadata: KeyMetadata


class DailyActivityKeySearchResponse(Answer):
    """Keys that were found, most expensive first."""

    api_keys: list[KeyActivityRow]


class ModelTopKeysResponse(Answer):
    """The most expensive keys of one model."""

    model: str
    by_model_group: bool
    api_keys: list[KeySpendActivityRow]


class CacheLeakageKeysResponse(Answer):
    """Keys with the most prompt tokens that came out of no cache."""

    api_keys: list[KeySpendActivityRow]


class ExportType(StrEnum):
    """What a line of an export stands for, besides a day and whose it is."""

    DAILY = "daily"
    DAILY_WITH_KEYS = "daily_with_keys"
    DAILY_WITH_MODELS = "daily_with_models"
    DAILY_WITH_USERS = "daily_with_users"


class ActivityDay(Answer):
    """Requests and tokens of a day."""

    date: str
    api_requests: int
    total_tokens: int


class GlobalActivity(Answer):
    """Requests and tokens by day and in all."""

    daily_data: list[ActivityDay]
    sum_api_requests: int
    sum_total_tokens: int


class ModelActivity(GlobalActivity):
    """The same of one model group."""

    model: str


class RateLimitedDay(Answer):
    """Calls of a day that a provider refused for their number."""

    date: str
    num_rate_limit_exceptions: int


class RateLimited(Answer):
    """Calls that were refused for their number, by day and in all."""

    daily_data: list[RateLimitedDay]
    sum_num_rate_limit_exceptions: int


class HostRateLimited(RateLimited):
    """The same of one host."""

    api_base: str


class CacheActivityGroup(Answer):
    """Calls of one type."""

    call_type: str
    api_requests: int
    cache_hits: int
    failed_requests: int
    cached_completion_tokens: int
    generated_completion_tokens: int


class CacheActivityTotals(Answer):
    """Calls of all types."""

    api_requests: int
    cache_hits: int
    failed_requests: int
    cached_completion_tokens: int
    cache_hit_ratio: float


class CacheActivityFilterOptions(Answer):
    """What can be asked for."""

    key_aliases: list[str]
    models: list[str]


class CacheActivityErrorBucket(Answer):
    """Calls that failed alike."""

    call_type: str
    error_code: str
    error_class: str
    count: int


class CacheActivityResponse(Answer):
    """How calls ended, by type."""

    groups: list[CacheActivityGroup]
    totals: CacheActivityTotals
    filter_options: CacheActivityFilterOptions
    error_breakdown: list[CacheActivityErrorBucket]
