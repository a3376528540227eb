"""Which row of the layers prices a call, ready for pricing and remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from spend_middleware.pricing.calculate import Sheet, compile_sheet
from spend_middleware.pricing.layers import Known, Layers
from spend_middleware.pricing.others import Others
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates
from spend_middleware.pricing.table import FOREVER, Interval

_MOST_CACHED = 8192
_FREE = {
    "litellm_provider": "openrouter",
    "mode": "chat",
    "input_cost_per_token": 0,
    "output_cost_per_token": 0,
}


class Sheets:
    """Finds the rows that price calls.

    Args:
        base_models: "host/deployment", "deployment" or alias -> the model whose price counts.
    """

    def __init__(self, base_models: Mapping[str, str]) -> None:
        self._base_models = {name.lower(): model for name, model in base_models.items()}

    def of(self, layers: Layers, query: PriceQuery) -> Sheet | None:
        """Return the row that prices a query; None when no name of it is known."""
        traits = query.usage.traits
        asked = (
            query.provider, query.models, query.operation, query.service_tier, query.batch, query.region,
            query.api_base, query.base_model,
            (traits.get("inference_geo"), traits.get("speed"), traits.get("cache_reads")) if traits else None,
        )  # fmt: skip
        try:
            known = layers.sheets[asked]
            if known is None:
                return None
            if known.since <= query.at < known.until:
                return known.sheet
        except KeyError:
            pass
        if len(layers.sheets) >= _MOST_CACHED:
            layers.sheets.clear()
        found = self._find(layers, query)
        if found is None:
            layers.sheets[asked] = None
            return None
        rates, since, until = found
        sheet = compile_sheet(rates, query)
        sheet.own = rates.key in layers.own
        layers.sheets[asked] = Known(since, until, sheet, {})
        return sheet

    def _find(self, layers: Layers, query: PriceQuery) -> Interval | None:
        retired: tuple[str, str] | None = None
        since, until = (
            -FOREVER,
            FOREVER,
        )  # the answer is another one once a model that was looked at is dropped
        for provider, model in self._wanted(query):
            key = layers.key(provider, model, query.region)
            if key is None:
                continue
            removed = layers.removed_on(key)
            gone = removed is not None and removed <= query.at
            if removed is not None:
                since, until = (max(since, removed), until) if gone else (since, min(until, removed))
            if retired is None and gone:
                # A dropped snapshot is priced as the alias that was asked for, where that is listed still.
                retired = key, model
                continue
            if retired is not None and not retired[1].startswith(f"{model}-"):
                continue
            return _within(since, until, layers.row(key, query.at))
        if retired is not None:
            return _within(since, until, layers.row(retired[0], query.at))
        if query.operation.startswith(("image", "aimage")):
            return self._keyed(layers, query)
        # OpenRouter's own suffix for the variants that cost nothing (https://openrouter.ai/docs/model-variants, "Free").
        free = next((m for m in query.models if m.endswith(":free")), None)
        if free and query.provider == "openrouter":
            return Rates(f"openrouter/{free}", _FREE), -FOREVER, FOREVER
        return None

    def _keyed(self, layers: Layers, query: PriceQuery) -> Interval | None:
        """Return an empty row for a picture model that has rows by size only, such as "1024-x-1024/dall-e-2"."""
        others = Others(self.of, layers, query)
        for provider, model in self._wanted(query):
            name = model.removeprefix(f"{provider}/")
            if any("-x-" in key for key in others.ending(name)):
                return Rates(f"{provider}/{name}", {"litellm_provider": provider}), query.at, query.at + 1
        return None

    def _wanted(self, query: PriceQuery) -> Iterator[tuple[str, str]]:
        """Give (provider, model) in the order in which they may price the call."""
        provider = query.provider or ""
        bases = [query.base_model] if query.base_model else []
        if self._base_models:
            host = urlsplit(query.api_base).hostname if query.api_base else None
            for model in query.models:
                for name in (f"{host}/{model}", model):
                    base = self._base_models.get(name.lower())
                    if base:
                        bases.append(base)
        for base in bases:
            yield provider, base
            if "/" in base:
                yield "", base
        for model in query.models:
            if model:
                yield provider, model


def _within(since: float, until: float, found: Interval | None) -> Interval | None:
    """Return a row for no longer than it is the answer."""
    if found is None:
        return None
    rates, first, last = found
    return rates, max(since, first), min(until, last)
