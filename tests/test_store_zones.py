"""Days of any zone touch and never overlap, and a zone that is named later has what the rows say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from ledger_calls import Books, calls, grouped, micros
from spend_middleware.errors import ConfigurationError
from spend_middleware.store.report_values import EVERYTHING, By, Period
from spend_middleware.store.verify import verify
from spend_middleware.store.zone_fill import drop_zone, fill_zone
from spend_middleware.store.zones import day_end, day_of, day_start, days_between, zone_of

ZONES = ("UTC", "Asia/Kolkata", "America/Los_Angeles", "Asia/Kathmandu", "Europe/Berlin", "Pacific/Apia",
         "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Chatham")  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_days_touch_and_hold_the_moments_that_a_clock_shows(zone: str) -> None:
    for day in days_between(date(2026, 1, 1), date(2027, 1, 2)):
        first, end = day_start(day, zone), day_end(day, zone)
        assert end == day_start(day + timedelta(days=1), zone)
        assert day_of(first, zone) == day
        assert day_of(end - 1, zone) == day
        assert end - first in (82_800_000_000, 84_600_000_000, 86_400_000_000, 88_200_000_000, 90_000_000_000)


def test_a_day_that_a_zone_left_out_is_empty() -> None:
    # Samoa went from the 29th to the 31st of December 2011.
    assert day_start(date(2011, 12, 30), "Pacific/Apia") == day_end(date(2011, 12, 30), "Pacific/Apia")


CASES = [
    ("America/Los_Angeles", "2026-03-08", "2026-03-08T08:00"),
    ("America/Los_Angeles", "2026-03-09", "2026-03-09T07:00"),
    ("Asia/Kolkata", "2026-05-01", "2026-04-30T18:30"),
    ("Asia/Kathmandu", "2026-05-01", "2026-04-30T18:15"),
    ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00"),
    ("Pacific/Apia", "2026-05-01", "2026-04-30T11:00"),
]


@pytest.mark.parametrize(("zone", "day", "utc"), CASES)
def test_a_day_begins_at_the_zones_own_midnight(zone: str, day: str, utc: str) -> None:
    assert day_start(date.fromisoformat(day), zone) == micros(utc)


def test_a_zone_that_does_not_exist_is_named_in_the_error() -> None:
    with pytest.raises(ConfigurationError, match="'Mars/Olympus' is not a time zone"):
        zone_of("Mars/Olympus")


def test_a_zone_named_later_is_filled_and_kept_up(new_books: Callable[..., Books]) -> None:
    before, after = calls(120, seed=1), calls(60, seed=2)
    books = new_books()
    books.write(before)
    period = Period(zone="Asia/Kathmandu")
    assert books.reports.by([By.DAY], EVERYTHING, period).from_rows
    later = new_books(zones=("Asia/Kathmandu", "UTC"))
    later.write(after)
    for grouping in (
        [By.DAY],
        [By.DAY, By.TAG],
        [By.DAY, By.END_USER, By.KEY],
        [By.DAY, By.PROVIDER, By.ENDPOINT],
    ):
        report = later.reports.by(grouping, EVERYTHING, period)
        assert not report.from_rows
        assert {g.keys: g.sums for g in report.groups} == grouped(
            before + after, grouping, zone="Asia/Kathmandu"
        )
    assert verify(later.ledger, later.reader).count == 0
    assert fill_zone(later.ledger, "Asia/Kathmandu") == 0


def test_a_dropped_zone_is_answered_from_calls_again(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kolkata",))
    rows = calls(60)
    books.write(rows)
    for name in ("Asia/Kolkata", "Asia/Kolkata", "UTC"):
        drop_zone(books.ledger, name)
    report = books.reports.by([By.DAY], EVERYTHING, Period(zone="Asia/Kolkata"))
    assert report.from_rows
    assert {g.keys: g.sums for g in report.groups} == grouped(rows, [By.DAY], zone="Asia/Kolkata")
    assert verify(books.ledger, books.reader).count == 0
