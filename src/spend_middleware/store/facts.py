"""A finished call as the journal keeps it: the values that are there already, made into a row only by the writer.

Taking values apart is cheap on the caller's path, and making the forty-nine columns of a row is not. So a call is
journaled as `Facts`, and the columns are made by one function, for calls that come from memory and for those that
come from a dead process's file alike.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import compress
from typing import Any

from pydantic_core import from_json, to_json

from spend_middleware.call import (
    USAGE_COUNTS,
    Attribution,
    Call,
    PricingStatus,
    Status,
    Usage,
    UsageSource,
    from_pico,
    to_pico,
)
from spend_middleware.store.records import (
    COLUMNS,
    INTERRUPTED_REASON,
    MARK,
    Values,
    cleaned,
    decode_row,
    deep_storable,
    values_of,
)

FORM = 1
"""The first of a call's facts: how the others are to be read. A later form gets a number of its own."""

Facts = tuple[Any, ...]
"""`FORM`, then of a call: its fields, its owner's, its counts, units, traits, further passes, raw usage, cost."""

PARTS = 9
RAW = 7

MAX_NAME = 512
MAX_RAW_USAGE = 4096
"""Bytes of JSON kept of a provider's usage object; a larger one is no usage object."""

LIMIT = (1 << 63) - 1

_MARSHAL = 2
_SURROGATES = re.compile("[\ud800-\udfff]")


def facts_of(call: Call) -> Facts:
    """Return the facts of a finished call."""
    # Spelled out, because attributes one by one are read several times as quickly as by an `attrgetter`; and as texts,
    # because a JSON encoder takes many times as long over a `Decimal` or a member of an enumeration.
    usage, cost = call.usage, call.cost
    amount, listed, reported = cost.amount, cost.list_amount, cost.reported_amount
    text = None if amount is None else str(amount)
    return (
        FORM,
        (
            call.call_id, call.response_id, call.operation, call.provider, call.response_model,
            call.request_model, call.api_base, call.endpoint, call.started_at, call.ended_at,
            call.first_token_at, call.status._value_, call.status_code, call.error_type, call.attempt,
            call.stream, call.finish_reason, call.service_tier, call.usage_source._value_, call.usage_note,
        ),
        _owner(call.attribution),
        usage.counts(),
        usage.units_as_json() if usage.units else None,
        usage.traits or None,
        [(model, further.as_dict()) for model, further in usage.passes] if usage.passes else (),
        call.raw_usage,
        (
            text, cost.status._value_,
            [(meter, str(quantity), str(price), str(line)) for meter, quantity, price, line in cost.charges],
            cost.reason, cost.price_key, cost.price_version,
            text if listed is amount else str(listed) if listed is not None else None,
            None if reported is None else str(reported),
        ),
    )  # fmt: skip


def _owner(of: Attribution) -> tuple[Any, ...]:
    return (
        of.key_hash, of.key_alias, of.user_id, of.team_id, of.organization_id, of.end_user, of.tags,
        of.metadata, of.session_id, of.trace_id, of.agent_id, of.ip_address, of.user_agent,
    )  # fmt: skip


def started_facts(
    call_id: str,
    operation: str,
    provider: str,
    model: str,
    api_base: str,
    endpoint: str,
    started_at: float,
    attempt: int,
    attribution: Attribution,
) -> Facts:
    """Return the facts of a call that goes out: what its row says if the process dies before the call ends."""
    return (
        (call_id, operation, provider, model, api_base, endpoint, started_at, attempt),
        _owner(attribution),
    )


def encode_facts(facts: Facts) -> bytes:
    """Return facts as the bytes of a record: Python's own form for plain values, the quickest that there is.

    Version 2 of `marshal` is read by every Python since 2.5. What a stranger could write into it is no concern: the
    journal is this user's own, and each record has a CRC.
    """
    try:
        body = marshal.dumps(facts, _MARSHAL)
    except ValueError:  # a subclass of a plain type, a decimal, or what is nested too deeply
        body = marshal.dumps(from_json(_json_of(facts)), _MARSHAL)
    if len(body) > MAX_RAW_USAGE and len(facts) == PARTS and facts[RAW] and _raw_text(facts[RAW]) is None:
        return encode_facts((*facts[:RAW], None, *facts[RAW + 1 :]))
    return body


def facts_in(body: bytes) -> Any:
    """Return what a record of the journal holds: a call's facts, or a row's own columns, which are JSON.

    Raises:
        ValueError: It holds neither.
    """
    try:
        return from_json(body) if body[:1] == b"[" else marshal.loads(body)  # noqa: S302
    except (EOFError, TypeError) as error:
        raise ValueError("neither facts nor JSON") from error


def decode(body: bytes, columns: tuple[str, ...] = COLUMNS) -> Values:
    """Return the row that a record of the journal stands for.

    Raises:
        ValueError: The record holds no row.
    """
    stored = facts_in(body)
    return (
        row_in(stored)
        if isinstance(stored, tuple | list) and len(stored) == PARTS
        else decode_row(stored, columns)
    )


def call_id_in(kind: bytes, body: bytes) -> str:
    """Return the id of the call that a start mark or a row of the journal is about."""
    stored = facts_in(body)
    found: str = stored[0][0] if kind == MARK else stored[1][0] if len(stored) == PARTS else stored[0]
    return found


def row_in(stored: Sequence[Any]) -> Values:
    """Return the row that facts, or what JSON made of them, stand for: pico-dollars, microseconds, JSON as text.

    Raises:
        ValueError: They are no facts of a form that this version reads.
    """
    if stored[0] != FORM or len(stored) != PARTS:
        raise ValueError(f"a call in form {FORM} was expected")
    _, call, owner, counts, units, traits, passes, raw, cost = stored
    (
        call_id, response_id, operation, provider, response_model, request_model, api_base, endpoint,
        started_at, ended_at, first_token_at, status, status_code, error_type, attempt, stream,
        finish_reason, service_tier, usage_source, usage_note,
    ) = call  # fmt: skip
    amount, pricing_status, charges, reason, price_key, price_version, list_amount, reported = cost
    key, alias, user, team, organization, end_user, tags, metadata, session, trace, agent, ip, agent_text = (
        owner
    )
    spend = _pico(amount)
    usage: dict[str, Any] = dict(compress(zip(USAGE_COUNTS, counts, strict=True), counts))
    tokens_in, tokens_out, read, written, reasoning = _totals(usage, passes)
    if units or traits or passes:
        further = {"units": units, "traits": traits, "passes": passes}
        usage.update({name: value for name, value in further.items() if value})
    values = (
        call_id, response_id or call_id, operation, provider,
        (response_model or request_model)[:MAX_NAME], request_model[:MAX_NAME], api_base, endpoint,
        key or "", alias, user or "", team or "", organization or "", end_user or "",
        spend, _pico(reported), spend if list_amount == amount else _pico(list_amount),
        tokens_in, tokens_out, min(tokens_in + tokens_out, LIMIT), read, written, reasoning,
        int(started_at * 1e6), int(ended_at * 1e6),
        None if first_token_at is None else int(first_token_at * 1e6),
        status, status_code, error_type, attempt, stream, finish_reason, service_tier,
        usage_source, usage_note, pricing_status, reason, price_key, price_version,
        _charges_text(charges), _text(usage), _raw_text(raw),
        _text(tags) if tags else "[]",
        _text({"spend_logs_metadata": metadata}) if metadata else "{}",
        session, trace, agent, ip, agent_text,
    )  # fmt: skip
    return values if _is_storable(values) else cleaned(values)


def _is_storable(values: Values) -> bool:
    """Tell whether both databases can hold the texts of a row, which nearly all can."""
    text = "".join([value for value in values if type(value) is str])
    return "\0" not in text and (text.isascii() or not _SURROGATES.search(text))


def journaled_row(body: bytes) -> Values:
    """Return the row of a call that this process journaled; of facts that make none, what it was and why."""
    stored = facts_in(body)
    try:
        return row_in(stored)
    except (ValueError, TypeError, ArithmeticError) as error:
        call_id, _, operation, provider, response_model, request_model, api_base, endpoint = stored[1][:8]
        return values_of(
            {
                "id": call_id,
                "request_id": call_id,
                "call_type": operation,
                "provider": provider,
                "model": response_model or request_model,
                "model_group": request_model,
                "api_base": api_base,
                "endpoint": endpoint,
                "unpriced_reason": f"its facts cannot be stored: {type(error).__name__}",
            }
        )


_TOTALS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def _totals(usage: Mapping[str, Any], passes: Sequence[Any]) -> list[int]:
    """Return tokens in, out, read from and written to caches, and of reasoning, further passes included."""
    totals = [usage.get(name, 0) for name in _TOTALS]
    for _, stored in passes:
        further = Usage.from_dict(stored)
        totals = [total + further.overall(name) for total, name in zip(totals, _TOTALS, strict=True)]
    return totals if max(totals) <= LIMIT else [min(total, LIMIT) for total in totals]


def _raw_text(raw: Mapping[str, Any] | None) -> str | None:
    if raw is None:
        return None
    text = _text(raw)
    return text if len(text) <= MAX_RAW_USAGE else None


def _charges_text(charges: Sequence[Any]) -> str:
    # Meters and numbers are ours and need no escaping.
    lines = [f'["{meter}","{quantity}","{price}","{amount}"]' for meter, quantity, price, amount in charges]
    return f"[{','.join(lines)}]"


def _text(value: Any) -> str:
    text = _json_of(value).decode()
    return text if "\\u0000" not in text else _json_of(deep_storable(value)).decode()


def _json_of(value: Any) -> bytes:
    try:
        return to_json(value, inf_nan_mode="null", serialize_unknown=True)
    except ValueError:  # a lone surrogate
        return to_json(deep_storable(value), inf_nan_mode="null", serialize_unknown=True)


def _pico(amount: str | None) -> int | None:
    return None if amount is None else max(-LIMIT, min(to_pico(Decimal(amount)), LIMIT))


def usd_of(pico: int | None) -> Decimal | None:
    """Return a stored amount as an exact USD amount."""
    return None if pico is None else from_pico(pico)


def interrupted(stored: Sequence[Any]) -> Values:
    """Return the row of a call whose process died before the call ended: who asked for what, and no spend.

    Raises:
        ValueError: What is stored is no start mark.
    """
    (call_id, operation, provider, model, api_base, endpoint, started_at, attempt), owner = stored
    key, alias, user, team, organization, end_user, tags, metadata, session, trace, agent, ip, agent_text = (
        owner
    )
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
            "api_key": key or "",
            "key_alias": alias,
            "user_id": user or "",
            "team_id": team or "",
            "organization_id": organization or "",
            "end_user": end_user or "",
            "start_time": started,
            "end_time": started,
            "attempt": attempt,
            "request_tags": _text(tags) if tags else "[]",
            "metadata": _text({"spend_logs_metadata": metadata}) if metadata else "{}",
            "session_id": session,
            "trace_id": trace,
            "agent_id": agent,
            "requester_ip_address": ip,
            "user_agent": agent_text,
            "status": str(Status.INTERRUPTED),
            "usage_source": str(UsageSource.NONE),
            "pricing_status": str(PricingStatus.UNPRICED),
            "unpriced_reason": INTERRUPTED_REASON,
        }
    )
