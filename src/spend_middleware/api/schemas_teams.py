"""What the routes of teams answer, field for field as LiteLLM's."""

from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import BudgetPart, Map, Names
from spend_middleware.api.schemas_key_rows import KeyRow
from spend_middleware.api.schemas_users import UserMember


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


class TeamMemberInfoResponse(TeamMembership):
    """The caller's own membership."""

    role: str | None = None
    user_email: str | None = None
    team_alias: str | None = None


class TeamMemberReset(Answer):
    """What counts against a member now, and before."""

    team_id: str
    user_id: str
    spend: float
    previous_spend: float
    max_budget: float | None


class TeamMemberResetBudgetResponse(Answer):
    """The budget that a member was put back on."""

    team_id: str
    user_id: str
    budget_id: str | None
    previous_budget_id: str | None
    budget_source: Literal["team_default", "custom", "none"]


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


class TeamMemberAddResult(Answer):
    """What became of one of many."""

    user_id: str | None = None
    user_email: str | None = None
    success: bool
    error: str | None = None
    updated_user: dict[str, Any] | None = None
    updated_team_membership: dict[str, Any] | None = None


class BulkTeamMemberAddResponse(Answer):
    """What became of each, and the team after it."""

    team_id: str
    results: list[TeamMemberAddResult]
    total_requested: int
    successful_additions: int
    failed_additions: int
    updated_team: dict[str, Any] | None = None


class TeamUserSpendRow(Answer):
    """One user within a team."""

    team_id: str
    team_alias: str | None = None
    user_id: str
    user_email: str | None = None
    user_alias: str | None = None
    spend: float
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    api_requests: int
    successful_requests: int
    failed_requests: int


class TeamUserSpendResponse(Answer):
    """Spend of users within teams."""

    start_date: str
    end_date: str
    results: list[TeamUserSpendRow]


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
