"""What the routes of organizations take and answer, as LiteLLM's."""

from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_budgets import LimitFields, Moment
from spend_middleware.api.schemas_entities import BudgetPart, Map, Name, Names, Question, Text, Usd
from spend_middleware.api.schemas_teams import LiteLLM_TeamTable
from spend_middleware.api.schemas_users import UserMember


class OrganizationFields(LimitFields):
    """What can be said of an organization."""

    organization_alias: Text | None = None
    budget_id: Name | None = None
    models: list[Text] | None = Field([])
    metadata: dict[str, Any] | None = None
    allowed_models: list[Text] | None = None
    temp_budget_increase: Usd | None = None
    temp_budget_expiry: Moment | None = None
    # What LiteLLM keeps as entries of `metadata`; so do we.
    tags: list[Text] | None = None
    model_rpm_limit: dict[str, Any] | None = None
    model_tpm_limit: dict[str, Any] | None = None
    object_permission: dict[str, Any] | None = None


ORGANIZATION_METADATA = frozenset(["tags", "model_rpm_limit", "model_tpm_limit"])
"""Fields that are kept as entries of `metadata`."""

OrgRole = Literal[
    "proxy_admin",
    "proxy_admin_viewer",
    "org_admin",
    "internal_user",
    "internal_user_viewer",
    "team",
    "customer",
]


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
    role: OrgRole | None = None


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
