"""Adjustments change what a call counts for in every report, on the call's own day, and never its row."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ledger_calls import Books, Row, calls, grouped, total_of
from ledger_rows import row
from spend_middleware.call import Charge, Cost, PricingStatus, from_pico
from spend_middleware.errors import ConfigurationError
from spend_middleware.store.adjust import AdjustmentKind, Entry, adjust
from spend_middleware.store.report_values import EVERYTHING, By, Period
from spend_middleware.store.reprice import Repricing, reprice
from spend_middleware.store.rows_values import LogFilter, LogRow
from spend_middleware.store.verify import verify

REFUND, CORRECTION, REPRICE = AdjustmentKind.REFUND, AdjustmentKind.CORRECTION, AdjustmentKind.REPRICE


def entry(of: Row, amount: str, kind: AdjustmentKind = REFUND, key: str | None = None) -> Entry:
    return Entry(log_id=of["id"], amount=Decimal(amount), kind=kind, made_by="ann", reason="said so", key=key)


def test_every_report_counts_adjustments_on_the_calls_own_day(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kolkata",))
    rows = calls(90)
    books.write(rows)
    amounts = {one["id"]: from_pico(-(at**7) if at % 2 else at**8) for at, one in enumerate(rows[:40], 1)}
    made = adjust(books.ledger, [entry(one, str(amounts[one["id"]]), CORRECTION) for one in rows[:40]])
    assert (made.made, made.present, made.refused_count) == (40, 0, 0)
    assert from_pico(made.amount_pico) == sum(amounts.values())
    for at, one in enumerate(rows[:40], 1):
        one.update(_added=-(at**7) if at % 2 else at**8, _priced=True)
    for zone in ("UTC", "Asia/Kolkata", "America/Los_Angeles"):
        for grouping in (
            [By.DAY],
            [By.TAG],
            [By.DAY, By.END_USER],
            [By.DAY, By.PROVIDER, By.KEY],
            [By.TAG, By.TEAM],
        ):
            report = books.reports.by(grouping, EVERYTHING, Period(zone=zone))
            assert {g.keys: g.sums for g in report.groups} == grouped(rows, grouping, zone=zone)
            assert report.total == total_of(rows)
    since = datetime.fromtimestamp(rows[3]["start_time"] / 1e6, UTC)
    later = [one for one in rows if one["start_time"] >= rows[3]["start_time"]]
    expected = {key[0]: sums for key, sums in grouped(later, [By.KEY]).items()}
    assert books.reports.spend_since_many(By.KEY, expected, since, EVERYTHING) == expected
    assert sum(model.requests for model in books.reports.unpriced(EVERYTHING)) == total_of(rows).unpriced
    assert verify(books.ledger, books.reader).count == 0


def test_a_row_shows_its_adjustments_and_stays_as_it_was_written(books: Books) -> None:
    call = row(spend=1_000_000)
    books.write([call])
    adjust(books.ledger, [entry(call, "-0.0000004")], at=100.0)
    adjust(books.ledger, [entry(call, "0.000001", CORRECTION)], at=200.0)
    found = books.reports.log(EVERYTHING, call["id"])
    assert found is not None
    assert found.columns["spend"] == 1_000_000
    assert [(one.amount, one.kind, one.actor, one.reason) for one in found.adjustments] == [
        (Decimal("-0.0000004"), "refund", "ann", "said so"),
        (Decimal("0.000001"), "correction", "ann", "said so"),
    ]
    assert found.spend == Decimal("0.0000016")
    assert books.reports.logs(EVERYTHING, LogFilter(min_spend=1_600_000)).total == 1
    assert books.reports.logs(EVERYTHING, LogFilter(min_spend=1_600_001)).total == 0
    assert list(books.reports.adjustments([call["id"]])) == [call["id"]]


def test_an_entry_with_a_key_is_made_once(books: Books) -> None:
    call = row(spend=5)
    books.write([call])
    assert adjust(books.ledger, [entry(call, "1", key="k"), entry(call, "1", key="k")]).made == 1
    again = adjust(books.ledger, [entry(call, "1", key="k")])
    assert (again.made, again.present) == (0, 1)
    assert books.reports.total(EVERYTHING).spend_pico == 10**12 + 5


def test_only_a_price_makes_an_unpriced_call_priced_and_only_once(books: Books) -> None:
    call = row(spend=None, pricing_status="unpriced")
    books.write([call])
    adjust(books.ledger, [entry(call, "-1", REFUND)])
    assert books.reports.total(EVERYTHING).unpriced == 1
    adjust(books.ledger, [entry(call, "3", REPRICE), entry(call, "1", CORRECTION)])
    adjust(books.ledger, [entry(call, "1", REPRICE)])
    assert books.reports.total(EVERYTHING).unpriced == 0
    assert books.reports.total(EVERYTHING).spend == 4
    assert books.reports.unpriced(EVERYTHING) == []
    assert verify(books.ledger, books.reader).count == 0


def test_what_cannot_be_entered_is_refused(books: Books) -> None:
    result = adjust(books.ledger, [entry({"id": "unknown"}, "1"), entry({"id": "\0"}, "1")])
    assert (result.made, result.refused_count, result.refused) == (0, 2, ("unknown", "\0"))
    call = row()
    books.write([call])
    with pytest.raises(ConfigurationError, match="beyond"):
        adjust(books.ledger, [entry(call, "1e9")])
    assert books.reports.total(EVERYTHING).spend_pico == call["spend"]


def doubled(found: LogRow) -> Cost | None:
    if found.columns["model"] == "Gemini":
        return None
    if found.columns["model"] == "claude":
        return Cost(amount=None, status=PricingStatus.UNPRICED)
    amount = from_pico(found.columns["prompt_tokens"] * 2_000_000)
    lines = (Charge("input_tokens", Decimal(found.columns["prompt_tokens"]), Decimal("2E-6"), amount),)
    return Cost(amount=amount, status=PricingStatus.PRICED, charges=lines, price_key="p", price_version="v2")


def test_repricing_says_what_would_change_and_then_enters_it_once(books: Books) -> None:
    rows = calls(70)
    books.write(rows)

    def run(dry_run: bool, where: LogFilter | None = None) -> Repricing:
        return reprice(
            books.ledger, books.reader, doubled, where or LogFilter(), dry_run=dry_run, made_by="ann"
        )

    priced = [one for one in rows if one["model"] in ("gpt-4o", "ähnlich")]
    tried = run(dry_run=True)
    assert tried.examined == sum(one["model"] != "Gemini" for one in rows)
    assert tried.after_pico - tried.before_pico == sum(tried.by_model.values())
    assert tried.priced == sum(one["spend"] is None for one in priced)
    assert books.reports.total(EVERYTHING) == total_of(rows)
    done = run(dry_run=False)
    assert (done.made, done.changed, done.differences) == (tried.changed, tried.changed, tried.differences)
    for one in priced:
        one.update(_added=one["prompt_tokens"] * 2_000_000 - (one["spend"] or 0), _priced=True)
    assert books.reports.total(EVERYTHING) == total_of(rows)
    again = run(dry_run=False)
    assert (again.changed, again.made) == (0, 0)
    assert run(dry_run=True, where=LogFilter(model=("gpt-4o",))).examined == sum(
        r["model"] == "gpt-4o" for r in rows
    )
    assert verify(books.ledger, books.reader).count == 0


def test_a_new_price_keeps_its_charge_lines(books: Books) -> None:
    call = row(spend=None, model="gpt-4o")
    books.write([call])
    reprice(books.ledger, books.reader, doubled, LogFilter(), dry_run=False)
    with books.database.engine.connect() as connection:
        stored = connection.exec_driver_sql(
            "SELECT charges, price_key, price_version FROM spend_adjustments"
        ).one()
    assert json.loads(stored[0]) == [["input_tokens", "11", "0.000002", "0.000022000000"]]
    assert tuple(stored[1:]) == ("p", "v2")
