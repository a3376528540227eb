"""The price book: which row prices a call, on which day, and what comes of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from spend_middleware.call import Charge, Cost, PricingStatus
from spend_middleware.costs import TOO_MUCH, listed_cost, status_of, total, unpriced
from spend_middleware.pricing import adjust, maps
from spend_middleware.pricing.calculate import charges_of, compile_sheet
from spend_middleware.pricing.field_names import refuse_misspelled
from spend_middleware.pricing.layers import Layers
from spend_middleware.pricing.others import Others
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates, check_fields, is_price_field
from spend_middleware.pricing.sheets import Sheets
from spend_middleware.pricing.table import PriceTable
from spend_middleware.pricing.tokens import TokenRates, token_charges

_logger = logging.getLogger("spend_middleware.pricing")

_REPORTED = PricingStatus.PROVIDER_REPORTED


class PriceBook:
    """Prices calls; safe to use from any thread.

    Args:
        table: The dated table; the packaged one when None.
        discounts: Provider -> share off, 0 to 1.
        margins: Provider or "global" -> share on top, or {percentage, fixed_amount}.
        base_models: "host/deployment", "deployment" or alias -> the model whose price counts.
    """

    def __init__(
        self,
        table: PriceTable | None = None,
        *,
        discounts: Mapping[str, Any] | None = None,
        margins: Mapping[str, Any] | None = None,
        base_models: Mapping[str, str] | None = None,
    ) -> None:
        table = table or packaged_table()
        self._lock = threading.Lock()
        self._layers = Layers(table, table.version)
        self._adjustments = adjust.Adjustments(discounts or {}, margins or {})
        self._sheets = Sheets(base_models or {})

    @classmethod
    def bundled(cls) -> PriceBook:
        """Return the one book of the packaged table, without settings; load it when it is first asked for."""
        return _bundled()

    @property
    def version(self) -> str:
        """The version of the table that answers."""
        return self._layers.version

    def __len__(self) -> int:
        return len(self._layers.table)

    def register(self, prices: Mapping[str, Mapping[str, Any]]) -> None:
        """Add prices of your own, in LiteLLM's fields; fields that you leave out keep what the table says.

        Raises:
            PriceError: A price is not usable, or a field's name is a slip of a price's; then nothing is added.
        """
        checked = {str(model): check_fields(str(model), fields) for model, fields in prices.items()}
        for model, fields in prices.items():
            for name in refuse_misspelled(str(model), fields):
                _logger.warning(
                    "%r of %r is no price field that is known: it counts for nothing", name, model
                )
        with self._lock:
            before = self._layers
            own = dict(before.own)
            for model, fields in checked.items():
                own[model] = {**own.get(model, {}), **fields}
            self._layers = Layers(before.table, before.version, own, before.fetched, before.fetched_at)

    def adjust_by(self, discounts: Mapping[str, Any], margins: Mapping[str, Any]) -> None:
        """Let other discounts and margins count from now on.

        Raises:
            PriceError: A share is not usable; then the ones so far go on counting.
        """
        self._adjustments = adjust.Adjustments(discounts, margins)

    @staticmethod
    def check_adjustments(discounts: Mapping[str, Any], margins: Mapping[str, Any]) -> None:
        """Refuse discounts and margins that cannot be used.

        Raises:
            PriceError: A share is not usable.
        """
        adjust.Adjustments(discounts, margins)

    def load_map(self, location: str | Path) -> None:
        """Let a whole price map in LiteLLM's format count from now on; prices of your own stay before it.

        Calls that completed before keep the price of their day.

        Args:
            location: A path, file:// or https://.

        Raises:
            PriceError: The map is refused; the prices stay as they were.
        """
        prices, version = maps.load(location, self._layers.table.listed)
        with self._lock:
            before = self._layers
            self._layers = Layers(before.table, version, before.own, prices, time.time())

    def follow_map(self, location: str | Path, every: float = 86_400.0) -> maps.Follower:
        """Load a price map now and then again, in a thread of its own; return what stops it."""
        return maps.Follower(lambda: self.load_map(location), every)

    def price(self, query: PriceQuery) -> Cost:
        """Return what a call costs; an unknown price is a cost without amount and with a reason, never 0."""
        layers = self._layers
        if query.custom_pricing is not None and any(map(is_price_field, query.custom_pricing)):
            return self._custom(query, layers)
        found = self._sheets.of(layers, query)
        usage = query.usage
        if found is None:
            lines, reason = [], _unknown(query)
        elif found.tokens_only and found.card is not None and not (usage.units or usage.passes):
            lines, reason = token_charges(usage, found.card.at(usage.input_tokens, query.at)), None
        else:
            lines, reason = charges_of(found, query, Others(self._sheets.of, layers, query))
        listed = None if reason else total(lines)
        key = found.rates.key if found else None
        own = found is not None and found.own
        if (
            query.reported_cost is not None
            and not (own and listed is not None)
            and adjust.is_usable(query.reported_cost)
        ):
            return self._finish(query, [adjust.stated(query.reported_cost)], _REPORTED, key, listed)
        if listed is None:
            return unpriced(reason or TOO_MUCH, layers.version)
        if self._adjustments.any or query.reported_cost is not None:
            return self._finish(query, lines, status_of(own, listed, lines), key, listed)
        return listed_cost(own, listed, lines, key, layers.version)

    def token_rates(
        self,
        provider: str,
        models: tuple[str, ...],
        operation: str,
        service_tier: str | None,
        api_base: str,
        input_tokens: int,
        at: float,
    ) -> TokenRates | None:
        """Return the prices by which `price` would price a call of tokens alone whose like was priced before.

        Nearly all calls are such, and a query for them is dearer to make than to answer. None for all others.

        Args:
            input_tokens: Tokens in, cached ones too.
            at: When the call completed, seconds since the epoch, UTC.
        """
        layers = self._layers
        known = layers.sheets.get(
            (provider, models, operation, service_tier, False, None, api_base, None, None)
        )
        if known is None or self._adjustments.any:
            return None
        since, until, sheet, rates = known
        card = sheet.card
        if not sheet.tokens_only or card is None or not since <= at < until:
            return None
        flat = card.off_peak is None and not card.steps
        prices = card.plain if flat else card.at(input_tokens, at)
        found = rates.get(id(prices))
        if found is None:
            found = rates[id(prices)] = TokenRates(sheet.own, sheet.rates.key, layers.version, prices)
        return found

    def rates(self, provider: str | None, model: str, at: float) -> Mapping[str, Any] | None:
        """Return the price row of a model on a day in LiteLLM's fields; None when it is unknown."""
        layers = self._layers
        key = layers.key(provider or "", model)
        found = None if key is None else layers.row(key, at)
        if found is None:
            return None
        row = found[0]
        shown = {name: _shown(row, name, value) for name, value in row.fields.items()}
        return {"key": row.key, **shown}

    def models(self, at: float) -> Iterator[tuple[str, str, str]]:
        """Give (key, provider, mode) of every model that is priced on a day; dropped ones only until they were."""
        layers = self._layers
        for key in layers.all_keys():
            removed = layers.table.removed_on(key)
            if removed is not None and removed <= at and key not in layers.own:
                continue
            found = layers.row(key, at)
            if found is not None:
                yield key, found[0].provider, found[0].mode

    # -- finishing

    def _custom(self, query: PriceQuery, layers: Layers) -> Cost:
        model = next((m for m in query.models if m), "custom price")
        refuse_misspelled(model, query.custom_pricing or {})
        rates = Rates(model, check_fields(model, query.custom_pricing or {}))
        sheet = compile_sheet(rates, query)
        lines, reason = charges_of(sheet, query, Others(self._sheets.of, layers, query))
        if reason is not None:
            return unpriced(reason, layers.version)
        listed = None
        found = self._sheets.of(layers, query)
        if found is not None:
            list_lines, why = charges_of(found, query, Others(self._sheets.of, layers, query))
            listed = None if why else total(list_lines)
        return self._finish(query, lines, PricingStatus.CUSTOM, rates.key, listed)

    def _finish(
        self,
        query: PriceQuery,
        lines: list[Charge],
        status: PricingStatus,
        key: str | None,
        listed: Decimal | None,
    ) -> Cost:
        if self._adjustments.any:
            provider = query.provider or (self._layers.provider_of(key) if key else "")
            lines = self._adjustments.apply(lines, provider)
        amount = total(lines)
        if amount is None:
            return unpriced(TOO_MUCH, self._layers.version)
        return Cost(
            amount=amount,
            status=status,
            charges=tuple(lines),
            price_key=key,
            price_version=self._layers.version,
            list_amount=listed,
            reported_amount=query.reported_cost,
        )


def _shown(row: Rates, name: str, value: Any) -> Any:
    """Return a field as a number where the table holds a vendor's fraction."""
    return float(row.get(name) or 0) if isinstance(value, str) and "/" in value and "cost" in name else value


def _unknown(query: PriceQuery) -> str:
    model = next((m for m in query.models if m), "")
    if not model:
        return "no model was named"
    return f"no price for {query.provider}/{model}" if query.provider else f"no price for {model}"


@cache
def packaged_table() -> PriceTable:
    """Return the packaged table, loaded once a process."""
    return PriceTable.packaged()


@cache
def _bundled() -> PriceBook:
    return PriceBook()
