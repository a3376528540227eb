"""The columns of a row, made of the facts of a call: one function for every call, whole or cut short."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import compress
from operator import itemgetter
from typing import Any

from pydantic_core import to_json

from spend_middleware.call import (
    PICO,
    USAGE_COUNTS,
    PricingStatus,
    Status,
    Usage,
    UsageSource,
    from_pico,
    to_pico,
)
from spend_middleware.store.records import (
    AT,
    COLUMNS,
    INTERRUPTED_REASON,
    Values,
    cleaned,
    deep_storable,
    values_of,
)

MAX_NAME = 512
MAX_RAW_USAGE = 4096
"""Bytes of JSON kept of a provider's usage object; a larger one is no usage object."""

LIMIT = (1 << 63) - 1

_WHO = COLUMNS[AT["api_key"] : AT["end_user"] + 1]
_SAID = COLUMNS[AT["request_tags"] :]
_SURROGATES = re.compile("[\ud800-\udfff]")


def row_of(facts: Sequence[Any]) -> Values:
    """Return the row that a journaled call stands for: pico-dollars, microseconds, JSON as text.

    Args:
        facts: The fields of a `Call` in their order, as plain values.

    Raises:
        ValueError: They are no call's.
    """
    (
        call_id, provider, operation, request_model, response_model, api_base, endpoint, started_at, ended_at,
        first_token_at, status, status_code, error_type, stream, attempt, response_id, finish_reason,
        service_tier, counted, usage_source, usage_note, raw, cost, owner,
    ) = facts  # fmt: skip
    amount, pricing_status, charges, reason, price_key, price_version, list_amount, reported = cost
    who, said = owner_columns(owner)
    spend = _pico(amount)
    usage = usage_in(counted)
    tokens_in, tokens_out, read, written, reasoning = totals_in(counted, usage.get("passes", ()))
    values = (
        call_id, response_id or call_id, operation, provider,
        (response_model or request_model)[:MAX_NAME], request_model[:MAX_NAME], api_base, endpoint,
        *who, spend, _pico(reported), spend if list_amount == amount else _pico(list_amount),
        tokens_in, tokens_out, min(tokens_in + tokens_out, LIMIT), read, written, reasoning,
        int(started_at * 1e6), int(ended_at * 1e6),
        None if first_token_at is None else int(first_token_at * 1e6),
        status, status_code, error_type, attempt, stream, finish_reason, service_tier,
        usage_source, usage_note, pricing_status, reason, price_key, price_version,
        charges_text(charges), text_of(usage), raw_text(raw), *said,
    )  # fmt: skip
    return values if is_storable(values) else cleaned(values)


_COUNTS = len(USAGE_COUNTS)


def plain_usage(counted: Sequence[Any]) -> dict[str, Any]:
    """Return counts, as `Usage.counts` gives them, by name; those of nothing are left out."""
    return dict(compress(zip(USAGE_COUNTS, counted, strict=False), counted))


def usage_in(counted: Sequence[Any]) -> dict[str, Any]:
    """Return a journaled usage as `Usage.as_dict` would."""
    usage = plain_usage(counted)
    units, traits, passes = counted[_COUNTS:]
    if units:
        usage["units"] = units
    if traits:
        usage["traits"] = traits
    if passes:
        usage["passes"] = [[model, usage_in(further)] for model, further in passes]
    return usage


def owner_columns(owner: Sequence[Any]) -> tuple[Values, Values]:
    """Return the columns from `api_key` to `end_user`, and those from `request_tags` on, of a journaled owner."""
    tags, end_user, user, team, organization, key, alias, session, trace, agent, ip, agent_text, metadata = (
        owner
    )
    return (key or "", alias, user or "", team or "", organization or "", end_user or ""), (
        text_of(tags) if tags else "[]",
        text_of({"spend_logs_metadata": metadata}) if metadata else "{}",
        session, trace, agent, ip, agent_text,
    )  # fmt: skip


def is_storable(values: Values) -> bool:
    """Tell whether both databases can hold the texts of a row, which nearly all can."""
    text = "".join([value for value in values if type(value) is str])
    return "\0" not in text and (text.isascii() or not _SURROGATES.search(text))


_TOTALS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_totals_of = itemgetter(*map(USAGE_COUNTS.index, _TOTALS))


def totals_in(counted: Sequence[Any], passes: Sequence[Any] = ()) -> Sequence[int]:
    """Return tokens in, out, read from and written to caches, and of reasoning, further passes included."""
    totals: Sequence[int] = _totals_of(counted)
    for _, stored in passes:
        further = Usage.from_dict(stored)
        totals = [total + further.overall(name) for total, name in zip(totals, _TOTALS, strict=True)]
    return totals if max(totals) <= LIMIT else [min(total, LIMIT) for total in totals]


def raw_text(raw: Mapping[str, Any] | None) -> str | None:
    """Return a provider's usage object as JSON; None for what is too large to be one."""
    if raw is None:
        return None
    text = text_of(raw)
    return text if len(text) <= MAX_RAW_USAGE else None


def charges_text(charges: Sequence[Any]) -> str:
    """Return charge lines as JSON: meter, quantity, price of one unit and amount, the numbers as texts."""
    # Meters and numbers are ours and need no escaping. `!s`: a decimal is formatted three times as fast so.
    lines = [
        f'["{meter}","{quantity!s}","{price!s}","{amount!s}"]' for meter, quantity, price, amount in charges
    ]
    return f"[{','.join(lines)}]"


def text_of(value: Any) -> str:
    """Return a value as JSON that both databases can hold."""
    text = json_of(value).decode()
    return text if "\\u0000" not in text else json_of(deep_storable(value)).decode()


def json_of(value: Any) -> bytes:
    """Return a value as JSON; what has no form in it becomes null or U+FFFD."""
    try:
        return to_json(value, inf_nan_mode="null", serialize_unknown=True)
    except ValueError:  # a lone surrogate
        return to_json(deep_storable(value), inf_nan_mode="null", serialize_unknown=True)


def _pico(amount: str | None) -> int | None:
    if amount is not None and amount[-PICO - 1 : -PICO] == "." and len(amount) < 19 and amount.isascii():
        # As nearly all are: rounded to a pico-dollar, and with no other dot or sign in it.
        whole = amount.replace(".", "", 1)
        if whole.isdigit():
            return int(whole)
    return None if amount is None else max(-LIMIT, min(to_pico(Decimal(amount)), LIMIT))


def usd_of(pico: int | None) -> Decimal | None:
    """Return a stored amount as an exact USD amount."""
    return None if pico is None else from_pico(pico)


def interrupted(stored: Sequence[Any]) -> Values:
    """Return the row of a call whose process died before the call ended: who asked for what, and no spend.

    Raises:
        ValueError: What is stored is no start mark.
    """
    call_id, operation, provider, model, api_base, endpoint, started_at, attempt, owner = stored
    who, said = owner_columns(owner)
    started = int(started_at * 1e6)
    return values_of(
        {
            "id": call_id,
            "request_id": call_id,
            "call_type": operation,
            "provider": provider,
            "model_group": model[:MAX_NAME],
            "api_base": api_base,
            "endpoint": endpoint,
            **dict(zip(_WHO, who, strict=True)),
            "start_time": started,
            "end_time": started,
            "attempt": attempt,
            **dict(zip(_SAID, said, strict=True)),
            "status": str(Status.INTERRUPTED),
            "usage_source": str(UsageSource.NONE),
            "pricing_status": str(PricingStatus.UNPRICED),
            "unpriced_reason": INTERRUPTED_REASON,
        }
    )
