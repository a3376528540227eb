"""Every sum equals the sum of the calls, whatever it is grouped, filtered or cut by, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger_calls import Books, Row, calls, grouped, micros, total_of
from ledger_rows import row
from spend_middleware.call import from_pico
from spend_middleware.errors import ConfigurationError, StoreError
from spend_middleware.store.adjust import AdjustmentKind, Entry, adjust
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_values import (
    ALL_TIME,
    EVERYTHING,
    NOTHING,
    By,
    Filter,
    Period,
    Scope,
    Sums,
)
from spend_middleware.store.retention import retain
from spend_middleware.store.settle import settle
from spend_middleware.store.verify import verify

ROWS = calls(300)
START, END = date(2026, 3, 24), date(2026, 4, 6)
FIVE_ZONES = ("Asia/Kolkata", "America/Los_Angeles", "Asia/Kathmandu", "Europe/Berlin", "Pacific/Apia")


@pytest.fixture
def filled(books: Books) -> Books:
    books.write(ROWS)
    return books


GROUPINGS = [
    *((by,) for by in By),
    (By.DAY, By.TEAM),
    (By.DAY, By.TAG),
    (By.DAY, By.END_USER, By.MODEL),
    (By.TEAM, By.MODEL, By.PROVIDER, By.ENDPOINT),
    (By.END_USER, By.PROVIDER),
    (By.TAG, By.KEY),
]


def test_any_grouping_equals_the_sum_of_its_calls(filled: Books) -> None:
    for grouping in GROUPINGS:
        for period in (ALL_TIME, Period(start=START, end=END), Period(end=END), Period(start=START)):
            report = filled.reports.by(grouping, EVERYTHING, period)
            expected = grouped(ROWS, grouping, start=period.start, end=period.end)
            assert {group.keys: group.sums for group in report.groups} == expected, (grouping, period)
            assert report.total == total_of(ROWS, start=period.start, end=period.end)


def test_groups_come_by_spend_and_then_by_name(filled: Books) -> None:
    for grouping in GROUPINGS:
        groups = filled.reports.by(grouping, EVERYTHING).groups
        first = (lambda group: group.keys[:1]) if grouping[0] is By.DAY else (lambda _: ())
        wanted = sorted(groups, key=lambda group: (first(group), -group.sums.spend_pico, group.keys))
        assert list(groups) == wanted, grouping


def test_a_limit_keeps_the_greatest_and_the_whole_total(filled: Books) -> None:
    settle(filled.ledger, today=date(2026, 4, 20))
    periods = (ALL_TIME, Period(start=START, end=END))
    wheres = (Filter(), Filter(tag=("red", "a b")), Filter(model=("none",)))
    for grouping, period, where in itertools.product(GROUPINGS[:-4], periods, wheres):
        everything = filled.reports.by(grouping, EVERYTHING, period, where)
        for limit in (1, 4):
            some = filled.reports.by(grouping, EVERYTHING, period, where, limit=limit)
            assert some.groups == everything.groups[:limit], (grouping, period, where)
            assert some.total == everything.total


FILTERS: list[tuple[Filter, Callable[[Row], bool]]] = [
    (Filter(api_key=("key1",)), lambda r: r["api_key"] == "key1"),
    (Filter(api_key=("key1", "key4")), lambda r: r["api_key"] in ("key1", "key4")),
    (Filter(team_id=("",)), lambda r: r["team_id"] == ""),
    (Filter(end_user=("çelik",), model=("gpt-4o",)), lambda r: r["end_user"] == "çelik" and r["model"] == "gpt-4o"),
    (Filter(tag=("red",)), lambda r: '"red"' in r["request_tags"]),
    (Filter(tag=("red", "blue")), lambda r: '"red"' in r["request_tags"] or '"blue"' in r["request_tags"]),
    (Filter(tag=("red",), user_id=("user1",)), lambda r: '"red"' in r["request_tags"] and r["user_id"] == "user1"),
    (Filter(provider=("openai",), endpoint=("/v1/responses",)), lambda r: (r["provider"], r["endpoint"]) == ("openai", "/v1/responses")),
    (Filter(model=("' OR 1=1 --",)), lambda _: False),
    (Filter(tag=("100%_\\",)), lambda _: False),
    (Filter(user_id=("\0", "\ud800")), lambda _: False),
]  # fmt: skip


def test_a_filter_leaves_exactly_its_calls(filled: Books) -> None:
    for (where, keeps), zone in itertools.product(FILTERS, ("UTC", "Asia/Kolkata")):
        period = Period(start=START, end=END, zone=zone)
        expected = total_of(ROWS, zone=zone, start=START, end=END, where=keeps)
        assert filled.reports.total(EVERYTHING, period, where) == expected
        report = filled.reports.by([By.DAY, By.MODEL], EVERYTHING, period, where)
        assert {group.keys: group.sums for group in report.groups} == grouped(
            ROWS, [By.DAY, By.MODEL], zone=zone, start=START, end=END, where=keeps
        )


@pytest.mark.parametrize("zone", FIVE_ZONES)
def test_days_of_any_zone_equal_a_plain_sum_over_dst_days(books: Books, zone: str) -> None:
    # Clocks change on 2026-03-08 and 2026-11-01 in Los Angeles, on 2026-03-29 and 2026-10-25 in Berlin.
    rows = [
        row(start_time=micros(f"{day}T00:00:00") + minutes * 60_000_000 + step, end_time=2**52, spend=spend + 1, tags=["t"])
        for day in ("2026-03-07", "2026-03-08", "2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25", "2026-11-01")
        for spend, (minutes, step) in enumerate(itertools.product(range(0, 1440, 45), (-1, 0)))
    ]  # fmt: skip
    books.write(rows)
    for start, end in ((None, None), (date(2026, 3, 8), date(2026, 3, 29)), (date(2026, 10, 25),) * 2):
        period = Period(start=start, end=end, zone=zone)
        for grouping in ([By.DAY], [By.DAY, By.TAG], [By.TAG], []):
            report = books.reports.by(grouping, EVERYTHING, period)
            expected = grouped(rows, grouping, zone=zone, start=start, end=end)
            assert {group.keys: group.sums for group in report.groups} == expected
            assert report.zone == zone
        assert books.reports.total(EVERYTHING, period) == total_of(rows, zone=zone, start=start, end=end)
    assert books.reports.by([By.DAY], EVERYTHING, Period(zone=zone)).from_rows
    assert not books.reports.by([By.DAY], EVERYTHING, Period(zone="UTC")).from_rows


def test_tags_count_a_call_once_per_tag_and_once_in_the_total(filled: Books) -> None:
    for period in (
        ALL_TIME,
        Period(start=START, end=END),
        Period(start=START, end=END, zone="Asia/Kathmandu"),
    ):
        report = filled.reports.tags(EVERYTHING, period)
        cut: dict[str, Any] = {"zone": period.zone or "UTC", "start": period.start, "end": period.end}
        expected = grouped(ROWS, [By.TAG], **cut)
        assert {(tag.tag,): tag.sums for tag in report.tags} == expected
        assert report.total == total_of(ROWS, **cut)
        assert report.untagged == total_of(ROWS, **cut, where=lambda r: r["request_tags"] == "[]")
        assert [(-tag.sums.spend_pico, tag.tag) for tag in report.tags] == sorted(
            (-tag.sums.spend_pico, tag.tag) for tag in report.tags
        )
    assert [tag.tag for tag in filled.reports.tags(EVERYTHING, where=Filter(tag=("red", "none"))).tags] == [
        "red"
    ]


SCOPES: list[tuple[Scope, Callable[[Row], bool]]] = [
    (EVERYTHING, lambda _: True),
    (NOTHING, lambda _: False),
    (Scope(users=frozenset([""])), lambda _: False),
    (Scope(users=frozenset(["user1"])), lambda r: r["user_id"] == "user1"),
    (Scope(users=frozenset(["user1"]), teams=frozenset(["team0"])), lambda r: r["user_id"] == "user1" or r["team_id"] == "team0"),
    (Scope(keys=frozenset(["key5", "'"])), lambda r: r["api_key"] == "key5"),
    (Scope(organizations=frozenset(["acme"])), lambda r: r["organization_id"] == "acme"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SCOPES)))
def test_a_scope_sees_its_own_calls_in_every_report(filled: Books, number: int) -> None:
    scope, sees = SCOPES[number]
    reports, period = filled.reports, Period(start=START, end=END)
    own = [one for one in ROWS if sees(one)]
    inside: dict[str, Any] = {"start": START, "end": END}
    assert reports.total(scope) == total_of(own)
    for grouping in GROUPINGS:
        assert {g.keys: g.sums for g in reports.by(grouping, scope, period).groups} == grouped(
            own, grouping, **inside
        )
    tags = reports.tags(scope, period)
    assert {(tag.tag,): tag.sums for tag in tags.tags} == grouped(own, [By.TAG], **inside)
    assert tags.total == total_of(own, **inside)
    assert reports.names(By.END_USER, scope) == sorted({r["end_user"] for r in own} - {""})
    assert (
        sum(day.sums.requests for day in reports.daily_summary(scope, period))
        == total_of(own, **inside).requests
    )
    assert (
        sum(group.sums.requests for group in reports.daily_groups([By.TEAM], scope, period))
        == total_of(own, **inside).requests
    )
    assert sum(key.sums.requests for key in reports.by_key(scope, period)) == total_of(own, **inside).requests
    assert sum(group.sums.requests for group in reports.stream([By.DAY, By.KEY], scope)) == len(own)
    for entity in (By.USER, By.TEAM, By.END_USER):
        assert reports.daily_activity(entity, scope, period, page_size=1000).total == total_of(own, **inside)
    assert sum(model.requests for model in reports.unpriced(scope)) == total_of(own).unpriced
    assert reports.spend_since(By.KEY, "key5", datetime(2026, 1, 1, tzinfo=UTC), scope) == total_of(
        own, where=lambda r: r["api_key"] == "key5"
    )


def test_spend_since_a_moment_is_exact_to_the_microsecond(filled: Books) -> None:
    edge = sorted(ROWS, key=lambda r: r["start_time"])[150]["start_time"]
    for moment in (edge - 1, edge, edge + 1, micros("2026-04-01"), micros("2026-04-01") + 1):
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
        for by in (By.KEY, By.TEAM, By.USER, By.END_USER, By.ORGANIZATION, By.TAG):
            later = [one for one in ROWS if one["start_time"] >= moment]
            expected = {key[0]: sums for key, sums in grouped(later, [by]).items()}
            assert filled.reports.spend_since_many(by, expected, since, EVERYTHING) == expected
    assert filled.reports.spend_since(By.KEY, "nobody", since, EVERYTHING) == Sums()
    assert filled.reports.spend_since_many(By.KEY, [], since, EVERYTHING) == {}


def test_unpriced_calls_are_named_by_model_and_reason(books: Books) -> None:
    books.write(
        [
            row(start_time=micros("2026-05-01"), spend=None, model="new", unpriced_reason="no price"),
            row(start_time=micros("2026-05-03"), spend=None, model="new", unpriced_reason="no price"),
            row(start_time=micros("2026-05-02"), spend=None, model="old", unpriced_reason="no usage"),
            row(start_time=micros("2026-05-02"), spend=0, model="free"),
        ]
    )
    first, second = books.reports.unpriced(EVERYTHING)
    assert (first.model, first.reason, first.requests, first.prompt_tokens) == ("new", "no price", 2, 22)
    assert (first.first_seen, first.last_seen) == (micros("2026-05-01"), micros("2026-05-03"))
    assert (second.model, second.reason) == ("old", "no usage")
    assert [m.model for m in books.reports.unpriced(EVERYTHING, Period(start=date(2026, 5, 3)))] == ["new"]
    assert books.reports.unpriced(EVERYTHING, where=Filter(model=("free",))) == []


def test_unpriced_calls_are_the_same_from_rollups_and_from_rows(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kolkata",))
    rows = [
        {**one, "unpriced_reason": dice}
        for one, dice in zip(calls(200, seed=5), itertools.cycle((None, "", "why", "é")))
    ]
    books.write(rows)
    missing = [one for one in rows if one["spend"] is None]
    mended = missing[::3]
    for one in mended:
        adjust(books.ledger, [Entry(log_id=one["id"], amount=from_pico(5), kind=AdjustmentKind.REPRICE)])
    adjust(books.ledger, [Entry(log_id=missing[1]["id"], amount=from_pico(-5), kind=AdjustmentKind.REFUND)])
    everybody = Filter(api_key=tuple(f"key{number}" for number in range(6)))  # read from rows
    for settled, zone in itertools.product((False, True), ("UTC", "Asia/Kolkata", "Asia/Tokyo")):
        if settled:
            settle(books.ledger, today=date(2026, 6, 1))
        for start, end in ((None, None), (START, END), (None, START)):
            period = Period(start=start, end=end, zone=zone)
            found = books.reports.unpriced(EVERYTHING, period)
            assert found == books.reports.unpriced(EVERYTHING, period, everybody)
            own = [one for one in missing if one not in mended]
            assert (
                sum(model.requests for model in found)
                == total_of(own, zone=zone, start=start, end=end).requests
            )
    assert found
    assert verify(books.ledger, books.reader).count == 0
    retain(books.ledger, 10, now=micros("2026-04-10") / 1e6, pause=0)
    kept = [one for one in missing if one not in mended and one["start_time"] >= micros("2026-03-31")]
    for zone in ("UTC", "Asia/Kolkata"):
        found = books.reports.unpriced(EVERYTHING, Period(zone=zone))
        assert sum(model.requests for model in found) == len(kept)


def test_an_empty_ledger_and_a_reversed_period_answer_with_nothing(books: Books) -> None:
    reversed_ = Period(start=END, end=START)
    for period in (ALL_TIME, reversed_, Period(start=date.min, end=date.max, zone="Asia/Tokyo")):
        assert books.reports.total(EVERYTHING, period) == Sums()
        assert books.reports.by([By.DAY, By.KEY], EVERYTHING, period).groups == ()
        assert books.reports.tags(EVERYTHING, period).tags == ()
        assert list(books.reports.daily_summary(EVERYTHING, period)) == []
        assert list(books.reports.daily_groups([By.TEAM], EVERYTHING, period)) == []
        assert list(books.reports.by_key(EVERYTHING, period)) == []
        assert books.reports.daily_activity(By.USER, EVERYTHING, period).days == ()
        assert books.reports.unpriced(EVERYTHING, period) == []


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "UTC\0"])
def test_a_zone_that_does_not_exist_is_refused_by_name(filled: Books, zone: str) -> None:
    if not zone:
        assert filled.reports.by([], EVERYTHING, Period(zone="")).zone == "UTC"
        return
    with pytest.raises(ConfigurationError, match="is not a time zone"):
        filled.reports.total(EVERYTHING, Period(zone=zone))


def test_a_total_beyond_what_64_bits_hold_does_not_overflow(books: Books) -> None:
    largest = (1 << 63) - 1
    rows = [row(spend=largest, tags=["dear"], end_user="rich") for _ in range(7)]
    books.write(rows)
    for grouping in ([], [By.TAG], [By.END_USER, By.PROVIDER], [By.DAY, By.MODEL], [By.TAG, By.KEY]):
        for zone in ("UTC", "Asia/Kathmandu"):
            (group,) = books.reports.by(grouping, EVERYTHING, Period(zone=zone)).groups
            assert group.sums.spend == from_pico(7 * largest)


def test_fifty_million_precise_amounts_add_up_exactly(books: Books) -> None:
    # Each of 500 amounts stands for a hundred thousand calls: the rollups hold their sums, written as batches write them.
    from spend_middleware.store.dialects import tables_for
    from spend_middleware.store.moves import moves_of
    from spend_middleware.store.records import values_of
    from spend_middleware.store.rollups import amounts_of

    times = 100_000
    rows = [values_of(one) for one in calls(500, seed=7)]
    with books.database.writing.begin() as connection:
        amounts = [tuple(part * times for part in amounts_of(values)) for values in rows]
        tables_for(books.database.address).move(connection, moves_of(rows, ["UTC"], 0, amounts))
    expected = sum((r["spend"] or 0) * times for r in calls(500, seed=7))
    assert books.reports.total(EVERYTHING).spend_pico == expected
    assert books.reports.total(EVERYTHING).requests == 50_000_000
    for grouping in ([By.KEY], [By.DAY, By.MODEL], [By.END_USER], [By.PROVIDER, By.ENDPOINT]):
        groups = books.reports.by(grouping, EVERYTHING).groups
        assert sum(group.sums.spend_pico for group in groups) == expected


def test_hot_rows_spread_over_slots_are_read_as_one(new_books: Callable[..., Books]) -> None:
    for seed in range(4):
        new_books(slots=8).write(calls(30, seed=seed))
    rows = [one for seed in range(4) for one in calls(30, seed=seed)]
    report = new_books().reports.by([By.TEAM], EVERYTHING)
    assert {group.keys: group.sums for group in report.groups} == grouped(rows, [By.TEAM])


def test_a_report_that_takes_too_long_is_given_up(filled: Books) -> None:
    impatient = Reader(filled.database.engine, seconds=0.001)
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000000) SELECT max(i) FROM n"
    with pytest.raises(StoreError, match=r"took longer than 0\.001 s"), impatient.reading() as connection:
        connection.exec_driver_sql(query)
    assert filled.reports.total(EVERYTHING).requests == len(ROWS)


def test_a_reading_transaction_cannot_write(filled: Books) -> None:
    with pytest.raises(StoreError), filled.reader.reading() as connection:
        connection.exec_driver_sql("DELETE FROM spend_logs")
    filled.write(calls(1, seed=99))
    assert filled.reports.total(EVERYTHING).requests == len(ROWS) + 1
