"""A call as the row that the ledger keeps, and a row as a call again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

from spend_middleware.call import (
    Attribution,
    Call,
    Charge,
    Cost,
    PricingStatus,
    Status,
    Usage,
    UsageSource,
    from_pico,
    to_pico,
)

MAX_RAW_USAGE = 4096
"""Bytes of JSON kept of a provider's usage object; a larger one is no usage object."""

LIMITS = (1 << 63) - 1


def row_of(call: Call) -> dict[str, Any]:
    """Return the columns of `spend_logs` for a finished call: pico-dollars, microseconds UTC, JSON as text."""
    usage, cost = call.usage, call.cost
    row = owner_columns(call.attribution)
    row["id"] = call.call_id
    row["request_id"] = call.response_id or call.call_id
    row["call_type"] = call.operation
    row["provider"] = call.provider
    row["model"] = (call.response_model or call.request_model)[:512]
    row["model_group"] = call.request_model[:512]
    row["api_base"] = call.api_base
    row["endpoint"] = call.endpoint
    row["spend"] = _pico(cost.amount)
    row["reported_cost"] = _pico(cost.reported_amount)
    row["list_cost"] = row["spend"] if cost.list_amount is cost.amount else _pico(cost.list_amount)
    row.update(_counts(usage))
    row["start_time"] = int(call.started_at * 1_000_000)
    row["end_time"] = int(call.ended_at * 1_000_000)
    first = call.first_token_at
    row["completion_start_time"] = None if first is None else int(first * 1_000_000)
    row["status"] = call.status.value
    row["status_code"] = call.status_code
    row["error_type"] = call.error_type
    row["attempt"] = call.attempt
    row["stream"] = call.stream
    row["finish_reason"] = call.finish_reason
    row["service_tier"] = call.service_tier
    row["usage_source"] = call.usage_source.value
    row["usage_note"] = call.usage_note
    row["pricing_status"] = cost.status.value
    row["unpriced_reason"] = cost.reason
    row["price_key"] = cost.price_key
    row["price_version"] = cost.price_version
    row["charges"] = _charges_text(cost)
    row["usage"] = _json(usage.as_dict())
    row["raw_usage"] = _raw_usage_text(call.raw_usage)
    return row


def _counts(usage: Usage) -> dict[str, int]:
    overall = usage.overall
    tokens_in, tokens_out = overall("input_tokens"), overall("output_tokens")
    counts = {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "cache_read_input_tokens": overall("cache_read_tokens"),
        "cache_creation_input_tokens": overall("cache_write_tokens"),
        "reasoning_tokens": overall("reasoning_tokens"),
    }
    if counts["total_tokens"] > LIMITS:
        counts = {name: min(count, LIMITS) for name, count in counts.items()}
    return counts


def owner_columns(attribution: Attribution) -> dict[str, Any]:
    """Return the columns that say who a call is for; an empty text stands for nobody."""
    return {
        "api_key": attribution.key_hash or "",
        "key_alias": attribution.key_alias,
        "user_id": attribution.user_id or "",
        "team_id": attribution.team_id or "",
        "organization_id": attribution.organization_id or "",
        "end_user": attribution.end_user or "",
        "request_tags": _json(attribution.tags) if attribution.tags else "[]",
        "metadata": _json({"spend_logs_metadata": attribution.metadata}) if attribution.metadata else "{}",
        "session_id": attribution.session_id,
        "trace_id": attribution.trace_id,
        "agent_id": attribution.agent_id,
        "requester_ip_address": attribution.ip_address,
        "user_agent": attribution.user_agent,
    }


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
            amount=_usd(row["spend"]),
            status=PricingStatus(row["pricing_status"]),
            reason=row["unpriced_reason"],
            price_key=row["price_key"],
            price_version=row["price_version"],
            reported_amount=_usd(row["reported_cost"]),
        ),
    )


def charges_of(text: str) -> tuple[Charge, ...]:
    """Return the charge lines of a stored row."""
    return tuple(
        Charge(meter, Decimal(quantity), Decimal(price), Decimal(amount))
        for meter, quantity, price, amount in json.loads(text or "[]")
    )


def _charges_text(cost: Cost) -> str:
    # Meters and numbers are ours and need no escaping.
    lines = [f'["{c.meter}","{c.quantity}","{c.unit_price}","{c.amount}"]' for c in cost.charges]
    return f"[{','.join(lines)}]"


def _raw_usage_text(raw: Mapping[str, Any] | None) -> str | None:
    if raw is None:
        return None
    text = _json(raw)
    return text if len(text) <= MAX_RAW_USAGE else None


def _json(value: Any) -> str:
    return to_json(value, inf_nan_mode="null", serialize_unknown=True).decode()


def _pico(amount: Decimal | None) -> int | None:
    return None if amount is None else max(-LIMITS, min(to_pico(amount), LIMITS))


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else from_pico(pico)
