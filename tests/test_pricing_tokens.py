"""How tokens become charge lines: cache, modalities, reasoning, lengths, tiers, batch, hours, places."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spend_middleware.call import EXACT, Cost, PricingStatus, Usage
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.table import PriceTable

MONDAY_NOON = 1_793_620_800.0  # 2026-11-02 12:00 UTC
DAY = 86_400


def table_of(models: dict[str, dict[str, Any]]) -> PriceTable:
    """Return a table that knows these rows, each at all times."""
    fields = sorted({name for row in models.values() for name in row})
    rows = [
        [part for name, value in row.items() for part in (fields.index(name), value)]
        for row in models.values()
    ]
    return PriceTable(
        {"version": "test", "fields": fields, "rows": rows, "models": {k: i for i, k in enumerate(models)}}
    )


ROWS: dict[str, dict[str, Any]] = {
    "plain": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6},
    "cached": {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 3e-6,
        "output_cost_per_token": 15e-6,
        "cache_read_input_token_cost": 3e-7,
        "cache_creation_input_token_cost": 3.75e-6,
        "cache_creation_input_token_cost_above_1hr": 6e-6,
        "provider_specific_entry": {"us": 1.1, "fast": 2},
    },
    "modal": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
        "cache_read_input_token_cost": 5e-7,
        "cache_read_input_audio_token_cost": 4e-6,
        "cache_read_input_image_token_cost": 3e-7,
        "input_cost_per_audio_token": 1e-5,
        "input_cost_per_image_token": 3e-6,
        "input_cost_per_video_token": 4e-6,
        "output_cost_per_audio_token": 2e-5,
        "output_cost_per_image_token": 3e-5,
        "output_cost_per_video_token": 4e-5,
        "output_cost_per_reasoning_token": 5e-6,
        "regional_processing_uplift_multiplier_eu": 1.1,
    },
    "long": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 4e-6,
        "input_cost_per_token_above_200k_tokens": 2e-6,
        "output_cost_per_token_above_200k_tokens": 6e-6,
        "input_cost_per_token_priority": 3e-6,
        "output_cost_per_token_priority": 9e-6,
        "input_cost_per_token_above_200k_tokens_priority": 5e-6,
        "input_cost_per_token_flex": 5e-7,
        "input_cost_per_token_batches": 4e-7,
        "cache_read_input_token_cost_batches": 1e-7,
    },
    "twelve": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 4e-6,
        "cache_creation_input_token_cost": 1.25e-6,
        "cache_creation_input_token_cost_above_12hr": 2e-6,
        "cache_creation_input_token_cost_above_12hr_flex": 1e-6,
        "cache_creation_input_token_cost_above_12hr_batches": 9e-7,
    },
    "xai/long": {
        "litellm_provider": "xai",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 4e-6,
        "input_cost_per_token_above_200k_tokens": 2e-6,
        "input_cost_per_token_priority": 9e-6,
    },
    "ranges": {
        "litellm_provider": "dashscope",
        "mode": "chat",
        "tiered_pricing": [
            {"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            {"range": [1000, 5000], "input_cost_per_token": 3e-6, "output_cost_per_token": 6e-6},
        ],
    },
    "night": {
        "litellm_provider": "deepseek",
        "mode": "chat",
        "input_cost_per_token": 4e-6,
        "output_cost_per_token": 8e-6,
        "off_peak_pricing": {
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
            "windows": [
                {"hours_utc": ["22:00-02:00"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
            ],
        },
    },
    "vertex_ai/place": {
        "litellm_provider": "vertex_ai-language-models",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 1e-6,
        "regional_endpoint_uplift_multiplier": 1.1,
    },
    "fireworks_ai/fire": {
        "litellm_provider": "fireworks_ai",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 1e-6,
    },
    "sevenths": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": "2/7000000",
        "output_cost_per_token": 0.0,
    },
    "free": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0},
    "picture-tokens": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_image_token": 4e-5},
}  # fmt: skip
BOOK = PriceBook(table_of(ROWS))


def cost(provider: str, model: str, usage: Usage, **more: Any) -> Cost:
    """Return what one call to a model of the table above costs."""
    return BOOK.price(
        PriceQuery(provider=provider, models=(model,), usage=usage, **{"at": MONDAY_NOON, **more})
    )


CASES: list[tuple[str, str, str, Usage, dict[str, Any], str]] = [
    ("text in and out", "openai", "plain", Usage(input_tokens=1000, output_tokens=100), {}, "0.0028"),
    ("reasoning is inside the output", "openai", "plain", Usage(output_tokens=100, reasoning_tokens=60), {}, "0.0008"),
    ("a cached token is billed once", "anthropic", "cached", Usage(input_tokens=100, cache_read_tokens=40), {}, "0.000192"),
    ("no cache price means the input price", "openai", "plain", Usage(input_tokens=100, cache_read_tokens=40), {}, "0.0002"),
    ("writes of five minutes and of an hour", "anthropic", "cached",
     Usage(input_tokens=100, cache_write_tokens=30, cache_write_1h_tokens=10), {}, "0.000345"),
    ("more cached than came in", "anthropic", "cached", Usage(input_tokens=10, cache_read_tokens=40), {}, "0.000003"),
    ("inference in the US", "anthropic", "cached", Usage(input_tokens=1000, traits={"inference_geo": "us"}), {}, "0.0033"),
    ("inference anywhere", "anthropic", "cached", Usage(input_tokens=1000, traits={"inference_geo": "global"}), {}, "0.003"),
    ("writes of twelve hours", "openai", "twelve", Usage(input_tokens=100, cache_write_tokens=50, cache_write_1h_tokens=30), {}, "0.000135"),
    ("writes of twelve hours, served flexibly", "openai", "twelve",
     Usage(input_tokens=100, cache_write_tokens=50, cache_write_1h_tokens=30), {"service_tier": "flex"}, "0.000105"),
    ("writes of twelve hours in a batch", "openai", "twelve",
     Usage(input_tokens=100, cache_write_tokens=50, cache_write_1h_tokens=30), {"batch": True}, "0.0000645"),
    ("writes of an hour in a batch", "anthropic", "cached",
     Usage(input_tokens=100, cache_write_tokens=30, cache_write_1h_tokens=10), {"batch": True}, "0.0001725"),
    ("cached, and not discounted", "anthropic", "cached",
     Usage(input_tokens=100, cache_read_tokens=40, traits={"cache_reads": "undiscounted"}), {}, "0.0003"),
    ("fast mode", "anthropic", "cached", Usage(input_tokens=1000, traits={"speed": "fast"}), {}, "0.006"),
    ("audio in, part of it cached", "openai", "modal",
     Usage(input_tokens=100, input_audio_tokens=60, cache_read_tokens=20, cache_read_audio_tokens=20), {}, "0.00052"),
    ("cached pictures at their own rate", "openai", "modal",
     Usage(input_tokens=100, input_image_tokens=60, cache_read_tokens=20, cache_read_image_tokens=20), {}, "0.000166"),
    ("pictures and video in", "openai", "modal", Usage(input_tokens=100, input_image_tokens=10, input_video_tokens=20), {}, "0.00018"),
    ("every kind out", "openai", "modal",
     Usage(output_tokens=100, output_audio_tokens=10, output_image_tokens=20, output_video_tokens=30, reasoning_tokens=15),
     {}, "0.002125"),
    ("a data-residency host", "openai", "modal", Usage(input_tokens=1000), {"api_base": "https://eu.api.openai.com/v1"}, "0.0011"),
    ("at the threshold", "openai", "long", Usage(input_tokens=200_000, output_tokens=1), {}, "0.200004"),
    ("above the threshold", "openai", "long", Usage(input_tokens=200_001, output_tokens=1), {}, "0.400008"),
    ("a long answer is no long prompt", "openai", "long", Usage(input_tokens=1, output_tokens=300_000), {}, "1.200001"),
    ("xAI counts from the threshold on", "xai", "long", Usage(input_tokens=200_000), {}, "0.4"),
    ("the priority tier", "openai", "long", Usage(input_tokens=10, output_tokens=10), {"service_tier": "priority"}, "0.00012"),
    ("fast is the priority tier", "openai", "long", Usage(input_tokens=10, output_tokens=10), {"service_tier": "fast"}, "0.00012"),
    ("a tier above the threshold", "openai", "long", Usage(input_tokens=200_001), {"service_tier": "priority"}, "1.000005"),
    ("each price falls back alone", "openai", "long", Usage(input_tokens=10, output_tokens=10), {"service_tier": "flex"}, "0.000045"),
    ("the default tier is none", "openai", "long", Usage(input_tokens=10), {"service_tier": "default"}, "0.00001"),
    ("xAI has no tiers", "xai", "long", Usage(input_tokens=10), {"service_tier": "priority"}, "0.00001"),
    ("a batch price, and half where there is none", "openai", "long", Usage(input_tokens=100, output_tokens=100), {"batch": True}, "0.00024"),
    ("cached in a batch", "openai", "long", Usage(input_tokens=100, cache_read_tokens=50), {"batch": True}, "0.000025"),
    ("half of everything in a batch", "openai", "plain", Usage(input_tokens=100, output_tokens=100), {"batch": True}, "0.0005"),
    ("an answer that says batch", "openai", "plain", Usage(input_tokens=100, output_tokens=100), {"service_tier": "batch"}, "0.0005"),
    ("the first range", "dashscope", "ranges", Usage(input_tokens=1000, output_tokens=10), {}, "0.00102"),
    ("the second range", "dashscope", "ranges", Usage(input_tokens=1001, output_tokens=10), {}, "0.003063"),
    ("beyond all ranges", "dashscope", "ranges", Usage(input_tokens=9000), {}, "0.027"),
    ("at noon of a Monday", "deepseek", "night", Usage(input_tokens=1000), {}, "0.004"),
    ("at ten of a Monday night", "deepseek", "night", Usage(input_tokens=1000), {"at": MONDAY_NOON + 10 * 3600}, "0.001"),
    ("at two of a Tuesday night", "deepseek", "night", Usage(input_tokens=1000), {"at": MONDAY_NOON + 14 * 3600}, "0.004"),
    ("at noon of a Sunday", "deepseek", "night", Usage(input_tokens=1000, output_tokens=100), {"at": MONDAY_NOON - DAY}, "0.0012"),
    ("a regional endpoint", "vertex_ai", "place", Usage(input_tokens=1000), {"region": "us-east5"}, "0.0011"),
    ("the global endpoint", "vertex_ai", "place", Usage(input_tokens=1000), {"region": "global"}, "0.001"),
    ("Fireworks' cached half", "fireworks_ai", "fire", Usage(input_tokens=1000, cache_read_tokens=400), {}, "0.0008"),
    ("a vendor's fraction, rounded once", "openai", "sevenths", Usage(input_tokens=7_000_001), {}, "2.000000285714"),
    ("pictures that come out as tokens", "openai", "picture-tokens", Usage(output_tokens=10), {}, "0.0004"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "usage", "more", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_tokens_cost_what_the_row_says(
    provider: str, model: str, usage: Usage, more: dict[str, Any], expected: str
) -> None:
    found = cost(provider, model, usage, **more)
    assert found.amount == Decimal(expected)
    assert found.status is PricingStatus.PRICED


def test_an_explicit_zero_is_free_and_no_use_is_not() -> None:
    assert cost("openai", "free", Usage(input_tokens=10)).status is PricingStatus.FREE
    assert cost("openai", "free", Usage(input_tokens=10)).amount == 0
    assert cost("openai", "plain", Usage()).status is PricingStatus.PRICED


def test_every_line_says_what_it_multiplies() -> None:
    found = cost("anthropic", "cached", Usage(input_tokens=100, output_tokens=5, cache_read_tokens=40))
    assert [(line.meter, line.quantity, line.unit_price) for line in found.charges] == [
        ("input_tokens", Decimal(60), Decimal("0.000003")),
        ("cache_read_tokens", Decimal(40), Decimal("3E-7")),
        ("output_tokens", Decimal(5), Decimal("0.000015")),
    ]
    assert (found.price_key, found.price_version) == ("cached", "test")


counts = st.integers(min_value=-5, max_value=400_000)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    cache_write_1h_tokens=counts,
    reasoning_tokens=counts,
    input_audio_tokens=counts,
    input_image_tokens=counts,
    input_video_tokens=counts,
    cache_read_audio_tokens=counts,
    cache_read_image_tokens=counts,
    output_audio_tokens=counts,
    output_image_tokens=counts,
    output_video_tokens=counts,
)
models = st.sampled_from([(str(row["litellm_provider"]).split("-")[0], key) for key, row in ROWS.items()])


@given(models, usages, st.booleans(), st.sampled_from([None, "flex", "priority", "nonsense"]))
def test_the_rounded_sum_of_the_lines_is_the_cost(
    model: tuple[str, str], usage: Usage, batch: bool, tier: str | None
) -> None:
    found = cost(*model, usage, batch=batch, service_tier=tier)
    assert found.amount is not None
    assert found.amount >= 0
    whole = sum((line.amount for line in found.charges), Decimal(0))
    assert found.amount == EXACT.quantize(whole, Decimal("1e-12"))
    assert all(line.amount == EXACT.multiply(line.quantity, line.unit_price) for line in found.charges)


@given(models, usages)
def test_every_token_is_in_exactly_one_line(model: tuple[str, str], usage: Usage) -> None:
    lines = cost(*model, usage).charges
    given_ = sum(line.quantity for line in lines if line.meter.startswith(("input", "cache")))
    made = sum(line.quantity for line in lines if line.meter.startswith(("output", "reasoning")))
    assert given_ == max(usage.input_tokens, 0)
    assert made == max(usage.output_tokens, 0)


# Each disjoint meter, with the counts of a usage that hold its tokens.
METERS = {
    "text in": ("input_tokens",),
    "read from a cache": ("input_tokens", "cache_read_tokens"),
    "sound read from a cache": (
        *("input_tokens", "input_audio_tokens", "cache_read_tokens", "cache_read_audio_tokens"),
    ),
    "written to a cache": ("input_tokens", "cache_write_tokens"),
    "written to a cache for long": ("input_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    "sound in": ("input_tokens", "input_audio_tokens"),
    "pictures in": ("input_tokens", "input_image_tokens"),
    "film in": ("input_tokens", "input_video_tokens"),
    "text out": ("output_tokens",),
    "reasoning": ("output_tokens", "reasoning_tokens"),
    "sound out": ("output_tokens", "output_audio_tokens"),
    "pictures out": ("output_tokens", "output_image_tokens"),
    "film out": ("output_tokens", "output_video_tokens"),
}
meter_counts = st.fixed_dictionaries({meter: st.just(0) | st.integers(0, 100_000) for meter in METERS})


def usage_of(counted: dict[str, int]) -> Usage:
    """Return the usage that has these tokens in its meters."""
    sums: dict[str, int] = {}
    for meter, tokens in counted.items():
        for name in METERS[meter]:
            sums[name] = sums.get(name, 0) + tokens
    return Usage(**sums)  # type: ignore[arg-type]


@pytest.mark.parametrize("meter", METERS)
@settings(max_examples=60)
@given(model=models, counted=meter_counts, more=st.integers(1, 50_000), batch=st.booleans())
def test_more_of_any_meter_never_costs_less(
    meter: str, model: tuple[str, str], counted: dict[str, int], more: int, batch: bool
) -> None:
    less = cost(*model, usage_of(counted), batch=batch).amount
    greater = cost(*model, usage_of({**counted, meter: counted[meter] + more}), batch=batch).amount
    assert less is not None
    assert greater is not None
    assert greater >= less
