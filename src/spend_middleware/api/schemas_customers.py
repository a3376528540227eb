"""What the routes of customers, budgets, tags and organizations take and answer, as LiteLLM's."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import (
    BudgetPart,
    BudgetRow,
    Count,
    Map,
    Name,
    Names,
    Question,
    Text,
    Usd,
)
from spend_middleware.api.schemas_teams import LiteLLM_TeamTable
from spend_middleware.api.schemas_users import UserMember


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


# -- budgets


class BudgetNewRequest(LimitFields):
    """A budget to be made or changed."""

    budget_id: Name | None = Field(None, description="Made here when it is left out.")
    allowed_models: list[Text] | None = None
    budget_reset_at: datetime | None = None
    temp_budget_increase: Usd | None = None
    temp_budget_expiry: datetime | None = None


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


# -- customers


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

    spend: Usd | None = None


class UpdateCustomerRequest(CustomerFields):
    """A customer to be changed: fields that are left out keep their value."""


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


# -- tags


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


# -- organizations


class OrganizationFields(LimitFields):
    """What can be said of an organization."""

    organization_alias: Text | None = None
    budget_id: Name | None = None
    models: list[Text] | None = None
    metadata: dict[str, Any] | None = None
    tags: list[Text] | None = None
    object_permission: dict[str, Any] | None = None


class NewOrganizationRequest(OrganizationFields):
    """An organization to be made."""

    organization_id: Name | None = Field(None, description="Made here when it is left out.")
    organization_alias: Text = Field(description="The name that reports show.")


class OrganizationUpdate(OrganizationFields):
    """An organization to be changed: fields that are left out keep their value."""

    organization_id: Name
    spend: Usd | None = None


class DeleteOrganizationRequest(Question):
    """Organizations to be deleted."""

    organization_ids: list[Name] = Field(min_length=1, max_length=1000)


class OrganizationRequest(Question):
    """Organizations to be shown."""

    organizations: list[Name] = Field(max_length=1000)


class OrgMember(Question):
    """One person, by user id or by e-mail address."""

    role: Literal["org_admin", "internal_user", "internal_user_viewer"] = "internal_user"
    user_id: Name | None = None
    user_email: Name | None = None


class OrganizationMemberAddRequest(Question):
    """People to be put into an organization."""

    organization_id: Name
    member: OrgMember | list[OrgMember]
    max_budget_in_organization: Usd | None = None


class OrganizationMemberDeleteRequest(Question):
    """A member to be taken out of an organization."""

    organization_id: Name
    user_id: Name | None = None
    user_email: Name | None = None


class OrganizationMemberUpdateRequest(OrganizationMemberDeleteRequest):
    """A member whose role or budget changes."""

    max_budget_in_organization: Usd | None = None
    role: Literal["org_admin", "internal_user", "internal_user_viewer"] | None = None


class LiteLLM_OrganizationMembershipTable(Answer):  # noqa: N801 - LiteLLM's name
    """One member of an organization."""

    user_id: str
    organization_id: str
    user_role: str | None = None
    spend: float = 0.0
    budget_id: str | None = None
    created_at: str
    updated_at: str
    user: Any = None
    litellm_budget_table: BudgetPart | None = None


class NewOrganizationResponse(Answer):
    """A new organization."""

    organization_id: str
    organization_alias: str | None = None
    budget_id: str | None = None
    spend: float = 0.0
    metadata: Map
    models: Names
    created_by: str
    updated_by: str
    users: Any = None
    litellm_budget_table: BudgetPart | None = None
    object_permission: Any = None
    object_permission_id: str | None = None
    created_at: str
    updated_at: str


class LiteLLM_OrganizationTableWithMembers(NewOrganizationResponse):  # noqa: N801 - LiteLLM's name
    """An organization with its members and teams."""

    members: list[LiteLLM_OrganizationMembershipTable] = Field(default_factory=list)
    teams: list[LiteLLM_TeamTable] = Field(default_factory=list)


class OrganizationAddMemberResponse(Answer):
    """Who was put into an organization."""

    organization_id: str
    updated_users: list[UserMember]
    updated_organization_memberships: list[LiteLLM_OrganizationMembershipTable]


class CostConfig(Answer):
    """A shared setting of prices: provider -> value."""

    values: dict[str, Any]


class CostConfigSet(CostConfig):
    """The same after it was set."""

    message: str
    status: str
