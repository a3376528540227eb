"""The schema is made once, by whoever comes first, and is the one that the table classes describe."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import databases
from ledger_rows import row
from spend_middleware.settings import Settings
from spend_middleware.store import entities, migrate, tables
from spend_middleware.store.columns import SpendModel
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.migrate import REVISIONS, VERSION_TABLE, sql_script
from spend_middleware.store.store import Store

assert {entities.__name__, tables.__name__} <= sys.modules.keys()  # their tables are on the registry


def test_the_revisions_make_what_the_table_classes_describe(bare_database_url: str) -> None:
    database = Database(Address(bare_database_url))
    migrate.migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, SpendModel.metadata) == []
    database.close()


def test_the_list_of_revisions_is_alembics() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_a_start_with_nothing_due_needs_no_alembic(bare_database_url: str) -> None:
    database = Database(Address(bare_database_url))
    migrate.migrate(database)
    database.close()
    script = """
import sys
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.migrate import migrate
database = Database(Address(sys.argv[1]))
migrate(database)
database.close()
print("alembic" in sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", script, bare_database_url], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["False"]


def test_eight_first_starts_at_once_make_the_schema_once(bare_database_url: str) -> None:
    script = """
import os, sys
from alembic import migration, operations, script  # once, before the fork
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.migrate import migrate
waiting, ready = os.pipe()
children = []
for _ in range(8):
    child = os.fork()
    if not child:
        os.close(ready)
        os.read(waiting, 1)
        database = Database(Address(sys.argv[1]))
        migrate(database)
        database.close()
        os._exit(0)
    children.append(child)
os.close(ready)
print([os.waitpid(child, 0)[1] for child in children])
"""
    found = subprocess.run(
        [sys.executable, "-c", script, bare_database_url],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert found.stdout.strip() == str([0] * 8), found.stderr
    database = Database(Address(bare_database_url))
    with database.engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).all() == [
            (REVISIONS[-1],)
        ]
    database.close()


def test_an_older_schema_is_upgraded_with_its_rows(
    bare_database_url: str, settings_for: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Database(Address(bare_database_url))
    with older.writing.begin() as connection:
        _apply_up_to(connection, REVISIONS[0])
    older.close()
    store = Store(settings_for(bare_database_url))
    store.append(row())
    assert store.flush(20) == 0
    with store.engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == REVISIONS[-1]
        assert connection.execute(text("SELECT count(*) FROM spend_logs")).scalar() == 1
    store.close()


def _apply_up_to(connection: object, revision: str) -> None:
    from alembic.operations import Operations

    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    context = MigrationContext.configure(
        connection,  # type: ignore[arg-type]
        opts={"version_table": VERSION_TABLE, "fn": lambda at, _context: scripts._upgrade_revs(revision, at)},
    )
    context.run_migrations(op=Operations(context))


def test_a_dba_can_apply_the_sql_script_on_sqlite(
    tmp_path: Path, settings_for: Callable[..., Settings]
) -> None:
    url = f"sqlite:///{tmp_path / 'dba.db'}"
    connection = sqlite3.connect(tmp_path / "dba.db")
    connection.executescript(sql_script(url))
    connection.close()
    _use_without_migrating(url, settings_for)


def test_a_dba_can_apply_the_sql_script_on_postgres(settings_for: Callable[..., Settings]) -> None:
    with databases.postgres_url() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql_script(url).encode())
        _use_without_migrating(url, settings_for)


def _use_without_migrating(url: str, settings_for: Callable[..., Settings]) -> None:
    store = Store(settings_for(url, auto_migrate=False))
    store.append(row(tags=["t"]))
    assert store.flush(20) == 0
    store.close()


def test_a_check_of_integrity_finds_nothing(tmp_path: Path, settings_for: Callable[..., Settings]) -> None:
    store = Store(settings_for(f"sqlite:///{tmp_path / 'spend.db'}"))
    store.append(row(tags=["t"]))
    assert store.flush(20) == 0
    with store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    store.close()


def test_alembics_own_progress_stays_out_of_the_hosts_log(
    bare_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(Address(bare_database_url))
    with caplog.at_level("DEBUG"):
        migrate.migrate(database)
    database.close()
    assert [record.name for record in caplog.records if record.name.startswith("alembic")] == []
    assert f"is at revision {REVISIONS[-1]}" in caplog.text
