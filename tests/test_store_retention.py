"""Rows that are old go, persons are forgotten, and no total moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import text

from ledger_calls import Books, calls, grouped, micros, total_of
from spend_middleware.store import retention
from spend_middleware.store.adjust import AdjustmentKind, Entry, adjust
from spend_middleware.store.forget import forget
from spend_middleware.store.report_values import EVERYTHING, By, Period
from spend_middleware.store.retention import retain
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.verify import verify
from spend_middleware.store.zone_fill import fill_zone

NOW = micros("2026-04-14T10:00") / 1e6
KEPT = micros("2026-04-04")
GROUPINGS: tuple[list[By], ...] = (
    [By.DAY],
    [By.TAG],
    [By.KEY],
    [By.DAY, By.END_USER, By.MODEL],
    [By.USER, By.PROVIDER, By.ENDPOINT],
    [],
)


def test_old_rows_go_in_batches_and_no_total_moves(
    new_books: Callable[..., Books], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_AT_ONCE", 9)
    books = new_books(zones=("Asia/Kolkata",))
    rows = calls(90)
    books.write(rows)
    oldest = min(rows, key=lambda one: one["start_time"])
    adjust(books.ledger, [Entry(log_id=oldest["id"], amount=Decimal(3), kind=AdjustmentKind.CORRECTION)])
    oldest.update(_added=3 * 10**12, _priced=True)
    gone = [one for one in rows if one["start_time"] < KEPT]
    retained = retain(books.ledger, 10, now=NOW, pause=0)
    assert (retained.rows, retained.adjustments, retained.rows_since) == (len(gone), 1, KEPT)
    for zone in ("UTC", "Asia/Kolkata"):
        for grouping in GROUPINGS:
            report = books.reports.by(grouping, EVERYTHING, Period(zone=zone))
            assert {g.keys: g.sums for g in report.groups} == grouped(rows, grouping, zone=zone)
    page = books.reports.logs(EVERYTHING, LogFilter(), limit=1_000)
    assert page.total == len(page.rows) == len(rows) - len(gone)
    assert books.reports.logs(EVERYTHING, LogFilter(tag=("red",)), limit=500).total == sum(
        '"red"' in one["request_tags"] for one in rows if one["start_time"] >= KEPT
    )
    found = verify(books.ledger, books.reader)
    assert found.count == 0
    assert found.unchecked_days > 0
    assert retain(books.ledger, 10, now=NOW, pause=0).rows == 0
    assert retain(books.ledger, 300, now=NOW, pause=0).rows_since == KEPT
    fill_zone(books.ledger, "Europe/Berlin")
    assert books.reports.total(EVERYTHING, Period(zone="Europe/Berlin")) == total_of(rows)
    assert (
        sum(
            g.sums.requests
            for g in books.reports.by([By.DAY], EVERYTHING, Period(zone="Europe/Berlin")).groups
        )
        == 90
    )


def test_retention_can_stop_and_go_on(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_AT_ONCE", 5)
    rows = calls(40)
    books.write(rows)
    rounds = iter([True, True, False])
    first = retain(books.ledger, 10, now=NOW, pause=0, go_on=lambda: next(rounds))
    assert first.rows == 10
    left = books.reports.logs(EVERYTHING, LogFilter(), limit=100)
    assert left.total == len(left.rows) == sum(one["start_time"] >= KEPT for one in rows)
    second = retain(books.ledger, 10, now=NOW, pause=0)
    assert first.rows + second.rows == sum(one["start_time"] < KEPT for one in rows)


def everything_stored(books: Books) -> str:
    tables = ("spend_logs", "spend_log_tags", "spend_customer_daily", "spend_name_daily", "spend_name_totals")
    with books.database.engine.connect() as connection:
        return "".join(str(connection.execute(text(f"SELECT * FROM {table}")).all()) for table in tables)


def test_a_forgotten_person_is_nowhere_and_totals_stay(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kolkata",), slots=3)
    rows = calls(80)
    for one in rows:
        if one["end_user"] == "Bob":
            one.update(user_agent="Bob's phone", metadata='{"spend_logs_metadata":{"name":"Bob"}}')
            one["request_tags"] = '["customer:Bob", "Bobby", "red"]'
    books.write(rows)
    retain(books.ledger, 10, now=NOW, pause=0)
    before = books.reports.total(EVERYTHING)
    own = sum(one["end_user"] == "Bob" for one in rows if one["start_time"] >= KEPT)
    done = forget(books.ledger, "Bob", journal=len)
    assert (done.rows, done.tags, done.journal) == (own, 1, 3)
    assert done.rollups > 0
    stored = everything_stored(books)
    assert "Bob" not in stored.replace("Bobby", "")
    assert "Bobby" in stored
    assert books.reports.total(EVERYTHING) == before
    for one in rows:
        one["end_user"] = "" if one["end_user"] == "Bob" else one["end_user"]
    for grouping in ([By.END_USER], [By.DAY, By.END_USER, By.KEY]):
        report = books.reports.by(grouping, EVERYTHING)
        assert {g.keys: g.sums for g in report.groups} == grouped(rows, grouping)
    assert verify(books.ledger, books.reader).count == 0
    assert replace(forget(books.ledger, "Bob"), rollups=0) == replace(
        done, rows=0, tags=0, rollups=0, journal=0
    )


def test_nobody_cannot_be_forgotten(books: Books) -> None:
    with pytest.raises(ValueError, match="must name somebody"):
        forget(books.ledger, "")
