"""Whatever is wrong in the ledger is named, and mended when that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy import text

from ledger_calls import Books, calls, total_of
from spend_middleware.store import verify as verify_module
from spend_middleware.store.report_values import EVERYTHING
from spend_middleware.store.settle import settle
from spend_middleware.store.verify import verify

ROWS = calls(80, days=5)

DAMAGES = {
    "a rollup's sum": (
        "UPDATE spend_daily SET requests = requests + 1 WHERE api_key = 'key1'",
        "spend_daily",
    ),
    "a customer's line": ("DELETE FROM spend_customer_daily WHERE end_user = 'ana'", "spend_customer_daily"),
    "a name too many": (
        "UPDATE spend_name_daily SET name = 'nobody' WHERE kind = 'model' AND name = 'claude'",
        "spend_name_daily",
    ),
    "a total": (
        "UPDATE spend_name_totals SET spend_rest = spend_rest - 1 WHERE kind = 'team'",
        "spend_name_totals",
    ),
    "a row": ("UPDATE spend_logs SET spend = 7 WHERE api_key = 'key2'", "spend_daily"),
    "tags": ("DELETE FROM spend_log_tags WHERE tag = 'red'", "spend_log_tags"),
    "a span's line": ("UPDATE spend_spans SET requests = requests + 1 WHERE span LIKE '%+04'", "spend_spans"),
    "a span": ("DELETE FROM spend_name_spans WHERE span LIKE '%+16'", "spend_name_spans"),
    "a span that is not over": (
        """
        UPDATE spend_name_spans SET span = '2026-06-12+64' WHERE kind = 'total' AND zone = 'UTC'
        AND span = (SELECT max(span) FROM spend_name_spans WHERE kind = 'total' AND zone = 'UTC')
        """,
        "spend_name_spans",
    ),
    "a zone's day": ("DELETE FROM spend_daily WHERE zone = 'Asia/Kolkata'", "spend_daily"),
}


def spoil(books: Books, sql: str) -> None:
    with books.database.writing.begin() as connection:
        connection.execute(text(sql))


def test_a_ledger_that_agrees_is_said_to(new_books: Callable[..., Books]) -> None:
    books = new_books(zones=("Asia/Kolkata",), slots=4)
    books.write(ROWS)
    found = verify(books.ledger, books.reader)
    assert (found.agrees, found.count, found.calls, found.unchecked_days) == (True, 0, 80, 0)
    assert found.days >= 10


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_mended(new_books: Callable[..., Books], damage: str) -> None:
    books = new_books(zones=("Asia/Kolkata",))
    books.write(ROWS)
    settle(books.ledger, today=date(2026, 4, 30))
    sql, table = DAMAGES[damage]
    spoil(books, sql)
    found = verify(books.ledger, books.reader)
    assert found.count == len(found.inequalities) > 0
    assert not found.agrees
    assert table in {inequality.table for inequality in found.inequalities}
    assert all(inequality.stored != inequality.expected for inequality in found.inequalities)
    mended = verify(books.ledger, books.reader, repair=True)
    assert mended.repaired
    assert mended.agrees
    assert verify(books.ledger, books.reader).count == 0
    if damage != "a row":
        assert books.reports.total(EVERYTHING) == total_of(ROWS)


def test_only_the_first_inequalities_are_kept_but_all_are_counted(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_module, "_SHOWN", 3)
    books.write(ROWS)
    spoil(books, "UPDATE spend_name_daily SET unpriced = unpriced + 1")
    spoil(books, "DELETE FROM spend_log_tags")
    found = verify(books.ledger, books.reader)
    assert len(found.inequalities) == 3
    assert found.count > 3
    verify(books.ledger, books.reader, repair=True)
    assert verify(books.ledger, books.reader).count == 0


def test_only_days_with_calls_are_compared_however_far_apart_they_are(
    new_books: Callable[..., Books],
) -> None:
    books = new_books(zones=("Asia/Kolkata",))
    books.write([*calls(3, first="1971-05-01", days=1), *calls(3, first="2026-05-01", days=1, seed=2)])
    found = verify(books.ledger, books.reader)
    assert (found.agrees, found.calls) == (True, 6)
    assert found.days <= 8
