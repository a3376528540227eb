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
from urllib.parse import quote

import psycopg

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
        return f"postgresql://{user}:{password}@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
    return Cluster().url


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
    server = server_url()
    schema = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"')
        joint = "&" if "?" in server else "?"
        yield f"{server}{joint}options=-csearch_path%3D{schema}"
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
