"""LiteLLM's response headers that say what a call, or all calls of a request, cost."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from spend_middleware.call import EXACT, Call, Cost
from spend_middleware.costs import MeteredCall
from spend_middleware.tally import Tally

Headers = dict[bytes, bytes]

# The first word of a meter's name -> the header that its charges are summed in.
PARTS = {
    "input": b"x-litellm-response-cost-input",
    "output": b"x-litellm-response-cost-output",
    "cache_read": b"x-litellm-response-cost-cache-read",
    "cache_write": b"x-litellm-response-cost-cache-creation",
    "reasoning": b"x-litellm-response-cost-reasoning",
}
_header_of_meter: dict[str, bytes] = {}


def plain(amount: Decimal) -> str:
    """Return a USD amount as a plain decimal: no exponent, no trailing zeros, "0.0" for nothing."""
    text = str(amount)
    if "E" in text:
        text = format(amount, "f")
    if "." not in text:
        return text + ".0"
    text = text.rstrip("0")
    return text if text[-1] != "." else text + "0"


def id_headers(call_id: str, key_spent: Decimal | None = None) -> Headers:
    """Return the headers for an answer whose cost is not known yet: the id under which it is found later.

    Args:
        call_id: The call's id.
        key_spent: What its key has spent by now.
    """
    return {b"x-litellm-call-id": call_id.encode(), **key_header(key_spent)}


def cost_headers(call: Call, key_spent: Decimal | None = None) -> Headers:
    """Return the headers for one call: its id, its duration, and its cost with its parts where it is known.

    Args:
        call: The call.
        key_spent: What its key has spent by now.
    """
    return {**_headers_of(call, call.cost), **key_header(key_spent)}


def metered_headers(call: MeteredCall) -> Headers:
    """Return the headers for one call whose cost is worked out now, as somebody looks for them."""
    return _headers_of(call, call.cost())


def _headers_of(call: Call | MeteredCall, cost: Cost) -> Headers:
    found = {
        b"x-litellm-call-id": call.call_id.encode(),
        b"x-litellm-response-duration-ms": b"%.3f" % ((call.ended_at - call.started_at) * 1000),
    }
    amount, listed = cost.amount, cost.list_amount
    if amount is not None:
        found[b"x-litellm-response-cost"] = plain(amount).encode()
        if listed is not None and listed is not amount and listed != amount:
            found[b"x-litellm-response-cost-original"] = plain(listed).encode()
        _add_parts(found, [(charge.meter, charge.amount) for charge in cost.charges])
    return found


def key_header(spent: Decimal | None) -> Headers:
    """Return the header that says what the key of a call has spent by now; none without a known key."""
    return {} if spent is None else {b"x-litellm-key-spend": plain(spent).encode()}


def tally_headers(request_id: str, tally: Tally, key_spent: Decimal | None = None) -> Headers:
    """Return the headers for a service's own answer: the sum over the calls made while handling the request.

    Args:
        key_spent: What the request's virtual key has spent by now.
    """
    found = {b"x-litellm-call-id": request_id.encode("latin-1", "replace"), **key_header(key_spent)}
    sums = tally.sums()
    if not sums.calls:
        return found
    found[b"x-litellm-response-duration-ms"] = b"%.3f" % (sums.seconds * 1000)
    # A sum that leaves calls out says so beside it.
    if sums.unpriced < sums.calls:
        found[b"x-litellm-response-cost"] = plain(sums.amount).encode()
        _add_parts(found, sums.parts.items())
    if sums.unpriced:
        found[b"x-spend-unpriced-calls"] = str(sums.unpriced).encode()
    return found


def _add_parts(found: Headers, parts: Iterable[tuple[str, Decimal]]) -> None:
    """Add the headers that say what parts of a cost come to, given by meter."""
    sums: dict[bytes, Decimal] = {}
    for meter, amount in parts:
        name = _header_of_meter.get(meter) or _header_of(meter)
        if name:
            sums[name] = EXACT.add(sums[name], amount) if name in sums else amount
    for name, amount in sums.items():
        found[name] = plain(amount).encode()


def _header_of(meter: str) -> bytes:
    """Return the header that the charges of a meter are summed in, b"" for none."""
    name = next((header for start, header in PARTS.items() if meter.startswith(start)), b"")
    if len(_header_of_meter) < 1000:
        _header_of_meter[meter] = name
    return name
