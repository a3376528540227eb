"""What the routes of internal users take and answer, field for field as LiteLLM's."""

from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import (
    BudgetWindow,
    Count,
    Map,
    Name,
    Names,
    Question,
    Text,
    Usd,
)
from spend_middleware.api.schemas_key_rows import GenerateKeyResponse, KeyRow

Role = Literal["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"]


class UserFields(Question):
    """What can be said of a user when it is made and when it is changed."""

    user_email: Name | None = Field(None, description="No two users share one.")
    user_alias: Text | None = None
    user_role: Role | None = Field(
        None, description="What the user may do; internal_user_viewer when left out."
    )
    spend: Usd | None = None
    max_budget: Usd | None = Field(
        None, description="USD that the user's keys may spend together in a window."
    )
    budget_duration: Text | None = Field(None, description="How long a window is, such as 30d.")
    budget_limits: list[BudgetWindow] | None = None
    models: list[Text] | None = Field([])
    metadata: dict[str, Any] | None = None
    agent_id: Name | None = None
    team_id: Name | None = Field(None, description="A team that the user is put into.")
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    max_parallel_requests: Count | None = None
    sso_user_id: Name | None = None
    organization_id: Name | None = None
    allowed_cache_controls: list[Text] | None = Field([])
    model_max_budget: dict[str, Any] | None = Field({})
    budget_fallbacks: dict[str, Any] | None = None
    object_permission: dict[str, Any] | None = None
    policies: list[Text] | None = None
    password: Text | None = Field(None, description="Accepted and not kept: nobody logs in here.")
    # What only a proxy acts on; kept as entries of `metadata`, as LiteLLM does.
    model_rpm_limit: dict[str, Any] | None = None
    model_tpm_limit: dict[str, Any] | None = None
    mcp_rpm_limit: dict[str, Any] | None = None
    tag_rpm_limit: dict[str, Any] | None = None
    guardrails: list[Text] | None = None
    prompts: list[Text] | None = None
    # Of the key that is made along with a user.
    aliases: dict[str, Any] | None = Field({})
    config: dict[str, Any] | None = Field({})
    permissions: dict[str, Any] | None = Field({})
    blocked: bool | None = None
    duration: Text | None = None
    key_alias: Name | None = None


USER_METADATA = frozenset(
    ["model_rpm_limit", "model_tpm_limit", "mcp_rpm_limit", "tag_rpm_limit", "guardrails", "prompts"]
)
"""Fields that are kept as entries of `metadata`."""


class TeamOfUser(Question):
    """A team that a new user is put into."""

    team_id: Name
    user_role: Literal["admin", "user"] = "user"
    max_budget_in_team: Usd | None = None


class NewUserRequest(UserFields):
    """A user to be made; every field may be left out."""

    user_id: Name | None = Field(None, description="Made here when it is left out.")
    spend: Usd | None = Field(0, description="What counts against the user already.")  # type: ignore[assignment]
    metadata: dict[str, Any] | None = Field({})
    teams: list[Name | TeamOfUser] | None = None
    auto_create_key: bool = Field(True, description="Make a key for the user too; the answer shows it once.")
    organizations: list[Name] | None = None
    send_invite_email: bool | None = Field(None, description="Accepted; no e-mail is sent.")


class UpdateUserRequest(UserFields):
    """A user to be changed, by id or by e-mail address: fields that are left out keep their value."""

    user_id: Name | None = None


class BulkUpdateUserRequest(Question):
    """Users that change: each as it says, or all in the same way."""

    users: list[UpdateUserRequest] | None = None
    all_users: bool | None = False
    user_updates: UserFields | None = None


class UserUpdateResult(Answer):
    """What became of one of many."""

    user_id: str | None = None
    user_email: str | None = None
    success: bool
    error: str | None = None
    updated_user: dict[str, Any] | None = None


class BulkUpdateUserResponse(Answer):
    """What became of each."""

    results: list[UserUpdateResult]
    total_requested: int
    successful_updates: int
    failed_updates: int


class DeleteUserRequest(Question):
    """Users to be deleted, with their keys."""

    user_ids: list[Name] = Field(min_length=1, max_length=1000)


class UserColumns(Answer):
    """The columns of a user."""

    user_id: str
    user_alias: str | None = None
    team_id: str | None = None
    sso_user_id: str | None = None
    organization_id: str | None = None
    object_permission_id: str | None = None
    password_reset_required: Any = None
    last_breach_check_at: Any = None
    teams: Names
    user_role: str | None = None
    max_budget: float | None = None
    spend: float = 0.0
    user_email: str | None = None
    models: Names
    metadata: Map
    max_parallel_requests: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    budget_duration: str | None = None
    budget_reset_at: str | None = None
    allowed_cache_controls: Names
    policies: Names
    model_spend: Map
    model_max_budget: Map
    created_at: str
    updated_at: str


class UserMember(UserColumns):
    """A user as /team/member_add shows it."""

    organization_memberships: Any = None
    object_permission: Any = None


class UserListed(UserMember):
    """A user as /user/list shows it."""

    key_count: int = 0


class _Subjects(Answer):
    verified_subjects: Any = None


class UserRow(UserColumns, _Subjects):
    """A user with all its columns; the relations are never filled."""

    litellm_organization_table: Any = None
    organization_memberships: Any = None
    invitations_created: Any = None
    invitations_updated: Any = None
    invitations_user: Any = None
    object_permission: Any = None


class UserWithAliases(Answer):
    """A user as /spend/users shows it among all: columns only, and how its keys are called."""

    user_id: str
    user_alias: str | None = None
    team_id: str | None = None
    sso_user_id: str | None = None
    organization_id: str | None = None
    teams: Names
    user_role: str | None = None
    max_budget: float | None = None
    spend: float = 0.0
    user_email: str | None = None
    models: Names
    metadata: Map
    max_parallel_requests: int | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    budget_duration: str | None = None
    budget_reset_at: str | None = None
    allowed_cache_controls: Names
    model_spend: Map
    model_max_budget: Map
    created_at: str
    updated_at: str
    object_permission_id: str | None = None
    policies: Names
    password_reset_required: Any = None
    last_breach_check_at: Any = None
    key_aliases: list[str | None] = Field(default_factory=list)


class UserInfoRow(UserRow):
    """A user as /user/info shows it."""

    model_max_budget_usage: Map


class UserUpdated(Answer):
    """A user after its change."""

    user_id: str
    data: UserRow


class KeyOfUser(KeyRow):
    """A key with the name of its team."""

    team_alias: str | None = None


class UserInfoResponse(Answer):
    """A user with its keys and teams; no user where the master key asks about itself."""

    user_id: str | None
    user_info: UserInfoRow | None
    keys: list[KeyOfUser]
    teams: list[dict[str, Any]]


class UserInfoV2Response(Answer):
    """A user without its keys."""

    user_id: str
    user_email: str | None = None
    user_alias: str | None = None
    user_role: str | None = None
    spend: float = 0.0
    max_budget: float | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    models: Names
    budget_duration: str | None = None
    budget_reset_at: str | None = None
    metadata: Map
    created_at: str | None = None
    updated_at: str | None = None
    sso_user_id: str | None = None
    teams: Names
    object_permission: Any = None
    model_max_budget: Map
    model_max_budget_usage: Map


class UserListResponse(Answer):
    """One page of users."""

    users: list[UserListed]
    total: int
    page: int
    page_size: int
    total_pages: int


class NewUserResponse(GenerateKeyResponse):
    """A new user and the key that was made with it; `key` is null when none was asked for."""

    key: str | None = None  # type: ignore[assignment]
    user_email: str | None = None
    user_role: str | None = None
    teams: list[str] | None = None
    user_alias: str | None = None
