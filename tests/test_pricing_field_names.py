"""A price field whose name is a slip is refused by name; what only informs passes."""

from __future__ import annotations

import logging

import pytest

from spend_middleware import PriceError, completion_cost
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.field_names import misspelled
from spend_middleware.pricing.rates import is_price_field
from spend_middleware.pricing.table import PriceTable

SLIPS = {
    "input_cost_per_tokn": "input_cost_per_token",
    "input_cost_token": "input_cost_per_token",
    "inputCostPerToken": "input_cost_per_token",
    "input_price_per_token": "input_cost_per_token",
    "output_cost_per_tokens": "output_cost_per_token",
    "input_cost_per_1k_tokens": "input_cost_per_token",
    "cache_read_input_cost": "cache_read_input_token_cost",
    "cache_creation_token_cost": "cache_creation_input_token_cost",
    "input-cost-per-token": "input_cost_per_token",
    "output_cost_per_tokn_batches": "output_cost_per_token",
}
PASS = (
    "input_cost_per_token_above_128k_tokens_flex", "cache_creation_input_token_cost_above_12hr_above_272k_tokens",
    "output_cost_per_second_1080p", "output_cost_per_image_above_1024_and_1024_pixels_and_premium_image",
    "max_tokens", "max_input_tokens", "litellm_provider", "mode", "supports_vision", "source", "metadata", "rpm", "tpm",
    "input_tokens", "owner", "notes", "currency", "description", "cost_center", "team",
)  # fmt: skip


@pytest.mark.parametrize(("name", "meant"), SLIPS.items())
def test_a_slip_is_refused_with_the_name_that_is_meant(name: str, meant: str) -> None:
    book = PriceBook()
    with pytest.raises(PriceError, match=f"'{name}' of 'mine' is no price field: '{meant}' is meant"):
        book.register({"other": {"input_cost_per_token": 1e-6}, "mine": {name: 1e-6}})
    assert book.rates(None, "other", 1_795_000_000.0) is None


@pytest.mark.parametrize("name", PASS)
def test_a_known_name_and_one_that_is_like_none_pass(name: str) -> None:
    assert misspelled(name) is None


def test_every_price_field_of_the_table_is_known() -> None:
    table = PriceTable.packaged()
    keys = table.keys()
    names = {name for key in keys if (found := table.at(key, 1e12)) for name in found[0].fields}
    assert {name for name in names if is_price_field(name) and misspelled(name)} == set()


def test_a_price_that_counts_for_nothing_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        PriceBook().register({"mine": {"input_cost_per_token": 1e-6, "cost_per_smile": 1e-6}})
    assert caplog.messages == [
        "'cost_per_smile' of 'mine' is no price field that is known: it counts for nothing"
    ]


def test_a_slip_in_the_price_of_one_call_is_refused_too() -> None:
    with pytest.raises(PriceError, match="'output_cost_per_tokn'"):
        completion_cost(
            {"model": "mine", "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
            custom_cost_per_token={"input_cost_per_token": 1e-6, "output_cost_per_tokn": 1e-6},
        )
