"""What the routes of keys take: LiteLLM's fields."""

from typing import Any, Literal

from pydantic import Field

from spend_middleware.api.schemas_entities import Count, Name, Question, Text, Usd


class BudgetWindow(Question):
    """One of several budgets of a key, each with its own duration."""

    budget_duration: Text
    max_budget: Usd


class KeyFields(Question):
    """What can be said of a key when it is made and when it is changed; None leaves a value empty."""

    key_alias: Name | None = Field(None, description="A name for the key; no two keys share one.")
    duration: Text | None = Field(None, description="How long the key is valid, such as 30d; empty for ever.")
    models: list[Text] | None = Field(None, description="The models that it may call; stored and shown.")
    spend: Usd | None = Field(None, description="What counts against the key already.")
    max_budget: Usd | None = Field(None, description="USD that it may spend in a window.")
    user_id: Name | None = Field(None, description="The user who owns it.")
    team_id: Name | None = Field(None, description="The team that it belongs to.")
    agent_id: Name | None = None
    max_parallel_requests: Count | None = None
    metadata: dict[str, Any] | None = Field(
        None,
        description="Free; `tags` in it become tags of every call, `spend_logs_metadata` its key/value pairs.",
    )
    tpm_limit: Count | None = None
    rpm_limit: Count | None = None
    tpd_limit: Count | None = None
    budget_duration: Text | None = Field(None, description="How long a window is, such as 30d.")
    budget_limits: list[BudgetWindow] | None = None
    allowed_cache_controls: list[Text] | None = None
    config: dict[str, Any] | None = None
    permissions: dict[str, Any] | None = Field(
        None, description="`get_spend_routes: true` lets the key read everybody's spend."
    )
    model_max_budget: dict[str, Any] | None = None
    budget_fallbacks: dict[str, Any] | None = None
    blocked: bool | None = None
    aliases: dict[str, Any] | None = None
    object_permission: dict[str, Any] | None = None
    budget_id: Name | None = Field(None, description="A budget made by /budget/new.")
    allowed_routes: list[Text] | None = Field(None, description="The only routes that it may call.")
    key_type: Literal["llm_api", "management", "read_only", "default"] | None = None
    organization_id: Name | None = None
    project_id: Name | None = None
    access_group_ids: list[Text] | None = None
    router_settings: dict[str, Any] | None = None
    auto_rotate: bool | None = None
    rotation_interval: Text | None = None
    # LiteLLM keeps the following in `metadata`; so do we.
    tags: list[Text] | None = Field(None, description="Default tags of every call; kept as metadata.tags.")
    guardrails: list[Any] | None = None
    policies: list[Text] | None = None
    prompts: list[Any] | None = None
    enforced_params: list[Any] | None = None
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
    denied_passthrough_routes: list[Any] | None = None
    allowed_vector_store_indexes: list[Any] | None = None
    rpm_limit_type: Text | None = None
    tpm_limit_type: Text | None = None


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
    ]
)
"""Fields that are kept as entries of `metadata`."""


class GenerateKeyRequest(KeyFields):
    """A key to be made; every field may be left out."""

    key: Text | None = Field(
        None, description="A key of your own: it starts with sk- and has 16 characters or more."
    )
    soft_budget: Usd | None = Field(None, description="USD from which on the owner is warned.")


class UpdateKeyRequest(KeyFields):
    """A key to be changed: fields that are left out keep their value."""

    key: Text = Field(description="The key or its hash.")


class RegenerateKeyRequest(KeyFields):
    """What changes along with the secret."""

    key: Text | None = Field(None, description="The key or its hash, where the path does not name it.")
    new_key: Text | None = Field(None, description="The new secret; made here when it is left out.")
    soft_budget: Usd | None = None
    grace_period: Text | None = Field(None, description="Accepted; the old secret is refused at once.")
    new_master_key: Text | None = Field(
        None, description="Refused: the master key is a setting of the service."
    )


class KeyRequest(Question):
    """Keys to be deleted, by key, hash or alias."""

    keys: list[Text] | None = None
    key_aliases: list[Text] | None = None


class BlockKeyRequest(Question):
    """A key, or its hash, to be blocked or unblocked."""

    key: Text


class ResetSpendRequest(Question):
    """The amount that counts from now on."""

    reset_to: Usd
