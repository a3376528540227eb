"""From a price row and a usage to charge lines: which rules apply to which kind of call."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from spend_middleware.call import EXACT, Charge
from spend_middleware.pricing import tools, units
from spend_middleware.pricing.cards import compile_card, tier_suffix, without_cache_discount
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates
from spend_middleware.pricing.related import Related
from spend_middleware.pricing.tokens import ONE, TokenCard

_OPENAI_REGIONS = {"eu.api.openai.com": "eu", "us.api.openai.com": "us"}

# Kinds of calls whose price is tokens alone, unless the usage names other units.
_TOKEN_MODES = frozenset(
    {"", "chat", "completion", "responses", "embedding", "realtime", "moderation", "evaluation"}
)


@dataclass(slots=True)
class Sheet:
    """A row made ready for one kind of call, provider, tier and region; `own` where it is a price of the user's."""

    rates: Rates
    card: TokenCard | None
    clock: Decimal | None
    tokens_only: bool
    tools: bool
    own: bool = False


def compile_sheet(rates: Rates, query: PriceQuery) -> Sheet:
    """Return a row ready for pricing calls like this one."""
    provider = query.provider or rates.provider
    card = None
    if rates.has_token_prices:
        suffix = tier_suffix(provider, query.service_tier)
        if query.operation == "decision":
            suffix = "_decisions"
        # Anthropic says so in the usage of a batch result (https://docs.claude.com/en/docs/build-with-claude/batch-processing).
        batch = query.batch or query.service_tier == "batch"
        card = compile_card(rates, provider, suffix, batch, _factor(rates, query, provider))
        if query.usage.traits.get("cache_reads") == "undiscounted":
            card = without_cache_discount(card)
    kind = query.operation
    special = kind.startswith(("image", "aimage", "passthrough_image")) or any(
        word in kind for word in ("video", "speech", "transcri", "translation", "rerank", "search", "ocr")
    )
    clock = None if special else units.clock_price(rates)
    fees = tools.has_tool_prices(query)
    tokens_only = not (card is None or special or fees or clock is not None) and rates.mode in _TOKEN_MODES
    return Sheet(rates, card, clock, tokens_only, fees)


def _factor(rates: Rates, query: PriceQuery, provider: str) -> Decimal:
    """Return what every token price is multiplied by for the place and the speed of the call."""
    factor = ONE
    # OpenAI's data-residency hosts cost 10 % more for some models (https://platform.openai.com/docs/guides/your-data).
    host = urlsplit(query.api_base).hostname if query.api_base else None
    residency = _OPENAI_REGIONS.get(host or "")
    if residency:
        factor = EXACT.multiply(
            factor, rates.get(f"regional_processing_uplift_multiplier_{residency}") or ONE
        )
    # Vertex: every location but "global" costs more for some models (https://cloud.google.com/vertex-ai/pricing).
    if provider.startswith("vertex_ai") and query.region and query.region.lower() != "global":
        factor = EXACT.multiply(factor, rates.get("regional_endpoint_uplift_multiplier") or ONE)
    # Anthropic: where inference ran, and fast mode (https://docs.claude.com/en/docs/about-claude/pricing).
    geo = (query.usage.traits.get("inference_geo") or "").lower()
    if geo and geo not in ("global", "not_available"):
        factor = EXACT.multiply(factor, rates.nested("provider_specific_entry", geo) or ONE)
    if query.usage.traits.get("speed") == "fast":
        factor = EXACT.multiply(factor, rates.nested("provider_specific_entry", "fast") or ONE)
    return factor


def charges_of(sheet: Sheet, query: PriceQuery, related: Related) -> tuple[list[Charge], str | None]:
    """Return the charge lines of a call, and why it cannot be priced where it cannot."""
    usage = query.usage
    if sheet.clock is not None:
        lines, reason = units.clock_charges(sheet.clock, query)
    else:
        lines, reason = units.charges(sheet.rates, sheet.card, query, related)
    if reason is not None:
        return [], reason
    if usage.units or sheet.tools:
        lines += tools.charges(sheet.rates, query, related)
    for model, further in usage.passes:
        added = related.pass_charges(model, further)
        if added is None:
            return [], f"no price for {query.provider}/{model}, which answered a part of the call"
        lines += added
    return lines, None
