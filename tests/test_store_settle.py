"""Days that are over are added up into spans, and no report says anything else for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, timedelta
from itertools import islice, product

import pytest
from sqlalchemy import text

from ledger_calls import DAY, Books, calls, grouped, total_of
from spend_middleware.call import from_pico
from spend_middleware.store import chores as chores_module
from spend_middleware.store.adjust import AdjustmentKind, Entry, adjust
from spend_middleware.store.chores import LOOK_AGAIN_SECONDS, PAUSE_SECONDS, SETTLE_SECONDS, Chores
from spend_middleware.store.forget import forget
from spend_middleware.store.report_answers import ActivityPage
from spend_middleware.store.report_values import EVERYTHING, By, Filter, Period, Scope
from spend_middleware.store.settle import settle
from spend_middleware.store.spans import LENGTHS, Span, apart, settled_spans
from spend_middleware.store.store import Store
from spend_middleware.store.verify import verify
from spend_middleware.store.zone_fill import drop_zone, fill_zone
from spend_middleware.store.zones import rolled

FIRST, DAYS = date(2026, 1, 29), 70
ROWS = calls(240, first=FIRST.isoformat(), days=DAYS, seed=3)
TODAY = FIRST + timedelta(days=DAYS + 10)
PERIODS = [
    (FIRST + timedelta(days=start), FIRST + timedelta(days=end))
    for start, end in ((1, 68), (7, 50), (30, 33), (5, 6), (-50, 66))
]
GROUPINGS: tuple[list[By], ...] = (
    [By.TAG],
    [By.END_USER],
    [By.KEY, By.MODEL],
    [By.TEAM, By.USER, By.PROVIDER],
)


def settled(books: Books) -> str:
    with books.database.engine.connect() as connection:
        return rolled(connection).settled


def agrees(books: Books, rows: list[dict[str, object]], zone: str = "UTC") -> None:
    """Compare reports over many periods with a plain sum."""
    for grouping, (start, end) in product(GROUPINGS, PERIODS):
        report = books.reports.by(grouping, EVERYTHING, Period(start=start, end=end, zone=zone))
        expected = grouped(rows, grouping, zone=zone, start=start, end=end)
        assert {group.keys: group.sums for group in report.groups} == expected, (grouping, start, end)
        assert report.total == total_of(rows, zone=zone, start=start, end=end)


def test_a_period_is_made_of_as_few_spans_and_days_as_can_be() -> None:
    for first, length, end in product(
        range(739_000, 739_070, 3), (1, 3, 4, 17, 64, 90, 200), (0, 739_050, 740_000)
    ):
        spans, days = apart(first, first + length, end)
        covered = [day for part in (*spans, *days) for day in range(part.first, part.end)]
        assert sorted(covered) == list(range(first, first + length))
        assert all(span.end <= end and span.first % (span.end - span.first) == 0 for span in spans)
        assert len(days) <= 2
        if end == 740_000:
            assert sum(part.end - part.first for part in days) <= 6
            assert len(spans) <= 12 + length // 64


def test_a_day_is_in_one_span_of_each_length_that_is_over() -> None:
    assert settled_spans("2026-06-14", "2026-06-13") == ()
    assert settled_spans("2026-06-14", "2026-08-31") == ("2026-06-13+04", "2026-06-09+16", "2026-06-09+64")
    assert settled_spans("2026-06-14", "2026-06-20") == ("2026-06-13+04",)
    assert settled_spans("0001-01-02", "2026-06-20") == ()
    assert Span(739_000, 739_004).name == date.fromordinal(739_000).isoformat() + "+04"


def test_no_report_changes_when_days_are_settled(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kolkata",), slots=3)
    books.write(ROWS)
    steps = settle(books.ledger, today=TODAY)
    assert steps >= DAYS // LENGTHS[0] + DAYS
    assert settled(books) > max(PERIODS)[0].isoformat()
    for zone in ("UTC", "Asia/Kolkata", "America/Los_Angeles"):
        agrees(books, ROWS, zone)
    assert settle(books.ledger, today=TODAY) == 0
    assert verify(books.ledger, books.reader).count == 0


def test_days_that_are_not_long_over_stay_open(books: Books) -> None:
    books.write(ROWS)
    today = FIRST + timedelta(days=50)
    settle(books.ledger, today=today)
    assert settled(books) <= (today - timedelta(days=1)).isoformat()
    assert settled(books) > (today - timedelta(days=6)).isoformat()
    agrees(books, ROWS)


def test_calls_and_adjustments_that_come_later_count_in_every_span(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kathmandu",))
    books.write(ROWS)
    settle(books.ledger, today=TODAY)
    late = calls(150, first=(FIRST - timedelta(days=80)).isoformat(), days=170, seed=9)
    books.write(late)
    rows = [dict(one) for one in (*ROWS, *late)]
    for one in rows[::7]:
        entry = Entry(log_id=one["id"], amount=from_pico(-77), kind=AdjustmentKind.CORRECTION)
        assert adjust(books.ledger, [entry]).made == 1
        one["_added"], one["_priced"] = -77, True
    for zone in ("UTC", "Asia/Kathmandu"):
        agrees(books, rows, zone)
    assert verify(books.ledger, books.reader).count == 0
    settle(books.ledger, today=TODAY + timedelta(days=80))
    agrees(books, rows)


def test_calls_far_apart_are_settled_in_few_steps(books: Books) -> None:
    rows = [
        *calls(5, first="1970-01-01", days=2, seed=4),
        *calls(40, first="2003-05-05", days=90, seed=5),
        *calls(40, first="2026-03-01", days=30, seed=6),
        *calls(5, first="2097-03-01", days=30, seed=7),
    ]
    books.write(rows)
    steps = settle(books.ledger, today=TODAY + timedelta(days=30))
    assert steps < 45 + len({one["start_time"] // DAY for one in rows})
    assert verify(books.ledger, books.reader).count == 0
    for start, end in (
        (None, date(2026, 3, 9)),
        (date(2003, 6, 1), None),
        (date(1999, 1, 1), date(2026, 3, 20)),
    ):
        report = books.reports.by([By.KEY, By.MODEL], EVERYTHING, Period(start=start, end=end))
        assert {g.keys: g.sums for g in report.groups} == grouped(
            rows, [By.KEY, By.MODEL], start=start, end=end
        )


def test_a_zone_named_later_has_spans_and_a_dropped_one_none(new_books: Callable[..., Books]) -> None:
    books = new_books()
    books.write(ROWS)
    settle(books.ledger, today=TODAY)
    fill_zone(books.ledger, "Asia/Kathmandu")
    assert verify(books.ledger, books.reader).count == 0
    agrees(books, ROWS, "Asia/Kathmandu")
    drop_zone(books.ledger, "Asia/Kathmandu")
    with books.database.engine.connect() as connection:
        zones = connection.scalars(text("SELECT DISTINCT zone FROM spend_name_spans")).all()
    assert zones == ["UTC"]
    agrees(books, ROWS, "Asia/Kathmandu")


def test_writers_and_settling_at_the_same_time_lose_nothing(new_books: Callable[..., Books]) -> None:
    first = new_books()
    first.write(ROWS[:40])
    parts = [ROWS[40 + at :: 4] for at in range(4)]

    def write(part: list[dict[str, object]]) -> None:
        books = new_books()
        numbers = iter(part)
        while some := list(islice(numbers, 6)):
            books.write(some)

    threads = [threading.Thread(target=write, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for day in range(10, DAYS + 10, 10):
        settle(first.ledger, today=FIRST + timedelta(days=day))
    for thread in threads:
        thread.join()
    settle(first.ledger, today=TODAY)
    assert verify(first.ledger, first.reader).count == 0
    agrees(first, ROWS)


def test_a_filter_reads_the_spans_of_its_names_alone(books: Books) -> None:
    books.write(ROWS)
    settle(books.ledger, today=TODAY)
    period = Period(start=FIRST + timedelta(days=3), end=FIRST + timedelta(days=90))
    for where, keeps in (
        (Filter(api_key=("key1",)), lambda r: r["api_key"] == "key1"),
        (Filter(user_id=("user1", "user2"), model=("claude",)), lambda r: r["user_id"] in ("user1", "user2") and r["model"] == "claude"),
        (Filter(tag=("red",)), lambda r: '"red"' in r["request_tags"]),
    ):  # fmt: skip
        expected = total_of(ROWS, start=period.start, end=period.end, where=keeps)
        assert books.reports.total(EVERYTHING, period, where) == expected


def test_pages_of_daily_activity_are_the_same_however_their_lines_were_counted(
    new_books: Callable[..., Books],
) -> None:
    books = new_books(zones=("Asia/Kolkata",), slots=4)
    rows = calls(80, first=FIRST.isoformat(), days=12, seed=3)
    books.write(rows)
    for one in rows[:40]:  # sums in another slot, without a call
        adjust(books.ledger, [Entry(log_id=one["id"], amount=from_pico(1), kind=AdjustmentKind.REFUND)])
    questions = [
        (entity, Filter(**filters), scope, zone, page)
        for entity, filters, scope in (
            (By.USER, {}, EVERYTHING),
            (By.USER, {"user_id": ("user1", "")}, EVERYTHING),
            (By.USER, {"model": ("claude",)}, EVERYTHING),
            (By.USER, {}, Scope(users=frozenset(["user0", "user2"]))),
            (By.TEAM, {}, EVERYTHING),
            (By.TEAM, {}, Scope(users=frozenset(["user1"]))),
            (By.ORGANIZATION, {"organization_id": ("acme",)}, EVERYTHING),
            (By.END_USER, {}, EVERYTHING),
            (By.TAG, {}, EVERYTHING),
        )
        for zone in ("UTC", "Asia/Kolkata")
        for page in (1, 9)
    ]

    def pages() -> list[ActivityPage]:
        return [
            books.reports.daily_activity(
                entity, scope, Period(start=FIRST, end=TODAY, zone=zone), where, page=page, page_size=7
            )
            for entity, where, scope, zone, page in questions
        ]

    before = pages()
    settle(books.ledger, today=TODAY)
    assert pages() == before
    books.write(calls(40, first=FIRST.isoformat(), days=12, seed=44))  # some days have other lines now
    forget(books.ledger, "ana")
    now = pages()
    assert now != before
    settle(books.ledger, today=TODAY)
    assert pages() == now
    spoiled = (
        "UPDATE spend_daily SET model_group = 'another' WHERE api_key = 'key1' AND model_group = 'small'"
    )
    with books.database.writing.begin() as connection:
        connection.execute(text(spoiled))
    assert verify(books.ledger, books.reader, repair=True).repaired
    assert pages() == now


def test_the_writers_thread_settles_a_step_at_a_time(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for one in calls(30, first="2026-01-01", days=30):
        store.append(one)
    assert store.flush(10) == 0
    chores = Chores(retains=False)
    assert chores(store.ledger, lambda: store.upkeep) == LOOK_AGAIN_SECONDS
    pauses = [chores(store.ledger, lambda: store.upkeep) for _ in range(50)]
    assert pauses == sorted(pauses)
    assert set(pauses) == {PAUSE_SECONDS, SETTLE_SECONDS}
    assert store.upkeep.verify().count == 0
    with store.write_engine.begin() as connection:
        connection.execute(text("DROP TABLE spend_meta"))
    assert [chores(store.ledger, lambda: store.upkeep) for _ in range(3)] == [SETTLE_SECONDS] * 3
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_an_import_of_old_calls_is_over_before_days_are_settled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores_module, "FEW_CALLS", 5)
    chores = Chores(retains=False)
    assert chores(store.ledger, lambda: store.upkeep) == LOOK_AGAIN_SECONDS
    for one in calls(30, first="2026-01-01", days=9):
        store.append(one)
    assert store.flush(10) == 0
    assert [chores(store.ledger, lambda: store.upkeep) for _ in range(2)] == [SETTLE_SECONDS, PAUSE_SECONDS]
