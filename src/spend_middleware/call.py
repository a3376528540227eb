"""The values that travel down the house: Usage, Charge, Cost, Call, Attribution."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec import Struct

PICO = 12
"""Money is kept in whole pico-dollars: 1 USD = 10**12."""

# Wide enough for 9.2 million dollars at any price that a vendor has quoted, so that sums of parts stay exact.
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

_ONE = Decimal(1)


def to_pico(amount: Decimal) -> int:
    """Return a USD amount as whole pico-dollars, rounded once, half to even."""
    scaled = EXACT.scaleb(amount, PICO)
    whole = int(scaled)
    return whole if whole == scaled else int(EXACT.quantize(scaled, _ONE))


def from_pico(pico: int) -> Decimal:
    """Return whole pico-dollars as an exact USD amount."""
    return EXACT.scaleb(Decimal(pico), -PICO)


class UsageSource(StrEnum):
    """Where the counts of a call come from."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    NONE = "none"


class PricingStatus(StrEnum):
    """Where the cost of a call comes from."""

    PRICED = "priced"
    PROVIDER_REPORTED = "provider_reported"
    CUSTOM = "custom"
    FREE = "free"
    UNPRICED = "unpriced"


class Status(StrEnum):
    """How a call ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    ABORTED = "aborted"
    PENDING = "pending"
    INTERRUPTED = "interrupted"


class Unit(StrEnum):
    """Quantities other than tokens that a provider bills by; the keys of `Usage.units`."""

    INPUT_CHARACTERS = "input_characters"
    OUTPUT_CHARACTERS = "output_characters"
    INPUT_AUDIO_SECONDS = "input_audio_seconds"
    OUTPUT_AUDIO_SECONDS = "output_audio_seconds"
    INPUT_VIDEO_SECONDS = "input_video_seconds"
    OUTPUT_VIDEO_SECONDS = "output_video_seconds"
    INPUT_IMAGES = "input_images"
    OUTPUT_IMAGES = "output_images"
    OUTPUT_VIDEOS = "output_videos"
    PAGES = "pages"
    ANNOTATED_PAGES = "annotated_pages"
    OCR_CREDITS = "ocr_credits"
    QUERIES = "queries"
    SEARCH_UNITS = "search_units"
    SEARCH_RESULTS = "search_results"
    REQUESTS = "requests"
    CITATION_TOKENS = "citation_tokens"
    GUARDRAIL_UNITS = "guardrail_units"
    WALL_SECONDS = "wall_seconds"
    WEB_SEARCHES = "web_searches"
    WEB_PAGES_OPENED = "web_pages_opened"
    X_SEARCHES = "x_searches"
    MAPS_QUERIES = "maps_queries"
    FILE_SEARCHES = "file_searches"
    CODE_SESSIONS = "code_sessions"
    COMPUTER_USES = "computer_uses"


# Usage, Attribution and Call are made for every call on its caller's path, so they are structs of msgspec: made in a
# fifth of a dataclass's time, encoded for the journal as they are, and no work for the garbage collector.


class Usage(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What a provider says that one call used.

    `input_tokens` and `output_tokens` are inclusive: input holds cache reads, cache writes and tool-use prompts,
    output holds reasoning. Every other token count names a part of one of the two, so the disjoint meters that are
    priced can be derived (`pricing` does). None for a text count means that the provider gave no split.

    Args:
        input_tokens: All tokens in, cached and written ones too.
        output_tokens: All tokens out, reasoning too.
        cache_read_tokens: Of the input: read from a cache.
        cache_write_tokens: Of the input: written to a cache, whatever its lifetime.
        cache_write_1h_tokens: Of the cache writes: those with the longer lifetime, one hour at Anthropic (twelve at
            OpenAI).
        reasoning_tokens: Of the output: hidden reasoning.
        tool_input_tokens: Of the input: tokens that tools put into the prompt (Gemini).
        total_tokens: The provider's own total where it states one; only compared, never billed.
        units: Quantities other than tokens, by `Unit`.
        traits: What else decides a price, such as size, quality, resolution, steps, search_context_size,
            inference_geo, speed.
        passes: (model, usage) of further passes that another model answered inside the same call and that are
            billed at that model's price; their tokens are not in the fields above.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    tool_input_tokens: int = 0
    input_text_tokens: int | None = None
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    input_video_tokens: int = 0
    cache_read_text_tokens: int | None = None
    cache_read_audio_tokens: int = 0
    cache_read_image_tokens: int = 0
    cache_read_video_tokens: int = 0
    output_text_tokens: int | None = None
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    output_video_tokens: int = 0
    total_tokens: int | None = None
    units: Mapping[str, Decimal | int] = {}
    traits: Mapping[str, str] = {}
    passes: tuple[tuple[str, Usage], ...] = ()

    def overall(self, name: str) -> int:
        """Return one token count summed over this usage and its further passes."""
        own: int = getattr(self, name) or 0
        return own + sum(usage.overall(name) for _, usage in self.passes) if self.passes else own

    def as_dict(self) -> dict[str, Any]:
        """Return what is not empty, as JSON-able values, for storing."""
        counts = self.counts()
        out: dict[str, Any] = dict(compress(zip(USAGE_COUNTS, counts, strict=True), counts))
        if self.units:
            out["units"] = self.units_as_json()
        if self.traits:
            out["traits"] = dict(self.traits)
        if self.passes:
            out["passes"] = [[model, usage.as_dict()] for model, usage in self.passes]
        return out

    def counts(self) -> tuple[int | None, ...]:
        """Return the token counts in the order of `USAGE_COUNTS`."""
        counted: tuple[int | None, ...] = _counts_of(self)
        return counted

    def units_as_json(self) -> dict[str, int | str]:
        """Return the quantities as JSON-able values; a fraction is a text."""
        return {str(k): v if isinstance(v, int) else str(v) for k, v in self.units.items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Usage:
        """Return the usage that `as_dict` stored; unknown names are ignored."""
        known: dict[str, Any] = {k: v for k, v in stored.items() if k in USAGE_COUNTS}
        units = {k: v if isinstance(v, int) else Decimal(v) for k, v in (stored.get("units") or {}).items()}
        passes = tuple((model, cls.from_dict(usage)) for model, usage in stored.get("passes") or ())
        return cls(**known, units=units, traits=dict(stored.get("traits") or {}), passes=passes)


USAGE_COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in ("units", "traits", "passes"))
_counts_of = attrgetter(*USAGE_COUNTS)

NO_USAGE = Usage()


class Charge(NamedTuple):
    """One line of a cost: a meter, its quantity, the USD price of one unit, and the exact USD amount."""

    meter: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal


class Cost(NamedTuple):
    """What one call costs in USD, and why.

    Args:
        amount: The exact sum of the charges, rounded once to a pico-dollar; None when no price is known.
        status: Where the amount comes from.
        charges: The lines whose sum is the amount (list price lines stay even when a stated cost won).
        reason: Why the call is unpriced.
        price_key: The row of the price table that was used.
        price_version: The version of the price table that was used.
        list_amount: What the price table says, where a stated or a custom price won, or before discount and margin.
        reported_amount: What the provider stated, where it stated a cost.
    """

    amount: Decimal | None
    status: PricingStatus
    charges: tuple[Charge, ...] = ()
    reason: str | None = None
    price_key: str | None = None
    price_version: str | None = None
    list_amount: Decimal | None = None
    reported_amount: Decimal | None = None


UNPRICED = Cost(amount=None, status=PricingStatus.UNPRICED, reason="no usage was reported")
NO_COST = Cost(amount=Decimal(0), status=PricingStatus.FREE)


NO_METADATA: Mapping[str, Any] = {}


class Attribution(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Who a call is for: all strings are bounded and free of control characters, credentials are hashes.

    Args:
        tags: Labels, stripped and de-duplicated, in the order they were met.
        end_user: The customer that the service acts for.
        user_id: The owner of the virtual key.
        key_hash: sha256 hex of the virtual key, else of the outbound credential.
        metadata: Free key/value pairs (LiteLLM's `spend_logs_metadata`).
    """

    tags: tuple[str, ...] = ()
    end_user: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    key_hash: str | None = None
    key_alias: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    agent_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    metadata: Mapping[str, Any] = {}


NOBODY = Attribution()


class Call(Struct, kw_only=True, array_like=True, gc=False):
    """What one wire attempt of an LLM call meant.

    Args:
        call_id: Our own time-ordered id (UUID version 7), made when the call started.
        provider: LiteLLM's name of who answered, such as "openai", "azure", "vertex_ai", "bedrock".
        operation: LiteLLM's call type, such as "completion", "responses", "embedding", "image_generation".
        request_model: The model as asked for (LiteLLM's model_group).
        response_model: The model as answered.
        started_at: Seconds since the epoch, UTC; so are ended_at and first_token_at.
        attempt: 0 for the first try, 1 and up for an SDK's retries.
        raw_usage: The provider's own usage object; it holds no content.
        usage_note: How the usage was estimated, or what does not add up in it.
        error_type: A short machine-readable word for what failed; never a message, which may hold content.
    """

    call_id: str
    provider: str
    operation: str
    request_model: str = ""
    response_model: str = ""
    api_base: str = ""
    endpoint: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    first_token_at: float | None = None
    status: Status = Status.SUCCESS
    status_code: int | None = None
    error_type: str | None = None
    stream: bool = False
    attempt: int = 0
    response_id: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    usage: Usage = NO_USAGE
    usage_source: UsageSource = UsageSource.NONE
    usage_note: str | None = None
    raw_usage: Mapping[str, Any] | None = None
    cost: Cost = UNPRICED
    attribution: Attribution = NOBODY

    @property
    def model(self) -> str:
        """The model as answered, else as asked for."""
        return self.response_model or self.request_model
