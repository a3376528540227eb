"""Numbers, texts and objects out of JSON whose shape nobody promised; and the costs that providers state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.wire.answers import error_word, moment, once
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.values import (
    NoCount,
    amount,
    count,
    documents,
    last_document,
    parsed,
    string,
    traits_of,
    units_of,
)

AMOUNTS: list[tuple[Any, Decimal | None]] = [
    (3, Decimal(3)),
    (0.1, Decimal("0.1")),
    (1e-10, Decimal("1E-10")),
    ("3e-7", Decimal("3E-7")),
    ("12", Decimal(12)),
    (0, Decimal(0)),
    (True, None),
    (None, None),
    (-1, None),
    ("-1", None),
    (float("nan"), None),
    (float("inf"), None),
    ("1e400", None),
    ("Infinity", None),
    ("twelve", None),
    ("1" * 65, None),
    ([1], None),
    ({}, None),
]


@pytest.mark.parametrize(("value", "expected"), AMOUNTS, ids=[repr(value)[:20] for value, _ in AMOUNTS])
def test_an_amount_is_exact_or_nothing(value: Any, expected: Decimal | None) -> None:
    assert amount(value) == expected


COUNTS: list[tuple[Any, int]] = [
    (3, 3),
    (0, 0),
    (3.0, 3),
    ("12", 12),
    ("12.0", 12),
    (None, 0),
]
NO_COUNTS: list[Any] = [
    True,
    False,
    3.9,
    "1.5",
    -4,
    -0.5,
    float("nan"),
    float("inf"),
    2**70,
    "x",
    "",
    [3],
    {},
]


@pytest.mark.parametrize(("value", "expected"), COUNTS, ids=[repr(value)[:20] for value, _ in COUNTS])
def test_a_count_is_a_whole_number_from_zero_on(value: Any, expected: int) -> None:
    assert (count(value), type(count(value))) == (expected, int)


@pytest.mark.parametrize("value", NO_COUNTS, ids=[repr(value)[:20] for value in NO_COUNTS])
def test_what_is_no_count_is_known_for_it_and_so_is_every_sum_with_it(value: Any) -> None:
    none = count(value)
    sums = (none, none + 5, 5 + none, 5 - none, none - 5, sum([1, none, 2]), count(none))
    assert {type(found) for found in sums} == {NoCount}
    assert (none, none + 5, sum([1, none, 2])) == (0, 5, 3)


@given(value=st.floats() | st.integers() | st.text(max_size=80))
def test_any_amount_fits_into_the_money_that_is_calculated_with_it(value: Any) -> None:
    found = amount(value)
    assert found is None or (0 <= found <= 10**15 and len(found.as_tuple().digits) <= 64)


def test_units_leave_out_what_is_empty_and_keep_fractions() -> None:
    assert units_of(a=2.0, b=0, c=None, d="1.5") == {"a": 2, "d": Decimal("1.5")}
    assert type(units_of(e="x")["e"]) is NoCount


def test_traits_are_short_texts() -> None:
    assert traits_of(a="x", b=50, c=None, d="y" * 65, e=True, f=1.5) == {"a": "x", "b": "50"}


def test_texts_are_bounded_and_never_empty() -> None:
    assert (string("x" * 600), string(""), string(5)) == ("x" * 512, None, None)


BROKEN = {
    "whole": (b'{"a": 1, "b": 23}', {"a": 1, "b": 23}),
    "cut in a number": (b'{"a": 1, "b": 23', {"a": 1}),
    "cut behind a comma": (b'{"a": 1, ', {"a": 1}),
    "cut in a nested number": (b'{"u": {"x": 4, "y": 5', {"u": {"x": 4}}),
    "nothing": (b"", None),
    "no JSON": (b"<html>", None),
}


@pytest.mark.parametrize(("body", "expected"), BROKEN.values(), ids=list(BROKEN))
def test_of_a_broken_body_the_sure_part_is_read(body: bytes, expected: Any) -> None:
    assert parsed(body) == expected


BODIES = {
    "one object": (b'{"a": 1}', [{"a": 1}]),
    "lines": (b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
    "lines with others between": (b'{"a": 1}\n\n[]\nnoise\n{"a": 2}', [{"a": 1}, {"a": 2}]),
    "several lines, one object": (b'{\n "a": 1\n}', [{"a": 1}]),
    "an array": (b"[1]", []),
}


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=list(BODIES))
def test_documents_are_the_objects_of_a_body(body: bytes, expected: list[Any]) -> None:
    assert documents(body) == expected
    assert last_document(body) == (expected[-1] if expected else {})


def test_a_last_line_that_broke_off_is_no_last_document() -> None:
    assert last_document(b'{"a": 1}\n{"a": 2') == {}


MOMENTS: list[tuple[Any, float | None]] = [
    (1774965956, 1774965956.0),
    (1774965956123, 1774965956.123),
    ("2024-02-12T16:44:47Z", 1707756287.0),
    ("yesterday", None),
    (None, None),
    (0, None),
]


@pytest.mark.parametrize(("value", "expected"), MOMENTS, ids=[repr(value) for value, _ in MOMENTS])
def test_a_moment_is_seconds_since_the_epoch(value: Any, expected: float | None) -> None:
    assert moment(value) == expected


WORDS: list[tuple[Any, str | None]] = [
    ({"error": {"type": "invalid_request_error", "message": "secret"}}, "invalid_request_error"),
    ({"error": {"code": 404, "status": "NOT_FOUND"}}, "NOT_FOUND"),
    ({"__type": "com.amazonaws.bedrock#ValidationException"}, "ValidationException"),
    ({"type": "error", "error": {"type": "overloaded_error"}}, "overloaded_error"),
    ({"error": "model_not_found"}, "model_not_found"),
    ({"error": "The model does not exist"}, None),
    ({"message": "secret"}, None),
    ([], None),
]


@pytest.mark.parametrize(("content", "expected"), WORDS, ids=[str(expected) for _, expected in WORDS])
def test_an_error_is_a_word_and_never_a_message(content: Any, expected: str | None) -> None:
    assert error_word(content) == expected


def test_a_once_key_needs_an_identity() -> None:
    assert (once("openai", "run", "run_1"), once("openai", "run", None), once("openai", "run", "")) == (
        "openai/run/run_1",
        None,
        None,
    )


COSTS: dict[str, tuple[str, dict[str, Any], Decimal | None]] = {
    "xAI's ticks": ("xai", {"cost_in_usd_ticks": 2244800}, Decimal("0.00022448")),
    "a gateway's estimate": (
        "openai",
        {"pydantic_ai_gateway": {"cost_estimate": 0.00012625}},
        Decimal("0.00012625"),
    ),
    "OpenRouter's charge": ("openrouter", {"cost": 3.4e-7}, Decimal("3.4E-7")),
    "OpenRouter's charge of nothing": ("openrouter", {"cost": 0}, Decimal(0)),
    "a key of one's own: the fee and the upstream": (
        "openrouter",
        {"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}},
        Decimal("0.021"),
    ),
    "Perplexity's total": (
        "perplexity",
        {"cost": {"request_cost": 0.005, "total_cost": 0.00519}},
        Decimal("0.00519"),
    ),
    "a number that nobody documents": ("custom_openai", {"cost": 5}, None),
    "none": ("openai", {"prompt_tokens": 1}, None),
    "nonsense": ("openrouter", {"cost": "a lot"}, None),
}


@pytest.mark.parametrize(("provider", "usage", "expected"), COSTS.values(), ids=list(COSTS))
def test_a_stated_cost_is_taken_exactly(
    provider: str, usage: dict[str, Any], expected: Decimal | None
) -> None:
    assert stated_cost(provider, usage) == expected
