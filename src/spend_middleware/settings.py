"""Every knob of the package in one object; read in `spend` and `cli` only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All knobs, each also an environment variable `SPEND_<NAME>` (lists and maps as JSON)."""

    model_config = SettingsConfigDict(env_prefix="SPEND_", extra="forbid", populate_by_name=True, frozen=True)

    # -- the database and the journal
    database_url: str = Field(
        "sqlite:///spend.db",
        validation_alias=AliasChoices("database_url", "SPEND_DATABASE_URL", "DATABASE_URL"),
        description="Where rows go: sqlite:///file, sqlite:// (memory) or postgresql://...",
    )
    reports_url: str | None = Field(
        None, description="A read replica for reports; the database itself when None."
    )
    database_schema: str | None = Field(None, description="The PostgreSQL schema of our tables.")
    auto_migrate: bool = Field(True, description="Create and upgrade our tables at start.")
    journal_dir: Path | None = Field(
        None, description="Folder of the journal; beside the SQLite file when None."
    )
    journal_sync: Literal["off", "always"] | float = Field(
        "off",
        description="When records are forced to disk: off (survives kill -9), always, or every N seconds.",
    )
    journal_max_bytes: int = Field(1 << 30, gt=0, description="Beyond this the journal refuses new records.")
    journal_marks: bool = Field(
        True, description="Mark a call when it goes out, so that a killed process leaves a row."
    )
    batch_size: int = Field(
        2000, ge=1, le=10_000, description="Rows a transaction; while more wait, twice as many."
    )
    batch_seconds: float = Field(0.5, gt=0, description="How long a row waits for others, at most.")
    retention_days: int | None = Field(
        None, ge=1, description="Rows older than this are deleted; totals stay."
    )
    report_timezones: tuple[str, ...] = Field((), description="Zones besides UTC whose days are rolled up.")
    report_seconds: float = Field(60.0, gt=0, description="How long a report may read before it is given up.")
    timezone: str = Field("UTC", description="The zone of days in reports when none is asked for.")
    hot_row_slots: int = Field(1, ge=1, le=64, description="Slots that writers spread hot rollup rows over.")

    # -- who may read and write through the routes
    master_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("master_key", "SPEND_MASTER_KEY", "LITELLM_MASTER_KEY"),
        description="The key of the administrator; without one every route is closed.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks whose X-Forwarded-For is believed."
    )

    strict_compat: bool = Field(
        False, description="/spend/logs leaves out the end day, but for its first instant, as LiteLLM does."
    )

    max_budget: float = Field(
        0.0,
        ge=0,
        description="USD in 30 days that /global/spend shows as the whole budget; nothing is stopped by it.",
    )

    # -- who a call is for
    trust_client_headers: bool = Field(False, description="Believe x-litellm-* headers of inbound requests.")
    max_tags: int = Field(
        64, ge=1, description="Tags kept of one call; further ones are dropped and counted."
    )
    max_tag_length: int = Field(256, ge=1, description="Characters kept of one tag; the rest is cut.")
    extra_spend_tag_headers: tuple[str, ...] = Field(
        (), description="Inbound headers that become tags 'name: value'."
    )
    user_agent_tags: bool = Field(False, description="Add 'User-Agent: ...' tags from inbound requests.")
    user_header_name: str | None = Field(None, description="Inbound header that holds the end user.")
    user_header_mappings: tuple[dict[str, str], ...] = Field(
        (), description="LiteLLM's list of {header_name, litellm_user_role: customer | internal_user}."
    )
    hash_end_users: bool = Field(False, description="Store sha256 of the end user in place of the name.")
    disable_end_user_cost_tracking: bool = Field(False, description="Store no end user at all.")

    # -- prices
    base_models: dict[str, str] = Field(
        default_factory=dict,
        description="'host/deployment', 'deployment' or alias -> the model whose price counts.",
    )
    providers: dict[str, str] = Field(
        default_factory=dict,
        description="Host, or host and path prefix -> provider name, for hosts of your own.",
    )
    local_model_cost_map: bool = Field(
        False,
        validation_alias=AliasChoices(
            "local_model_cost_map", "SPEND_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_MODEL_COST_MAP"
        ),
        description="True: bundled prices only, whatever model_cost_map_url says.",
    )
    model_cost_map_url: str | None = Field(
        None,
        validation_alias=AliasChoices(
            "model_cost_map_url", "SPEND_MODEL_COST_MAP_URL", "LITELLM_MODEL_COST_MAP_URL"
        ),
        description="A file path, file:// or https:// of a price map in LiteLLM's format; never fetched by default.",
    )
    model_prices: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Your own prices: model -> LiteLLM's price fields."
    )
    cost_discount_config: dict[str, float] = Field(
        default_factory=dict, description="provider -> share off, 0 to 1."
    )
    cost_margin_config: dict[str, float | dict[str, float]] = Field(
        default_factory=dict, description="provider or 'global' -> share, or {percentage, fixed_amount}."
    )

    # -- the wire
    include_stream_usage: bool = Field(
        False, description="Ask for usage in streams where the provider allows it."
    )
    estimate_missing_usage: bool = Field(
        True, description="Count tokens ourselves where a provider sent no usage."
    )
    batch_result_files: bool = Field(
        False,
        description="Bill batches of Mistral, Groq and Gemini by the files of their results, when those are read.",
    )
    max_body_bytes: int = Field(
        16 << 20, gt=0, description="Of larger bodies only the two ends are kept for reading."
    )

    # -- what is shown
    spans: bool = Field(
        True, description="Make an OpenTelemetry span and metrics for each call when a provider is set up."
    )
    response_headers: bool = Field(True, description="Set x-litellm-* headers on answers.")

    @field_validator("timezone", "report_timezones")
    @classmethod
    def _zones_exist(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(
                    f"{name!r} is not a time zone: use an IANA name such as 'UTC' or 'Europe/Berlin'"
                ) from None
        return value

    @property
    def books(self) -> object:
        """What names the database and is the same for all who write to it; None for one in memory, which is its own."""
        path = self.database_url.partition(":")[2].strip("/")
        in_memory = not path or ":memory:" in path or "mode=memory" in path or "memdb" in path
        return None if in_memory else (self.database_url, self.database_schema)
