"""Calls grouped by session: each page holds the newest call of each session, as a look at all calls finds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from ledger_calls import Books, Row, calls, micros
from spend_middleware.store import rows_grouped
from spend_middleware.store.report_values import EVERYTHING, Scope
from spend_middleware.store.rows_values import Cursor, LogFilter, LogOrder

NOON = micros("2026-03-29T12:00")
USER = Scope(users=frozenset(["user1"]))


def _sessions() -> list[Row]:
    """Return calls of which many have no session, some a short one, and many one that never ends."""
    dice = Random(11)
    rows: list[Row] = calls(240, seed=8)
    for at, one in enumerate(rows):
        short = f"session-{at // 12}"
        one["session_id"] = dice.choice([None, "", short, short, short, "session-long", "session-long"])
    rows[50]["session_id"], rows[51]["session_id"] = None, rows[50]["id"]  # named as another call's id
    return rows


ROWS = _sessions()


@pytest.fixture(params=["large-steps", "small-steps"])
def filled(books: Books, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Books:
    if request.param == "small-steps":
        monkeypatch.setattr(rows_grouped, "_STEPS", (3, 5))
        monkeypatch.setattr(rows_grouped, "_NEARBY", 2)
        monkeypatch.setattr(rows_grouped, "_AT_ONCE", 2)
    books.write(ROWS)
    return books


CASES: list[tuple[LogFilter, Scope, Callable[[Row], Any]]] = [
    (LogFilter(), EVERYTHING, lambda r: True),
    (LogFilter(since=NOON, until=NOON + 2 * 86_400_000_000), EVERYTHING, lambda r: NOON <= r["start_time"] < NOON + 2 * 86_400_000_000),
    (LogFilter(until=NOON), EVERYTHING, lambda r: r["start_time"] < NOON),
    (LogFilter(until=0), EVERYTHING, lambda r: False),
    (LogFilter(api_key=("key1",), since=NOON), EVERYTHING, lambda r: r["api_key"] == "key1" and r["start_time"] >= NOON),
    (LogFilter(model=("claude",)), EVERYTHING, lambda r: r["model"] == "claude"),
    (LogFilter(status="success"), EVERYTHING, lambda r: r["status"] in ("success", "aborted")),
    (LogFilter(min_spend=10**7), EVERYTHING, lambda r: (r["spend"] or 0) >= 10**7),
    (LogFilter(tag=("red",)), EVERYTHING, lambda r: '"red"' in r["request_tags"]),
    (LogFilter(tag=("red", "blue")), EVERYTHING, lambda r: '"red"' in r["request_tags"] or '"blue"' in r["request_tags"]),
    (LogFilter(session_part="ssion-1"), EVERYTHING, lambda r: "ssion-1" in (r["session_id"] or "")),
    (LogFilter(request_id="session-long"), EVERYTHING, lambda r: r["session_id"] == "session-long"),
    (LogFilter(search="GEMINI"), EVERYTHING, lambda r: r["model"] == "Gemini"),
    (LogFilter(), USER, lambda r: r["user_id"] == "user1"),
    (LogFilter(since=NOON), USER, lambda r: r["user_id"] == "user1" and r["start_time"] >= NOON),
]  # fmt: skip


def by_looking_at_all(keeps: Callable[[Row], Any]) -> list[str]:
    newest: dict[tuple[str, ...], str] = {}
    for one in sorted(filter(keeps, ROWS), key=lambda one: (one["start_time"], one["id"]), reverse=True):
        session = one["session_id"]
        newest.setdefault((session, one["api_key"]) if session else (one["id"],), one["id"])
    return list(newest.values())


def ids_of(page: Any) -> list[str]:
    return [one.columns["id"] for one in page.rows]


def by_session(where: LogFilter) -> LogFilter:
    return replace(where, by_session=True)


def test_a_page_holds_the_newest_call_of_each_session_and_their_number(filled: Books) -> None:
    for where, scope, keeps in CASES:
        expected = by_looking_at_all(keeps)
        page = filled.reports.logs(scope, by_session(where), limit=1_000)
        assert ids_of(page) == expected, where
        assert (page.total, page.capped, page.next) == (len(expected), False, None), where
        assert [one.columns["id"] for one in filled.reports.every_log(scope, by_session(where))] == expected


def test_pages_by_cursor_and_by_number_meet_each_session_once(filled: Books) -> None:
    for where, scope, keeps in CASES:
        expected = by_looking_at_all(keeps)
        asked = by_session(where)
        by_cursor: list[str] = []
        after: Cursor | None = None
        for offset in range(0, len(expected) + 7, 7):
            numbered = filled.reports.logs(scope, asked, limit=7, offset=offset)
            assert ids_of(numbered) == expected[offset : offset + 7], where
            assert numbered.total == len(expected)
            if after is not None or offset == 0:
                page = filled.reports.logs(scope, asked, limit=7, after=after, count=False)
                by_cursor, after = by_cursor + ids_of(page), page.next
        assert by_cursor == expected, where


def test_other_orders_hold_the_same_sessions(filled: Books) -> None:
    for where, scope, keeps in CASES:
        expected = by_looking_at_all(keeps)
        oldest_first = filled.reports.logs(scope, by_session(where), limit=1_000, descending=False)
        assert ids_of(oldest_first) == expected[::-1], where
        dearest = filled.reports.logs(scope, by_session(where), limit=1_000, order=LogOrder.SPEND)
        assert sorted(ids_of(dearest)) == sorted(expected), where
        assert dearest.total == len(expected)


def test_sessions_are_counted_among_the_newest_calls_only_and_the_page_says_so(
    filled: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = by_looking_at_all(lambda r: True)
    for most, capped in ((len(ROWS), False), (len(ROWS) - 1, True), (100, True)):
        monkeypatch.setattr(rows_grouped, "_COUNTED", most)
        page = filled.reports.logs(EVERYTHING, LogFilter(by_session=True), limit=1_000)
        assert page.capped is capped
        assert ids_of(page) == whole
        assert page.total <= len(whole)
    assert page.total >= 20
