"""The journal survives what may happen to a process and its disk: kills, torn and corrupt records, forks, bounds."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_rows import row, started_as, unmakeable, wait_until
from spend_middleware.store import lane as lanes
from spend_middleware.store.facts import decode, encode_started
from spend_middleware.store.journal import MEMORY_ROWS, Journal
from spend_middleware.store.lane import Lane
from spend_middleware.store.records import (
    COLUMNS,
    DEFAULTS,
    FRAME,
    MARK,
    PROVISIONAL,
    ROW,
    UNMARK,
    Damage,
    Values,
    encode_row,
    framed,
    read_frames,
    values_of,
)
from spend_middleware.store.recovery import adopt
from spend_middleware.store.segments import Owner, orphans
from spend_middleware.store.setaside import SetAside

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside, max_size=3),
    max_leaves=5,
)


def put(journal: Journal, kind: bytes = ROW, **columns: Any) -> bool:
    started = row(**columns)
    with journal.lock:
        if kind == MARK:
            return journal.put(kind, started["id"], encode_started(started_as(started["id"])), None)
        if kind == UNMARK:
            return journal.put(kind, started["id"], started["id"].encode(), None)
        body, values = encode_row(values_of(started))
        return journal.put(kind, values[0], body, values)


def left(folder: Path) -> tuple[dict[str, tuple[str, int | None]], int]:
    """Adopt what dead processes left; return status and spend by call id, and how many records were set aside."""
    found: dict[str, tuple[str, int | None]] = {}
    aside = SetAside(folder)

    def write(rows: list[Values]) -> None:
        for values in rows:
            named = dict(zip(COLUMNS, values, strict=True))
            assert named["id"] not in found
            found[named["id"]] = (named["status"], named["spend"])

    for owner in orphans(folder):
        adopt(owner, write, aside)
    return found, len(aside)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.seg"))


@given(st.dictionaries(st.sampled_from(COLUMNS), JSON))
def test_any_row_comes_back_as_it_went_in(columns: dict[str, Any]) -> None:
    body, values = encode_row(values_of(columns))
    assert decode(body) == values


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(0, 10**6), st.binary(max_size=30))
def test_records_before_damage_are_always_read(bodies: list[bytes], cut: int, garbage: bytes) -> None:
    whole = [framed(ROW, body) for body in bodies]
    end = cut % (len(b"".join(whole)) + 1)
    expected, size = [], 0
    for body, frame in zip(bodies, whole, strict=True):
        size += len(frame)
        if size <= end:
            expected.append((ROW, body))
    read = list(read_frames(b"".join(whole)[:end] + garbage))
    assert [record for record in read if not isinstance(record, Damage)][: len(expected)] == expected


def test_a_row_lists_every_column_of_the_table() -> None:
    from spend_middleware.store.tables import SpendLog

    columns = SpendLog.metadata.tables["spend_logs"].columns
    assert tuple(column.name for column in columns) == COLUMNS
    assert {name for name, default in DEFAULTS.items() if default is None} == {
        column.name for column in columns if column.nullable
    }


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    put(journal)
    for path in (tmp_path / "journal").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o700


def test_a_living_owner_is_left_alone_and_a_dead_one_is_adopted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    put(journal, id="a", spend=7)
    assert left(tmp_path) == ({}, 0)
    journal.abandon()
    assert left(tmp_path) == ({"a": ("success", 7)}, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_never_ended_is_interrupted_and_every_other_keeps_its_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for name in ("finished", "provisional", "interrupted", "both", "refused"):
        put(journal, MARK, id=name)
    put(journal, id="finished", spend=1)
    put(journal, PROVISIONAL, id="provisional", spend=2)
    put(journal, PROVISIONAL, id="both", spend=3)
    put(journal, id="both", spend=4)
    put(journal, UNMARK, id="refused")
    journal.abandon()
    assert left(tmp_path)[0] == {
        "finished": ("success", 1),
        "provisional": ("success", 2),
        "both": ("success", 4),
        "interrupted": ("interrupted", None),
    }


def test_a_mark_and_its_end_may_stand_in_different_segments(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=2000)
    put(journal, MARK, id="long")
    put(journal, MARK, id="taken back")
    for number in range(20):
        put(journal, id=f"{number}")
    put(journal, UNMARK, id="taken back")
    journal.settle(journal.take(100))
    assert len(segments(tmp_path)) == 2  # the one with the marks, and the one that takes one of them back
    put(journal, id="long", spend=9)
    journal.abandon()
    found, _ = left(tmp_path)
    assert found["long"] == ("success", 9)
    assert "taken back" not in found


def test_calls_that_never_end_do_not_pin_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=2000)
    for number in range(40):
        put(journal, MARK, id=f"mark {number}")
        put(journal, MARK, id=f"provisional {number}")
        put(journal, PROVISIONAL, id=f"provisional {number}", spend=number)
        put(journal, id=f"{number}")
    journal.settle(journal.take(100))
    before = len(segments(tmp_path))
    for _ in range(3):
        journal.look_around()
    for number in range(40, 80):
        put(journal, id=f"{number}")
    journal.settle(journal.take(100))
    assert len(segments(tmp_path)) <= before
    put(journal, id="mark 3", spend=7)
    put(journal, UNMARK, id="mark 4")
    journal.abandon()
    found, aside = left(tmp_path)
    assert (found["mark 3"], found["mark 5"], found["provisional 6"]) == (
        ("success", 7),
        ("interrupted", None),
        ("success", 6),
    )
    assert ("mark 4" in found, aside) == (False, 0)
    assert len([name for name in found if " " in name]) == 79


def test_segments_go_once_all_of_their_rows_are_in_the_database(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=3000)
    for _ in range(30):
        put(journal)
    count = len(segments(tmp_path))
    assert count >= 5
    first = journal.take(15)
    journal.settle(first)
    assert 0 < len(segments(tmp_path)) < count
    journal.settle(journal.take(15))
    assert [path.stat().st_size for path in segments(tmp_path)] == [0]
    assert journal.bytes == 0
    journal.close()
    assert segments(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_torn_end_is_cut_off(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path)
    for name in "abc":
        put(journal, id=name)
    journal.abandon()
    (path,) = segments(tmp_path)
    os.truncate(path, path.stat().st_size - cut)
    found, aside = left(tmp_path)
    assert (sorted(found), aside) == (["a", "b"], 0)


@pytest.mark.parametrize("where", ["length", "crc", "body"])
def test_a_corrupt_record_is_set_aside_and_the_rest_is_read(tmp_path: Path, where: str) -> None:
    journal = Journal(tmp_path)
    for name in ("a", "bb", "c"):
        put(journal, id=name)
    journal.abandon()
    (path,) = segments(tmp_path)
    content = bytearray(path.read_bytes())
    record = content.index(b'R["bb"') - FRAME.size
    content[record + {"length": 1, "crc": 5, "body": FRAME.size + 9}[where]] ^= 0xFF
    path.write_bytes(bytes(content))
    found, aside = left(tmp_path)
    assert (sorted(found), aside) == (["a", "c"], 1)


@pytest.mark.parametrize("body", unmakeable())
def test_a_record_that_no_row_can_be_made_of_is_set_aside_and_the_rest_is_read(
    tmp_path: Path, body: bytes
) -> None:
    journal = Journal(tmp_path)
    put(journal, id="a")
    with journal.lock:
        journal.put(ROW, "broken", body, None)
        journal.put(MARK, "broken", body, None)
    put(journal, id="b")
    journal.abandon()
    found, aside = left(tmp_path)
    assert (sorted(found), aside) == (["a", "b"], 2)


def test_a_row_of_an_older_version_gets_defaults_for_what_it_lacks() -> None:
    assert decode(b'["x", 5]', ("id", "spend")) == values_of({"id": "x", "spend": 5})


def test_beyond_its_limit_the_journal_refuses_and_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=5000, segment_bytes=2000)
    accepted = sum(put(journal) for _ in range(40))
    assert 0 < accepted < 40
    assert journal.refused == 40 - accepted
    journal.settle(journal.take(accepted))
    assert put(journal)


def test_while_the_database_takes_rows_a_full_journal_loses_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=5000)
    journal.database_takes_rows = True
    assert all(put(journal) for _ in range(40))
    assert len(journal.backlog) == 40
    assert (journal.refused, journal.unjournaled > 0) == (0, True)


def test_rows_beyond_memory_wait_in_their_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1 << 18)
    for number in range(MEMORY_ROWS + 500):
        put(journal, id=f"{number}")
    assert len(journal.backlog) == MEMORY_ROWS
    assert journal.spilled_rows() == 500
    for segment in journal.spilled():
        journal.settle_spilled(segment)
    journal.settle(journal.take(MEMORY_ROWS))
    assert (journal.spilled_rows(), journal.oldest_number()) == (0, None)
    journal.close()
    assert segments(tmp_path) == []


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", segment_bytes=1000)
    put(journal)
    for path in sorted((tmp_path / "journal").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    for _ in range(5):
        put(journal)
    assert journal.refused == 0
    assert segments(tmp_path / "journal")


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_forked_child_writes_its_own_journal_and_the_parents_lock_dies_with_the_parent(
    tmp_path: Path,
) -> None:
    script = """
        import os, sys, time
        sys.path[:0] = ["tests"]
        from pathlib import Path
        from test_store_journal import put
        from spend_middleware.store.journal import Journal
        journal = Journal(Path(sys.argv[1]))
        put(journal, id="parent")
        reading, writing = os.pipe()
        if os.fork():
            os.read(reading, 1)
            os.kill(os.getpid(), 9)
        put(journal, id="child")
        print(os.getpid(), flush=True)
        os.write(writing, b"x")
        os.close(1), os.close(2)
        time.sleep(60)
    """
    child = int(run(script, tmp_path).stdout)
    try:
        assert sorted(left(tmp_path)[0]) == ["parent"]
    finally:
        os.kill(child, 9)


def test_a_short_write_on_a_full_disk_is_cut_back(tmp_path: Path) -> None:
    # A file size limit stands for the full disk: it cuts a write short in the same way.
    script = """
        import resource, sys
        sys.path[:0] = ["tests"]
        from pathlib import Path
        from test_store_journal import put
        from spend_middleware.store.journal import Journal
        journal = Journal(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
        accepted = [put(journal, id=str(number)) for number in range(20)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        accepted += [put(journal, id="after")]
        print(sum(accepted), journal.refused, accepted[-1], flush=True)
    """
    accepted, refused, after = run(script, tmp_path).stdout.split()
    found, aside = left(tmp_path)
    assert (len(found), aside) == (int(accepted), 0)
    assert (int(accepted) + int(refused), after) == (21, "True")
    assert int(refused) > 0


def test_a_hanging_disk_holds_nobody_up_and_keeps_the_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    lane = Lane(journal)
    hanging = threading.Thread(target=journal.lock.acquire)  # a write that does not return holds the lock
    hanging.start()
    hanging.join()
    for number in range(10):
        body, values = encode_row(values_of(row(id=f"{number}")))
        assert lane.put(ROW, values[0], body, values)
    assert lane.degraded
    assert lane.waiting() == 10
    journal.lock.release()
    wait_until(lambda: not lane.waiting())
    assert [entry.values[0] for entry in journal.take(20)] == [f"{number}" for number in range(10)]


def test_the_lane_comes_back_when_the_disk_is_fast_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "FAST_AGAIN", 1)
    journal = Journal(tmp_path)
    lane = Lane(journal)
    journal.lock.acquire()
    body, values = encode_row(values_of(row()))
    lane.put(ROW, values[0], body, values)
    journal.lock.release()
    wait_until(lambda: not lane.degraded)
    assert lane.put(ROW, values[0], body, values)
    assert len(journal.take(5)) == 2


def test_a_slow_disk_with_too_much_waiting_refuses_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "QUEUE_BYTES", 2000)
    journal = Journal(tmp_path)
    lane = Lane(journal)
    journal.lock.acquire()
    results = []
    for _ in range(10):
        body, values = encode_row(values_of(row()))
        results.append(lane.put(ROW, values[0], body, values))
    journal.lock.release()
    assert journal.refused == results.count(False) > 0


def test_leftovers_of_a_start_that_died_are_swept(tmp_path: Path) -> None:
    fresh = tmp_path / ".new-1-abc"
    fresh.mkdir()
    (fresh / "lock").touch()
    assert left(tmp_path) == ({}, 0)
    assert not fresh.exists()


def test_two_that_adopt_at_once_get_different_folders(tmp_path: Path) -> None:
    for _ in range(3):
        journal = Journal(tmp_path)
        put(journal)
        journal.abandon()
    first: list[Owner] = list(orphans(tmp_path))
    assert (len(first), list(orphans(tmp_path))) == (3, [])
    for owner in first:
        owner.release()
    assert len(list(orphans(tmp_path))) == 3
