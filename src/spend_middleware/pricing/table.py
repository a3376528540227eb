"""The packaged price table: every model's rows with the days from which they count."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from spend_middleware.pricing.rates import Rates

_DAY = 86_400
Interval = tuple[Rates, float, float]
"""A row with the time from which and the time until which it counts."""

FOREVER = float("inf")


class PriceTable:
    """Rows of prices by model key and time.

    Args:
        packed: The table as `scripts/build_prices.py` writes it: distinct rows once, field names as numbers, and
            for each key its rows, with the days (since 1970) on which one follows another.
    """

    def __init__(self, packed: dict[str, Any]) -> None:
        self.version: str = packed["version"]
        self.sources: dict[str, Any] = packed.get("sources", {})
        self._fields: list[str] = packed["fields"]
        self._rows: list[list[Any]] = packed["rows"]
        self._models: dict[str, int | list[int]] = packed["models"]
        self._removed: dict[str, int] = packed.get("removed", {})
        self.listed: int = packed.get("listed", len(self._models))
        """How many models the newest release of the sources lists."""
        self._lowered: dict[str, str] | None = None

    @classmethod
    def packaged(cls) -> PriceTable:
        """Return the table that this package ships."""
        stored = files("spend_middleware.pricing").joinpath("data/prices.json.gz").read_bytes()
        return cls(json.loads(gzip.decompress(stored)))

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, key: str) -> bool:
        return key in self._models

    def find(self, key: str) -> str | None:
        """Return a key as the table writes it, whatever the case of its letters."""
        if key in self._models:
            return key
        if self._lowered is None:
            self._lowered = {known.lower(): known for known in reversed(self._models)}
        return self._lowered.get(key.lower())

    def keys(self) -> Iterator[str]:
        """Give every key."""
        return iter(self._models)

    def removed_on(self, key: str) -> float | None:
        """Return when the sources dropped a model (it keeps its last price); None while they list it."""
        day = self._removed.get(key)
        return None if day is None else day * float(_DAY)

    def provider_of(self, key: str) -> str:
        """Return the provider of a key's newest row."""
        known = self._models[key]
        return str(
            self._fields_of(known if isinstance(known, int) else known[-1]).get("litellm_provider") or ""
        )

    def at(self, key: str, when: float) -> Interval | None:
        """Return the row of a key at a time and how long it counts; the first row counts backwards for ever."""
        known = self._models.get(key)
        if known is None:
            return None
        if isinstance(known, int):
            return Rates(key, self._fields_of(known)), -FOREVER, FOREVER
        number, since, until = known[0], -FOREVER, FOREVER
        for place in range(1, len(known), 2):
            start = known[place] * float(_DAY)
            if start > when:
                until = start
                break
            number, since = known[place + 1], start
        return Rates(key, self._fields_of(number)), since, until

    def _fields_of(self, number: int) -> dict[str, Any]:
        flat = self._rows[number]
        names = self._fields
        return {names[flat[i]]: flat[i + 1] for i in range(0, len(flat), 2)}
