"""One row of LiteLLM's spend logs as a row of ours; the columns are those of its version 1.106."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from spend_middleware.call import PricingStatus, Status, UsageSource, to_pico
from spend_middleware.ids import new_call_id
from spend_middleware.store.records import Values, cleaned, values_of
from spend_middleware.store.zones import moment_of

_LARGEST = (1 << 63) - 1
_LONGEST_NAME = 512
_LONGEST_TAG = 256
KEPT = "litellm"
"""The key in a row's `metadata` of what LiteLLM's columns say and ours have no place for, by LiteLLM's names."""

# Columns without a place in a row of ours, and what is shown of each where nothing is kept.
_PLACELESS: dict[str, str | None] = {
    "model_id": "",
    "cache_hit": "None",
    "cache_key": "Cache OFF",
    "mcp_namespaced_tool_name": None,
    "billing_agent_id": None,
}
# Columns that are empty in one way here: '' where they are part of a rollup's key, else NULL. LiteLLM has both.
_EMPTY: dict[str, str | None] = {
    **dict.fromkeys(("model_group", "custom_llm_provider", "api_base", "user"), ""),
    **dict.fromkeys(("team_id", "organization_id", "end_user"), ""),
    **dict.fromkeys(("session_id", "requester_ip_address", "agent_id"), None),
}
_DETAILS = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
)


class UnusableRow(ValueError):
    """A row that cannot be taken over; the message says which value is wrong."""

    request_id = ""


def row_of(row: Mapping[str, Any]) -> Values:
    """Return a row of ours.

    Prompts and answers, which LiteLLM may have stored, are left behind; so is its price map entry in `metadata`.

    Raises:
        UnusableRow: A value that matters cannot be read.
    """
    if not isinstance(row, Mapping):
        raise UnusableRow(f"a row is a mapping, not {type(row).__name__}")
    try:
        return _row_of(row)
    except UnusableRow as error:
        error.request_id = str(row.get("request_id") or "")
        raise


def _row_of(row: Mapping[str, Any]) -> Values:
    request_id, started = _name(row, "request_id"), _moment(row, "startTime")
    if not request_id:
        raise UnusableRow("request_id is missing")
    if started is None:
        raise UnusableRow("startTime is missing")
    ended = _moment(row, "endTime") or started
    metadata = _object(row.get("metadata"))
    pairs, kept = metadata.get("spend_logs_metadata"), _kept(row, started, ended)
    told = {
        **({"spend_logs_metadata": pairs} if isinstance(pairs, Mapping) else {}),
        **({KEPT: kept} if kept else {}),
    }
    ours = {
        **_who(row, metadata),
        **_counts(row, metadata),
        **_outcome(row, metadata),
        "id": new_call_id(started / 1_000_000, _entropy(request_id)),
        "request_id": request_id,
        "start_time": started,
        "end_time": ended,
        "completion_start_time": _moment(row, "completionStartTime"),
        "metadata": json.dumps(told, default=str),
    }
    return cleaned(values_of(ours))


def _entropy(request_id: str) -> bytes:
    return hashlib.sha256(request_id.encode("utf-8", "surrogatepass")).digest()[:10]


def _who(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "call_type": _name(row, "call_type"),
        "provider": _name(row, "custom_llm_provider"),
        "model": _name(row, "model"),
        "model_group": _name(row, "model_group"),
        "api_base": _name(row, "api_base"),
        "api_key": _name(row, "api_key"),
        "key_alias": _text(metadata.get("user_api_key_alias")),
        "user_id": _name(row, "user"),
        "team_id": _name(row, "team_id"),
        "organization_id": _name(row, "organization_id"),
        "end_user": _name(row, "end_user"),
        "request_tags": json.dumps(_tags(row.get("request_tags")), ensure_ascii=False),
        "session_id": _text(row.get("session_id")),
        # LiteLLM finds a row by its call id too; here any of our ids does.
        "trace_id": _text(row.get("litellm_call_id")),
        "agent_id": _text(row.get("agent_id")),
        "requester_ip_address": _text(row.get("requester_ip_address")),
        "user_agent": _text(metadata.get("user_agent")),
    }


def _kept(row: Mapping[str, Any], started: int, ended: int) -> dict[str, Any]:
    """Return what LiteLLM would show and a row of ours could not."""
    kept = {
        name: row[name] if row[name] is None else str(row[name])[:_LONGEST_NAME]
        for name, shown in _PLACELESS.items()
        if name in row and row[name] != shown
    }
    kept |= {
        name: row[name]
        for name, ours in _EMPTY.items()
        if name in row and row[name] in (None, "") and row[name] != ours
    }
    call_id = _text(row.get("litellm_call_id"))
    if call_id:
        kept["litellm_call_id"] = call_id
    took = row.get("request_duration_ms")
    if isinstance(took, int) and took != (ended - started) // 1000:
        kept["request_duration_ms"] = took
    for name in ("created_at", "updated_at"):
        moment = _moment(row, name)
        if moment is not None and moment != ended:
            kept[name] = moment
    if "completionStartTime" in row and not row["completionStartTime"]:
        kept["completionStartTime"] = None
    return kept


def _counts(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    usage = _object(metadata.get("usage_object"))
    parts: dict[str, Any] = {}
    for name in _DETAILS:
        parts.update(_object(usage.get(name)))
    extra = _object(metadata.get("additional_usage_values"))
    prompt, completion = _count(row, "prompt_tokens"), _count(row, "completion_tokens")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": _count(row, "total_tokens") or prompt + completion,
        "cache_read_input_tokens": _first_count(
            usage.get("cache_read_input_tokens"),
            extra.get("cache_read_input_tokens"),
            parts.get("cached_tokens"),
        ),
        "cache_creation_input_tokens": _first_count(
            usage.get("cache_creation_input_tokens"), extra.get("cache_creation_input_tokens")
        ),
        "reasoning_tokens": _first_count(parts.get("reasoning_tokens")),
    }


def _outcome(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    spend = _spend(row.get("spend"))
    failed = _text(row.get("status")) == Status.FAILURE.value
    error = _object(metadata.get("error_information"))
    code = str(error.get("error_code") or "")
    return {
        "spend": spend,
        "pricing_status": str(PricingStatus.UNPRICED if spend is None else PricingStatus.PRICED),
        "unpriced_reason": "LiteLLM stored no spend" if spend is None else None,
        "price_version": None if spend is None else "litellm",
        "usage_source": str(UsageSource.REPORTED),
        "status": str(Status.FAILURE if failed else Status.SUCCESS),
        "status_code": int(code) if failed and code.isdecimal() and len(code) == 3 else None,
        "error_type": (_text(error.get("error_class")) or "error")[:_LONGEST_NAME] if failed else None,
    }


def _name(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    text = "" if value is None else value if isinstance(value, str) else str(value)
    if len(text) > _LONGEST_NAME:
        raise UnusableRow(f"{column} is longer than {_LONGEST_NAME} characters")
    return text


def _text(value: Any) -> str | None:
    return value[:_LONGEST_NAME] if isinstance(value, str) and value else None


def _object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object that may come as text; anything else counts as empty."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _tags(value: Any) -> list[str]:
    """Return tags stripped and each once: text as it is, other JSON values as their text, null left out."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if not isinstance(value, list | tuple):
        return []
    texts = (
        tag if isinstance(tag, str) else json.dumps(tag, default=str) for tag in value if tag is not None
    )
    return list(dict.fromkeys(text for tag in texts if (text := tag.strip()[:_LONGEST_TAG])))


def _count(row: Mapping[str, Any], column: str) -> int:
    value = row.get(column)
    if value is None or value == "":
        return 0
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnusableRow(f"{column} is not a whole number") from error
    if abs(number) > _LARGEST:
        raise UnusableRow(f"{column} is too large")
    return number


def _first_count(*values: Any) -> int:
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST:
            return value
    return 0


def _spend(value: Any) -> int | None:
    """Return pico-dollars; a float is taken as the shortest decimal that reads back as the same float."""
    if value is None:
        return None
    try:
        amount = (
            value
            if isinstance(value, Decimal)
            else Decimal(repr(value) if isinstance(value, float) else str(value))
        )
        if not amount.is_finite():
            raise UnusableRow("spend is not a finite number")
        pico = to_pico(amount)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise error if isinstance(error, UnusableRow) else UnusableRow("spend is not a number") from error
    if abs(pico) > _LARGEST:
        raise UnusableRow("spend is beyond 9.2 million USD")
    return pico


def _moment(row: Mapping[str, Any], column: str) -> int | None:
    """Return microseconds since the epoch; LiteLLM's times carry no zone and are UTC."""
    value = row.get(column)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise UnusableRow(f"{column} is not a time") from error
    if isinstance(value, datetime):
        return _within(moment_of(value), column)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return _within(round(value * 1_000_000), column)
    raise UnusableRow(f"{column} is not a time")


def _within(moment: int, column: str) -> int:
    if not 0 <= moment < 253_402_300_800_000_000:
        raise UnusableRow(f"{column} is not between 1970 and 9999")
    return moment
