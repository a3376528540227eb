"""A finished call as the journal keeps it, made into a row only by the writer.

Encoding a call is cheap on the caller's path, and making the forty-nine columns of a row is not. So a call is
journaled as it is, and `decode` makes the columns, for calls that come from memory and for those that come from a dead
process's file alike.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic_core import from_json

from spend_middleware.call import Attribution, Call
from spend_middleware.costs import MeteredCall
from spend_middleware.store.call_rows import MAX_RAW_USAGE, json_of, raw_text, row_of
from spend_middleware.store.metered_rows import metered_row
from spend_middleware.store.records import COLUMNS, MARK, Values, decode_row, values_of

FORM = 1
"""What stands before a call in a record: how it is to be read. A later form gets a number of its own."""

METERED = 3
"""What stands before a call whose cost is still to be multiplied. (Form 2 lived for two days and in no release.)"""

PARTS = 2

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
    if len(body) > MAX_RAW_USAGE and call.raw_usage and raw_text(call.raw_usage) is None:
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
        return json_of(msgspec.to_builtins(facts, enc_hook=str))


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
        try:
            return metered_row(_metered(body)[1])
        except (msgspec.MsgspecError, TypeError) as error:
            raise ValueError(f"no call in form {METERED}") from error
    stored = facts_in(body)
    if not _is_call(stored):
        return decode_row(stored, columns)
    if stored[0] != FORM:
        raise ValueError(f"a call in form {FORM} was expected")
    return row_of(stored[1])


def _is_call(stored: Any) -> bool:
    """Tell a call from the columns of a row, the first of which is a text."""
    return isinstance(stored, list) and len(stored) == PARTS and isinstance(stored[0], int)


def call_id_in(kind: bytes, body: bytes) -> str:
    """Return the id of the call that a start mark or a row of the journal is about."""
    stored = facts_in(body)
    found: str = stored[1][0] if kind != MARK and _is_call(stored) else stored[0]
    return found


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
