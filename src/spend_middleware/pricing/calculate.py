"""From a price row and a usage to charge lines: which rules apply to which kind of call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from urllib.parse import urlsplit

from spend_middleware.call import EXACT, Charge
from spend_middleware.pricing import tools, units
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates
from spend_middleware.pricing.tokens import ONE, TokenCard, compile_card, tier_suffix, token_charges

_OPENAI_REGIONS = {"eu.api.openai.com": "eu", "us.api.openai.com": "us"}


class Related(Protocol):
    """Other rows that a price may need."""

    def row(self, key: str) -> Rates | None:
        """Return the row under exactly this key."""

    def keys(self) -> Iterable[str]:
        """Give every key."""


@dataclass(slots=True)
class Sheet:
    """A row made ready for one provider, tier and region."""

    rates: Rates
    card: TokenCard | None
    searches: bool
    clock: Decimal | None


def compile_sheet(rates: Rates, query: PriceQuery) -> Sheet:
    """Return a row ready for pricing calls like this one."""
    provider = query.provider or rates.provider
    card = None
    if rates.has_token_prices:
        suffix = tier_suffix(provider, query.service_tier)
        card = compile_card(rates, provider, suffix, query.batch, _factor(rates, query, provider))
    return Sheet(rates, card, tools.has_tool_prices(rates, provider), units.clock_price(rates))


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


def charges_of(
    sheet: Sheet, query: PriceQuery, related: Related, *, custom: bool = False
) -> tuple[list[Charge], str | None]:
    """Return the charge lines of a call, and why it cannot be priced where it cannot."""
    usage = query.usage
    if not usage.units and not query.operation.startswith("image"):
        if sheet.card is not None:
            lines = token_charges(usage, sheet.card.at(usage.input_tokens, query.at))
        elif sheet.clock is not None:
            return units.clock_charges(sheet.clock, query), None
        elif usage.input_tokens or usage.output_tokens:
            return [], f"the price of {sheet.rates.key} has no rate for tokens"
        else:
            lines = []
    else:
        lines, reason = units.charges(sheet.rates, sheet.card, query, related)
        if reason is not None:
            return [], reason
    if usage.units or sheet.searches:
        lines += tools.charges(sheet.rates, query, related)
    for model, further in usage.passes:
        lines += tools.pass_charges(model, further, query, related, sheet)
    return lines, None
