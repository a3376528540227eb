"""Database URLs of every spelling, PRAGMAs, drivers, and databases that cannot be reached."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, text

import databases
from ledger_rows import row, wait_until
from spend_middleware import Spend
from spend_middleware.errors import ConfigurationError, MissingDependencyError, SchemaError
from spend_middleware.settings import Settings
from spend_middleware.store.engine import Address, Database, make_engine
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.places import check_url, database_key, journal_folder
from spend_middleware.store.records import values_of
from spend_middleware.store.store import Store

MakeSettings = Callable[..., Settings]


@pytest.mark.parametrize(
    ("written", "understood", "schema"),
    [
        ("sqlite:///a.db", "sqlite:///a.db", None),
        ("sqlite:////var/a.db", "sqlite:////var/a.db", None),
        ("sqlite+aiosqlite:///a.db", "sqlite:///a.db", None),
        ("sqlite://", "sqlite://", None),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d", None),
        ("postgresql://u@h:6432/d", "postgresql+psycopg://u@h:6432/d", None),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d", None),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg://u@h/d", None),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql+psycopg://u@h/d?sslmode=require", None),
        ("postgresql://u@h/d?sslmode=verify-full&sslrootcert=/ca", None, None),
        ("postgresql:///d?host=/var/run/postgresql", None, None),
        (
            "postgresql://u@%2Fvar%2Frun%2Fpostgresql/d",
            "postgresql+psycopg://u@/d?host=/var/run/postgresql",
            None,
        ),
        (
            "postgresql://u@h/d?schema=llm&connection_limit=5&pgbouncer=true",
            "postgresql+psycopg://u@h/d",
            "llm",
        ),
    ],
)
def test_every_spelling_of_a_url_is_understood(
    written: str, understood: str | None, schema: str | None
) -> None:
    address = Address(written)
    expected = understood or written.replace("postgresql:", "postgresql+psycopg:")
    assert (parts(address.url), address.schema) == (parts(Address(expected).url), schema)


def parts(url: URL) -> tuple[object, ...]:
    return url.drivername, url.username, url.host or None, url.port, url.database, dict(url.query)


@pytest.mark.parametrize("wrong", ["", "nonsense", "mysql://u@h/d", "mongodb://h/d"])
def test_a_url_that_cannot_be_used_is_named_with_the_remedy(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite:///file\.db"):
        Address(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "nonsense",
        "mysql://u:secret@h/d",
        "://h/d",
        "sqlite://spend.db",
        "sqlite:spend.db",
        "postgresql:/u:secret@h/d",
        "postgresql://u:secret@h:port/d",
        "postgresql://u:secret@h:99999/d",
        "postgresql://u:secret@[::1/d",
        "",
    ],
)
@pytest.mark.parametrize("setting", ["database_url", "reports_url"])
def test_a_url_that_can_never_work_is_heard_of_when_the_house_is_built(wrong: str, setting: str) -> None:
    settings: dict[str, Any] = {"database_url": "sqlite://", setting: wrong}
    with pytest.raises(ConfigurationError, match=setting) as raised:
        Spend(settings=Settings(**settings))
    assert "secret" not in str(raised.value)


def test_urls_that_may_work_are_not_refused() -> None:
    for url in (
        "postgresql://u:p%40ss@h:6432/d?sslmode=require",
        "postgresql://u:a/b?c@h/d",
        "postgresql://[::1]:5432/d",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://u@%2Fvar%2Frun%2Fpostgresql/d",
        "postgresql://h/d?options=-csearch_path%3Da@b",
        "sqlite:////var/spend.db",
        "sqlite://?mode=memory",
    ):
        check_url(url)


def test_a_password_is_never_shown() -> None:
    assert "secret" not in str(Address("postgresql://u:secret@h/d"))


def test_a_missing_driver_names_the_command_that_installs_it() -> None:
    script = "import sys; sys.modules['psycopg'] = None\nfrom spend_middleware.store.engine import Address, make_engine\n"
    script += (
        "try:\n    make_engine(Address('postgresql://h/d'))\nexcept ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'spend-middleware[postgres]'" in found.stdout
    assert issubclass(MissingDependencyError, ImportError)


def test_importing_and_starting_needs_no_sqlalchemy_on_the_hosts_path() -> None:
    script = (
        "import sys\nfrom spend_middleware.store.store import Store\nassert 'sqlalchemy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_sqlite_is_prepared_for_many_readers_and_writers(tmp_path: Path) -> None:
    engine = make_engine(Address(f"sqlite:///{tmp_path}/new/folder/spend.db"))
    with engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    engine.dispose()
    assert found == ["wal", 1, 10000]


def test_a_database_in_memory_is_shared_by_all_threads_of_a_store(settings_for: MakeSettings) -> None:
    store, other = Store(settings_for("sqlite://")), Store(settings_for("sqlite://"))
    store.append(row())
    other.append(row())
    assert (store.flush(10), other.flush(10)) == (0, 0)
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM spend_logs")).scalar() == 1
    health = store.health()
    assert (health["journal"], health["journal_bytes"]) == (None, 0)
    store.close()
    other.close()


def test_each_database_has_a_journal_folder_of_its_own(tmp_path: Path, settings_for: MakeSettings) -> None:
    beside = Settings(database_url=f"sqlite:///{tmp_path}/spend.db")
    assert journal_folder(beside) == tmp_path / "spend.db.journal"
    named = {
        journal_folder(settings_for(url, **more))
        for url, more in (
            ("sqlite:///a.db", {}),
            ("sqlite:///b.db", {}),
            ("postgresql://h/d", {}),
            ("postgresql://h/e", {}),
            ("postgresql://h/d", {"database_schema": "s"}),
        )
    }
    assert len(named) == 5


def test_the_name_of_a_database_knows_no_credential(settings_for: MakeSettings) -> None:
    one = database_key(settings_for("postgresql://u:old@h/d"))
    assert one == database_key(settings_for("postgresql://u:new@h:5432/d"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@127.0.0.1:1/nothing",
        "postgresql://u@no-such-host.invalid/d",
        "sqlite:////proc/no/such/place/spend.db",
        "mysql://u@h/d",
    ],
)
def test_a_database_that_cannot_be_reached_costs_one_line_and_no_call(
    url: str, settings_for: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(settings_for(url))
    with caplog.at_level(logging.WARNING, "spend_middleware.store"):
        for _ in range(10):
            store.append(row())
        wait_until(lambda: store.health()["retries"] >= 2)
    assert store.pending() == 10
    health = store.health()
    assert (health["database_reachable"], health["refused"]) == (False, 0)
    assert health["last_error"]
    assert len([line for line in caplog.messages if "cannot be written to" in line]) == 1
    store.close()


@pytest.mark.parametrize("becomes", ["nothing", "a copy of before"])
def test_a_sqlite_file_that_vanishes_is_made_anew_and_no_later_call_is_lost(
    becomes: str, tmp_path: Path, settings_for: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(settings_for(f"sqlite:///{tmp_path}/spend.db"))
    store.append(row(id="before"))
    assert store.flush(10) == 0
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "spend.db")) as source,
        contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy,
    ):
        source.backup(copy)
    for file in tmp_path.glob("spend.db*"):
        file.unlink()
    if becomes == "a copy of before":
        (tmp_path / "copy").rename(tmp_path / "spend.db")
    for number in range(20):
        store.append(row(id=f"after {number:02}"))
        assert store.flush(10) == 0
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "spend.db")) as connection:
        found = [name for (name,) in connection.execute("SELECT id FROM spend_logs ORDER BY id")]
    assert found == [f"after {number:02}" for number in range(20)] + ["before"] * (becomes != "nothing")
    assert caplog.text.count("was removed or replaced") == 1


def files_open_in(folder: Path) -> set[str]:
    """Return the names of the files of a folder that this process has open."""
    links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    found = [os.readlink(link) for link in links if link.is_symlink()]
    return {Path(target).name for target in found if Path(target).parent == folder}


def say(connection: Any, *statements: str) -> None:
    """Have the driver run statements."""
    for statement in statements:
        connection.connection.driver_connection.execute(statement)


def test_a_batch_that_breaks_off_leaves_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    database = Database(Address(f"sqlite:///{tmp_path}/a.db"))
    with database.batch() as connection:
        say(connection, "CREATE TABLE t (n INTEGER)")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"), database.batch() as connection:
        say(connection, "INSERT INTO t VALUES (1)", "INSERT INTO nowhere VALUES (1)")
    with database.batch() as connection:
        say(connection, "INSERT INTO t VALUES (2)")
    with database.engine.connect() as reader:
        assert reader.execute(text("SELECT n FROM t")).scalars().all() == [2]
    assert files_open_in(tmp_path) >= {"a.db"}
    database.close()
    assert files_open_in(tmp_path) == set()


def test_a_file_that_vanishes_during_a_batch_takes_no_later_batch_with_it(tmp_path: Path) -> None:
    database = Database(Address(f"sqlite:///{tmp_path}/a.db"))
    ledger = Ledger(database)
    ledger.prepare()
    ledger.write([values_of(row(id="before"))])
    with database.batch():
        for file in tmp_path.glob("a.db*"):
            file.unlink()
        reader = threading.Thread(target=ledger.prepare)  # as a report does it
        reader.start()
        reader.join()
    ledger.prepare()
    assert ledger.write([values_of(row(id="after"))]) == 1
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM spend_logs")).scalars().all() == ["after"]
    database.close()
    assert files_open_in(tmp_path) == set()


def test_a_batch_beside_another_one_waits_for_it(tmp_path: Path) -> None:
    database = Database(Address(f"sqlite:///{tmp_path}/a.db"))
    ledger = Ledger(database)
    ledger.prepare()
    both = threading.Barrier(3)

    def write(name: str) -> None:
        both.wait()
        ledger.write([values_of(row(id=f"{name} {number}")) for number in range(50)])

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.engine.connect() as reader:
        assert reader.execute(text("SELECT count(*) FROM spend_logs")).scalar() == 150
    database.close()


def test_a_sqlite_file_that_is_read_only_costs_one_line_and_no_call(
    tmp_path: Path, settings_for: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    writable = Store(settings_for(f"sqlite:///{tmp_path}/spend.db"))
    writable.append(row())
    assert writable.flush(10) == 0
    writable.close()
    store = Store(settings_for(f"sqlite:///file:{tmp_path}/spend.db?mode=ro&uri=true"))
    for _ in range(10):
        store.append(row())
    wait_until(lambda: store.health()["retries"] >= 2)
    assert (store.pending(), store.health()["refused"]) == (10, 0)
    assert "readonly" in store.health()["last_error"]
    assert len([line for line in caplog.messages if "cannot be written to" in line]) == 1
    store.close()


def test_a_wrong_password_is_said_without_the_password(settings_for: MakeSettings) -> None:
    server = databases.server_url()
    head, _, tail = server.rpartition("@")
    user = head.split("//")[1].split(":")[0]
    store = Store(settings_for(f"postgresql://{user}-unknown:hunter2@{tail}"))
    store.append(row())
    wait_until(lambda: store.health()["last_error"])
    assert "hunter2" not in store.health()["last_error"]
    store.close()


def test_tables_may_live_in_a_schema_of_their_own(settings_for: MakeSettings) -> None:
    with databases.postgres_url() as url:
        schema = url.rpartition("search_path%3D")[2]
        store = Store(settings_for(databases.server_url(), database_schema=schema))
        store.append(row(tags=["t"]))
        assert store.flush(10) == 0
        with store.engine.connect() as connection:
            tables = connection.execute(
                text("SELECT count(*) FROM information_schema.tables WHERE table_schema = :schema"),
                {"schema": schema},
            ).scalar_one()
            assert tables >= 9
            assert connection.execute(text(f"SELECT count(*) FROM {schema}.spend_log_tags")).scalar() == 1
        store.close()


def test_hosts_never_see_our_tables() -> None:
    from sqlmodel import SQLModel

    from spend_middleware.store.columns import SpendModel
    from spend_middleware.store.tables import SpendLog

    assert not [name for name in SQLModel.metadata.tables if name.startswith("spend_")]
    assert SpendLog.metadata is SpendModel.metadata


def test_a_newer_schema_is_refused_and_the_calls_wait_in_the_journal(
    database_url: str, settings_for: MakeSettings
) -> None:
    store = Store(settings_for(database_url))
    with store.write_engine.begin() as connection:
        connection.execute(text("UPDATE spend_schema_version SET version_num = '9999'"))
    store.close()
    later = Store(settings_for(database_url))
    later.append(row())
    with pytest.raises(SchemaError, match="newer spend-middleware"):
        _ = later.engine
    assert later.flush(0.1) == 1
    later.close()


def test_a_schema_that_nobody_may_make_is_said_with_the_remedy(
    bare_database_url: str, settings_for: MakeSettings
) -> None:
    store = Store(settings_for(bare_database_url, auto_migrate=False))
    with pytest.raises(SchemaError, match="sql_script"):
        _ = store.engine
    store.close()


def test_sqlite_that_another_process_has_locked_is_waited_for(
    tmp_path: Path, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spend_middleware.store.engine.BUSY_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path}/spend.db"
    store = Store(settings_for(url))
    store.append(row())
    assert store.flush(10) == 0
    other = Database(Address(url))
    with other.writing.begin():
        for _ in range(100):
            store.append(row())
        wait_until(lambda: store.health()["retries"] >= 1)
        assert store.flush(0) == 100
    assert store.flush(10) == 0
    assert store.health()["set_aside"] == 0
    store.close()


def test_a_postgres_that_stops_and_starts_again_gets_every_call(settings_for: MakeSettings) -> None:
    cluster = databases.Cluster()
    store = Store(settings_for(cluster.url))
    store.append(row())
    assert store.flush(10) == 0
    cluster.stop(3)  # SIGQUIT: as after a crash
    for _ in range(100):
        store.append(row())
    wait_until(lambda: store.health()["retries"] >= 2)
    assert store.pending() == 100
    starting = threading.Thread(target=cluster.start)
    starting.start()
    starting.join()
    assert store.flush(30) == 0
    with store.engine.connect() as connection:
        assert (
            connection.execute(
                text("SELECT sum(requests) FROM spend_name_totals WHERE kind = 'total'")
            ).scalar()
            == 101
        )
    store.close()
    cluster.remove()


def test_pgbouncer_in_transaction_mode_carries_several_stores(
    tmp_path: Path, settings_for: MakeSettings
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="spend-bouncer-"))  # where the server's own user may read
    with databases.postgres_url() as direct:
        schema = direct.rpartition("search_path%3D")[2]
        with databases.bouncer(databases.server_url(), folder) as url:
            stores = [Store(settings_for(url, database_schema=schema)) for _ in range(4)]
            for number in range(200):
                stores[number % 4].append(row(tags=["t"]))
            assert [store.flush(30) for store in stores] == [0] * 4
            many = [values_of(row(tags=["t"])) for _ in range(300)]  # in the way that large batches go
            assert [Ledger(store.database).write(many) for store in stores] == [300, 0, 0, 0]
            with stores[0].engine.connect() as connection:
                total = text(f"SELECT sum(requests) FROM {schema}.spend_name_totals WHERE kind = 'total'")
                assert connection.execute(total).scalar() == 500
            assert stores[0].ledger.calls_over() == 500  # asked of our schema alone
            for store in stores:
                store.close()
    shutil.rmtree(folder)


def test_a_postgres_that_hangs_holds_no_caller_up(settings_for: MakeSettings) -> None:
    cluster = databases.Cluster()
    store = Store(settings_for(cluster.url))
    store.append(row())
    assert store.flush(10) == 0
    with psycopg.connect(cluster.url) as connection:
        backends = [
            pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL")
        ]
    hung = [pid for pid in (cluster.process.pid, *backends) if Path(f"/proc/{pid}").exists()]
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(10_000):
        store.append(row())
    health = store.health()
    assert (store.flush(0), health["refused"]) == (10_000, 0)
    for pid in hung:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert store.flush(60) == 0
    store.close()
    cluster.remove()


def test_a_full_disk_under_the_database_is_waited_out(tmp_path: Path) -> None:
    script = f"""
import resource, sys
sys.path[:0] = ["tests"]
from ledger_rows import row, wait_until
from sqlalchemy import text
from spend_middleware.settings import Settings
from spend_middleware.store.store import Store
store = Store(Settings(database_url="sqlite:///{tmp_path}/spend.db", batch_seconds=0.01))
store.append(row())
assert store.flush(20) == 0
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for _ in range(400):
    store.append(row(metadata="x" * 2000))
wait_until(lambda: store.health()["retries"] >= 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.flush(20) == 0
with store.engine.connect() as connection:
    count = connection.execute(text("SELECT count(*) FROM spend_logs")).scalar()
    check = connection.execute(text("PRAGMA integrity_check")).scalar()
    total = connection.execute(text("SELECT requests FROM spend_name_totals WHERE kind = 'total'")).scalar()
health = store.health()
print(count + health["refused"], total == count, check, health["set_aside"])
"""
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ},
    )
    assert found.stdout.split() == ["401", "True", "ok", "0"], found.stderr


def test_what_the_writer_needs_is_imported_before_its_thread_starts(
    bare_database_url: str, tmp_path: Path
) -> None:
    # Two threads that import parts of one package at once may get half a module each.
    program = """
import sys, threading
from pathlib import Path
from typing import Any
from spend_middleware.settings import Settings
from spend_middleware.store.store import Store

assert "sqlalchemy" not in sys.modules
loaded = []
threading.Thread.start = lambda thread: loaded.append("sqlalchemy.engine" in sys.modules)
Store(Settings(database_url=sys.argv[1], journal_dir=Path(sys.argv[2]))).start()
print(loaded)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, bare_database_url, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr) == ("[True]", "")
