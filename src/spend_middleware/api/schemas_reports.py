"""The true shapes of reports, for the OpenAPI document."""

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


class ProviderBudgetResponse(Answer):
    """Budgets by provider."""

    providers: dict[str, dict[str, Any]]


class TagNames(Answer):
    """Every tag there is."""

    tag_names: list[str]


class EndUserNames(Answer):
    """Every customer there is."""

    end_users: list[str | None]


class GlobalEndUsersRequest(Answer):
    """Which customers are asked for."""

    api_key: str | None = None
    startTime: str | None = None
    endTime: str | None = None
