"""LiteLLM's reports by day, by key and of daily activity: every part adds up to the calls, in a stable order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from ledger_calls import Books, calls, grouped, total_of
from ledger_rows import row
from spend_middleware.store import report_activity, report_days, report_stream
from spend_middleware.store.report_values import EVERYTHING, By, Filter, Period, Sums
from spend_middleware.store.settle import settle

ROWS = calls(250, seed=3)
START, END = date(2026, 3, 24), date(2026, 4, 6)
PERIODS = [Period(start=START, end=END), Period(start=START, end=END, zone="America/Los_Angeles")]


@pytest.fixture
def filled(books: Books) -> Books:
    books.write(ROWS)
    return books


@pytest.mark.parametrize("period", PERIODS, ids=["utc", "los-angeles"])
@pytest.mark.parametrize(
    "where", [Filter(), Filter(api_key=("key3",)), Filter(tag=("red",))], ids=["all", "key", "tag"]
)
def test_the_summary_of_a_day_splits_its_spend_by_key_user_and_model(
    filled: Books, period: Period, where: Filter
) -> None:
    own = [
        r
        for r in ROWS
        if not where.parts() or r["api_key"] in where.api_key or (where.tag and '"red"' in r["request_tags"])
    ]
    cut: dict[str, Any] = {"zone": period.zone or "UTC", "start": START, "end": END}
    days = list(filled.reports.daily_summary(EVERYTHING, period, where))
    assert {(day.day,): day.sums for day in days} == grouped(own, [By.DAY], **cut)
    assert [day.day for day in days] == sorted(day.day for day in days)
    for by, name in ((By.KEY, "keys"), (By.USER, "users"), (By.MODEL, "models")):
        found = {(day.day, key): pico for day in days for key, pico in getattr(day, name).items()}
        assert found == {key: sums.spend_pico for key, sums in grouped(own, [By.DAY, by], **cut).items()}


@pytest.mark.parametrize("period", PERIODS, ids=["utc", "los-angeles"])
@pytest.mark.parametrize("by", [[By.TEAM], [By.END_USER], [By.TEAM, By.END_USER]], ids=str)
def test_each_days_groups_hold_their_models_and_keys(filled: Books, period: Period, by: Sequence[By]) -> None:
    cut: dict[str, Any] = {"zone": period.zone or "UTC", "start": START, "end": END}
    groups = list(filled.reports.daily_groups(by, EVERYTHING, period))
    assert {(group.day, *group.keys): group.sums for group in groups} == grouped(ROWS, [By.DAY, *by], **cut)
    assert [(group.day, *group.keys) for group in groups] == sorted(
        (group.day, *group.keys) for group in groups
    )
    details = {
        (group.day, *group.keys, part.model, part.api_key): part.sums
        for group in groups
        for part in group.details
    }
    assert details == grouped(ROWS, [By.DAY, *by, By.MODEL, By.KEY], **cut)
    for group in groups:
        assert list(group.details) == sorted(group.details, key=report_days.most_spend_first)


def test_keys_come_by_spend_with_their_models(filled: Books) -> None:
    keys = list(filled.reports.by_key(EVERYTHING, PERIODS[0]))
    expected = grouped(ROWS, [By.KEY], start=START, end=END)
    assert {(key.api_key,): key.sums for key in keys} == expected
    assert [key.sums.spend_pico for key in keys] == sorted(
        (s.spend_pico for s in expected.values()), reverse=True
    )
    models = {(key.api_key, part.model): part.sums for key in keys for part in key.models}
    assert models == grouped(ROWS, [By.KEY, By.MODEL], start=START, end=END)


def test_long_answers_come_in_chunks_and_lose_nothing(filled: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_stream, "_CHUNK", 7)
    monkeypatch.setattr(report_days, "_KEYS_AT_ONCE", 2)
    monkeypatch.setattr(report_days, "_DAYS_AT_ONCE", 3)
    monkeypatch.setattr(report_days, "_FEW_DAYS_AT_ONCE", 2)
    grouping = [By.DAY, By.END_USER, By.MODEL, By.KEY]
    lines = list(filled.reports.stream(grouping, EVERYTHING))
    assert {line.keys: line.sums for line in lines} == grouped(ROWS, grouping)
    assert [line.keys for line in lines] == sorted(line.keys for line in lines)
    settle(filled.ledger, today=END + timedelta(days=9))
    for grouping in ([By.MODEL, By.TAG], [By.KEY], [By.TEAM, By.KEY, By.MODEL], [By.END_USER, By.MODEL]):
        for period in (Period(), Period(start=START, end=END), Period(start=START, end=START)):
            flat = list(filled.reports.stream(grouping, EVERYTHING, period))
            expected = grouped(ROWS, grouping, start=period.start, end=period.end)
            assert {line.keys: line.sums for line in flat} == expected
            assert [line.keys for line in flat] == sorted(expected)
    assert sum(key.sums.requests for key in filled.reports.by_key(EVERYTHING, Period())) == len(ROWS)
    for where in (Filter(), Filter(provider=("openai", "anthropic"))):
        assert sum(
            day.sums.requests for day in filled.reports.daily_summary(EVERYTHING, Period(), where)
        ) == len(ROWS)


def test_keys_of_some_owner_are_the_same_read_at_once_or_in_parts(
    filled: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_days, "_KEYS_AT_ONCE", 2)
    for where in (Filter(team_id=("team1",)), Filter(end_user=("ana",)), Filter(api_key=("key1", "key5"))):
        at_once = list(filled.reports.by_key(EVERYTHING, PERIODS[0], where))
        with monkeypatch.context() as few:
            few.setattr(report_days, "_LINES_AT_ONCE", 3)
            assert list(filled.reports.by_key(EVERYTHING, PERIODS[0], where)) == at_once


ENTITIES = [By.USER, By.TEAM, By.ORGANIZATION, By.END_USER, By.TAG]


@pytest.mark.parametrize("few", [50_000, 0], ids=["fine", "coarse"])
@pytest.mark.parametrize("entity", ENTITIES, ids=str)
def test_the_pages_of_daily_activity_add_up_to_the_period(
    filled: Books, monkeypatch: pytest.MonkeyPatch, entity: By, few: int
) -> None:
    monkeypatch.setattr(report_activity, "_FEW_CALLS", few)
    meant = [r for r in ROWS if entity is not By.TAG or r["request_tags"] != "[]"]
    period = PERIODS[0]
    whole = total_of(meant, start=START, end=END)
    one = filled.reports.daily_activity(entity, EVERYTHING, period, page_size=10_000)
    assert (one.total, one.page_total, one.total_pages) == (whole, whole, 1)
    assert {(day.day,): day.sums for day in one.days} == grouped(meant, [By.DAY], start=START, end=END)
    assert [day.day for day in one.days] == sorted((day.day for day in one.days), reverse=True)
    for by in (By.MODEL, By.MODEL_GROUP, By.PROVIDER, By.ENDPOINT, By.KEY):
        parts = {
            (day.day, name): part.sums for day in one.days for name, part in day.breakdown[by.value].items()
        }
        assert parts == grouped(meant, [By.DAY, by], start=START, end=END)
    entities = {
        (day.day, n, k): s
        for day in one.days
        for n, p in day.breakdown["entities"].items()
        for k, s in p.keys.items()
    }
    assert entities == grouped(meant, [By.DAY, entity, By.KEY], start=START, end=END)
    if entity is By.TAG or (entity is By.END_USER and not few):
        return
    pages = [
        filled.reports.daily_activity(entity, EVERYTHING, period, page=n, page_size=40) for n in range(1, 12)
    ]
    assert sum((page.page_total for page in pages), Sums()) == whole
    assert {page.total_pages for page in pages} == {-(-one.total_parts // 40)}


def test_daily_activity_of_one_tag_counts_its_calls_once(filled: Books) -> None:
    red = [r for r in ROWS if '"red"' in r["request_tags"]]
    for zone in ("UTC", "Asia/Kolkata"):
        period = Period(start=START, end=END, zone=zone)
        page = filled.reports.daily_activity(
            By.TAG, EVERYTHING, period, Filter(tag=("red",)), page_size=1_000
        )
        assert page.total == page.page_total == total_of(red, zone=zone, start=START, end=END)
        assert {name for day in page.days for name in day.breakdown["entities"]} == {"red"}


def test_days_without_calls_have_no_line(books: Books) -> None:
    books.write([row(), row(start_time=row()["start_time"] - 5 * 86_400_000_000)])
    report = books.reports.by([By.DAY], EVERYTHING)
    assert [group.keys[0] for group in report.groups] == ["2026-11-18", "2026-11-23"]
