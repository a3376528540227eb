"""LiteLLM's response headers that say what a call, or all calls of a request, cost."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from spend_middleware.call import EXACT, Call, Charge, Tally

Header = tuple[bytes, bytes]

# The first word of a meter's name -> the header that its charges are summed in.
PARTS = {
    "input": b"x-litellm-response-cost-input",
    "output": b"x-litellm-response-cost-output",
    "cache_read": b"x-litellm-response-cost-cache-read",
    "cache_write": b"x-litellm-response-cost-cache-creation",
    "reasoning": b"x-litellm-response-cost-reasoning",
}
_header_of_meter: dict[str, bytes | None] = {}


def plain(amount: Decimal) -> str:
    """Return a USD amount as a plain decimal: no exponent, no trailing zeros, "0.0" for nothing."""
    text = str(amount)
    if "E" in text:
        text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0")
        return text + "0" if text.endswith(".") else text
    return text + ".0"


def cost_headers(call: Call) -> list[Header]:
    """Return the headers for one call: its id, its duration, and its cost with its parts where it is known."""
    cost = call.cost
    found = [
        (b"x-litellm-call-id", call.call_id.encode()),
        (b"x-litellm-response-duration-ms", b"%.3f" % ((call.ended_at - call.started_at) * 1000)),
    ]
    if cost.amount is None:
        return found
    text = plain(cost.amount).encode()
    found.append((b"x-litellm-response-cost", text))
    listed = cost.list_amount
    if listed is not None:
        original = text if listed is cost.amount else plain(listed).encode()
        found.append((b"x-litellm-response-cost-original", original))
    found += _parts(cost.charges)
    return found


def key_header(spent: Decimal | None) -> list[Header]:
    """Return the header that says what the key of a call has spent by now; none without a known key."""
    return [] if spent is None else [(b"x-litellm-key-spend", plain(spent).encode())]


def tally_headers(request_id: str, tally: Tally, key_spent: Decimal | None = None) -> list[Header]:
    """Return the headers for a service's own answer: the sum over the calls made while handling the request.

    Args:
        key_spent: What the request's virtual key has spent by now.
    """
    found = [(b"x-litellm-call-id", request_id.encode("latin-1", "replace"))]
    found += key_header(key_spent)
    calls = tally.calls
    if not calls:
        return found
    busy = sum(call.ended_at - call.started_at for call in calls)
    found.append((b"x-litellm-response-duration-ms", f"{busy * 1000:.3f}".encode()))
    # A sum that leaves calls out says so beside it.
    if tally.unpriced < len(calls):
        found.append((b"x-litellm-response-cost", plain(tally.cost).encode()))
        charges = (charge for call in calls for charge in call.cost.charges)
        found += _parts(charges)
    if tally.unpriced:
        found.append((b"x-spend-unpriced-calls", str(tally.unpriced).encode()))
    return found


def _parts(charges: Iterable[Charge]) -> list[Header]:
    sums: dict[bytes, Decimal] = {}
    for meter, _, _, amount in charges:
        try:
            name = _header_of_meter[meter]
        except KeyError:
            name = _header_of(meter)
        if name is not None:
            sums[name] = EXACT.add(sums[name], amount) if name in sums else amount
    return [(name, plain(amount).encode()) for name, amount in sums.items()]


def _header_of(meter: str) -> bytes | None:
    name = next((header for start, header in PARTS.items() if meter.startswith(start)), None)
    if len(_header_of_meter) < 1000:
        _header_of_meter[meter] = name
    return name
