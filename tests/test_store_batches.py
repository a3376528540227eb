"""One batch into the database: large ones and small ones, new rows and repeated ones, names with anything in them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event, text

from ledger_calls import Books, Row, calls, grouped, total_of
from ledger_rows import NOON, row
from spend_middleware.store.ledger import is_refusal
from spend_middleware.store.moves import moves_of
from spend_middleware.store.records import values_of
from spend_middleware.store.report_values import EVERYTHING, By, Filter, Period, Scope
from spend_middleware.store.rollups import ROLLUPS
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.verify import verify

SIZES = (1, 7, 39, 40, 150, 600)
"""On both sides of where PostgreSQL gets rows in another way."""

ODD_NAMES = (
    'a "quoted" name',
    "back\\slash",
    '\\"both\\"',
    "tab\tand\nline\rends",
    "{braces},{commas}",
    "NULL",
    "null",
    "None",
    "\\N",
    " ",
    "'; DROP TABLE spend_logs; --",
    "çelik 😀 \u2028",
    "%s %(name)s",
    "?",
)


def agrees(books: Books, rows: Iterable[Row]) -> None:
    """Compare the reports and the ledger itself with a plain sum over calls."""
    rows = list(rows)
    for grouping in ([By.KEY], [By.TAG], [By.DAY, By.END_USER, By.MODEL], [By.USER, By.TEAM]):
        report = books.reports.by(grouping, EVERYTHING)
        assert {group.keys: group.sums for group in report.groups} == grouped(rows, grouping)
    assert books.reports.total(EVERYTHING) == total_of(rows)
    assert verify(books.ledger, books.reader).inequalities == []


def error_of(books: Books, rows: Iterable[Row]) -> Exception:
    """Return what writing rows raises: each driver has errors of its own."""
    try:
        books.write(rows)
    except Exception as error:
        return error
    raise AssertionError("the rows were taken")


@pytest.mark.parametrize("size", SIZES)
def test_a_batch_of_any_size_is_in_every_rollup_once(books: Books, size: int) -> None:
    rows = calls(size, seed=size)
    assert books.write(rows) == size
    agrees(books, rows)


@pytest.mark.parametrize("size", SIZES)
def test_of_a_batch_only_the_rows_that_are_new_count(books: Books, size: int) -> None:
    rows = calls(size * 2, seed=size)
    known = random.Random(size).sample(rows, size)
    assert books.write(known) == size
    assert books.write(rows) == size
    assert books.write(rows) == books.write(known) == 0
    agrees(books, rows)


def test_rows_that_come_twice_in_one_batch_count_once_and_the_last_of_them_wins(books: Books) -> None:
    first = calls(100)
    last = [{**one, "spend": 5} for one in first]
    assert books.write([*first, *last]) == 100
    agrees(books, last)


@pytest.mark.parametrize("size", [1, 100])
def test_names_may_hold_anything(books: Books, size: int) -> None:
    rows = [
        row(
            start_time=NOON + number,
            api_key=name,
            end_user=name,
            model=name,
            organization_id=other,
            tags=[name, other],
            metadata=name,
            error_type=name,
        )
        for number, (name, other) in enumerate(list(permutations(ODD_NAMES, 2))[:100])
    ]
    for start in range(0, len(rows), size):
        assert books.write(rows[start : start + size]) == size
    agrees(books, rows)
    stored = {
        found.columns["id"]: found.columns for found in books.reports.every_log(EVERYTHING, LogFilter())
    }
    for one in rows:
        found = stored[one["id"]]
        assert [found[name] for name in one] == list(one.values())


@pytest.mark.parametrize("size", [2, 100])
def test_a_row_that_the_database_refuses_fails_its_batch_whole(books: Books, size: int) -> None:
    for wrong in ({"prompt_tokens": 2**70}, {"model": None}, {"start_time": "noon"}, {"metadata": object()}):
        rows = calls(size, seed=3)
        rows[size // 2] = {**rows[size // 2], **wrong}
        error = error_of(books, rows)
        assert is_refusal(error), error
        assert books.reports.total(EVERYTHING).requests == 0
    assert books.write(calls(size, seed=3)) == size


@pytest.mark.parametrize("size", [1, 100])
def test_what_some_rows_have_and_others_lack_is_kept(books: Books, size: int) -> None:
    rows = calls(size)
    rows[0] = {**rows[0], "stream": True, "status_code": 404, "reported_cost": None}
    books.write([{**one, "completion_start_time": at or None} for at, one in enumerate(rows)])
    with books.database.engine.connect() as connection:
        query = text("SELECT stream, status_code FROM spend_logs WHERE id = :id")
        assert tuple(connection.execute(query, {"id": rows[0]["id"]}).one()) == (True, 404)
        query = text("SELECT count(completion_start_time) FROM spend_logs")
        assert connection.execute(query).scalar() == size - 1


@pytest.mark.parametrize(
    ("stored", "tags"),
    [
        ('["a", "b", "a"]', ["a", "b"]),
        ('["a", 1, null, ["b"], "c"]', ["a", "c"]),
        ('["nul \\u0000", "lone \\ud800", "pair \\ud83d\\ude00"]', ["lone \ufffd", "nul \ufffd", "pair 😀"]),
        ('{"a": 1}', []),
        ("not JSON", []),
        ("", []),
        ("[]", []),
        (None, []),
    ],
)
def test_tags_that_are_no_plain_list_are_made_one(books: Books, stored: str | None, tags: list[str]) -> None:
    books.write([{**row(api_key="k"), "request_tags": stored}, row(tags=["other"])])
    # The first is answered from the rollups, the second from the rows.
    for where in (Filter(), Filter(api_key=("k",))):
        named = {group.keys[0] for group in books.reports.by([By.TAG], EVERYTHING, where=where).groups}
        assert sorted(named - {"other"}) == tags
    untagged = books.reports.tags(EVERYTHING, where=Filter(api_key=("k",))).untagged
    assert untagged is not None
    assert untagged.requests == (0 if tags else 1)
    assert verify(books.ledger, books.reader).inequalities == []


def test_the_tags_of_some_calls_are_added_up_from_their_rows(books: Books) -> None:
    rows = calls(120)
    books.write(rows)
    scope = Scope(users=frozenset(("user1",)), teams=frozenset(("team0",)))
    for where in (Filter(api_key=("key1", "key2")), Filter(end_user=("ana",), tag=("red", "a b"))):
        seen = [one for one in rows if one["user_id"] == "user1" or one["team_id"] == "team0"]
        seen = [one for one in seen if not where.api_key or one["api_key"] in where.api_key]
        seen = [one for one in seen if not where.end_user or one["end_user"] in where.end_user]
        expected = grouped(seen, [By.TAG, By.KEY]).items()
        report = books.reports.by([By.TAG, By.KEY], scope, Period(), where)
        assert {group.keys: group.sums for group in report.groups} == {
            keys: sums for keys, sums in expected if not where.tag or keys[0] in where.tag
        }


def test_all_writers_move_the_rows_of_a_table_in_one_order() -> None:
    rows = [values_of(one) for one in calls(300)]
    shuffled = random.Random(2).sample(rows, len(rows))
    one = moves_of(rows, ["UTC", "Asia/Kolkata"])
    other = moves_of(shuffled, ["UTC", "Asia/Kolkata"])
    assert one == other
    for table, key in ROLLUPS.items():
        keys = list(zip(*one[table][: len(key)], strict=True))
        assert len(set(keys)) == len(keys)
    assert list(one) == sorted(one)


def test_an_adjustment_of_nothing_moves_nothing(books: Books) -> None:
    rows = [values_of(one) for one in calls(3)]
    with books.database.writing.begin() as connection:
        tables: Any = books.ledger._tables
        tables.move(connection, moves_of(rows, ["UTC"], 0, [(0,) * 13] * 3))
    assert books.reports.total(EVERYTHING).requests == 0


def test_an_owner_is_found_by_the_index_of_rows_that_have_one(books: Books) -> None:
    books.write(calls(400))
    scopes = (
        (EVERYTHING, LogFilter(user_id=("user1",)), "spend_logs_user"),
        (EVERYTHING, LogFilter(team_id=("team1", "team0")), "spend_logs_team"),
        (EVERYTHING, LogFilter(end_user=("ana",)), "spend_logs_end_user"),
        (Scope(users=frozenset(("user1",)), keys=frozenset(("key2",))), LogFilter(), "spend_logs_user"),
    )
    for scope, where, index in scopes:
        assert index in plan_of(books, scope, where)


def test_calls_of_an_id_are_looked_up_where_nothing_is_known_of_how_many_there_are(books: Books) -> None:
    rows = [{**one, "trace_id": f"trace-{number % 9}"} for number, one in enumerate(calls(400))]
    books.write(rows)
    for where, index in (
        (LogFilter(session_id="session-1"), "spend_logs_session"),
        (LogFilter(trace_id="trace-1"), "spend_logs_trace"),
        (LogFilter(request_id=rows[17]["request_id"]), "spend_logs_request"),
    ):
        # As if sorting were dear, which is what PostgreSQL thinks of a large table without statistics.
        plan = plan_of(books, EVERYTHING, where, "enable_sort")
        assert index in plan
        assert "spend_logs_start" not in plan


def plan_of(books: Books, scope: Scope, where: LogFilter, *off: str) -> str:
    """Return how the database finds the rows of a page; PostgreSQL without some of its ways."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    event.listen(books.database.engine, "before_cursor_execute", note)
    books.reports.logs(scope, where)
    event.remove(books.database.engine, "before_cursor_execute", note)
    statement, parameters = next(
        one for one in asked if "ORDER BY" in one[0] and "spend_logs.start_time" in one[0]
    )
    with books.database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            explained = "EXPLAIN QUERY PLAN " + statement
        else:
            for way in ("enable_seqscan", *off):  # so few rows are read at once otherwise
                connection.exec_driver_sql(f"SET {way} = off")
            explained = "EXPLAIN " + statement
        return str(connection.exec_driver_sql(explained, parameters).all())
