"""The row of a call that was journaled as counts and prices; what all rows of its kind say is worked out once."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Raw, to_builtins
from msgspec.msgpack import Decoder

from spend_middleware.call import NOBODY, Status, Usage, UsageSource, to_pico
from spend_middleware.costs import CallKind, MeteredCall, encoded_payer, kind_in
from spend_middleware.store.call_rows import (
    charges_text,
    is_storable,
    owner_columns,
    plain_usage,
    raw_text,
    row_of,
    text_of,
    totals_in,
)
from spend_middleware.store.records import AT, Values, cleaned

_SUCCESS, _REPORTED = Status.SUCCESS.value, UsageSource.REPORTED.value
_WHAT = slice(AT["call_type"], AT["endpoint"] + 1)
_TIER, _KEY, _VERSION = AT["service_tier"], AT["price_key"], AT["price_version"]
_facts_in = Decoder().decode
_NOBODY = encoded_payer(NOBODY) or Raw()


def metered_row(call: MeteredCall) -> Values:
    """Return the row of a call: the same as of the call when it is rated first."""
    kind, alike = _alike(bytes(call.kind))
    amount, status, charges, *_ = call.cost(kind)
    call_id, response_id, finish_reason = call.call_id, call.response_id, call.finish_reason
    own = f"{call_id}{response_id}{finish_reason}"
    if amount is None or not own.isascii() or "\0" in own:
        return row_of(to_builtins(call.rated(kind)))
    who, said = _who(bytes(call.payer))
    spend, counted = to_pico(amount), call.usage.counts()
    tokens_in, tokens_out, read, written, reasoning = totals_in(counted)
    first = call.first_token_at
    return (
        call_id, response_id or call_id, *alike[_WHAT], *who,
        spend, None, spend, tokens_in, tokens_out, tokens_in + tokens_out, read, written, reasoning,
        int(call.started_at * 1e6), int(call.ended_at * 1e6), None if first is None else int(first * 1e6),
        _SUCCESS, 200, None, call.attempt, False, finish_reason, alike[_TIER],
        _REPORTED, None, status.value, None, alike[_KEY], alike[_VERSION],
        charges_text(charges), text_of(plain_usage(counted)), raw_text(call.reported), *said,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _alike(encoded: bytes) -> tuple[CallKind, Values]:
    """Return an encoded kind, and the row of a call of it that nobody made and that used nothing."""
    kind = kind_in(encoded)
    nothing = (0,) * len(kind.prices)
    call = MeteredCall("", 0.0, 0.0, None, 0, None, None, Usage(), b"{}", nothing, _NOBODY, Raw(encoded))
    return kind, row_of(to_builtins(call.rated(kind)))


@lru_cache(maxsize=256)
def _who(encoded: bytes) -> tuple[Values, Values]:
    """Return the columns that say who an encoded payer is."""
    who, said = owner_columns(_facts_in(encoded))
    return (who, said) if is_storable((*who, *said)) else (cleaned(who), cleaned(said))
