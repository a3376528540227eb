"""A call's facts: what is journaled of a call makes the row that the call means."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from spend_middleware.call import (
    NOBODY,
    UNPRICED,
    Attribution,
    Call,
    Charge,
    Cost,
    PricingStatus,
    Status,
    Unit,
    Usage,
    UsageSource,
    to_pico,
)
from spend_middleware.settings import Settings
from spend_middleware.store.call_rows import MAX_RAW_USAGE, interrupted
from spend_middleware.store.facts import decode, encode_call, encode_started, facts_in
from spend_middleware.store.records import AT, COLUMNS, INTERRUPTED_REASON, deep_storable
from spend_middleware.store.store import Store

CALL = Call(
    call_id="0199-1",
    provider="openai",
    operation="completion",
    request_model="gpt-4o-mini",
    response_model="gpt-4o-mini-2024-07-18",
    started_at=1_795_435_200.25,
    ended_at=1_795_435_201.75,
    usage=Usage(input_tokens=11, output_tokens=7),
    usage_source=UsageSource.REPORTED,
    cost=Cost(
        amount=Decimal("0.000001234567"),
        status=PricingStatus.PRICED,
        charges=(Charge("input", Decimal(11), Decimal("1E-7"), Decimal("0.0000011")),),
        price_key="gpt-4o-mini",
    ),
)

words = st.text(st.characters(), max_size=12)
amounts = st.none() | st.decimals(0, 9_000_000, places=12)
counts = st.integers(0, 2**70)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    reasoning_tokens=counts,
    total_tokens=st.none() | counts,
    units=st.dictionaries(st.sampled_from(Unit), st.integers(1, 9) | st.decimals(1, 9, places=3), max_size=2),
    traits=st.dictionaries(words, words, max_size=2),
)
calls = st.builds(
    Call,
    call_id=words,
    provider=words,
    operation=words,
    request_model=words,
    response_model=words,
    started_at=st.floats(0, 2e9),
    ended_at=st.floats(0, 2e9),
    first_token_at=st.none() | st.floats(0, 2e9),
    status=st.sampled_from(Status),
    error_type=st.none() | words,
    usage=usages | st.builds(lambda one, more: replace(one, passes=(("m", more),)), usages, usages),
    usage_source=st.sampled_from(UsageSource),
    raw_usage=st.none()
    | st.dictionaries(words, st.integers() | words | st.lists(st.none() | st.floats()), max_size=3),
    attribution=st.builds(
        Attribution,
        tags=st.lists(words, max_size=3).map(tuple),
        end_user=st.none() | words,
        metadata=st.dictionaries(words, words, max_size=2),
    ),
    cost=st.builds(
        Cost,
        amount=amounts,
        status=st.sampled_from(PricingStatus),
        charges=st.lists(
            st.builds(Charge, words, st.decimals(0, 99), st.decimals(0, 1), st.decimals(0, 99)), max_size=2
        ).map(tuple),
        list_amount=amounts,
        reported_amount=amounts,
        reason=st.none() | words,
        price_key=st.none() | words,
        price_version=st.none() | words,
    ),
)


def named(values: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(COLUMNS, values, strict=True))


@given(calls)
def test_a_call_makes_one_row_in_whichever_form_it_is_journaled(call: Call) -> None:
    """A number beyond 64 bits, which MessagePack has no form for, has the call journaled as JSON."""
    large = replace(call, raw_usage={**(call.raw_usage or {}), "large": 2**80})
    small = replace(call, raw_usage={**(call.raw_usage or {}), "large": 2**60})
    one, other = named(decode(encode_call(large))), named(decode(encode_call(small)))
    assert one.pop("raw_usage") == other.pop("raw_usage").replace(str(2**60), str(2**80))
    assert one == other


@given(usages)
def test_the_usage_of_a_row_is_that_of_its_call(usage: Usage) -> None:
    row = named(decode(encode_call(replace(CALL, usage=usage))))
    assert Usage.from_dict(json.loads(row["usage"])) == Usage.from_dict(deep_storable(usage.as_dict()))


def test_the_row_says_what_the_call_says() -> None:
    row = named(decode(encode_call(CALL)))
    assert row["spend"] == 1_234_567
    assert row["start_time"] == 1_795_435_200_250_000
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (11, 7, 18)
    assert json.loads(row["charges"]) == [["input", "11", "1E-7", "0.0000011"]]
    assert (row["model"], row["model_group"]) == ("gpt-4o-mini-2024-07-18", "gpt-4o-mini")
    assert (row["status"], row["usage_source"], row["pricing_status"]) == ("success", "reported", "priced")


def test_a_usage_object_that_is_too_large_to_be_one_is_let_go() -> None:
    body = encode_call(replace(CALL, raw_usage={"text": "x" * 100_000}))
    assert len(body) < MAX_RAW_USAGE
    assert named(decode(body))["raw_usage"] is None


def test_text_that_no_database_holds_is_made_storable_however_deep_it_stands() -> None:
    wrong = "a\0b\ud800c"
    owner = Attribution(tags=(wrong,), metadata={wrong: [wrong]})
    row = named(decode(encode_call(replace(CALL, attribution=owner, raw_usage={wrong: wrong}))))
    assert json.loads(row["request_tags"]) == ["a\ufffdb\ufffdc"]
    assert "\0" not in json.loads(row["raw_usage"])["a\ufffdb\ufffdc"]


def test_a_start_mark_is_the_row_of_an_interrupted_call() -> None:
    base, endpoint = "https://api.openai.com", "/chat/completions"
    started = ("0199-2", "completion", "openai", "gpt-4o", base, endpoint, 5.5, 1, NOBODY)
    row = named(interrupted(facts_in(encode_started(started))))
    assert (row["id"], row["status"], row["spend"]) == ("0199-2", "interrupted", None)
    assert (row["model_group"], row["attempt"], row["start_time"]) == ("gpt-4o", 1, 5_500_000)
    assert row["unpriced_reason"] == INTERRUPTED_REASON


def test_a_call_whose_facts_make_no_row_is_kept_with_the_reason() -> None:
    store = Store(Settings(database_url="sqlite://"))
    store.append_call(replace(CALL, started_at=math.nan))
    store.append_call(replace(CALL, call_id="0199-9"))
    assert store.flush(20) == 0
    with store.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT id, provider, spend, unpriced_reason FROM spend_logs ORDER BY id"
        ).all()
    store.close()
    assert found == [
        ("0199-1", "openai", None, "its facts cannot be stored: ValueError"),
        ("0199-9", "openai", 1_234_567, None),
    ]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12) | st.decimals(-(10**9), 10**9))
def test_an_amount_is_stored_in_whole_pico_dollars_however_it_is_written(amount: Decimal) -> None:
    body = encode_call(Call(call_id="c", provider="p", operation="o", cost=UNPRICED._replace(amount=amount)))
    stored = decode(body)[AT["spend"]]
    assert stored == max(-(2**63) + 1, min(to_pico(amount), 2**63 - 1))
