"""What the routes of teams take and answer, field for field as LiteLLM's."""

from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import BudgetPart, Count, Map, Name, Names, Question, Text, Usd
from spend_middleware.api.schemas_key_rows import KeyRow
from spend_middleware.api.schemas_users import UserMember


class Member(Question):
    """One person, by user id or by e-mail address; who is not known yet becomes a user."""

    role: Literal["admin", "user"] = "user"
    user_id: Name | None = None
    user_email: Name | None = None


class TeamFields(Question):
    """What can be said of a team when it is made and when it is changed."""

    team_alias: Name | None = Field(None, description="The name that reports show.")
    organization_id: Name | None = None
    metadata: dict[str, Any] | None = Field(
        None,
        description="Free; `tags` in it become tags of every call of its keys, `spend_logs_metadata` key/value pairs.",
    )
    models: list[Text] | None = None
    max_budget: Usd | None = Field(None, description="USD that its keys may spend together in a window.")
    soft_budget: Usd | None = Field(
        None, description="USD from which on somebody is warned; below max_budget."
    )
    budget_duration: Text | None = Field(None, description="How long a window is, such as 30d.")
    budget_limits: list[dict[str, Any]] | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    tpd_limit: Count | None = None
    max_parallel_requests: Count | None = None
    blocked: bool | None = None
    tags: list[Text] | None = Field(None, description="Kept as metadata.tags.")
    team_member_budget: Usd | None = Field(None, description="USD that each member may spend in the team.")
    team_member_budget_duration: Text | None = None
    team_member_permissions: list[Text] | None = None
    model_max_budget: dict[str, Any] | None = None
    router_settings: dict[str, Any] | None = None
    access_group_ids: list[Text] | None = None
    policies: list[Text] | None = None
    default_team_member_models: list[Text] | None = None
    object_permission: dict[str, Any] | None = None
    guardrails: list[Any] | None = None
    prompts: list[Any] | None = None


class NewTeamRequest(TeamFields):
    """A team to be made; every field may be left out."""

    team_id: Name | None = Field(None, description="Made here when it is left out.")
    members_with_roles: list[Member] = Field(default_factory=list, max_length=1000)
    admins: list[Text] | None = None
    members: list[Text] | None = None


class UpdateTeamRequest(TeamFields):
    """A team to be changed: fields that are left out keep their value."""

    team_id: Name


class DeleteTeamRequest(Question):
    """Teams to be deleted, with their keys."""

    team_ids: list[Name] = Field(min_length=1, max_length=1000)


class BlockTeamRequest(Question):
    """A team to be blocked or unblocked."""

    team_id: Name


class TeamMemberAddRequest(Question):
    """People to be put into a team."""

    team_id: Name
    member: Member | list[Member]
    max_budget_in_team: Usd | None = Field(None, description="USD that each of them may spend in the team.")


class TeamMemberUpdateRequest(Question):
    """A member whose role or limits change."""

    team_id: Name
    user_id: Name | None = None
    user_email: Name | None = None
    max_budget_in_team: Usd | None = None
    role: Literal["admin", "user"] | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    budget_duration: Text | None = None
    allowed_models: list[Text] | None = None


class TeamMemberDeleteRequest(Question):
    """A member to be taken out of a team."""

    team_id: Name
    user_id: Name | None = None
    user_email: Name | None = None


class TeamMember(Answer):
    """One member of a team."""

    user_id: str | None
    user_email: str | None
    role: str


class LiteLLM_TeamTable(Answer):  # noqa: N801 - the name of the schema in LiteLLM's document
    """A team."""

    team_alias: str | None = None
    team_id: str
    organization_id: str | None = None
    admins: Names
    members: Names
    members_with_roles: list[TeamMember] = Field(default_factory=list)
    team_member_permissions: Names
    metadata: Map
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    tpd_limit: int | None = None
    max_budget: float | None = None
    soft_budget: float | None = None
    budget_duration: str | None = None
    budget_limits: Any = None
    models: Names
    blocked: bool = False
    router_settings: Map
    access_group_ids: Names
    default_team_member_models: Names
    spend: float = 0.0
    max_parallel_requests: int | None = None
    budget_reset_at: str | None = None
    model_id: int | None = None
    model_spend: Map
    model_max_budget: Map
    policies: Names
    allow_team_guardrail_config: bool = False
    litellm_model_table: Any = None
    object_permission: Any = None
    object_permission_id: str | None = None
    updated_at: str
    created_at: str


class TeamRow(Answer):
    """All columns of a team."""

    team_id: str
    team_alias: str | None = None
    organization_id: str | None = None
    object_permission_id: str | None = None
    admins: Names
    members: Names
    members_with_roles: list[TeamMember] = Field(default_factory=list)
    metadata: Map
    max_budget: float | None = None
    soft_budget: float | None = None
    spend: float = 0.0
    models: Names
    max_parallel_requests: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    tpd_limit: int | None = None
    budget_duration: str | None = None
    budget_reset_at: str | None = None
    blocked: bool = False
    created_at: str
    updated_at: str
    model_spend: Map
    model_max_budget: Map
    router_settings: Map
    team_member_permissions: Names
    access_group_ids: Names
    policies: Names
    default_team_member_models: Names
    budget_limits: Any = None
    model_id: int | None = None
    allow_team_guardrail_config: bool = False
    litellm_organization_table: Any = None
    litellm_model_table: Any = None
    object_permission: Any = None
    projects: Any = None


class TeamUpdated(Answer):
    """A team after its change."""

    team_id: str
    data: TeamRow


class DeletedTeams(Answer):
    """The teams that were deleted."""

    deleted_teams: list[str]


class TeamMembership(Answer):
    """What a member has spent in a team, and may."""

    user_id: str
    team_id: str
    budget_id: str | None = None
    spend: float = 0.0
    total_spend: float = 0.0
    litellm_budget_table: BudgetPart | None = None


class TeamMembershipInfo(TeamMembership):
    """The same, and whether the limits are the member's own or the team's."""

    budget_source: str = "none"


class TeamInfoRow(LiteLLM_TeamTable):
    """A team as /team/info shows it."""

    team_member_budget_table: Any = None
    access_group_models: Any = None
    access_group_mcp_server_ids: Any = None
    access_group_agent_ids: Any = None
    access_group_details: Any = None
    organization_models: Any = None
    model_max_budget_usage: Map
    caller_edit_access: dict[str, str] = Field(default_factory=dict)


class TeamInfo(Answer):
    """A team with its keys and the spend of its members."""

    team_id: str
    team_info: TeamInfoRow
    keys: list[KeyRow]
    team_memberships: list[TeamMembershipInfo]


class TeamListed(LiteLLM_TeamTable):
    """A team as /team/list shows it."""

    team_memberships: list[TeamMembership] = Field(default_factory=list)
    keys: list[KeyRow] = Field(default_factory=list)


class TeamPaged(LiteLLM_TeamTable):
    """A team as /v2/team/list shows it."""

    members_count: int = 0
    keys_count: int = 0
    access_group_models: Any = None
    access_group_mcp_server_ids: Any = None
    access_group_agent_ids: Any = None


class TeamListResponse(Answer):
    """One page of teams."""

    teams: list[TeamPaged]
    total: int
    page: int
    page_size: int
    total_pages: int


class TeamAddMemberResponse(LiteLLM_TeamTable):
    """A team after people were put into it."""

    updated_users: list[UserMember] = Field(default_factory=list)
    updated_team_memberships: list[TeamMembership] = Field(default_factory=list)


class TeamMemberUpdateResponse(Answer):
    """What was said of the member."""

    user_id: str
    user_email: str | None = None
    team_id: str
    max_budget_in_team: float | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    budget_duration: str | None = None
    allowed_models: list[str] | None = None
    temp_budget_increase: float | None = None
    temp_budget_expiry: str | None = None
