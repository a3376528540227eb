"""A row of the ledger as a call again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spend_middleware.call import Call, Cost, PricingStatus, Status, Usage, UsageSource
from spend_middleware.store.call_rows import usd_of


def call_of(row: Mapping[str, Any]) -> Call:
    """Return the call that a stored row tells of, as far as it is needed to price it again."""
    usage = row["usage"]
    return Call(
        call_id=row["id"],
        provider=row["provider"],
        operation=row["call_type"],
        request_model=row["model_group"],
        response_model=row["model"] if row["model"] != row["model_group"] else "",
        api_base=row["api_base"] or "",
        started_at=row["start_time"] / 1e6,
        ended_at=row["end_time"] / 1e6,
        status=Status(row["status"]),
        service_tier=row["service_tier"],
        usage=Usage.from_dict(json.loads(usage) if isinstance(usage, str) else usage or {}),
        usage_source=UsageSource(row["usage_source"]),
        cost=Cost(
            amount=usd_of(row["spend"]),
            status=PricingStatus(row["pricing_status"]),
            reason=row["unpriced_reason"],
            price_key=row["price_key"],
            price_version=row["price_version"],
            reported_amount=usd_of(row["reported_cost"]),
        ),
    )
