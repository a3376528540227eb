"""What the routes of customers take and answer, as LiteLLM's."""

from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_budgets import LimitFields, Moment
from spend_middleware.api.schemas_entities import BudgetPart, Name, Names, Question, Text, Usd


class CustomerFields(LimitFields):
    """What can be said of a customer."""

    user_id: Name = Field(description="The customer's id, as calls name it.", max_length=512)
    alias: Text | None = None
    blocked: bool | None = None
    budget_id: Name | None = Field(None, description="A budget made by /budget/new, in place of limits.")
    allowed_model_region: Literal["eu", "us"] | None = None
    default_model: Text | None = None
    models: list[Text] | None = None
    object_permission: dict[str, Any] | None = None


class NewCustomerRequest(CustomerFields):
    """A customer to be made."""

    blocked: bool | None = False
    spend: Usd | None = None
    budget_reset_at: Moment | None = Field(None, description="When the window of its own budget ends.")


class UpdateCustomerRequest(CustomerFields):
    """A customer to be changed: fields that are left out keep their value."""

    blocked: bool | None = False


class DeleteCustomerRequest(Question):
    """Customers to be deleted."""

    user_ids: list[Name] = Field(min_length=1, max_length=1000)


class BlockUsers(Question):
    """Customers to be blocked or unblocked."""

    user_ids: list[Name] = Field(min_length=1, max_length=1000)


class CustomerResponse(Answer):
    """A customer, with what it has spent."""

    user_id: str
    blocked: bool = False
    alias: str | None = None
    spend: float = 0.0
    allowed_model_region: str | None = None
    default_model: str | None = None
    models: Names
    budget_id: str | None = None
    litellm_budget_table: BudgetPart | None = None
    object_permission_id: str | None = None
    object_permission: Any = None


class DeleteCustomersResponse(Answer):
    """How many customers were deleted."""

    deleted_customers: int
    message: str


class BlockUsersResponse(Answer):
    """The customers that are blocked now."""

    blocked_users: list[CustomerResponse]


class UnblockUsersResponse(Answer):
    """The ids of the customers that are still blocked."""

    blocked_users: list[str]
