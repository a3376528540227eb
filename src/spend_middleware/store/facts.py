"""A finished call as the journal keeps it, made into a row only by the writer.

Encoding a call is cheap on the caller's path, and making the forty-nine columns of a row is not. So a call is
journaled as it is, and the columns are made by one function, for calls that come from memory and for those that come
from a dead process's file alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import Any

import msgspec
from pydantic_core import from_json, to_json

from spend_middleware.call import (
    PICO,
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
from spend_middleware.costs import CallKind, MeteredCall, kind_in
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
"""What stands before a call in a record: how it is to be read. A later form gets a number of its own."""

METERED = 2
"""What stands before a call whose cost is still to be multiplied."""

PARTS = 2

MAX_NAME = 512
MAX_RAW_USAGE = 4096
"""Bytes of JSON kept of a provider's usage object; a larger one is no usage object."""

LIMIT = (1 << 63) - 1

_SUCCESS, _REPORTED = Status.SUCCESS.value, UsageSource.REPORTED.value
_SURROGATES = re.compile("[\ud800-\udfff]")
_msgpack = msgspec.msgpack.Encoder().encode
_unpacked = msgspec.msgpack.Decoder().decode
_metered = msgspec.msgpack.Decoder(tuple[int, MeteredCall]).decode
_METERED_HEAD = _msgpack((METERED, None))[:2]

Started = tuple[str, str, str, str, str, str, float, int, Attribution]
"""Of a call that goes out: id, operation, provider, model, api_base, endpoint, when, which attempt, who asked.

It is what the call's row says if the process dies before the call ends.
"""


def encode_call(call: Call) -> bytes:
    """Return a finished call as the body of a record: MessagePack, its fields in their order and without names."""
    body = _encoded((FORM, call))
    if len(body) > MAX_RAW_USAGE and call.raw_usage and _raw_text(call.raw_usage) is None:
        return encode_call(msgspec.structs.replace(call, raw_usage=None))
    return body


def encode_metered(call: MeteredCall) -> bytes:
    """Return a finished call whose cost is still to be multiplied as the body of a record."""
    try:
        return _msgpack((METERED, call))
    except (ValueError, OverflowError, TypeError, RecursionError):
        return encode_call(call.rated())


def encode_started(started: Started) -> bytes:
    """Return a call that goes out as the body of its start mark."""
    return _encoded(started)


def _encoded(facts: tuple[Any, ...]) -> bytes:
    try:
        return _msgpack(facts)
    except (ValueError, OverflowError, TypeError):
        # A lone surrogate, a number of more than 64 bits, or what is no plain value: JSON has a form for them.
        return _json_of(msgspec.to_builtins(facts, enc_hook=str))


def facts_in(body: bytes) -> Any:
    """Return what a record of the journal holds, as lists: a call, a start mark, or a row's own columns.

    Raises:
        ValueError: It holds none of them.
    """
    try:
        return from_json(body) if body[:1] == b"[" else _unpacked(body)
    except msgspec.MsgspecError as error:
        raise ValueError("neither MessagePack nor JSON") from error


def decode(body: bytes, columns: tuple[str, ...] = COLUMNS) -> Values:
    """Return the row that a record of the journal stands for.

    Raises:
        ValueError: The record holds no row.
    """
    if body[:2] == _METERED_HEAD:
        return _metered_row(body)
    stored = facts_in(body)
    return row_in(stored) if _is_call(stored) else decode_row(stored, columns)


def _metered_row(body: bytes) -> Values:
    try:
        _, call = _metered(body)
        return row_in((FORM, rated_facts(call)))
    except msgspec.MsgspecError as error:
        raise ValueError(f"no call in form {METERED}") from error


def rated_facts(call: MeteredCall) -> Sequence[Any]:
    """Return what would be journaled of a call if it were rated first; the writer makes rows of it by the thousand."""
    kind, payer = _kind_facts(bytes(call.kind))
    amount, status, charges, reason, key, version, listed, _ = call.cost(kind)
    text = None if amount is None else str(amount)
    lines = [(meter, str(quantity), str(price), str(each)) for meter, quantity, price, each in charges]
    cost = (text, status.value, lines, reason, key, version, text if listed is amount else str(listed), None)
    return (
        call.call_id, kind.provider, kind.operation, kind.request_model, kind.response_model, kind.api_base,
        kind.endpoint, call.started_at, call.ended_at, call.first_token_at, _SUCCESS, 200, None, False,
        call.attempt, call.response_id, call.finish_reason, kind.service_tier,
        (*call.usage.counts(), {}, {}, ()), _REPORTED, None, call.raw_usage, cost, payer,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _kind_facts(encoded: bytes) -> tuple[CallKind, Sequence[Any]]:
    kind = kind_in(encoded)
    return kind, msgspec.to_builtins(kind.attribution)


def _is_call(stored: Any) -> bool:
    """Tell a call from the columns of a row, the first of which is a text."""
    return isinstance(stored, list) and len(stored) == PARTS and isinstance(stored[0], int)


def call_id_in(kind: bytes, body: bytes) -> str:
    """Return the id of the call that a start mark or a row of the journal is about."""
    stored = facts_in(body)
    found: str = stored[1][0] if kind != MARK and _is_call(stored) else stored[0]
    return found


def row_in(stored: Sequence[Any]) -> Values:
    """Return the row that a journaled call stands for: pico-dollars, microseconds, JSON as text.

    Raises:
        ValueError: It is no call of a form that this version reads.
    """
    if stored[0] != FORM or len(stored) != PARTS:
        raise ValueError(f"a call in form {FORM} was expected")
    (
        call_id, provider, operation, request_model, response_model, api_base, endpoint, started_at, ended_at,
        first_token_at, status, status_code, error_type, stream, attempt, response_id, finish_reason,
        service_tier, counted, usage_source, usage_note, raw, cost, owner,
    ) = stored[1]  # fmt: skip
    amount, pricing_status, charges, reason, price_key, price_version, list_amount, reported = cost
    key, alias, user, team, organization, end_user, tags, metadata, session, trace, agent, ip, agent_text = (
        _owner_in(owner)
    )
    spend = _pico(amount)
    usage = _usage_in(counted)
    tokens_in, tokens_out, read, written, reasoning = _totals(counted, usage)
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


_COUNTS = len(USAGE_COUNTS)


def _usage_in(counted: Sequence[Any]) -> dict[str, Any]:
    """Return a journaled usage as `Usage.as_dict` would."""
    usage: dict[str, Any] = dict(compress(zip(USAGE_COUNTS, counted, strict=False), counted))
    units, traits, passes = counted[_COUNTS:]
    if units:
        usage["units"] = units
    if traits:
        usage["traits"] = traits
    if passes:
        usage["passes"] = [[model, _usage_in(further)] for model, further in passes]
    return usage


def _owner_in(owner: Sequence[Any]) -> tuple[Any, ...]:
    """Return who a journaled call is for, in the order in which rows are made of it."""
    tags, end_user, user, team, organization, key, alias, session, trace, agent, ip, agent_text, metadata = (
        owner
    )
    return (
        key, alias, user, team, organization, end_user, tags, metadata, session, trace, agent, ip, agent_text,
    )  # fmt: skip


def _is_storable(values: Values) -> bool:
    """Tell whether both databases can hold the texts of a row, which nearly all can."""
    text = "".join([value for value in values if type(value) is str])
    return "\0" not in text and (text.isascii() or not _SURROGATES.search(text))


def journaled_row(body: bytes) -> Values:
    """Return the row of a call that this process journaled; of facts that make none, what it was and why."""
    try:
        return decode(body)
    except (ValueError, TypeError, ArithmeticError) as error:
        form, facts = facts_in(body)
        # A metered call names its kind last, and that begins as a call does behind its id.
        call_id, (provider, operation, request_model, response_model, api_base, endpoint) = (
            facts[0],
            facts[-1][:6] if form == METERED else facts[1:7],
        )
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
_totals_of = itemgetter(*map(USAGE_COUNTS.index, _TOTALS))


def _totals(counted: Sequence[Any], usage: Mapping[str, Any]) -> Sequence[int]:
    """Return tokens in, out, read from and written to caches, and of reasoning, further passes included."""
    totals: Sequence[int] = _totals_of(counted)
    for _, stored in usage.get("passes", ()):
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
    key, alias, user, team, organization, end_user, tags, metadata, session, trace, agent, ip, agent_text = (
        _owner_in(owner)
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
