"""Processes die at random, fork and exit without closing: no acknowledged call is lost, none counts twice."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger_rows import row, started_as, wait_until
from spend_middleware.settings import Settings
from spend_middleware.store.rollups import ROLLUPS
from spend_middleware.store.store import Store

ROOT = Path(__file__).parent.parent
MakeSettings = Callable[..., Settings]


def run(script: str, *arguments: object) -> str:
    head = """
        import os, sys
        sys.path[:0] = ["tests"]
        from ledger_rows import row, started_as
        from spend_middleware.settings import Settings
        from spend_middleware.store.store import Store
        store = Store(Settings(database_url=sys.argv[1], journal_dir=sys.argv[2]))
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=ROOT,
    )
    return found.stdout + found.stderr


def stored(url: str, settings_for: MakeSettings) -> dict[str, tuple[str, int | None]]:
    """Recover what is left and return status and spend of each row."""
    store = Store(settings_for(url))
    assert store.flush(30) == 0
    with store.engine.connect() as connection:
        found = {
            row.id: (row.status, row.spend) for row in connection.execute(text("SELECT * FROM spend_logs"))
        }
        totals = connection.execute(
            text("SELECT sum(requests) FROM spend_name_totals WHERE kind = 'total'")
        ).scalar()
    assert int(totals or 0) == len(found)
    assert store.health()["set_aside"] == 0
    store.close()
    return found


def test_workers_killed_at_random_lose_and_double_nothing(database_url: str) -> None:
    chosen = (
        ["--sqlite", "on"]
        if database_url.startswith("sqlite")
        else ["--sqlite", "off", "--postgres", database_url]
    )
    found = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "crash.py", "--kills", "6", "--workers", "2", *chosen],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "TEST_POSTGRES_URL"},
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "lost 0" in found.stdout
    assert "acknowledged 0" not in found.stdout


def test_a_process_that_exits_without_closing_loses_nothing(
    database_url: str, tmp_path: Path, settings_for: MakeSettings
) -> None:
    run('[store.append(row(id=f"{n}")) for n in range(50)]', database_url, tmp_path / "journal")
    assert len(stored(database_url, settings_for)) == 50


def test_a_process_that_is_killed_leaves_its_calls_and_says_which_were_under_way(
    database_url: str, tmp_path: Path, settings_for: MakeSettings
) -> None:
    script = """
        store.mark(started_as("under way"))
        store.mark(started_as("done"))
        store.append(row(id="done", spend=3))
        store.append(row(id="estimated soon", spend=None), provisional=True)
        os.kill(os.getpid(), 9)
    """
    run(script, database_url, tmp_path / "journal")
    assert stored(database_url, settings_for) == {
        "under way": ("interrupted", None),
        "done": ("success", 3),
        "estimated soon": ("success", None),
    }


def test_a_living_sibling_adopts_what_a_dead_one_left(
    database_url: str, tmp_path: Path, settings_for: MakeSettings
) -> None:
    sibling = Store(settings_for(database_url))
    sibling.start()
    run('store.append(row(id="left")); os.kill(os.getpid(), 9)', database_url, tmp_path / "journal")
    wait_until(lambda: sibling.health()["recovered"] or sibling.health()["written"])
    assert sibling.flush(30) == 0
    with sibling.engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM spend_logs")).all() == [("left",)]
    sibling.close()


def test_parent_and_forked_children_each_write_their_own_calls(
    database_url: str, tmp_path: Path, settings_for: MakeSettings
) -> None:
    script = """
        store.append(row(id="before"))
        store.flush(20)
        store.append(row(id="waiting in the parent"))
        children = []
        for n in range(3):
            child = os.fork()
            if not child:
                store.append(row(id=f"child {n}"))
                os.write(1, b"%d\\n" % store.flush(20))  # at once: a print is two writes
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        store.append(row(id="after"))
        os.write(1, b"%d\\n" % store.flush(20))  # at once: a print is two writes
    """
    output = run(script, database_url, tmp_path / "journal")
    assert sorted(output.split()) == ["0"] * 4, output
    assert sorted(stored(database_url, settings_for)) == [
        "after",
        "before",
        "child 0",
        "child 1",
        "child 2",
        "waiting in the parent",
    ]


def test_replaying_a_whole_journal_changes_nothing(tmp_path: Path, settings_for: MakeSettings) -> None:
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    script = '[store.append(row(id=f"{n}", tags=["t"])) for n in range(20)]; os.kill(os.getpid(), 9)'
    run(script, url, tmp_path / "journal")
    (segment,) = (tmp_path / "journal").rglob("*.seg")
    kept, folder = segment.read_bytes(), segment.parent
    first = stored(url, settings_for)
    folder.mkdir()
    (folder / "lock").touch()
    segment.write_bytes(kept)
    assert stored(url, settings_for) == first
    assert not folder.exists()


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["append", "again", "provisional", "mark", "reopen", "flush"]),
        st.integers(0, 12),
        st.none() | st.integers(0, 10**19 // 2),
        st.sampled_from(["", "a", "b"]),
    ),
    max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
def test_whatever_happens_in_whatever_order_rows_and_rollups_agree(
    tmp_path: Path, settings_for: MakeSettings, calls: list[tuple[str, int, int | None, str]]
) -> None:
    folder = tmp_path / os.urandom(8).hex()
    knobs: dict[str, Any] = {
        "database_url": f"sqlite:///{folder}/spend.db",
        "journal_dir": folder / "journal",
        "batch_seconds": 0.001,
    }
    store = Store(Settings(**knobs))
    expected: dict[str, int | None] = {}
    for what, number, spend, tag in calls:
        call_id = f"{number}"
        if what == "flush":
            assert store.flush(20) == 0
        elif what == "reopen":
            store.close()
            store = Store(Settings(**knobs))
        elif what == "mark":
            store.mark(started_as(call_id + "m"))
            store.unmark(call_id + "m")
        elif call_id not in expected:
            if what == "provisional":
                store.append(row(id=call_id, spend=1), provisional=True)
            store.append(row(id=call_id, spend=spend, team_id=tag, tags=[tag] if tag else []))
            expected[call_id] = spend
        elif what == "again":
            store.append(row(id=call_id, spend=expected[call_id], team_id=tag))
    assert store.flush(20) == 0
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT id, spend FROM spend_logs")).all()
        assert {one.id: one.spend for one in rows} == {
            call_id: spend for call_id, spend in expected.items() if spend is None or spend < 2**63
        }
        count, amount = len(rows), sum(one.spend or 0 for one in rows)
        for table in ROLLUPS:
            for kind in ("total", "team", "model") if table.startswith("spend_name") else ("",):
                where = f" WHERE kind = '{kind}'" if kind else ""
                requests, micros, rest = connection.execute(
                    text(f"SELECT sum(requests), sum(spend_micros), sum(spend_rest) FROM {table}{where}")
                ).one()
                assert (requests or 0, (micros or 0) * 10**6 + (rest or 0)) == (count, amount)
    store.close()
