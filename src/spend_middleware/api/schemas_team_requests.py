"""What the routes of teams take: LiteLLM's fields."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas_entities import BudgetWindow, Count, Name, Question, Text, Usd
from spend_middleware.store.zones import moment_of


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
    budget_limits: list[BudgetWindow] | None = None
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    tpd_limit: Count | None = None
    max_parallel_requests: Count | None = None
    blocked: bool | None = None
    tags: list[Text] | None = Field(None, description="Kept as metadata.tags.")
    team_member_budget: Usd | None = Field(None, description="USD that each member may spend in the team.")
    team_member_budget_duration: Text | None = None
    team_member_rpm_limit: Count | None = None
    team_member_tpm_limit: Count | None = None
    model_max_budget: dict[str, Any] | None = None
    router_settings: dict[str, Any] | None = None
    access_group_ids: list[Text] | None = None
    policies: list[Text] | None = None
    default_team_member_models: list[Text] | None = None
    object_permission: dict[str, Any] | None = None
    # What only a proxy acts on; kept as entries of `metadata`, as LiteLLM does.
    guardrails: list[Text] | None = None
    prompts: list[Text] | None = None
    model_aliases: dict[str, Any] | None = None
    allowed_passthrough_routes: list[Any] | None = None
    denied_passthrough_routes: list[Text] | None = None
    disable_global_guardrails: bool | None = None
    secret_manager_settings: dict[str, Any] | None = None
    model_rpm_limit: dict[str, Any] | None = None
    model_tpm_limit: dict[str, Any] | None = None
    mcp_rpm_limit: dict[str, Any] | None = None
    default_estimated_output_tokens: Count | None = None
    default_estimated_output_tokens_per_model: dict[str, Any] | None = None
    team_member_key_duration: Text | None = None
    allowed_vector_store_indexes: list[dict[str, Any]] | None = None
    enforced_batch_output_expires_after: dict[str, Any] | None = None
    enforced_file_expires_after: dict[str, Any] | None = None


IN_METADATA = frozenset(
    [
        "tags",
        "guardrails",
        "prompts",
        "model_aliases",
        "allowed_passthrough_routes",
        "denied_passthrough_routes",
        "disable_global_guardrails",
        "secret_manager_settings",
        "model_rpm_limit",
        "model_tpm_limit",
        "mcp_rpm_limit",
        "default_estimated_output_tokens",
        "default_estimated_output_tokens_per_model",
        "team_member_key_duration",
        "allowed_vector_store_indexes",
        "enforced_batch_output_expires_after",
        "enforced_file_expires_after",
        "rpm_limit_type",
        "tpm_limit_type",
    ]
)
"""Fields that are kept as entries of `metadata`."""


Throughput = Literal["guaranteed_throughput", "best_effort_throughput"]


class NewTeamRequest(TeamFields):
    """A team to be made; every field may be left out."""

    team_id: Name | None = Field(None, description="Made here when it is left out.")
    members_with_roles: list[Member] = Field([], max_length=1000)
    admins: list[Text] | None = Field([])
    members: list[Text] | None = Field([])
    models: list[Text] | None = Field([])
    blocked: bool | None = False
    team_member_permissions: list[Text] | None = None
    rpm_limit_type: Throughput | None = None
    tpm_limit_type: Throughput | None = None


class UpdateTeamRequest(TeamFields):
    """A team to be changed: fields that are left out keep their value."""

    team_id: Name
    team_member_permissions: list[Text] | None = None


class PatchTeamRequest(TeamFields):
    """A team to be changed that the path names."""

    team_id: Name | None = Field(None, description="The same as in the path, or left out.")


class TeamModelAddRequest(Question):
    """Models that a team may call from now on."""

    team_id: Name
    models: list[Text]


class TeamModelDeleteRequest(Question):
    """Models that a team may no longer call."""

    team_id: Name
    models: list[Text]


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
    budget_duration: Text | None = Field(None, description="How long a window is, such as 30d.")
    allowed_models: list[Text] | None = None


class BulkTeamMemberAddRequest(Question):
    """Many people, or everybody, to be put into a team."""

    team_id: Name
    members: list[Member] | None = None
    all_users: bool | None = False
    max_budget_in_team: Usd | None = None


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
    temp_budget_increase: Usd | None = None
    temp_budget_expiry: datetime | None = None

    def expiry(self) -> int | None:
        """Return when the temporary increase ends, in microseconds since the epoch."""
        at = self.temp_budget_expiry
        return None if at is None else moment_of(at)


class TeamMemberDeleteRequest(Question):
    """A member to be taken out of a team."""

    team_id: Name
    user_id: Name | None = None
    user_email: Name | None = None
