"""Rows of the ledger: every filter, order and page gives exactly the rows that it should, and counts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger_calls import Books, Row, calls, micros
from ledger_rows import row
from spend_middleware.store import rows as rows_module
from spend_middleware.store import rows_count, rows_sessions
from spend_middleware.store.report_values import EVERYTHING, NOTHING, Scope
from spend_middleware.store.rows_values import Cursor, LogFilter, LogOrder

ROWS = [
    {**one, "trace_id": f"trace-{at % 5}", "key_alias": "Prod_key%"}
    for at, one in enumerate(calls(240, seed=5))
]
NOON = micros("2026-03-29T12:00")
MIDNIGHT = micros("2026-03-30")


@pytest.fixture
def filled(books: Books) -> Books:
    books.write(ROWS)
    return books


def newest_first(rows: list[Row]) -> list[str]:
    return [one["id"] for one in sorted(rows, key=lambda one: (one["start_time"], one["id"]), reverse=True)]


CASES: list[tuple[LogFilter, Callable[[Row], Any]]] = [
    (LogFilter(), lambda r: True),
    (LogFilter(request_id=ROWS[7]["request_id"]), lambda r: r["request_id"] == ROWS[7]["request_id"]),
    (LogFilter(request_id=ROWS[7]["id"]), lambda r: r["id"] == ROWS[7]["id"]),
    (LogFilter(request_id="session-1"), lambda r: r["session_id"] == "session-1"),
    (LogFilter(request_id="trace-3"), lambda r: r["trace_id"] == "trace-3"),
    (LogFilter(request_id="'; DROP TABLE spend_logs; --"), lambda r: False),
    (LogFilter(since=NOON), lambda r: r["start_time"] >= NOON),
    (LogFilter(until=NOON), lambda r: r["start_time"] < NOON),
    (LogFilter(since=NOON, until=NOON + 3 * 86_400_000_000), lambda r: NOON <= r["start_time"] < NOON + 3 * 86_400_000_000),
    (LogFilter(since=MIDNIGHT, until=MIDNIGHT + 86_400_000_000), lambda r: MIDNIGHT <= r["start_time"] < MIDNIGHT + 86_400_000_000),
    (LogFilter(since=NOON, until=NOON + 1), lambda r: r["start_time"] == NOON),
    (LogFilter(api_key=("key1", "key2")), lambda r: r["api_key"] in ("key1", "key2")),
    (LogFilter(user_id=("user1",), since=NOON), lambda r: r["user_id"] == "user1" and r["start_time"] >= NOON),
    (LogFilter(team_id=("",)), lambda r: r["team_id"] == ""),
    (LogFilter(end_user=("çelik",)), lambda r: r["end_user"] == "çelik"),
    (LogFilter(tag=("été",)), lambda r: "\\u00e9t" in r["request_tags"] or "été" in r["request_tags"]),
    (LogFilter(tag=("red",), since=NOON, status="failure"), lambda r: '"red"' in r["request_tags"] and r["start_time"] >= NOON and r["status"] in ("failure", "interrupted")),
    (LogFilter(tag=("red", "blue")), lambda r: '"red"' in r["request_tags"] or '"blue"' in r["request_tags"]),
    (LogFilter(model=("claude",), provider=("openai",)), lambda r: (r["model"], r["provider"]) == ("claude", "openai")),
    (LogFilter(status="success"), lambda r: r["status"] in ("success", "aborted")),
    (LogFilter(status="aborted"), lambda r: r["status"] == "aborted"),
    (LogFilter(min_spend=10**7), lambda r: (r["spend"] or 0) >= 10**7),
    (LogFilter(min_spend=1, max_spend=10**15), lambda r: 1 <= (r["spend"] or 0) <= 10**15),
    (LogFilter(max_spend=10**40), lambda r: True),
    (LogFilter(status_code=-(10**40)), lambda r: False),
    (LogFilter(search="GEMINI"), lambda r: r["model"] == "Gemini"),
    (LogFilter(search="prod_key%"), lambda r: True),
    (LogFilter(search="_"), lambda r: True),
    (LogFilter(search="gpt_4o"), lambda r: False),
    (LogFilter(key_alias="Prod_key%", session_id="session-2"), lambda r: r["session_id"] == "session-2"),
    (LogFilter(call_type="embedding"), lambda r: False),
    (LogFilter(session_id="\ud800"), lambda r: False),
]  # fmt: skip


def test_a_filter_gives_exactly_its_rows_and_their_number(filled: Books) -> None:
    for where, keeps in CASES:
        _gives_exactly(filled, where, keeps)


def _gives_exactly(filled: Books, where: LogFilter, keeps: Callable[[Row], Any]) -> None:
    expected = newest_first([one for one in ROWS if keeps(one)])
    page = filled.reports.logs(EVERYTHING, where, limit=1_000)
    assert [one.columns["id"] for one in page.rows] == expected, where
    assert page.total == len(expected), where
    assert page.next is None
    assert [one.columns["id"] for one in filled.reports.every_log(EVERYTHING, where)] == expected


@pytest.mark.parametrize(
    "where",
    [
        LogFilter(),
        LogFilter(tag=("red",)),
        LogFilter(tag=("red", "blue", "red"), model=("claude", "Gemini")),
        LogFilter(user_id=("user1",)),
    ],
    ids=["all", "tag", "tags", "user"],
)
@pytest.mark.parametrize("descending", [True, False], ids=["newest-first", "oldest-first"])
def test_keyset_pages_meet_each_row_once(filled: Books, where: LogFilter, descending: bool) -> None:
    whole = [
        one.columns["id"]
        for one in filled.reports.logs(EVERYTHING, where, limit=1_000, descending=descending).rows
    ]
    found: list[str] = []
    after: Cursor | None = None
    while True:
        page = filled.reports.logs(
            EVERYTHING, where, limit=17, after=after, descending=descending, count=False
        )
        found += [one.columns["id"] for one in page.rows]
        assert page.total == -1
        if page.next is None:
            break
        after = page.next
    assert found == whole


@pytest.mark.parametrize("order", LogOrder, ids=str)
def test_numbered_pages_in_any_order_meet_each_row_once(
    filled: Books, monkeypatch: pytest.MonkeyPatch, order: LogOrder
) -> None:
    monkeypatch.setattr(rows_count, "_NEAR", 5)  # as if every page were a far one
    for descending in (True, False):
        for where in (
            LogFilter(),
            LogFilter(since=MIDNIGHT),
            LogFilter(until=MIDNIGHT, api_key=("key1",)),
            LogFilter(since=MIDNIGHT + 1, tag=("red",)),
            LogFilter(tag=("red", "blue")),
        ):
            ask: dict[str, Any] = {"order": order, "descending": descending}
            whole = [
                one.columns["id"] for one in filled.reports.logs(EVERYTHING, where, limit=1_000, **ask).rows
            ]
            pages = [
                one.columns["id"]
                for offset in range(0, len(whole) + 50, 50)
                for one in filled.reports.logs(EVERYTHING, where, limit=50, offset=offset, **ask).rows
            ]
            assert pages == whole


def test_a_far_page_of_calls_that_began_together_meets_each_once(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_count, "_NEAR", 5)
    books.write([row(start_time=MIDNIGHT + number // 20, tags=["t"]) for number in range(100)])
    for where in (LogFilter(), LogFilter(tag=("t",)), LogFilter(tag=("t", "u"))):
        for descending in (True, False):
            ask: dict[str, Any] = {"descending": descending}
            whole = [
                one.columns["id"] for one in books.reports.logs(EVERYTHING, where, limit=200, **ask).rows
            ]
            pages = [
                one.columns["id"]
                for offset in range(0, 120, 7)
                for one in books.reports.logs(EVERYTHING, where, limit=7, offset=offset, **ask).rows
            ]
            assert pages == whole
            assert len(set(pages)) == 100


def test_a_piece_of_a_session_id_finds_the_same_rows_by_whole_ids(
    filled: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_sessions, "_MANY_CALLS", 1)
    for few in (0, 1, 100):
        monkeypatch.setattr(rows_sessions, "_FEW_SESSIONS", few)
        for piece in ("SESSION-1", "ession-", "%", "nothing"):
            for since in (None, NOON):
                asked = LogFilter(session_part=piece, since=since)
                own = [
                    one
                    for one in ROWS
                    if piece.lower() in (one["session_id"] or "") and one["start_time"] >= (since or 0)
                ]
                page = filled.reports.logs(EVERYTHING, asked, limit=1_000)
                assert [one.columns["id"] for one in page.rows] == newest_first(own)
                assert page.total == len(own)
                every = filled.reports.every_log(EVERYTHING, asked)
                assert [one.columns["id"] for one in every] == newest_first(own)


def test_orders_sort_by_what_they_say(filled: Books) -> None:
    def sorted_by(order: LogOrder) -> list[dict[str, Any]]:
        return [
            dict(one.columns)
            for one in filled.reports.logs(EVERYTHING, LogFilter(), limit=1_000, order=order).rows
        ]

    spent = [one["spend"] or 0 for one in sorted_by(LogOrder.SPEND)]
    assert spent == sorted(spent, reverse=True)
    models = [one["model"] for one in sorted_by(LogOrder.MODEL)]
    assert models == sorted(models, reverse=True)
    took = [one["end_time"] - one["start_time"] for one in sorted_by(LogOrder.DURATION)]
    assert took == sorted(took, reverse=True)


def test_rows_of_another_owner_are_never_shown(filled: Books) -> None:
    own = Scope(users=frozenset(["user1"]))
    other = next(one for one in ROWS if one["user_id"] == "user2")
    for where, _ in CASES:
        page = filled.reports.logs(own, where, limit=1_000)
        assert {one.columns["user_id"] for one in page.rows} <= {"user1"}
        assert page.total == len(page.rows)
        assert filled.reports.logs(NOTHING, where).rows == ()
    assert filled.reports.log(own, other["id"]) is None
    assert filled.reports.log(NOTHING, other["id"]) is None
    assert list(filled.reports.every_log(NOTHING, LogFilter())) == []
    assert filled.reports.logs(own, LogFilter(user_id=("user2",))).total == 0


def test_a_row_comes_back_as_it_was_written(books: Books) -> None:
    written = row(tags=["a", "b"], stream=True, metadata='{"k":"ü"}', reported_cost=5, status_code=200)
    books.write([written])
    found = books.reports.log(EVERYTHING, written["id"])
    assert found is not None
    assert {name: found.columns[name] for name in written} == written
    assert found.spend_pico == 1_234_567
    assert books.reports.log(EVERYTHING, "unknown") is None


def test_a_stream_of_rows_is_read_in_pages(filled: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_AT_ONCE", 11)
    assert [one.columns["id"] for one in filled.reports.every_log(EVERYTHING, LogFilter())] == newest_first(
        ROWS
    )
