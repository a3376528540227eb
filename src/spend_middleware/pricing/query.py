"""What the price book is asked: one call's usage, and everything else that decides its price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from spend_middleware.call import NO_USAGE, Usage


class PriceQuery(Struct, kw_only=True, gc=False):
    """One call that wants a price.

    Args:
        provider: LiteLLM's provider name; None or "" when it stands before the model name.
        models: Names to try in order: as answered, then as asked for.
        usage: The counts.
        operation: LiteLLM's call type.
        at: When the call completed, seconds since the epoch, UTC.
        service_tier: The tier that served the call, such as "flex" or "priority".
        batch: True for the result of a batch job.
        region: The cloud region or Vertex location that served the call.
        api_base: The URL that was called; its host may carry a regional surcharge or a `base_models` entry.
        base_model: The model whose price counts, whatever the deployment is called.
        reported_cost: What the provider says that the call cost, USD.
        response_seconds: How long the call took, for models that are billed by the clock.
        custom_pricing: The user's own price for this call, in LiteLLM's fields.
    """

    provider: str | None
    models: tuple[str, ...]
    usage: Usage = NO_USAGE
    operation: str = "completion"
    at: float = 0.0
    service_tier: str | None = None
    batch: bool = False
    region: str | None = None
    api_base: str | None = None
    base_model: str | None = None
    reported_cost: Decimal | None = None
    response_seconds: float | None = None
    custom_pricing: Mapping[str, Any] | None = None
