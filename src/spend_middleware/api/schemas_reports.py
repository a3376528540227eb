"""The true shapes of reports and of daily activity, for the OpenAPI document."""

from typing import Any

from spend_middleware.api.schemas import Answer


class KeyModelSpend(Answer):
    """Spend of one model under one key."""

    model: str
    spend: float
    api_key: str
    total_tokens: int


class TeamSpend(Answer):
    """One team's part of a day."""

    metadata: list[KeyModelSpend]
    team_name: str
    total_spend: float


class CustomerSpend(Answer):
    """One customer's part of a day."""

    customer: str
    metadata: list[KeyModelSpend]
    total_spend: float


class TeamCustomerSpend(Answer):
    """One customer of one team in a day."""

    customer: str
    metadata: list[KeyModelSpend]
    team_name: str
    total_spend: float


class TeamDay(Answer):
    """A day by team."""

    group_by_day: str
    teams: list[TeamSpend]


class CustomerDay(Answer):
    """A day by customer."""

    group_by_day: str
    customers: list[CustomerSpend]


class TeamCustomerDay(Answer):
    """A day by team and customer."""

    group_by_day: str
    teams_customers: list[TeamCustomerSpend]


class ModelCost(Answer):
    """One model under a key over the whole period."""

    model: str
    total_cost: float
    total_input_tokens: int
    total_output_tokens: int


class KeyCost(Answer):
    """One key over the whole period."""

    api_key: str
    total_cost: float
    total_input_tokens: float
    total_output_tokens: float
    model_details: list[ModelCost]


class NamedSpend(Answer):
    """One tag of `/global/spend/tags`."""

    name: str
    spend: float
    log_count: float


class SpendPerTag(Answer):
    """Spend by tag, most expensive first."""

    spend_per_tag: list[NamedSpend]


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


class GlobalSpend(Answer):
    """Spend of the last 30 days, null when there was none."""

    spend: float | None
    max_budget: float


class DaySpend(Answer):
    """Spend of a day, of one key where one was asked for."""

    date: str
    spend: float


class TopKey(Answer):
    """A key of the last 30 days."""

    api_key: str
    key_alias: str | None
    key_name: str | None
    total_spend: float


class TopModel(Answer):
    """A model of the last 30 days."""

    model: str
    total_spend: float


class TeamTotal(Answer):
    """A team of the last 30 days."""

    team_id: str
    total_spend: float


class GlobalTeams(Answer):
    """Spend of teams by day and in all."""

    daily_spend: list[dict[str, Any]]
    teams: list[str]
    total_spend_per_team: list[TeamTotal]


class TopEndUser(Answer):
    """A customer, most expensive first."""

    end_user: str
    total_count: int
    total_spend: float


class ProviderSpend(Answer):
    """A provider, most expensive first."""

    provider: str
    spend: float


class TagNames(Answer):
    """Every tag there is."""

    tag_names: list[str]


class EndUserNames(Answer):
    """Every customer there is."""

    end_users: list[str | None]


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


class GlobalEndUsersRequest(Answer):
    """Which customers are asked for."""

    api_key: str | None = None
    startTime: str | None = None
    endTime: str | None = None
