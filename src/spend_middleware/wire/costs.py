"""What a provider itself says that a call cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from spend_middleware.wire.values import amount, mapping

# docs.x.ai, "Cost tracking": one tick is 1e-10 USD, tools included.
_TICK = Decimal("1e-10")

# Providers and gateways whose plain `usage.cost` is USD that they charge:
# openrouter.ai/docs/use-cases/usage-accounting, docs.kilo.ai and vercel.com/docs/ai-gateway document the same field.
_CHARGE_IN_USAGE = frozenset(
    {"openrouter", "perplexity", "vercel_ai_gateway", "kilo", "requesty", "huggingface", "portkey"}
)


def stated_cost(provider: str, usage: Mapping[str, Any]) -> Decimal | None:
    """Return the cost in USD that a usage object states, None when it states none."""
    ticks = amount(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * _TICK
    # ai.pydantic.dev, "Pydantic AI Gateway": the gateway adds its own estimate to the provider's usage.
    estimate = amount(mapping(usage.get("pydantic_ai_gateway")).get("cost_estimate"))
    if estimate is not None:
        return estimate
    # deepinfra.com/docs/advanced/usage : the estimate is what the account is charged.
    if provider == "deepinfra" and usage.get("estimated_cost") is not None:
        return amount(usage["estimated_cost"])
    cost = usage.get("cost")
    if isinstance(cost, dict):
        # docs.perplexity.ai/api-reference/chat-completions: usage.cost.total_cost, with its parts beside it.
        return amount(cost.get("total_cost"))
    if provider not in _CHARGE_IN_USAGE:
        return None
    charged = amount(cost)
    # openrouter.ai/docs/use-cases/byok: with a key of the caller's own, `cost` is OpenRouter's fee alone and the
    # upstream provider bills the inference.
    if usage.get("is_byok") is True and charged is not None:
        upstream = amount(mapping(usage.get("cost_details")).get("upstream_inference_cost"))
        return charged + upstream if upstream is not None else charged
    return charged
