"""What reports upward: the calls of one scope, and what they come to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

from spend_middleware.call import EXACT, Call, Cost

_ZERO, _ONE = Decimal(0), Decimal(1)


class Unrated(Protocol):
    """A finished call whose cost is worked out by who asks for it."""

    @property
    def call_id(self) -> str:
        """Its id."""

    @property
    def started_at(self) -> float:
        """Seconds since the epoch, UTC; so is `ended_at`."""

    @property
    def ended_at(self) -> float:
        """When it ended."""

    def cost(self) -> Cost:
        """Return what it costs."""

    def rated(self) -> Call:
        """Return the whole call, with its cost."""


class Sums(NamedTuple):
    """What the calls of a tally come to.

    Args:
        calls: How many there are.
        unpriced: How many of them have no cost.
        amount: The exact USD sum of the others.
        seconds: How long all of them took together.
        parts: What their charges come to by meter, USD.
    """

    calls: int
    unpriced: int
    amount: Decimal
    seconds: float
    parts: Mapping[str, Decimal]


class Tally:
    """The calls of one scope so far, and their exact cost; safe to read and add to from any thread."""

    __slots__ = (
        "_amount",
        "_calls",
        "_ids",
        "_lock",
        "_parent",
        "_parts",
        "_seconds",
        "_summed",
        "_unpriced",
    )

    def __init__(self, parent: Tally | None = None) -> None:
        self._calls: list[Call | Unrated] = []
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self._parent = parent
        self._summed = 0
        self._unpriced = 0
        self._amount = _ZERO
        self._seconds = 0.0
        self._parts: dict[str, Decimal] = {}

    def add(self, call: Call | Unrated) -> None:
        """Count one finished call here and in every enclosing scope."""
        with self._lock:
            if call.call_id in self._ids:
                return  # The result of one background call, read by two.
            self._ids.add(call.call_id)
            self._calls.append(call)
        if self._parent is not None:
            self._parent.add(call)

    @property
    def cost(self) -> Decimal:
        """The exact USD sum of the priced calls so far."""
        with self._lock:
            self._sum_up()
            amount = self._amount.normalize(EXACT)
        return amount if amount.as_tuple().exponent <= 0 else amount.quantize(_ONE)  # type: ignore[operator]

    @property
    def unpriced(self) -> int:
        """How many of the calls have no cost."""
        with self._lock:
            self._sum_up()
            return self._unpriced

    @property
    def calls(self) -> tuple[Call, ...]:
        """The finished calls so far, in the order they finished."""
        with self._lock:
            rated = [one if isinstance(one, Call) else one.rated() for one in self._calls]
            self._calls[:] = rated
        return tuple(rated)

    def sums(self) -> Sums:
        """Return what the calls so far come to."""
        with self._lock:
            self._sum_up()
            return Sums(self._summed, self._unpriced, self._amount, self._seconds, dict(self._parts))

    def _sum_up(self) -> None:
        """Add up what has come since the last time, as nobody asked; the caller holds the lock."""
        for one in self._calls[self._summed :]:
            cost = one.cost if isinstance(one, Call) else one.cost()
            self._summed += 1
            self._seconds += one.ended_at - one.started_at
            for meter, _, _, amount in cost.charges:
                self._parts[meter] = EXACT.add(self._parts.get(meter, _ZERO), amount)
            if cost.amount is None:
                self._unpriced += 1
            else:
                self._amount = EXACT.add(self._amount, cost.amount)
