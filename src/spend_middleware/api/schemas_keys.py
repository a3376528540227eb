"""What the routes of keys take: LiteLLM's fields."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from spend_middleware.api.schemas_entities import BudgetWindow, Count, Name, Question, Text, Usd

LimitType = Literal["guaranteed_throughput", "best_effort_throughput", "dynamic"]


class KeyFields(Question):
    """What can be said of a key when it is made and when it is changed; None leaves a value empty."""

    key_alias: Name | None = Field(None, description="A name for the key; no two keys share one.")
    duration: Text | None = Field(None, description="How long the key is valid, such as 30d; empty for ever.")
    models: list[Text] | None = Field([], description="The models that it may call; stored and shown.")
    spend: Usd | None = Field(None, description="What counts against the key already.")
    max_budget: Usd | None = Field(None, description="USD that it may spend in a window.")
    user_id: Name | None = Field(None, description="The user who owns it.")
    team_id: Name | None = Field(None, description="The team that it belongs to.")
    agent_id: Name | None = None
    max_parallel_requests: Count | None = None
    metadata: dict[str, Any] | None = Field(
        {},
        description="Free; `tags` in it become tags of every call, `spend_logs_metadata` its key/value pairs.",
    )
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    tpd_limit: Count | None = None
    budget_duration: Text | None = Field(None, description="How long a window is, such as 30d.")
    budget_limits: list[BudgetWindow] | None = None
    allowed_cache_controls: list[Text] | None = Field([])
    config: dict[str, Any] | None = Field({})
    permissions: dict[str, Any] | None = Field(
        {}, description="`get_spend_routes: true` lets the key read everybody's spend."
    )
    model_max_budget: dict[str, Any] | None = Field({})
    budget_fallbacks: dict[str, Any] | None = None
    blocked: bool | None = None
    aliases: dict[str, Any] | None = Field({})
    object_permission: dict[str, Any] | None = None
    budget_id: Name | None = Field(None, description="A budget made by /budget/new.")
    allowed_routes: list[Text] | None = Field([], description="The only routes that it may call.")
    organization_id: Name | None = None
    project_id: Name | None = None
    access_group_ids: list[Text] | None = None
    router_settings: dict[str, Any] | None = None
    auto_rotate: bool | None = None
    rotation_interval: Text | None = None
    # LiteLLM keeps the following in `metadata`; so do we.
    tags: list[Text] | None = Field(None, description="Default tags of every call; kept as metadata.tags.")
    guardrails: list[Text] | None = None
    policies: list[Text] | None = None
    prompts: list[Text] | None = None
    enforced_params: list[Text] | None = None
    model_rpm_limit: dict[str, Any] | None = None
    model_tpm_limit: dict[str, Any] | None = None
    mcp_rpm_limit: dict[str, Any] | None = None
    tag_rpm_limit: dict[str, Any] | None = None
    default_estimated_output_tokens: Count | None = None
    default_estimated_output_tokens_per_model: dict[str, Any] | None = None
    end_user_budget_id: Name | None = None
    disable_global_guardrails: bool | None = None
    enable_prompt_caching: bool | None = None
    throttle_on_budget_exceeded: bool | None = None
    allowed_passthrough_routes: list[Any] | None = None
    denied_passthrough_routes: list[Text] | None = None
    allowed_vector_store_indexes: list[dict[str, Any]] | None = None
    rpm_limit_type: LimitType | None = None
    tpm_limit_type: LimitType | None = None


IN_METADATA = frozenset(
    [
        "tags",
        "guardrails",
        "prompts",
        "enforced_params",
        "model_rpm_limit",
        "model_tpm_limit",
        "mcp_rpm_limit",
        "tag_rpm_limit",
        "default_estimated_output_tokens",
        "default_estimated_output_tokens_per_model",
        "end_user_budget_id",
        "disable_global_guardrails",
        "enable_prompt_caching",
        "throttle_on_budget_exceeded",
        "allowed_passthrough_routes",
        "denied_passthrough_routes",
        "allowed_vector_store_indexes",
        "rpm_limit_type",
        "tpm_limit_type",
        "temp_budget_increase",
        "temp_budget_expiry",
    ]
)
"""Fields that are kept as entries of `metadata`."""


class _NewKeyFields(KeyFields):
    key_type: Literal["llm_api", "management", "read_only", "default"] | None = "default"
    auto_rotate: bool | None = False
    soft_budget: Usd | None = Field(None, description="USD from which on the owner is warned.")
    send_invite_email: bool | None = Field(None, description="Accepted; no e-mail is sent.")


class GenerateKeyRequest(_NewKeyFields):
    """A key to be made; every field may be left out."""

    key: Text | None = Field(
        None, description="A key of your own: it starts with sk- and has 16 characters or more."
    )
    spend: Usd | None = Field(0, description="What counts against the key already.", validate_default=False)  # type: ignore[assignment]


class UpdateKeyRequest(KeyFields):
    """A key to be changed, by itself, its hash or its alias: fields that are left out keep their value."""

    key: Text | None = Field(None, description="The key or its hash; key_alias names it otherwise.")
    metadata: dict[str, Any] | None = None
    soft_budget: Usd | None = Field(None, description="USD from which on the owner is warned.")
    temp_budget_increase: Usd | None = Field(None, description="Kept as metadata; together with its expiry.")
    temp_budget_expiry: datetime | None = None

    @model_validator(mode="after")
    def _names_a_key(self) -> Self:
        if self.key is None and self.key_alias is None:
            raise ValueError("either key or key_alias must be provided")
        if (self.temp_budget_increase is None) is not (self.temp_budget_expiry is None):
            raise ValueError("temp_budget_increase and temp_budget_expiry must be set together")
        return self


class RegenerateKeyRequest(_NewKeyFields):
    """What changes along with the secret."""

    key: Text | None = Field(None, description="The key or its hash, where the path does not name it.")
    new_key: Text | None = Field(None, description="The new secret; made here when it is left out.")
    metadata: dict[str, Any] | None = None
    grace_period: Text | None = Field(None, description="Accepted; the old secret is refused at once.")
    new_master_key: Text | None = Field(
        None, description="Refused: the master key is a setting of the service."
    )


class KeyRequest(Question):
    """Keys to be deleted, by key, hash or alias."""

    keys: list[Text] | None = None
    key_aliases: list[Text] | None = None

    @model_validator(mode="after")
    def _names_keys(self) -> Self:
        if not self.keys and not self.key_aliases:
            raise ValueError("At least one of 'keys' or 'key_aliases' must be provided.")
        return self


class BulkUpdateKeyRequestItem(Question):
    """One key of many that change."""

    key: Text
    budget_id: Name | None = None
    max_budget: Usd | None = None
    team_id: Name | None = None
    tags: list[Text] | None = None
    object_permission: dict[str, Any] | None = None


class BulkUpdateKeyRequest(Question):
    """Keys that change, each as it says."""

    keys: list[BulkUpdateKeyRequestItem]


class KeyUpdateFields(KeyFields):
    """What changes in all keys that are named."""

    metadata: dict[str, Any] | None = None


class BulkUpdateTeamKeysRequest(Question):
    """Keys of one team that change in the same way."""

    team_id: Name
    key_ids: list[Text] | None = Field(None, description="Keys or their hashes.")
    all_keys_in_team: bool = False
    update_fields: KeyUpdateFields


class BlockKeyRequest(Question):
    """A key, or its hash, to be blocked or unblocked."""

    key: Text


class ResetSpendRequest(Question):
    """The amount that counts from now on."""

    reset_to: Usd
