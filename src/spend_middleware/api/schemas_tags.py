"""What the routes of tags take and answer, as LiteLLM's."""

from typing import Any

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_budgets import LimitFields
from spend_middleware.api.schemas_entities import BudgetRow, Name, Names, Question, Text


class TagFields(LimitFields):
    """What can be said of a tag."""

    name: Name
    description: Text | None = None
    models: list[Text] | None = None
    model_info: dict[str, Any] | None = None
    budget_id: Name | None = None


class TagNewRequest(TagFields):
    """A tag to be registered."""


class TagUpdateRequest(TagFields):
    """A tag to be changed: fields that are left out keep their value."""


class TagDeleteRequest(Question):
    """A tag to be forgotten; its calls stay."""

    name: Name


class TagInfoRequest(Question):
    """Tags to be shown."""

    names: list[Name] = Field(max_length=1000)


class TagConfig(Answer):
    """A registered tag."""

    name: str
    description: str | None = None
    models: Names
    model_info: dict[str, Any] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    created_by: str | None = None


class TagRow(TagConfig):
    """A registered tag with its budget."""

    litellm_budget_table: BudgetRow | None = None


class TagAnswer(Answer):
    """What was done with a tag."""

    message: str
    tag: TagConfig


class TagMessage(Answer):
    """What was done."""

    message: str


class DistinctTag(Answer):
    """A tag that calls carry."""

    tag: str


class DistinctTagsResponse(Answer):
    """Every tag that calls carry."""

    results: list[DistinctTag]


class TagSummaryMetrics(Answer):
    """What was spent under a tag."""

    tag: str
    unique_users: int
    total_requests: int
    successful_requests: int
    failed_requests: int
    total_tokens: int
    total_spend: float


class TagSummaryResponse(Answer):
    """What was spent under each tag in a period."""

    results: list[TagSummaryMetrics]


class TagActiveUsersResponse(Answer):
    """How many users a tag had on a day, or in the days from `period_start` to `period_end`."""

    tag: str
    active_users: int
    date: str
    period_start: str | None
    period_end: str | None


class ActiveUsersAnalyticsResponse(Answer):
    """How many users each tag had, and when."""

    results: list[TagActiveUsersResponse]


class PerUserMetrics(Answer):
    """What one user did."""

    user_id: str
    user_email: str | None
    user_agent: str | None
    successful_requests: int
    failed_requests: int
    total_requests: int
    total_tokens: int
    spend: float


class PerUserAnalyticsResponse(Answer):
    """What users did, those with the most answered calls first; a page of them."""

    results: list[PerUserMetrics]
    total_count: int
    page: int
    page_size: int
    total_pages: int
