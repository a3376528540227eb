"""Rows that are appended arrive in the database, once, with their tags and rollups."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from sqlalchemy import text

from ledger_rows import NOON, row, unmakeable, wait_until
from spend_middleware.guard import faults
from spend_middleware.store import patient
from spend_middleware.store.records import ROW
from spend_middleware.store.rollups import ROLLUPS
from spend_middleware.store.segments import LOCK_NAME
from spend_middleware.store.store import Store

MakeStore = Callable[..., Store]


def answer(store: Store, sql: str) -> list[tuple[object, ...]]:
    with store.engine.connect() as connection:
        return [tuple(found) for found in connection.execute(text(sql))]


def sums(store: Store) -> dict[str, tuple[int, int, int]]:
    """Return requests, pico-dollars and tokens of each rollup, which must agree wherever a call counts once."""
    found = {}
    for table in ROLLUPS:
        once = " WHERE kind = 'total'" if table.startswith("spend_name") else ""
        query = (
            "SELECT coalesce(sum(requests), 0), coalesce(sum(spend_micros), 0), coalesce(sum(spend_rest), 0),"
            f" coalesce(sum(prompt_tokens), 0) FROM {table}{once}"
        )
        ((requests, micros, rest, tokens),) = answer(store, query)
        found[table] = (int(str(requests)), int(str(micros)) * 10**6 + int(str(rest)), int(str(tokens)))
    return found


def test_a_row_arrives_with_all_its_columns(store: Store) -> None:
    store.append(
        row(id="a", tags=["x", "y"], stream=True, reported_cost=None, metadata='{"k": 1}', status_code=200)
    )
    assert store.flush(10) == 0
    columns = "id, spend, stream, metadata, status_code, request_tags, reported_cost, team_id, request_id"
    (found,) = answer(store, f"SELECT {columns} FROM spend_logs")
    assert found == ("a", 1_234_567, True, '{"k": 1}', 200, '["x", "y"]', None, "", None)
    assert answer(store, "SELECT tag, start_time, log_id FROM spend_log_tags ORDER BY tag") == [
        ("x", NOON, "a"),
        ("y", NOON, "a"),
    ]


def test_every_rollup_holds_every_call_once(store: Store) -> None:
    for number in range(50):
        store.append(row(spend=number, end_user=f"customer {number % 7}", tags=["all", f"tag {number % 3}"]))
    assert store.flush(10) == 0
    assert set(sums(store).values()) == {(50, sum(range(50)), 550)}
    tags = answer(
        store, "SELECT name, requests, spend_rest FROM spend_name_totals WHERE kind = 'tag' ORDER BY name"
    )
    assert tags[0] == ("all", 50, sum(range(50)))
    assert sum(int(str(requests)) for _, requests, _ in tags[1:]) == 50


def test_a_row_that_is_there_already_moves_nothing(new_store: MakeStore) -> None:
    rows = [row(tags=["t"]) for _ in range(20)]
    first = new_store()
    for one in rows[:15]:
        first.append(one)
    assert first.flush(10) == 0
    again = new_store()
    for one in rows:
        again.append(one)
    assert again.flush(10) == 0
    assert set(sums(again).values()) == {(20, 20 * 1_234_567, 220)}
    assert answer(again, "SELECT count(*) FROM spend_log_tags") == [(20,)]


def test_a_tag_that_is_repeated_in_a_row_counts_once(store: Store) -> None:
    store.append(row(tags=["t", "t", "u", "t"]))
    assert store.flush(10) == 0
    assert answer(store, "SELECT name, requests FROM spend_name_totals WHERE kind = 'tag' ORDER BY name") == [
        ("t", 1),
        ("u", 1),
    ]


def test_unpriced_failed_and_estimated_calls_are_counted(store: Store) -> None:
    store.append(row(spend=None, pricing_status="unpriced"))
    store.append(row(status="failure", spend=0))
    store.append(row(status="interrupted", spend=None))
    store.append(row(usage_source="estimated"))
    assert store.flush(10) == 0
    columns = "requests, successes, failures, unpriced, estimated, duration"
    assert answer(store, f"SELECT {columns} FROM spend_daily") == [(4, 2, 2, 2, 1, 6_000_000)]


@pytest.mark.parametrize(
    ("wrong", "stored"),
    [
        ("a\0b", "a\ufffdb"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("pair \ud83d\ude00", "pair 😀"),
        ("Ünïcödé", "Ünïcödé"),
    ],
)
def test_text_that_no_database_takes_is_made_storable(store: Store, wrong: str, stored: str) -> None:
    store.append(row(end_user=wrong, tags=[wrong]))
    assert store.flush(10) == 0
    assert answer(store, "SELECT end_user FROM spend_logs") == [(stored,)]
    assert answer(store, "SELECT tag FROM spend_log_tags") == [(stored,)]
    assert store.health()["set_aside"] == 0


def test_a_row_that_the_database_refuses_is_set_aside_alone(store: Store) -> None:
    for number in range(30):
        store.append(row(id=f"{number:03d}", prompt_tokens=2**70 if number == 17 else 1))
    assert store.flush(10) == 0
    assert answer(store, "SELECT count(*) FROM spend_logs") == [(29,)]
    health = store.health()
    assert (health["set_aside"], health["refused"], health["database_reachable"]) == (1, 0, True)
    assert store.folder is not None
    (line,) = (store.folder / "set-aside.jsonl").read_text().splitlines()
    assert json.loads(line)["row"]["id"] == "017"
    assert json.loads(line)["reason"]


def test_a_database_that_hangs_is_unreachable_though_it_gives_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(row())
    assert store.flush(10) == 0
    monkeypatch.setattr(patient, "SILENT_SECONDS", 0.0)
    with store.write_engine.begin() as connection:  # which holds all of SQLite for writing
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE spend_logs"))
        store.append(row())
        wait_until(lambda: store.health()["database"] == "unreachable")
        health = store.health()
    assert (health["database_reachable"], health["pending"], health["retries"]) == (False, 1, 0)
    assert "the database has not answered for" in str(health["last_error"])
    assert store.flush(20) == 0
    health = store.health()
    assert (health["database"], health["database_reachable"], health["last_error"]) == (
        "connected",
        True,
        None,
    )


@pytest.mark.parametrize("body", unmakeable())
def test_a_record_that_no_row_can_be_made_of_is_set_aside_and_the_others_are_written(
    new_store: MakeStore, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    store = new_store()
    store.append(row(id="before"))
    store._take(ROW, "broken", body, body)
    store.append(row(id="after"))
    assert store.flush(10) == 0
    assert answer(store, "SELECT id FROM spend_logs ORDER BY id") == [("after",), ("before",)]
    health = store.health()
    assert (health["set_aside"], health["pending"], health["last_error"]) == (1, 0, None)
    assert store.folder is not None
    (line,) = (store.folder / "set-aside.jsonl").read_text().splitlines()
    assert base64.b64decode(json.loads(line)["bytes"]) == body
    assert caplog.text.count("A record was set aside") == 1


def test_what_a_dead_process_left_unreadable_stops_no_living_one(new_store: MakeStore) -> None:
    store = new_store()
    assert store.folder is not None
    for owner in ("one", "two"):
        (store.folder / owner / "1.seg").mkdir(parents=True)  # which reads as a broken disk would
        (store.folder / owner / LOCK_NAME).touch()
    before = faults.total()
    store.append(row(id="a"))
    assert store.flush(10) == 0
    assert answer(store, "SELECT id FROM spend_logs") == [("a",)]
    assert store.health()["last_error"] is None
    assert faults.total() >= before + 2


def test_none_where_something_must_stand_becomes_the_default(store: Store) -> None:
    store.append(row(id="a", team_id=None, cache_read_input_tokens=None, stream=None))
    store.append(row(id="b"))
    assert store.flush(10) == 0
    assert answer(
        store, "SELECT id, team_id, cache_read_input_tokens, spend FROM spend_logs ORDER BY id"
    ) == [
        ("a", "", 0, 1_234_567),
        ("b", "", 0, 1_234_567),
    ]


def test_days_are_cut_in_utc_and_in_each_zone_that_has_rollups(store: Store) -> None:
    with store.write_engine.begin() as connection:
        rolled = {"value": '{"zones": ["Asia/Kathmandu"]}'}
        connection.execute(text("UPDATE spend_meta SET value = :value WHERE name = 'rollups'"), rolled)
    store.append(row(start_time=NOON + 6 * 3_600_000_000 + 20 * 60_000_000))
    assert store.flush(10) == 0
    assert answer(store, "SELECT zone, day FROM spend_daily ORDER BY zone") == [
        ("Asia/Kathmandu", "2026-11-24"),
        ("UTC", "2026-11-23"),
    ]


def test_sums_beyond_sixty_four_bits_of_pico_dollars_are_exact(store: Store) -> None:
    for _ in range(5):
        store.append(row(spend=9_000_000 * 10**12 + 7))
    assert store.flush(10) == 0
    assert {spend for _, spend, _ in sums(store).values()} == {45_000_000 * 10**12 + 35}


def test_flush_says_how_many_calls_are_not_in_the_database(store: Store) -> None:
    store.append(row(), provisional=True)
    assert store.flush(0.05) == 1


def test_a_provisional_row_is_replaced_by_its_final_one(store: Store) -> None:
    store.append(row(id="a", spend=None), provisional=True)
    store.append(row(id="a", spend=5))
    assert store.flush(10) == 0
    assert answer(store, "SELECT id, spend FROM spend_logs") == [("a", 5)]


def test_closing_lets_provisional_rows_count_as_they_are(new_store: MakeStore) -> None:
    store = new_store()
    store.append(row(id="a", spend=3), provisional=True)
    store.append(row(id="b", spend=4), provisional=True)
    store.append(row(id="b", spend=5))
    store.close()
    assert answer(store, "SELECT id, spend FROM spend_logs ORDER BY id") == [("a", 3), ("b", 5)]


def test_a_store_that_was_closed_takes_late_calls(store: Store) -> None:
    store.append(row())
    store.close()
    store.close()
    store.append(row())
    assert store.flush(10) == 0
    assert set(sums(store).values()) == {(2, 2 * 1_234_567, 22)}


def test_several_stores_share_a_database_and_a_journal_folder(new_store: MakeStore) -> None:
    stores = [new_store() for _ in range(3)]
    for number in range(90):
        stores[number % 3].append(row())
    assert [one.flush(10) for one in stores] == [0, 0, 0]
    assert set(sums(stores[0]).values()) == {(90, 90 * 1_234_567, 990)}


def test_what_is_no_row_at_all_is_counted_and_never_raised(store: Store) -> None:
    store.append({"id": object()})
    store.append(None)  # type: ignore[arg-type]
    store.append(row())
    assert store.flush(10) == 0
    health = store.health()
    assert health["refused"] + health["set_aside"] >= 1
    assert answer(store, "SELECT count(*) FROM spend_logs WHERE spend = 1234567") == [(1,)]
