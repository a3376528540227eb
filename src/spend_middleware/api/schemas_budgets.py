"""What the routes of budgets and of prices' settings take and answer, as LiteLLM's."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import Count, Name, Question, Text, Usd
from spend_middleware.store.zones import moment_of


def _countable(at: datetime) -> datetime:
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    if not 1970 < aware.year < 9999:
        raise ValueError("the time lies outside of the years 1971 to 9998")
    return aware


Moment = Annotated[datetime, AfterValidator(_countable)]
"""A time that can be stored; one without a zone is UTC."""


class LimitFields(Question):
    """Limits that make a budget of their own."""

    max_budget: Usd | None = Field(None, description="USD that may be spent in a window.")
    soft_budget: Usd | None = Field(None, description="USD from which on somebody is warned.")
    budget_duration: Text | None = Field(None, description="How long a window is, such as 30d.")
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    tpd_limit: Count | None = None
    max_parallel_requests: Count | None = None
    model_max_budget: dict[str, Any] | None = None

    def wanted(self) -> dict[str, Any]:
        """Return the fields that the client named, moments as microseconds since the epoch."""
        return {
            name: moment_of(value) if isinstance(value, datetime) else value
            for name, value in self.given().items()
        }


class BudgetNewRequest(LimitFields):
    """A budget to be made or changed."""

    budget_id: Name | None = Field(None, description="Made here when it is left out.")
    allowed_models: list[Text] | None = None
    budget_reset_at: Moment | None = None
    temp_budget_increase: Usd | None = None
    temp_budget_expiry: Moment | None = None


class BudgetRequest(Question):
    """Budgets to be shown."""

    budgets: list[Name] = Field(max_length=1000)


class BudgetDeleteRequest(Question):
    """A budget to be deleted."""

    id: Name


class BudgetSetting(Answer):
    """One field of a budget, for a form."""

    field_name: str
    field_type: str
    field_description: str
    field_value: Any = None
    stored_in_db: bool = True
    field_default_value: Any = None
    premium_field: bool = False
    nested_fields: Any = None
    field_options: Any = None
    field_tab: Any = None
    source: str = "db"
    editable: bool = True


class CostConfig(Answer):
    """A shared setting of prices: provider -> value."""

    values: dict[str, Any]


class CostConfigSet(CostConfig):
    """The same after it was set."""

    message: str
    status: str
