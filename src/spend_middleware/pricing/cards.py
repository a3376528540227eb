"""Token prices of a row: cache, modalities, reasoning, long context, service tiers, batch, hours and regional factors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from spend_middleware.call import EXACT
from spend_middleware.pricing.offpeak import OffPeak
from spend_middleware.pricing.rates import ZERO, Rates, parse_price
from spend_middleware.pricing.tokens import TokenCard, TokenPrices

_HALF = Decimal("0.5")

# Fireworks bills cached prompt tokens at half the input price unless a model's page says otherwise
# (https://docs.fireworks.ai/guides/prompt-caching).
_FIREWORKS_CACHED = Decimal("0.5")

# Providers without service tiers of their own: what a response says about a tier does not change their price.
_NO_TIERS = frozenset(
    {"xai", "deepseek", "perplexity", "fireworks_ai", "tencent", "dashscope", "qwencloud", "qwen_ai_platform"}
)
_TIERS = {
    "flex": "_flex", "balanced": "_balanced", "priority": "_priority", "fast": "_priority", "ultrafast": "_ultrafast",
    "on_demand_priority": "_priority", "on_demand_flex": "_flex",
}  # fmt: skip

# Writes that live longer cost more: an hour at Anthropic, twelve at OpenAI; no vendor has both.
_WRITTEN_1H = "cache_creation_input_token_cost_above_1hr"
_WRITTEN_12H = "cache_creation_input_token_cost_above_12hr"

_ABOVE = re.compile(
    r"^(?:input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_creation_input_token_cost)"
    r".*_above_(\d+)(k?)_tokens(_[a-z]+)?$"
)


def tier_suffix(provider: str, service_tier: str | None) -> str:
    """Return the ending of the price fields of a service tier, "" for the standard one."""
    if not service_tier or provider in _NO_TIERS:
        return ""
    return _TIERS.get(service_tier.lower(), "")


def compile_card(rates: Rates, provider: str, suffix: str, batch: bool, factor: Decimal) -> TokenCard:
    """Return the token prices of a row for one service tier, batch or not, times a regional factor."""
    off_peak = rates.fields.get("off_peak_pricing")
    window = OffPeak(off_peak) if isinstance(off_peak, dict) else None
    if rates.fields.get("tiered_pricing") and _range_tiers(rates):
        ladder = [(above, _from_tier(rates, tier)) for above, tier in _range_tiers(rates)]
    elif batch:
        ladder = [(above, _batch(rates, marks)) for above, marks in _ladder(rates, "_batches")]
    else:
        ladder = [
            (above, _standard(rates, provider, suffix, marks)) for above, marks in _ladder(rates, suffix)
        ]
    if batch and rates.fields.get("tiered_pricing"):
        ladder = [(above, prices.times(_HALF)) for above, prices in ladder]
    if provider == "xai":
        # xAI bills the higher tier from the threshold on, not above it (https://docs.x.ai/docs/models).
        ladder = [(above - 1, prices) for above, prices in ladder]
    hours = [(above, _off_peak(rates, prices, window)) for above, prices in ladder] if window else []
    return TokenCard(
        plain=ladder[0][1].times(factor),
        steps=tuple((above, prices.times(factor)) for above, prices in ladder[1:]),
        off_peak=window,
        plain_off_peak=hours[0][1].times(factor) if hours else None,
        steps_off_peak=tuple((above, prices.times(factor)) for above, prices in hours[1:]),
    )


def without_cache_discount(card: TokenCard) -> TokenCard:
    """Return a card on which tokens read from a cache cost what others do."""

    def full(prices: TokenPrices) -> TokenPrices:
        return replace(
            prices,
            cache_read=prices.input,
            cache_read_audio=prices.input_audio,
            cache_read_image=prices.input_image,
        )

    return replace(
        card,
        plain=full(card.plain),
        steps=tuple((above, full(prices)) for above, prices in card.steps),
        plain_off_peak=full(card.plain_off_peak) if card.plain_off_peak else None,
        steps_off_peak=tuple((above, full(prices)) for above, prices in card.steps_off_peak),
    )


def _ladder(rates: Rates, suffix: str) -> list[tuple[int, list[str]]]:
    """Return the prompt lengths at which prices change, each with the field marks passed so far ("_above_200k_tokens")."""
    marks: dict[int, str] = {}
    for name in rates.fields:
        found = _ABOVE.match(name)
        if found and found[3] in (None, suffix or None):
            marks[int(found[1]) * (1000 if found[2] else 1)] = f"_above_{found[1]}{found[2]}_tokens"
    ladder: list[tuple[int, list[str]]] = [(-1, [])]
    for above in sorted(marks):
        ladder.append((above, [*ladder[-1][1], marks[above]]))
    return ladder


def _reader(rates: Rates, suffix: str, marks: list[str]) -> Callable[[str], Decimal | None]:
    """Return a function from a field to its price: of the tier where it has one, of the highest mark passed."""

    def read(name: str) -> Decimal | None:
        price = rates.first(name + suffix, name)
        for mark in marks:
            higher = rates.first(name + mark + suffix, name + mark)
            price = price if higher is None else higher
        return price

    return read


def _standard(rates: Rates, provider: str, suffix: str, marks: list[str]) -> TokenPrices:
    read = _reader(rates, suffix, marks)
    given = read("input_cost_per_token") or ZERO
    output = read("output_cost_per_token") or rates.get("output_cost_per_image_token") or ZERO
    cached = read("cache_read_input_token_cost")
    if cached is None and provider == "fireworks_ai" and rates.provider == "fireworks_ai":
        cached = EXACT.multiply(rates.get("input_cost_per_token") or ZERO, _FIREWORKS_CACHED)
    cached = given if cached is None else cached
    written = read("cache_creation_input_token_cost")
    written = given if written is None else written
    hour = rates.get(_WRITTEN_1H)
    for mark in marks:
        higher = rates.get(_WRITTEN_1H + mark)
        hour = hour if higher is None else higher
    if hour is None:
        hour = read(_WRITTEN_12H)
    return _filled(rates, suffix, given, output, cached, written, written if hour is None else hour)


def _filled(
    rates: Rates,
    suffix: str,
    given: Decimal,
    output: Decimal,
    cached: Decimal,
    written: Decimal,
    hour: Decimal,
) -> TokenPrices:
    """Return a full set: what a row has no price for is billed as text."""

    def modal(name: str, otherwise: Decimal) -> Decimal:
        price = rates.first(name + suffix, name) if suffix else rates.get(name)
        return otherwise if price is None else price

    return TokenPrices(
        input=given,
        output=output,
        cache_read=cached,
        cache_write=written,
        cache_write_1h=hour,
        reasoning=_reasoning(rates, suffix, output),
        input_audio=modal("input_cost_per_audio_token", given),
        input_image=modal("input_cost_per_image_token", given),
        input_video=modal("input_cost_per_video_token", given),
        cache_read_audio=modal("cache_read_input_audio_token_cost", cached),
        cache_read_image=modal("cache_read_input_image_token_cost", cached),
        output_audio=_or(rates.get("output_cost_per_audio_token"), output),
        output_image=_or(rates.get("output_cost_per_image_token"), output),
        output_video=_or(rates.get("output_cost_per_video_token"), output),
    )


def _or(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price


def _reasoning(rates: Rates, suffix: str, output: Decimal) -> Decimal:
    """Return the price of hidden reasoning: the tier's own, the tier's output, the row's own, else output."""
    if suffix:
        own = rates.get("output_cost_per_reasoning_token" + suffix)
        if own is not None:
            return own
        if rates.get("output_cost_per_token" + suffix) is not None:
            return output
    return _or(rates.get("output_cost_per_reasoning_token"), output)


def _range_tiers(rates: Rates) -> list[tuple[int, dict[str, object]]]:
    """Return the tiers of `tiered_pricing` with the prompt length that each starts above."""
    stored = rates.fields.get("tiered_pricing")
    tiers = [t for t in stored if isinstance(t, dict)] if isinstance(stored, list) else []
    out = [
        (int(t["range"][0]), t)
        for t in tiers
        if len(t.get("range") or ()) == 2 and "input_cost_per_token" in t
    ]
    return sorted(out, key=lambda tier: tier[0])


def _from_tier(rates: Rates, tier: dict[str, object]) -> TokenPrices:
    """Return the prices of one tier: everything is billed at it, and what it leaves out follows its input price."""

    def read(name: str) -> Decimal | None:
        value = tier.get(name)
        return None if value is None else parse_price(value, rates.key, f"tiered_pricing.{name}")

    given = read("input_cost_per_token") or ZERO
    stated = read("output_cost_per_token")
    output = _or(stated, rates.get("output_cost_per_token") or ZERO)
    written = _or(read("cache_creation_input_token_cost"), given)
    cached = _or(read("cache_read_input_token_cost"), given)
    hour = read(_WRITTEN_1H) or written
    prices = _filled(rates, "", given, output, cached, written, hour)
    reasoning = read("output_cost_per_reasoning_token")
    if reasoning is None:
        reasoning = output if stated is not None else prices.reasoning
    return replace(prices, reasoning=reasoning)


def _batch(rates: Rates, marks: list[str]) -> TokenPrices:
    """Return the prices inside a batch job: its own fields, else half of the standard ones."""
    read = _reader(rates, "", [])

    def batched(name: str) -> Decimal | None:
        price = rates.get(name + "_batches")
        for mark in marks:
            higher = rates.get(name + mark + "_batches")
            price = price if higher is None else higher
        return price

    standard = _standard(rates, "", "", marks).times(_HALF)
    given = batched("input_cost_per_token")
    output = _or(batched("output_cost_per_token"), standard.output)
    if given is None:
        given, cached, written = standard.input, standard.cache_read, standard.cache_write
    else:
        # A batch price without a cached one: the discount does not stack, cached tokens are ordinary input.
        cached, written = given, given
    cached = _or(batched("cache_read_input_token_cost"), cached)
    written = _or(batched("cache_creation_input_token_cost"), written)
    # The discount of a batch stacks with the price of a longer lifetime:
    # https://docs.claude.com/en/docs/build-with-claude/batch-processing#using-prompt-caching-with-message-batches
    hour = written if rates.get(_WRITTEN_1H) is None else standard.cache_write_1h
    hour = _or(batched(_WRITTEN_12H), hour)

    def modal(name: str, halved: Decimal, otherwise: Decimal) -> Decimal:
        own = rates.get(name + "_batches")
        if own is not None:
            return own
        return otherwise if read(name) is None else halved

    return TokenPrices(
        input=given,
        output=output,
        cache_read=cached,
        cache_write=written,
        cache_write_1h=hour,
        reasoning=output,
        input_audio=modal("input_cost_per_audio_token", standard.input_audio, given),
        input_image=modal("input_cost_per_image_token", standard.input_image, given),
        input_video=modal("input_cost_per_video_token", standard.input_video, given),
        cache_read_audio=cached,
        cache_read_image=cached,
        output_audio=modal("output_cost_per_audio_token", standard.output_audio, output),
        output_image=modal("output_cost_per_image_token", standard.output_image, output),
        output_video=modal("output_cost_per_video_token", standard.output_video, output),
    )


def _off_peak(rates: Rates, prices: TokenPrices, window: OffPeak | None) -> TokenPrices:
    """Return prices with those that the off-peak block names put in their place."""
    block = window.block if window else {}

    def read(name: str, otherwise: Decimal) -> Decimal:
        value = block.get(name)
        return otherwise if value is None else parse_price(value, rates.key, f"off_peak_pricing.{name}")

    given = read("input_cost_per_token", prices.input)
    output = read("output_cost_per_token", prices.output)
    missing_cached = given if rates.get("cache_read_input_token_cost") is None else prices.cache_read
    missing_written = given if rates.get("cache_creation_input_token_cost") is None else prices.cache_write
    written = read("cache_creation_input_token_cost", missing_written)
    return replace(
        prices,
        input=given,
        output=output,
        cache_read=read("cache_read_input_token_cost", missing_cached),
        cache_write=written,
        cache_write_1h=written if prices.cache_write_1h == prices.cache_write else prices.cache_write_1h,
        reasoning=read(
            "output_cost_per_reasoning_token",
            output if rates.get("output_cost_per_reasoning_token") is None else prices.reasoning,
        ),
    )
