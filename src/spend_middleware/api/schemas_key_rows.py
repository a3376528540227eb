"""What the routes of keys answer, field for field as LiteLLM's."""

from typing import Any

from spend_middleware.api.schemas import Answer
from spend_middleware.api.schemas_entities import BudgetRow, Map, Names


class DeletedKeys(Answer):
    """The keys that were deleted, as they were named in the request."""

    deleted_keys: list[str]


class KeyReset(Answer):
    """What counts against a key now, and before."""

    key_hash: str
    spend: float
    previous_spend: float
    max_budget: float | None
    budget_reset_at: str | None


class KeyHealthResponse(Answer):
    """Whether the caller's key works."""

    key: str
    logging_callbacks: Any = None


class _Asked(Answer):
    """What can be asked for a key, and every answer about one repeats."""

    key_name: str | None = None
    key_alias: str | None = None
    spend: float = 0.0
    expires: str | None = None
    models: Names
    aliases: Map
    config: Map
    user_id: str | None = None
    team_id: str | None = None
    agent_id: str | None = None
    project_id: str | None = None
    permissions: Map
    max_parallel_requests: int | None = None
    metadata: Map
    blocked: bool | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    tpd_limit: int | None = None
    max_budget: float | None = None
    budget_duration: str | None = None
    allowed_cache_controls: Names
    allowed_routes: Names
    key_type: str | None = None
    access_group_ids: Names
    model_max_budget: Map
    budget_fallbacks: Map
    budget_id: str | None = None
    created_by: str | None = None
    updated_by: str | None = None
    budget_limits: Any = None
    litellm_budget_table: BudgetRow | None = None
    object_permission: Any = None


class _Stored(_Asked):
    """What comes to a key while it is used."""

    soft_budget_cooldown: bool = False
    total_spend: float = 0.0
    router_settings: Map
    budget_reset_at: str | None = None
    model_spend: Map
    object_permission_id: str | None = None
    created_at: str
    updated_at: str
    settings_updated_at: str | None = None
    last_active: str | None = None
    rotation_count: int = 0
    auto_rotate: bool = False
    rotation_interval: str | None = None
    last_rotation_at: str | None = None
    key_rotation_at: str | None = None


class KeyColumns(_Stored):
    """All columns of a key but its hash."""

    policies: Names
    organization_id: str | None = None
    litellm_organization_table: Any = None
    litellm_project_table: Any = None
    jwt_key_mappings: Any = None


class KeyRow(KeyColumns):
    """All columns of a key."""

    token: str


class KeyUpdated(KeyRow):
    """A key after its change; `key` is the key as it was named in the request."""

    key: str


class KeyInfoRow(KeyColumns):
    """All columns of a key but its hash, and how it stands."""

    status: str


class KeyInfo(Answer):
    """A key by its hash or as it was named, and its columns."""

    key: str
    info: KeyInfoRow


class KeyBlocked(_Stored):
    """A key as /key/block shows it."""

    token: str
    org_id: str | None = None


class KeyObject(KeyBlocked):
    """A key as /key/list shows it in full."""

    team_spend: float | None = None
    team_alias: str | None = None
    team_tpm_limit: int | None = None
    team_rpm_limit: int | None = None
    team_tpd_limit: int | None = None
    team_max_budget: float | None = None
    team_soft_budget: float | None = None
    team_model_max_budget: Any = None
    team_models: Names
    team_blocked: bool = False
    soft_budget: float | None = None
    team_model_aliases: Any = None
    team_member: Any = None
    team_metadata: Any = None
    team_object_permission_id: Any = None
    team_member_spend: float | None = None
    team_member_tpm_limit: Any = None
    team_member_rpm_limit: Any = None
    end_user_id: Any = None
    end_user_tpm_limit: Any = None
    end_user_rpm_limit: Any = None
    end_user_tpd_limit: Any = None
    end_user_max_budget: float | None = None
    end_user_model_max_budget: Any = None
    organization_alias: str | None = None
    organization_max_budget: float | None = None
    organization_tpm_limit: Any = None
    organization_rpm_limit: Any = None
    organization_metadata: Any = None
    project_alias: Any = None
    project_metadata: Any = None
    last_refreshed_at: Any = None
    api_key: str | None = None
    user_role: str | None = None
    allowed_model_region: str | None = None
    parent_otel_span: Any = None
    rpm_limit_per_model: Any = None
    tpm_limit_per_model: Any = None
    user_tpm_limit: int | None = None
    user_rpm_limit: int | None = None
    user_email: str | None = None
    user_spend: float | None = None
    user_max_budget: float | None = None
    user_model_max_budget: Any = None
    request_route: Any = None
    is_session_token: bool = False
    user: str | None = None
    created_by_user: Any = None
    end_user_object_permission: Any = None
    team_object_permission: Any = None
    jwt_claims: Any = None


class KeyListResponseObject(Answer):
    """One page of keys: hashes, or whole keys with return_full_object=true."""

    keys: list[str | KeyObject]
    total_count: int
    current_page: int
    total_pages: int


class KeyAliases(Answer):
    """One page of the aliases of keys."""

    aliases: list[str]
    total_count: int
    current_page: int
    total_pages: int
    size: int


class SuccessfulKeyUpdate(Answer):
    """One key that was changed."""

    key: str
    key_info: dict[str, Any]


class FailedKeyUpdate(Answer):
    """One key that was not, and why."""

    key: str
    key_info: dict[str, Any] | None = None
    failed_reason: str


class BulkUpdateKeyResponse(Answer):
    """What became of each key."""

    total_requested: int
    successful_updates: list[SuccessfulKeyUpdate]
    failed_updates: list[FailedKeyUpdate]


class GenerateKeyResponse(_Asked):
    """A new key: what was asked for, and the key itself, which is shown this once."""

    duration: str | None = None
    model_rpm_limit: Any = None
    model_tpm_limit: Any = None
    mcp_rpm_limit: Any = None
    tag_rpm_limit: Any = None
    guardrails: Any = None
    policies: list[str] | None = None
    prompts: Any = None
    key: str
    default_estimated_output_tokens: Any = None
    default_estimated_output_tokens_per_model: Any = None
    end_user_budget_id: str | None = None
    tags: list[str] | None = None
    disable_global_guardrails: Any = None
    enable_prompt_caching: Any = None
    throttle_on_budget_exceeded: Any = None
    enforced_params: Any = None
    allowed_passthrough_routes: Any = None
    denied_passthrough_routes: Any = None
    allowed_vector_store_indexes: Any = None
    rpm_limit_type: str | None = None
    tpm_limit_type: str | None = None
    router_settings: dict[str, Any] | None = None
    token_id: str | None = None
    organization_id: str | None = None
    token: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
