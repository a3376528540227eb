"""Three layers of price rows seen as one: prices of your own, over a fetched map, over the packaged table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spend_middleware.pricing import names
from spend_middleware.pricing.calculate import Sheet
from spend_middleware.pricing.rates import Rates
from spend_middleware.pricing.table import FOREVER, Interval, PriceTable
from spend_middleware.pricing.tokens import TokenRates

Prices = Mapping[str, Mapping[str, Any]]


class Known(NamedTuple):
    """A row that was looked up before.

    Args:
        since: From when on it counts, seconds since the epoch, UTC.
        until: And until when.
        sheet: The row, ready for pricing.
        rates: What was given out of it, by the identity of its prices.
    """

    since: float
    until: float
    sheet: Sheet
    rates: dict[int, TokenRates]


@dataclass(slots=True)
class Layers:
    """Everything that one answer depends on; replaced as a whole, so that readers need no lock.

    Args:
        table: The dated table.
        own: Prices of your own by model, in LiteLLM's fields.
        fetched: The rows of a fetched map.
        version: The version of the table or of the map that answers.
        fetched_at: Since when the fetched map counts.
    """

    table: PriceTable
    version: str
    own: Prices = field(default_factory=dict)
    fetched: Prices = field(default_factory=dict)
    fetched_at: float = FOREVER
    sheets: dict[Any, Known | None] = field(default_factory=dict)
    _lowered: dict[str, str] | None = None

    def key(self, provider: str, model: str, region: str | None = None) -> str | None:
        """Return the key of a model's row; None when the model is unknown."""
        return names.resolve(provider, model, self.find, self.provider_of, region)

    def find(self, key: str) -> str | None:
        """Return a key as its layer writes it, whatever the case of its letters."""
        if key in self.own or key in self.fetched:
            return key
        if self._lowered is None:
            self._lowered = {known.lower(): known for known in (*self.fetched, *self.own)}
        return (self._lowered.get(key.lower()) if self._lowered else None) or self.table.find(key)

    def provider_of(self, key: str) -> str:
        """Return the provider of a key's row; "" where nobody names one."""
        for rows in (self.own, self.fetched):
            if key in rows and rows[key].get("litellm_provider"):
                return str(rows[key]["litellm_provider"])
        return self.table.provider_of(key) if key in self.table else ""

    def row(self, key: str, at: float) -> Interval | None:
        """Return the row of a key at a time, and how long it counts."""
        found = self.table.at(key, at)
        fetched, own = self.fetched.get(key), self.own.get(key)
        if fetched is not None:
            # A fetched map says what counts today; what counted before stays what it was.
            if found is None or at >= self.fetched_at:
                found = Rates(key, fetched), -FOREVER if found is None else self.fetched_at, FOREVER
            else:
                found = found[0], found[1], min(found[2], self.fetched_at)
        if own is None:
            return found
        if found is None:
            # "anthropic/claude-x" in your own prices means the row that the table has under "claude-x".
            known = names.resolve("", key, self.table.find, self.table.provider_of)
            found = self.table.at(known, at) if known else None
        if found is None:
            return Rates(key, own), -FOREVER, FOREVER
        rates, since, until = found
        return Rates(key, {**rates.fields, **own}), since, until

    def removed_on(self, key: str) -> float | None:
        """Return when the sources dropped a model; one with a price of your own they never did."""
        return self.table.removed_on(key) if key not in self.own and key not in self.fetched else None

    def all_keys(self) -> Iterator[str]:
        """Give every key once."""
        yield from dict.fromkeys((*self.own, *self.fetched, *self.table.keys()))
