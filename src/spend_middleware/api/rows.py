"""Rows of the ledger as LiteLLM's spend logs: its columns in its order, ours behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spend_middleware.api.answers import number, offset_time, short_number, zulu
from spend_middleware.call import PricingStatus, Status, from_pico
from spend_middleware.store.import_rows import KEPT
from spend_middleware.store.rows_values import LogRow

_MOMENTS = ("created_at", "updated_at")


def spend_log(row: LogRow) -> dict[str, Any]:
    """Return a row as `GET /spend/logs` sends it."""
    columns = row.columns
    shown = {
        **_head(row),
        "spend": number(row.spend) if row.spend is not None else 0.0,
        **_tokens(columns),
        "startTime": zulu(columns["start_time"]),
        "endTime": zulu(_end(columns)),
        "request_duration_ms": _duration(columns),
        "completionStartTime": zulu(columns["completion_start_time"] or columns["end_time"]),
        **_middle(row),
        "messages": {},
        "response": {},
        "session_id": columns["session_id"],
        "status": _status(columns),
        "mcp_namespaced_tool_name": None,
        "billing_agent_id": None,
        "agent_id": columns["agent_id"],
        "proxy_server_request": {},
        "litellm_call_id": columns["id"],
        "created_at": zulu(_end(columns)),
        "updated_at": zulu(_end(columns)),
        **_ours(row),
    }
    return shown | _kept(row, shown)


def paged_log(row: LogRow) -> dict[str, Any]:
    """Return a row as the paged routes send it: other times, a whole number without a point, no content."""
    columns = row.columns
    shown = {
        **_head(row),
        "spend": short_number(row.spend) if row.spend is not None else 0,
        **_tokens(columns),
        "startTime": offset_time(columns["start_time"]),
        "endTime": offset_time(_end(columns)),
        "completionStartTime": offset_time(columns["completion_start_time"] or columns["end_time"]),
        **_middle(row),
        "session_id": columns["session_id"],
        "status": _status(columns),
        "mcp_namespaced_tool_name": None,
        "agent_id": columns["agent_id"],
        "litellm_call_id": columns["id"],
        "request_duration_ms": _duration(columns),
        **_ours(row),
    }
    return shown | _kept(row, shown)


def _kept(row: LogRow, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an imported row says in columns of LiteLLM's that ours does not have."""
    kept = _json(row.columns["metadata"], {}).get(KEPT) or {}
    return {name: zulu(value) if name in _MOMENTS else value for name, value in kept.items() if name in shown}


def _head(row: LogRow) -> dict[str, Any]:
    columns = row.columns
    return {
        "request_id": columns["request_id"] or columns["id"],
        "call_type": columns["call_type"],
        "api_key": columns["api_key"],
    }


def _tokens(columns: Mapping[str, Any]) -> dict[str, int]:
    return {name: columns[name] or 0 for name in ("total_tokens", "prompt_tokens", "completion_tokens")}


def _middle(row: LogRow) -> dict[str, Any]:
    columns = row.columns
    return {
        "model": columns["model"],
        "model_id": "",
        "model_group": columns["model_group"],
        "custom_llm_provider": columns["provider"],
        "api_base": columns["api_base"],
        "user": columns["user_id"],
        "metadata": _metadata(row),
        # Words of LiteLLM's own answer cache, which does not exist here.
        "cache_hit": "None",
        "cache_key": "Cache OFF",
        "request_tags": _json(columns["request_tags"], []),
        "team_id": columns["team_id"],
        "organization_id": columns["organization_id"],
        "end_user": columns["end_user"],
        "requester_ip_address": columns["requester_ip_address"],
    }


def _metadata(row: LogRow) -> dict[str, Any]:
    """Return what LiteLLM keeps in its metadata column and clients read there; no price list, no content."""
    columns = row.columns
    failed = columns["status"] != Status.SUCCESS
    return {
        "user_api_key": columns["api_key"],
        "user_api_key_alias": columns["key_alias"],
        "user_api_key_team_id": columns["team_id"] or None,
        "user_api_key_org_id": columns["organization_id"] or None,
        "user_api_key_user_id": columns["user_id"] or None,
        "spend_logs_metadata": _json(columns["metadata"], {}).get("spend_logs_metadata") or None,
        "requester_ip_address": columns["requester_ip_address"],
        "user_agent": columns["user_agent"],
        "status": _status(columns),
        "error_information": {
            "error_code": str(columns["status_code"] or ""),
            "error_class": columns["error_type"] or "",
            "error_message": "",
        }
        if failed
        else None,
        "usage_object": _json(columns["raw_usage"], None),
        "additional_usage_values": {
            name: columns[name] or 0
            for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens")
        },
        "cost_breakdown": {
            "total_cost": number(row.spend) if row.spend is not None else None,
            "original_cost": _dollars(columns["list_cost"]),
        },
    }


def _ours(row: LogRow) -> dict[str, Any]:
    """Return what LiteLLM has no column for: where the numbers come from, and their parts."""
    columns = row.columns
    priced_later = row.adjustments and columns["spend"] is None
    return {
        "pricing_status": PricingStatus.CUSTOM if priced_later else columns["pricing_status"],
        "unpriced_reason": None if priced_later else columns["unpriced_reason"],
        "usage_source": columns["usage_source"],
        "usage_note": columns["usage_note"],
        "cache_read_input_tokens": columns["cache_read_input_tokens"] or 0,
        "cache_creation_input_tokens": columns["cache_creation_input_tokens"] or 0,
        "reasoning_tokens": columns["reasoning_tokens"] or 0,
        "charges": [
            dict(zip(("meter", "quantity", "unit_price", "amount"), line, strict=False))
            for line in _json(columns["charges"], [])
        ],
        "adjustments": [
            {
                "amount": number(entry.amount),
                "kind": entry.kind,
                "actor": entry.actor,
                "reason": entry.reason,
                "created_at": zulu(entry.created_at),
            }
            for entry in row.adjustments
        ],
        "reported_cost": _dollars(columns["reported_cost"]),
        "price_key": columns["price_key"],
        "price_version": columns["price_version"],
        "outcome": columns["status"],
        "status_code": columns["status_code"],
        "error_type": columns["error_type"],
        "attempt": columns["attempt"],
        "stream": bool(columns["stream"]),
        "service_tier": columns["service_tier"],
        "finish_reason": columns["finish_reason"],
        "endpoint": columns["endpoint"],
        "trace_id": columns["trace_id"],
    }


def _status(columns: Mapping[str, Any]) -> str:
    """Return LiteLLM's word: whatever did not succeed is a failure; `outcome` says which."""
    return "success" if columns["status"] == Status.SUCCESS else "failure"


def _end(columns: Mapping[str, Any]) -> int | None:
    end: int | None = columns["end_time"]
    return columns["start_time"] if end is None else end


def _duration(columns: Mapping[str, Any]) -> int:
    took: int = (_end(columns) or 0) - columns["start_time"]
    return max(0, took // 1000)


def _dollars(pico: int | None) -> float | None:
    return None if pico is None else number(from_pico(pico))


def _json(text: str | None, empty: Any) -> Any:
    return empty if not text else json.loads(text)
