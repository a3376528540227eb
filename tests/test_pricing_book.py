"""The price book: whose price wins, from when it counts, and what is added to it."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from spend_middleware.call import PricingStatus, Unit, Usage
from spend_middleware.errors import PriceError
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.table import PriceTable

DAY = 86_400.0
CHANGE = 20_000  # the day on which "moving" costs more

TABLE: dict[str, Any] = {
    "version": "v1",
    "fields": ["litellm_provider", "mode", "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"],
    "rows": [
        [0, "openai", 1, "chat", 2, 1e-6, 3, 2e-6, 4, 1e-7],
        [0, "openai", 1, "chat", 2, 3e-6, 3, 6e-6],
        [0, "azure", 1, "chat", 2, 5e-6, 3, 5e-6],
        [0, "anthropic", 1, "chat", 2, 7e-6, 3, 9e-6],
        [0, "openai", 1, "audio_speech"],
    ],
    "models": {"gpt": 0, "moving": [0, CHANGE, 1], "azure/gpt-x": 2, "claude": 3, "gone": 0, "empty": 4},
    "removed": {"gone": CHANGE},
}  # fmt: skip


def book(**settings: Any) -> PriceBook:
    return PriceBook(PriceTable(TABLE), **settings)


def ask(provider: str | None = "openai", *models: str, **more: Any) -> PriceQuery:
    more.setdefault("usage", Usage(input_tokens=1000, output_tokens=100))
    return PriceQuery(provider=provider, models=models or ("gpt",), **more)


def amount(which: PriceBook, query: PriceQuery) -> Decimal | None:
    return which.price(query).amount


# -- order of precedence


def test_a_custom_price_wins_over_a_stated_one_and_both_are_kept() -> None:
    custom = {"input_cost_per_token": "3e-6", "output_cost_per_token": 0}
    found = book().price(ask(custom_pricing=custom, reported_cost=Decimal("0.5")))
    assert (found.amount, found.status) == (Decimal("0.003"), PricingStatus.CUSTOM)
    assert (found.reported_amount, found.list_amount) == (Decimal("0.5"), Decimal("0.0012"))


def test_a_stated_price_wins_over_the_list_price() -> None:
    found = book().price(ask(reported_cost=Decimal("0.5")))
    assert (found.amount, found.status) == (Decimal("0.5"), PricingStatus.PROVIDER_REPORTED)
    assert found.list_amount == Decimal("0.0012")
    assert sum(line.amount for line in found.charges) == found.amount


def test_a_stated_zero_counts_and_nonsense_does_not() -> None:
    assert amount(book(), ask(reported_cost=Decimal(0))) == 0
    for nonsense in ("NaN", "-1", "Infinity"):
        assert amount(book(), ask(reported_cost=Decimal(nonsense))) == Decimal("0.0012")


def test_a_stated_price_makes_an_unknown_model_known() -> None:
    assert amount(book(), ask("openai", "gpt-9", reported_cost=Decimal("0.25"))) == Decimal("0.25")


def test_the_answered_model_comes_before_the_one_asked_for() -> None:
    assert book().price(ask("openai", "moving", "gpt")).price_key == "moving"
    assert book().price(ask("openai", "nobody-knows", "gpt")).price_key == "gpt"


def test_a_base_model_comes_before_both() -> None:
    assert book().price(ask("azure", "my-deployment", base_model="azure/gpt-x")).price_key == "azure/gpt-x"
    assert book().price(ask("azure", "my-deployment", base_model="openai/gpt")).price_key == "gpt"
    assert book().price(ask("azure", "gpt-x", base_model="unknown-base")).price_key == "azure/gpt-x"


@pytest.mark.parametrize("name", ["acme.openai.azure.com/My-Deployment", "my-deployment"])
def test_a_setting_names_the_base_model_of_a_deployment(name: str) -> None:
    which = book(base_models={name: "azure/gpt-x"})
    query = ask("azure", "my-deployment", api_base="https://acme.openai.azure.com/openai")
    assert which.price(query).price_key == "azure/gpt-x"


def test_an_unknown_model_is_unpriced_with_a_reason_and_never_zero() -> None:
    found = book().price(ask("openai", "gpt-9"))
    assert (found.amount, found.status) == (None, PricingStatus.UNPRICED)
    assert found.reason == "no price for openai/gpt-9"
    assert found.price_version == "v1"


def test_a_row_without_prices_is_unpriced() -> None:
    assert "has no rate for" in (book().price(ask("openai", "empty")).reason or "")


def test_counts_that_cost_millions_are_not_believed() -> None:
    found = book().price(ask(usage=Usage(input_tokens=10**18)))
    assert found.amount is None
    assert "cannot be right" in (found.reason or "")


# -- time


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0.0, "0.001"), (CHANGE * DAY - 1, "0.001"), (CHANGE * DAY, "0.003"), (CHANGE * DAY * 2, "0.003")],
)
def test_a_call_is_priced_by_the_day_on_which_it_completed(at: float, expected: str) -> None:
    which = book()
    for _ in range(2):  # the second time from the cache
        assert amount(which, ask("openai", "moving", usage=Usage(input_tokens=1000), at=at)) == Decimal(
            expected
        )


def test_one_book_answers_for_both_sides_of_a_change_in_any_order() -> None:
    which = book()
    query = ask("openai", "moving", usage=Usage(input_tokens=1000), at=CHANGE * DAY)
    before = replace(query, at=CHANGE * DAY - 1)
    assert [amount(which, q) for q in (query, before, query, before)] == [
        Decimal("0.003"),
        Decimal("0.001"),
    ] * 2


def test_a_model_that_the_sources_dropped_keeps_its_last_price_but_is_not_listed() -> None:
    assert book().price(ask("openai", "gone", at=CHANGE * DAY + 1)).amount == Decimal("0.0012")
    assert "gone" in {key for key, _, _ in book().models(CHANGE * DAY - 1)}
    assert "gone" not in {key for key, _, _ in book().models(CHANGE * DAY)}


def test_a_dropped_snapshot_is_priced_as_its_alias_from_that_day_on_whatever_was_asked_before() -> None:
    table = {**TABLE, "models": {**TABLE["models"], "gpt-2024": 1}, "removed": {"gpt-2024": CHANGE}}
    asked = "openai", "gpt-2024", "gpt"
    days = (CHANGE - 1, CHANGE, CHANGE - 1, CHANGE + 9, CHANGE - 9)
    warm = PriceBook(PriceTable(table))
    for day in days:
        fresh = PriceBook(PriceTable(table)).price(ask(*asked, at=day * DAY)).amount
        assert warm.price(ask(*asked, at=day * DAY)).amount == fresh
        assert fresh == (Decimal("0.0012") if day >= CHANGE else Decimal("0.0036"))


# -- prices of your own


def test_fields_that_you_leave_out_keep_what_the_table_says() -> None:
    which = book()
    which.register({"gpt": {"input_cost_per_token": "0.000005"}})
    cached = Usage(input_tokens=1000, cache_read_tokens=500, output_tokens=100)
    assert amount(which, ask(usage=cached)) == Decimal("0.00275")


def test_your_own_model_is_priced_whatever_its_provider() -> None:
    which = book()
    which.register({"acme-1": {"input_cost_per_token": 1e-5, "output_cost_per_token": "2e-5"}})
    for provider in ("openai", "custom_openai", None):
        assert amount(which, ask(provider, "acme-1")) == Decimal("0.012")
    assert book().price(ask("openai", "acme-1")).amount is None


def test_your_own_price_of_one_provider_is_no_other_providers() -> None:
    which = book()
    which.register(
        {
            "claude": {"input_cost_per_token": 1},
            "acme": {"input_cost_per_token": 1, "litellm_provider": "groq"},
        }
    )
    assert amount(which, ask("openai", "claude")) is None
    assert amount(which, ask("openai", "acme")) is None
    assert amount(which, ask("groq", "acme")) == 1000


def test_a_prefixed_name_means_the_row_that_has_none() -> None:
    which = book()
    which.register({"openai/gpt": {"output_cost_per_token": 1e-5}})
    assert amount(which, ask()) == Decimal("0.002")


def test_an_entry_without_prices_makes_nothing_free() -> None:
    which = book()
    which.register(
        {"gpt": {"mode": "chat", "max_tokens": 5, "input_cost_per_token": None}, "new": {"mode": "chat"}}
    )
    assert amount(which, ask()) == Decimal("0.0012")
    assert amount(which, ask("openai", "new")) is None


def test_your_own_price_changes_answers_that_were_already_given() -> None:
    which = book()
    assert amount(which, ask("openai", "later")) is None
    which.register({"later": {"input_cost_per_token": 1e-6}})
    assert amount(which, ask("openai", "later")) == Decimal("0.001")


@pytest.mark.parametrize("bad", [True, "many", -1, float("nan"), float("inf"), [], {"a": "b"}, 10**9, "1/0"])
def test_a_bad_price_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(PriceError, match=r"output_cost_per_token.*'acme'"):
        book().register({"acme": {"input_cost_per_token": 1e-6, "output_cost_per_token": bad}})


def test_nothing_of_a_refused_registration_stays() -> None:
    which = book()
    with pytest.raises(PriceError):
        which.register({"good": {"input_cost_per_token": 1e-6}, "bad": {"input_cost_per_token": "?"}})
    assert amount(which, ask("openai", "good")) is None


CUSTOM: list[tuple[str, dict[str, Any], Usage, dict[str, Any], str]] = [
    ("cached without a price is input", {"input_cost_per_token": 1e-5}, Usage(input_tokens=100, cache_read_tokens=50), {}, "0.001"),
    ("cached at its price", {"input_cost_per_token": 1e-5, "cache_read_input_token_cost": 1e-6}, Usage(input_tokens=100, cache_read_tokens=50), {}, "0.00055"),
    ("by the second", {"input_cost_per_second": 0.0002}, Usage(), {"response_seconds": 2.5}, "0.0005"),
    ("seconds of audio", {"input_cost_per_second": 0.0002}, Usage(units={Unit.INPUT_AUDIO_SECONDS: 10}), {"operation": "transcription"}, "0.002"),
    ("pictures", {"output_cost_per_image": 0.05}, Usage(units={Unit.OUTPUT_IMAGES: 2}), {"operation": "image_generation"}, "0.1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("custom", "usage", "more", "expected"), [c[1:] for c in CUSTOM], ids=[c[0] for c in CUSTOM]
)
def test_a_custom_price_follows_the_same_rules(
    custom: dict[str, Any], usage: Usage, more: dict[str, Any], expected: str
) -> None:
    assert amount(book(), ask("openai", "acme", usage=usage, custom_pricing=custom, **more)) == Decimal(
        expected
    )


# -- discounts and margins

ADJUSTED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("a discount", {"openai": 0.25}, {}, "0.0009"),
    ("another provider's discount", {"azure": 0.25}, {}, "0.0012"),
    ("a margin", {}, {"openai": 0.1}, "0.00132"),
    ("a margin for all", {}, {"global": "0.1"}, "0.00132"),
    ("the provider's own before that for all", {}, {"global": 0.5, "openai": 0.1}, "0.00132"),
    ("a discount, then a margin", {"openai": 0.5}, {"global": 0.1}, "0.00066"),
    ("a share and a fixed amount", {}, {"openai": {"percentage": 0.1, "fixed_amount": 0.5}}, "0.50132"),
]


@pytest.mark.parametrize(
    ("discounts", "margins", "expected"), [a[1:] for a in ADJUSTED], ids=[a[0] for a in ADJUSTED]
)
def test_discounts_and_margins_are_lines_behind_the_list_price(
    discounts: dict[str, Any], margins: dict[str, Any], expected: str
) -> None:
    found = book(discounts=discounts, margins=margins).price(ask())
    assert found.amount == Decimal(expected)
    assert found.list_amount == Decimal("0.0012")
    assert sum(line.amount for line in found.charges) == found.amount


@pytest.mark.parametrize("bad", [True, -0.1, 1.5, "much"])
def test_a_bad_discount_is_refused(bad: Any) -> None:
    with pytest.raises(PriceError, match="openai"):
        book(discounts={"openai": bad})


# -- looking up, and threads


def test_rates_are_given_in_litellms_fields() -> None:
    rates = book().rates("openai", "moving", CHANGE * DAY)
    assert rates is not None
    assert (rates["key"], rates["input_cost_per_token"]) == ("moving", 3e-6)
    assert book().rates("openai", "gpt-9", 0.0) is None


def test_many_threads_may_price_while_prices_are_registered() -> None:
    which = book()
    wrong: list[object] = []
    start = threading.Barrier(5)

    def price() -> None:
        start.wait()
        for _ in range(300):
            found = amount(which, ask())
            if found not in (Decimal("0.0012"), Decimal("0.0102")):
                wrong.append(found)

    threads = [threading.Thread(target=price) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    for _ in range(50):
        which.register({"gpt": {"input_cost_per_token": 1e-5}})
        which.register({"gpt": {"input_cost_per_token": 1e-6}})
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_discount_counts_for_the_provider_of_the_row_where_none_is_named() -> None:
    book = PriceBook(discounts={"openai": 0.5})
    usage = Usage(input_tokens=1_000_000)
    asked = [
        PriceQuery(provider=provider, models=("gpt-4o-mini",), usage=usage, at=1.79e9)
        for provider in ("", "openai")
    ]
    assert [book.price(query).amount for query in asked] == [Decimal("0.075")] * 2


def test_a_price_of_ones_own_wins_over_what_the_provider_states_and_both_are_kept() -> None:
    book = PriceBook()
    asked = PriceQuery(
        provider="openrouter",
        models=("vendor/model",),
        usage=Usage(input_tokens=10),
        reported_cost=Decimal("0.5"),
        at=1.79e9,
    )
    assert book.price(asked).status is PricingStatus.PROVIDER_REPORTED
    book.register({"openrouter/vendor/model": {"input_cost_per_token": 0.01}})
    cost = book.price(asked)
    assert (cost.status, cost.amount, cost.reported_amount) == (
        PricingStatus.CUSTOM,
        Decimal("0.1"),
        Decimal("0.5"),
    )
