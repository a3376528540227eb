"""Records of the journal: rows and start marks as bytes, framed by length and CRC so that damage is always seen."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from pydantic_core import to_json

from spend_middleware.call import PricingStatus, Status, UsageSource

# Where a row has nothing to say: '' in the columns that are part of a rollup's key, 0 in counts, else NULL.
DEFAULTS: dict[str, Any] = {
    "id": "",
    "request_id": None,
    "call_type": "",
    "provider": "",
    "model": "",
    "model_group": "",
    "api_base": "",
    "endpoint": "",
    "api_key": "",
    "key_alias": None,
    "user_id": "",
    "team_id": "",
    "organization_id": "",
    "end_user": "",
    "spend": None,
    "reported_cost": None,
    "list_cost": None,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "total_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "reasoning_tokens": 0,
    "start_time": 0,
    "end_time": 0,
    "completion_start_time": None,
    "status": str(Status.SUCCESS),
    "status_code": None,
    "error_type": None,
    "attempt": 0,
    "stream": False,
    "finish_reason": None,
    "service_tier": None,
    "usage_source": str(UsageSource.NONE),
    "usage_note": None,
    "pricing_status": str(PricingStatus.UNPRICED),
    "unpriced_reason": None,
    "price_key": None,
    "price_version": None,
    "charges": None,
    "usage": None,
    "raw_usage": None,
    "request_tags": None,
    "metadata": None,
    "session_id": None,
    "trace_id": None,
    "agent_id": None,
    "requester_ip_address": None,
    "user_agent": None,
}
COLUMNS: tuple[str, ...] = tuple(DEFAULTS)
"""The columns of `spend_logs` in the order of a stored row's values."""

AT: dict[str, int] = {name: position for position, name in enumerate(COLUMNS)}
"""Column -> its position in a stored row's values."""

Values = tuple[Any, ...]
"""One row's values in the order of `COLUMNS`."""

ROW, PROVISIONAL, MARK, UNMARK, HEADER = b"R", b"P", b"M", b"U", b"H"
"""The first byte of a record: a finished row, one that may still be replaced, a start mark, a start mark taken back,
a segment's columns."""

FRAME = struct.Struct("<II")
"""Before each record: its length and its CRC-32."""

MAX_RECORD = 64 << 20

INTERRUPTED_REASON = "the process ended before the call did"

_take = itemgetter(*COLUMNS)


def values_of(row: Mapping[str, Any]) -> Values:
    """Return a row's values in order; what is missing gets its default, unknown keys are dropped."""
    try:
        values: Values = _take(row)
    except KeyError:
        values = _take({**DEFAULTS, **row})
    return values


def encode_row(values: Values) -> tuple[bytes, Values]:
    """Return a row as JSON, and its values made storable: NUL and lone surrogates become U+FFFD."""
    try:
        body = to_json(values)
    except ValueError:  # a lone surrogate, or a value that JSON does not know
        values = cleaned(values)
        return json.dumps(values, default=str, separators=(",", ":")).encode(), values
    if b"\\u0000" in body:
        values = cleaned(values)
        body = to_json(values)
    return body, values


def cleaned(values: Values) -> Values:
    """Return values whose text every database can hold."""
    return tuple(storable(value) for value in values)


def storable(value: Any) -> Any:
    """Return a value that both databases can hold: text without NUL and lone surrogates, else unchanged."""
    if not isinstance(value, str):
        return value
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def deep_storable(value: Any) -> Any:
    """Return a value whose texts, however deep, both databases can hold."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list | tuple):
        return tuple(map(deep_storable, value))
    if isinstance(value, Mapping):
        return {storable(name): deep_storable(inside) for name, inside in value.items()}
    return value


def without_nulls(values: Values) -> Values:
    """Return a row with defaults in place of None in the columns that must hold something."""
    return tuple(
        default if value is None else value for value, default in zip(values, DEFAULTS.values(), strict=True)
    )


_SEEDS = {kind: zlib.crc32(kind) for kind in (ROW, PROVISIONAL, MARK, UNMARK, HEADER)}
_pack = FRAME.pack
_crc32 = zlib.crc32


def framed(kind: bytes, body: bytes) -> bytes:
    """Return one record as it stands in a segment."""
    return _pack(len(body) + 1, _crc32(body, _SEEDS[kind])) + kind + body


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a segment that is no record: where, how long, and whether it is only the torn end."""

    offset: int
    length: int
    torn: bool


Record = tuple[bytes, bytes]
"""Kind and body."""


def read_frames(segment: bytes) -> Iterator[Record | Damage]:
    """Yield the records of a segment in order, and the damage between or behind them.

    A record whose CRC is wrong is skipped by its length when a whole record follows it there (or the segment ends
    there); where the length itself is no help, the rest is searched byte by byte for the next whole record.
    """
    offset, end = 0, len(segment)
    while offset < end:
        size = _whole_record(segment, offset)
        if size:
            start = offset + FRAME.size
            yield segment[start : start + 1], segment[start + 1 : start + size]
            offset = start + size
            continue
        following = _next_record(segment, offset)
        yield Damage(offset, following - offset, torn=following == end and not _is_complete(segment, offset))
        offset = following


def _whole_record(segment: bytes, offset: int) -> int:
    """Return the length of the whole record at an offset, 0 if there is none."""
    if offset + FRAME.size >= len(segment):
        return 0
    size, crc = FRAME.unpack_from(segment, offset)
    start = offset + FRAME.size
    if not 0 < size <= MAX_RECORD or start + size > len(segment):
        return 0
    return size if zlib.crc32(memoryview(segment)[start : start + size]) == crc else 0


def _is_complete(segment: bytes, offset: int) -> bool:
    """Say whether the record at an offset is as long as it says: then its end was not torn, it is corrupt."""
    if offset + FRAME.size > len(segment):
        return False
    size, _ = FRAME.unpack_from(segment, offset)
    return bool(0 < size <= MAX_RECORD and offset + FRAME.size + size <= len(segment))


def _next_record(segment: bytes, offset: int) -> int:
    """Return where the next whole record starts behind damage, else the segment's end."""
    if _is_complete(segment, offset):
        size, _ = FRAME.unpack_from(segment, offset)
        beyond: int = offset + FRAME.size + size
        if beyond == len(segment) or _whole_record(segment, beyond):
            return beyond
    for candidate in range(offset + 1, len(segment) - FRAME.size):
        if segment[candidate + FRAME.size] in b"RPMUH" and _whole_record(segment, candidate):
            return candidate
    return len(segment)


def decode_row(stored: object, columns: tuple[str, ...] = COLUMNS) -> Values:
    """Return a journaled row's values in today's order.

    Raises:
        ValueError: What is stored is not a row of these columns.
    """
    if not isinstance(stored, list) or len(stored) != len(columns):
        raise ValueError(f"a row of {len(columns)} values was expected")
    if columns == COLUMNS:
        return tuple(stored)
    return values_of(dict(zip(columns, stored, strict=True)))
