"""A database of its own for every test, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from spend_middleware.store.engine import Address, Database
from spend_middleware.store.migrate import migrate, sql_script

Connection = psycopg.Connection[Any]

REMEDY = (
    "These tests need a PostgreSQL: run `make test`, or set TEST_POSTGRES_URL=postgresql://..., "
    "or install Debian's postgresql package."
)


@cache
def server_url() -> str:
    """Return the URL of a PostgreSQL that tests may make schemas in; starts one where none is named."""
    if os.environ.get("TEST_POSTGRES_URL"):
        return os.environ["TEST_POSTGRES_URL"]
    if os.environ.get("PGHOST"):  # pg_virtualenv
        user, password = quote(os.environ["PGUSER"]), quote(os.environ.get("PGPASSWORD", ""))
        return (
            f"postgresql://{user}:{password}@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{_own_database()}"
        )
    return Cluster().url


def _own_database() -> str:
    """Return the name of a database for this process of the tests alone: advisory locks are a database's own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return os.environ["PGDATABASE"]
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {worker}")
    return worker


class Cluster:
    """A PostgreSQL of our own in a temporary folder, a child process of the tests."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not found:
            raise RuntimeError(REMEDY)
        self.bin = found[-1].parent
        self.user = "postgres" if os.getuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="spend-pg-"))
        self.data = self.folder / "data"
        if self.user:
            shutil.chown(self.folder, self.user)
        self.port = free_port()
        subprocess.run(
            [
                self.bin / "initdb",
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "-D",
                self.data,
            ],
            user=self.user,
            check=True,
            capture_output=True,
            cwd=self.folder,
        )
        self.start()
        atexit.register(self.remove)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = (
            "fsync=off",
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
            "max_connections=200",
        )
        arguments = [argument for setting in settings for argument in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, *arguments],
                user=self.user,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        wait_for_server(self.url, self.process)

    def stop(self, signal: int) -> None:
        self.process.send_signal(signal)
        self.process.wait(30)

    def remove(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


@contextmanager
def postgres_url() -> Iterator[str]:
    """Yield the URL of an empty schema, dropped afterwards."""
    schema = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
        yield _url_of(schema)
        _drop(connection, schema)


def _url_of(schema: str) -> str:
    server = server_url()
    return f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"


def _drop(connection: Connection, schema: str) -> None:
    connection.execute("SET client_min_messages = warning")
    connection.execute("SET lock_timeout = '5s'")
    connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


@contextmanager
def sqlite_url(folder: Path) -> Iterator[str]:
    """Yield the URL of a SQLite file that is not there yet."""
    yield f"sqlite:///{folder / 'spend.db'}"


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database of a kind."""
    with sqlite_url(folder) if kind == "sqlite" else postgres_url() as url:
        yield url


@contextmanager
def with_tables(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a database of a kind with our tables in it, and nothing in these."""
    if kind == "sqlite":
        (folder / "spend.db").write_bytes(_sqlite_file())
    with sqlite_url(folder) if kind == "sqlite" else _lent_schema() as url:
        yield url


@contextmanager
def _lent_schema() -> Iterator[str]:
    """Yield the URL of a schema with our tables, which goes back emptied: to make one takes far longer."""
    pristine, shape = _pristine_schema()
    schema = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        if _spare:
            # Under a new name: whatever a test before left running finds nothing here.
            connection.execute(f'ALTER SCHEMA "{_spare.pop()}" RENAME TO "{schema}"')
        else:
            _make_tables(connection, schema)
        yield _url_of(schema)
        if _shape_of(connection, schema) == shape and _size_of(connection, schema) < LENDABLE_BYTES:
            _empty(connection, schema, pristine)
            _spare.append(schema)
        else:
            _drop(connection, schema)


_spare: list[str] = []
LENDABLE_BYTES = 8_000_000  # eight times an empty one's: nothing vacuums what is lent


@cache
def _pristine_schema() -> tuple[str, str]:
    """Return the name and the shape of a schema as migrations leave it, which nobody writes to."""
    name = f"t_{uuid.uuid4().hex[:12]}"

    def remove() -> None:
        with psycopg.connect(server_url(), autocommit=True) as connection:
            for schema in (name, *_spare):
                _drop(connection, schema)

    with psycopg.connect(server_url(), autocommit=True) as connection:
        _make_tables(connection, name)
        atexit.register(remove)
        return name, _shape_of(connection, name)


def _make_tables(connection: Connection, schema: str) -> None:
    connection.execute(f'CREATE SCHEMA "{schema}"')
    connection.execute(f'SET search_path = "{schema}"')
    connection.execute(sql_script("postgresql://").encode())
    # Statistics would outlive the rows of the test that they were taken in, and choose the plans of later ones.
    for table in _tables_in(connection, schema):
        connection.execute(f'ALTER TABLE "{schema}"."{table}" SET (autovacuum_enabled = off)')


def _tables_in(connection: Connection, schema: str) -> list[str]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
    return [table for (table,) in found]


def _shape_of(connection: Connection, schema: str) -> str:
    """Return all that a test may have changed of a schema besides rows."""
    return repr(connection.execute(SHAPE, {"schema": schema}).fetchone())


def _size_of(connection: Connection, schema: str) -> int:
    query = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = %s::text::regnamespace"
    row = connection.execute(query, [schema]).fetchone()
    return int(row[0]) if row and row[0] else 0


SHAPE = """
WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = %(schema)s::text::regnamespace)
SELECT
  (SELECT array_agg((relname, relkind, attname, atttypid, attnotnull) ORDER BY relname, attnum)::text
     FROM ours JOIN pg_attribute ON attrelid = ours.oid WHERE attnum > 0),
  (SELECT array_agg(replace(pg_get_indexdef(ours.oid), %(schema)s::text, '') ORDER BY relname)::text
     FROM ours WHERE relkind = 'i'),
  (SELECT array_agg((relname, conname) ORDER BY relname, conname)::text
     FROM ours JOIN pg_constraint ON conrelid = ours.oid),
  (SELECT count(*) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM ours)),
  (SELECT count(*) FROM pg_proc WHERE pronamespace = %(schema)s::text::regnamespace)
"""


def _empty(connection: Connection, schema: str, pristine: str) -> None:
    """Leave in a schema only the rows that migrations made."""
    connection.execute("SET lock_timeout = '5s'")
    connection.execute(
        "; ".join(
            f'DELETE FROM "{schema}"."{table}"; INSERT INTO "{schema}"."{table}" TABLE "{pristine}"."{table}"'
            for table in _tables_in(connection, schema)
        ).encode()
    )


@cache
def _sqlite_file() -> bytes:
    """Return a file as migrations leave it: to copy it is fifty times quicker than to make it."""
    with tempfile.TemporaryDirectory() as folder, sqlite_url(Path(folder)) as url:
        made = Database(Address(url))
        migrate(made)
        made.close()
        return (Path(folder) / "spend.db").read_bytes()


@contextmanager
def bouncer(server: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a PgBouncer in transaction mode, with two server connections, before a PostgreSQL."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    parts = psycopg.conninfo.conninfo_to_dict(server)
    port = free_port()
    users = folder / "users.txt"
    users.write_text(f'"{parts["user"]}" "{parts.get("password") or ""}"\n')
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"""[databases]
* = host={parts["host"]} port={parts["port"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 2
server_reset_query_always = 1
server_reset_query = DISCARD ALL
"""
    )
    as_user = "postgres" if os.getuid() == 0 else None
    for path in (folder, users, settings):
        if as_user:
            shutil.chown(path, as_user)
    process = subprocess.Popen([program, "-q", settings], user=as_user, cwd="/", stderr=subprocess.DEVNULL)
    try:
        url = f"postgresql://{parts['user']}@127.0.0.1:{port}/{parts['dbname']}"
        wait_for_server(url, process)
        yield url
    finally:
        process.kill()
        process.wait(30)


def wait_for_server(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"no server came up: {error}") from None
            time.sleep(0.05)
        else:
            return
