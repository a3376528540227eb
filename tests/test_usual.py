"""The short way for usual calls says what the general way says, word for word, or leaves the call to it."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from spend_middleware.attribution import CREDENTIAL_HEADERS, Scope, hash_key
from spend_middleware.call import NOBODY, UNPRICED, Attribution, Call, Charge, Cost, PricingStatus
from spend_middleware.costs import LARGEST_KIND, MeteredCall, encoded_kind, encoded_payer, kind_in, payer_in
from spend_middleware.interception.exchange import Exchange, Outcome
from spend_middleware.metering import measure
from spend_middleware.outbound import asked_for, credential_in, owners_of_usual, within
from spend_middleware.pricing.book import PriceBook
from spend_middleware.settings import Settings
from spend_middleware.store.call_rows import usd_of
from spend_middleware.store.facts import decode, encode_call, encode_metered, journaled_row
from spend_middleware.store.records import COLUMNS
from spend_middleware.tally import Tally
from spend_middleware.usual import MOST_KINDS, usual_call
from spend_middleware.wire import Sent, recognise
from spend_middleware.wire.request import (
    UsualRequest,
    fields_of,
    fields_of_usual,
    leaves_as_it_is,
    usual_in,
    usual_request,
)
from spend_middleware.wire.rewriting import all_stays

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "user": "ana"}

WORDS = st.sampled_from([None, "", "gpt-4o", "gpt-4o-search-preview", "no such model", "x" * 600, 5, ["x"]])
COUNTS = st.none() | st.integers(-3, 200) | st.integers(0, 10**18) | st.sampled_from(["7", 1.5, True])
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens", "text_tokens"]), COUNTS
)
USAGES = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
    optional={
        "total_tokens": COUNTS,
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
        "cost": COUNTS,
    },
)
ANSWERS = st.fixed_dictionaries(
    {"usage": st.just(USAGE) | USAGES, "model": st.just("gpt-4o-2024-08-06") | WORDS},
    optional={
        "id": WORDS,
        "service_tier": st.sampled_from([None, "default", "flex", "priority", 5]),
        "choices": st.sampled_from([None, [], [{}], [None], ANSWER["choices"], [{"finish_reason": 1}]]),
        "error": st.sampled_from([None, {}, {"type": "overloaded_error"}]),
    },
)
REQUESTS = st.fixed_dictionaries(
    {"messages": st.just([{"role": "user", "content": "a word"}])},
    optional={
        "model": WORDS,
        "user": st.sampled_from([None, "", " ", "ana", " ana\n", "x" * 600, 7, True, ["ana"]]),
        "service_tier": st.sampled_from([None, "", "flex", "priority", 5]),
        "metadata": st.sampled_from([None, {}, {"tags": ["a"]}, {"other": "b"}, "x"]),
        "tags": st.sampled_from([None, [], ["a"]]),
        "safety_identifier": st.sampled_from([None, "s"]),
        "litellm_session_id": st.sampled_from([None, "s"]),
    },
)
HEADERS = st.sampled_from(
    [
        {"content-type": "application/json"},
        {"x-litellm-tags": "a,b"},
        {"x-litellm-call-id": "of a proxy"},
        {"x-agent-session-id": "0123456789"},
    ]
)


SETTINGS = [Settings(), Settings(hash_end_users=True), Settings(disable_end_user_cost_tracking=True)]


def answered(answer: Any, headers: dict[str, str] | None = None, **said: Any) -> Exchange:
    """Return a finished exchange with OpenAI whose answer has this body."""
    origin = said.pop("origin", "https://api.openai.com")
    route = recognise("POST", origin.removeprefix("https://"), CHAT)
    exchange = Exchange(route, "POST", origin + CHAT, origin, CHAT, {}, b"{}", started=1_795_000_000.0)
    exchange.call_id = "01234567-89ab-7def-8123-456789abcdef"
    said_by = headers or {}
    head = "".join(f"{name}{value}" for name, value in said_by.items()).encode()
    exchange.begin(said.pop("status", 200), head, lambda: said_by)
    exchange.take(answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    exchange.close(said.pop("outcome", Outcome.COMPLETE))
    exchange.ended = exchange.first_byte = 1_795_000_001.5
    return exchange


def usual_of(
    exchange: Exchange, asked: dict[str, Any], book: PriceBook, owner: Attribution = NOBODY
) -> MeteredCall | None:
    """Return what the short way says of an exchange."""
    request = usual_request(json.dumps(asked).encode(), {})
    return None if request is None else usual_call(exchange, request, book, owner, None, 0)


def both_ways(exchange: Exchange, asked: dict[str, Any]) -> tuple[Call | None, list[Call]]:
    """Return what the short way and the general way say of an exchange."""
    book = PriceBook.bundled()
    general, _ = measure(exchange, Sent(content=asked), book)
    usual = usual_of(exchange, asked, book)
    return None if usual is None else usual.rated(), general


@given(ANSWERS, st.just(ASKED) | REQUESTS, HEADERS)
def test_what_the_short_way_says_of_a_call_the_general_way_says_too(
    answer: dict[str, Any], asked: dict[str, Any], headers: dict[str, str]
) -> None:
    usual, general = both_ways(answered(answer, headers), asked)
    assert usual is None or [usual] == general


@pytest.mark.parametrize(
    "usage",
    [
        USAGE,
        {**USAGE, "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0}},
        {**USAGE, "completion_tokens_details": {"reasoning_tokens": 30, "accepted_prediction_tokens": 0}},
    ],
    ids=["plain", "cached", "reasoning"],
)
@pytest.mark.parametrize("origin", ["https://api.openai.com", "https://api.deepseek.com"])
def test_a_usual_call_goes_the_short_way(usage: dict[str, Any], origin: str) -> None:
    model = "gpt-4o" if "openai" in origin else "deepseek-chat"
    answer = {**ANSWER, "model": model, "usage": usage}
    usual, general = both_ways(answered(answer, origin=origin), {**ASKED, "model": model})
    assert usual is not None
    assert [usual] == general
    assert usual.cost.amount


@pytest.mark.parametrize(
    ("exchange", "why"),
    [
        (answered({**ANSWER, "model": "no such model"}), "no known price"),
        (answered({**ANSWER, "error": {"type": "x"}}), "an error"),
        (answered(ANSWER, status=500), "a failure"),
        (answered(ANSWER, outcome=Outcome.BROKEN), "it broke off"),
        (answered(ANSWER, {"x-litellm-version": "1"}), "a proxy's answer"),
        (answered({**ANSWER, "usage": {**USAGE, "total_tokens": 7}}), "a sum that is none"),
        (answered({**ANSWER, "usage": {"prompt_tokens": 5, "total_tokens": 5}}), "no output"),
        (answered(ANSWER, origin="https://gateway.example.com"), "an unknown host"),
        (answered(b'data: {"usage":{}}\n\n'), "a stream"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_other_call_goes_the_general_way(exchange: Exchange, why: str) -> None:
    usual, general = both_ways(exchange, {**ASKED, "model": "no such model"} if "price" in why else ASKED)
    assert usual is None
    assert len(general) == 1


OWNERS = st.builds(
    Attribution,
    tags=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    end_user=st.none() | st.text(max_size=5),
    key_hash=st.none() | st.just("a" * 64),
    metadata=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2),
)


@given(
    ANSWERS,
    OWNERS,
    st.none() | st.text(max_size=5),
    st.none() | st.sampled_from(["stop", "\0", "fini\u00e9"]),
)
def test_a_call_that_is_rated_by_the_writer_makes_the_row_that_it_makes_when_it_is_rated_first(
    answer: dict[str, Any], owner: Attribution, response_id: str | None, finish_reason: str | None
) -> None:
    exchange, book = answered(answer), PriceBook.bundled()
    measure(exchange, Sent(content=ASKED), book)
    call = usual_of(exchange, ASKED, book, owner)
    if call is None:
        return
    call = replace(call, response_id=response_id, finish_reason=finish_reason)
    rated = call.rated()
    assert decode(encode_metered(call)) == journaled_row(encode_metered(call)) == decode(encode_call(rated))


def test_a_tally_adds_up_calls_that_are_rated_when_somebody_asks() -> None:
    exchange, book = answered(ANSWER), PriceBook.bundled()
    (general,), _ = measure(exchange, Sent(content=ASKED), book)
    call = usual_of(exchange, ASKED, book)
    assert call is not None
    around = Tally()
    tally = Tally(around)
    for number in range(3):
        tally.add(replace(call, call_id=f"metered {number}"))
        tally.add(replace(general, call_id=f"rated {number}"))
        tally.add(replace(call, call_id="metered 0"))
        assert tally.cost == 2 * (number + 1) * Decimal("0.0011")
        assert (len(tally.calls), tally.unpriced) == (2 * number + 2, 0)
    assert tally.calls == around.calls
    assert around.cost == tally.cost
    assert [replace(one, call_id="") for one in tally.calls] == [replace(general, call_id="")] * 6
    tally.add(replace(general, call_id="free", cost=UNPRICED))
    assert (around.unpriced, tally.unpriced, around.cost) == (1, 1, 6 * Decimal("0.0011"))
    sums = tally.sums()
    assert (sums.calls, sums.unpriced, sums.amount) == (7, 1, 6 * Decimal("0.0011"))
    assert sums.seconds == pytest.approx(7 * (call.ended_at - call.started_at))
    assert sums.parts == {charge.meter: 6 * charge.amount for charge in general.cost.charges}


def test_a_call_costs_what_it_cost_when_it_ended_whenever_it_is_rated() -> None:
    book = PriceBook()
    book.register({"gpt-4o": {"input_cost_per_token": 0.5, "output_cost_per_token": 0.001}})
    asked, answer = {**ASKED, "model": "gpt-4o"}, answered({**ANSWER, "model": "gpt-4o"})
    assert usual_of(answer, asked, book) is None, "no like call was priced yet"
    dear = measure(answer, Sent(content=asked), book)[0][0].cost
    assert dear.amount == Decimal("60.08")
    assert usual_of(answer, asked, book) is None, "a token for half a dollar is nothing usual"
    book.register({"gpt-4o": {"input_cost_per_token": 0.005}})
    fair = measure(answer, Sent(content=asked), book)[0][0].cost
    call = usual_of(answer, asked, book)
    assert call is not None
    book.register({"gpt-4o": {"input_cost_per_token": 0}})
    assert call.rated().cost == fair == journaled_cost(encode_metered(call))
    measure(answer, Sent(content=asked), book)
    later = usual_of(answer, asked, book)
    assert later is not None
    assert later.rated().cost.amount == Decimal("0.08")


def journaled_cost(body: bytes) -> Cost:
    """Return the cost that a journaled call's row states."""
    row = dict(zip(COLUMNS, decode(body), strict=True))
    charges = tuple(
        Charge(meter, Decimal(quantity), Decimal(price), Decimal(amount))
        for meter, quantity, price, amount in json.loads(row["charges"])
    )
    return Cost(
        amount=usd_of(row["spend"]),
        status=PricingStatus(row["pricing_status"]),
        charges=charges,
        price_key=row["price_key"],
        price_version=row["price_version"],
        list_amount=usd_of(row["list_cost"]),
    )


def test_what_calls_have_in_common_is_encoded_once_and_is_forgotten_beyond_a_bound() -> None:
    book = PriceBook.bundled()
    exchange = answered(ANSWER)
    measure(exchange, Sent(content=ASKED), book)
    one, other = (usual_of(exchange, ASKED, book, Attribution(end_user=name)) for name in ("ana", "ben"))
    assert one is not None
    assert other is not None
    assert one.kind is other.kind
    models, base = ("gpt-4o-2024-08-06", "gpt-4o"), "https://api.openai.com"
    rates = book.token_rates("openai", models, "completion", None, base, 120, exchange.started)
    assert rates is not None
    assert rates.kinds[("input_tokens", "output_tokens")] is one.kind
    rates.kinds.update({(str(place),): one.kind for place in range(MOST_KINDS)})
    details = {"cached_tokens": 64, "audio_tokens": 1}
    assert usual_of(answered({**ANSWER, "usage": {**USAGE, "prompt_tokens_details": details}}), ASKED, book)
    assert len(rates.kinds) == 1


def test_calls_that_differ_in_model_tier_or_address_have_not_all_in_common() -> None:
    book = PriceBook()
    ways = [
        ("https://api.openai.com", "gpt-4o", None),
        ("https://api.openai.com:443", "gpt-4o", None),
        ("https://api.openai.com", "gpt-4o-2024-08-06", None),
        ("https://api.openai.com", "gpt-4o", "priority"),
    ]
    for _ in range(2):
        for origin, model, tier in ways:
            exchange = answered({**ANSWER, "service_tier": tier}, origin=origin)
            asked = {**ASKED, "model": model}
            (general,), _ = measure(exchange, Sent(content=asked), book)
            usual = usual_of(exchange, asked, book)
            assert usual is not None
            assert usual.rated() == general
            assert (general.api_base, general.request_model, general.service_tier) == (origin, model, tier)


@pytest.mark.parametrize(
    "owner",
    [Attribution(end_user="a\ud800"), Attribution(metadata={1: 2}), Attribution(metadata={"a": 1 << 80})],  # type: ignore[dict-item]
    ids=["a lone surrogate", "a key that is no text", "a number of more than 64 bits"],
)
def test_a_call_whose_payer_would_not_come_back_as_he_was_goes_the_general_way(owner: Attribution) -> None:
    assert encoded_payer(owner) is None
    exchange, book = answered(ANSWER), PriceBook.bundled()
    measure(exchange, Sent(content=ASKED), book)
    assert usual_of(exchange, ASKED, book) is not None
    assert usual_of(exchange, ASKED, book, owner) is None


@pytest.mark.parametrize("model", ["m" * LARGEST_KIND, "a\ud800"])
def test_what_calls_have_in_common_is_not_remembered_where_it_is_too_large_or_has_no_form(model: str) -> None:
    exchange, book = answered(ANSWER), PriceBook.bundled()
    measure(exchange, Sent(content=ASKED), book)
    call = usual_of(exchange, ASKED, book)
    assert call is not None
    kind = kind_in(bytes(call.kind))
    assert encoded_kind(kind) == call.kind
    assert encoded_kind(replace(kind, request_model=model)) is None


def test_facts_of_a_metered_call_that_make_no_row_are_kept_with_the_reason() -> None:
    exchange, book = answered(ANSWER), PriceBook.bundled()
    measure(exchange, Sent(content=ASKED), book)
    call = usual_of(exchange, ASKED, book)
    assert call is not None
    row = dict(zip(COLUMNS, journaled_row(encode_metered(replace(call, ended_at=math.inf))), strict=True))
    assert (row["id"], row["provider"], row["model"]) == (call.call_id, "openai", "gpt-4o-2024-08-06")
    assert (row["spend"], row["unpriced_reason"]) == (None, "its facts cannot be stored: OverflowError")


@given(REQUESTS, HEADERS, st.sampled_from(["api.openai.com", "api.anthropic.com", "api.mistral.ai"]))
def test_a_usual_request_says_who_asks_as_the_whole_body_does(
    asked: dict[str, Any], headers: dict[str, str], host: str
) -> None:
    route = recognise("POST", host, "/v1/messages" if "anthropic" in host else CHAT)
    assert route is not None
    request = usual_request(json.dumps(asked).encode(), headers)
    if request is None:
        return
    assert usual_in(asked) == UsualRequest(model=request.model, service_tier=request.service_tier)
    short, whole = fields_of_usual(request), fields_of(asked, headers, route)
    settings = Settings()
    assert asked_for(short, headers, None, None, settings) == asked_for(whole, headers, None, None, settings)
    assert leaves_as_it_is(request, route) == all_stays(short, route) == all_stays(whole, route)
    assert (request.model, request.service_tier) == (asked.get("model"), asked.get("service_tier"))


@given(
    REQUESTS,
    st.dictionaries(
        st.sampled_from([name for name in CREDENTIAL_HEADERS if name != "x-litellm-api-key"]),
        st.sampled_from(["Bearer sk-1", "sk-2", "Bearer ", " ", "", "a" * 64]),
    ),
    st.sampled_from(SETTINGS),
    st.none() | st.builds(Scope, OWNERS, request_id=st.sampled_from([None, "request"])),
    st.none() | st.just("trace"),
)
def test_who_asks_is_remembered_as_it_would_be_found_out(
    asked: dict[str, Any],
    headers: dict[str, str],
    settings: Settings,
    scope: Scope | None,
    trace_id: str | None,
) -> None:
    request = usual_request(json.dumps(asked).encode(), headers)
    if request is None:
        return
    owner_of = owners_of_usual(settings)
    for _ in range(2):
        owner = owner_of(credential_in(headers), request.user)
        if owner is None:
            return
        assert owner.attribution == asked_for(fields_of_usual(request), headers, None, None, settings)
        assert owner.payer is not None
        assert payer_in(owner.payer) == owner.attribution
        found = asked_for(fields_of_usual(request), headers, scope, trace_id, settings)
        assert within(owner.said, owner.secret, scope, trace_id, settings) == found


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_who_asks_is_remembered_by_the_usual_headers(name: str) -> None:
    owner = owners_of_usual(Settings())(credential_in({name: "sk-1"}), "ana")
    assert owner is not None
    assert (owner.attribution.key_hash, owner.attribution.end_user) == (hash_key("sk-1"), "ana")
    assert owners_of_usual(Settings())(None, "ana") is None


@pytest.mark.parametrize(
    "odd", [{"model": 7}, {"model": ""}, {"model": "x" * 513}, {"service_tier": ["flex"]}]
)
def test_a_request_of_other_types_is_no_usual_one_whatever_tags_it_has(odd: dict[str, Any]) -> None:
    asked = {**ASKED, "metadata": {"tags": ["a"]}}
    assert usual_in(asked) == UsualRequest(model="gpt-4o")
    assert usual_in({**asked, **odd}) is None


def test_a_usual_request_is_read_without_its_prompt() -> None:
    body = json.dumps({**ASKED, "messages": [{"role": "user", "content": "x" * 100_000}]}).encode()
    assert usual_request(body, {}) == UsualRequest(model="gpt-4o", user="ana")
    assert usual_request(body, {"x-litellm-tags": "a"}) is None
    assert usual_request(body[:-1], {}) is None
    assert usual_request(None, {}) is None
