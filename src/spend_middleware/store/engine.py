"""Database URLs of every common spelling, and the one engine of a store with the manners that its database needs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import Pool

from spend_middleware.errors import ConfigurationError, MissingDependencyError
from spend_middleware.store.places import SQLITE, check_url

logger = logging.getLogger("spend_middleware.store")

WRITES = "spend_writes"
"""Execution option of connections that write: SQLite then begins with BEGIN IMMEDIATE."""

BUSY_SECONDS = 10.0
CONNECT_SECONDS = 10

# Parameters of other clients' URLs that libpq would refuse (Prisma's, as LiteLLM's DATABASE_URL carries them, and
# asyncpg's): https://www.prisma.io/docs/orm/overview/databases/postgresql
_FOREIGN = frozenset(
    (
        "connection_limit",
        "pool_timeout",
        "pgbouncer",
        "socket_timeout",
        "statement_cache_size",
        "sslaccept",
        "prepared_statement_cache_size",
    )
)
_inherited: list[Pool | Connection] = []


class Address:
    """Where a database is: SQLAlchemy's URL, whether it is in memory, and the schema of our tables.

    Args:
        text: The URL as the user wrote it.
        schema: The PostgreSQL schema, `settings.database_schema`.

    Raises:
        ConfigurationError: The URL cannot be read, or names a database that is not supported.
    """

    def __init__(self, text: str, schema: str | None = None) -> None:
        check_url(text)
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            raise ConfigurationError(
                "database_url cannot be read: expected sqlite:///file.db or postgresql://user:password@host/name"
            ) from error
        self.schema: str | None = None
        if url.drivername in SQLITE:
            self.url = url.set(drivername="sqlite")
        else:
            self.url, from_url = _postgres_url(url)
            self.schema = schema or from_url

    @property
    def is_sqlite(self) -> bool:
        """True for SQLite."""
        return self.url.drivername == "sqlite"

    @cached_property
    def file(self) -> Path | None:
        """The SQLite file; None for a server, for memory and for SQLite's own file: URIs."""
        name = self.url.database
        if not self.is_sqlite or not name or name == ":memory:" or name.startswith("file:"):
            return None
        return Path(name)

    @property
    def in_memory(self) -> bool:
        """True for SQLite without a file."""
        name = self.url.database or ""
        return self.is_sqlite and (name in ("", ":memory:") or "mode=memory" in name or "vfs=memdb" in name)

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


def _postgres_url(url: URL) -> tuple[URL, str | None]:
    """Return a URL that psycopg understands, and the schema that it names (Prisma's `?schema=`)."""
    query: dict[str, Any] = {key: value for key, value in url.query.items() if key not in _FOREIGN}
    schema = query.pop("schema", None)
    if "ssl" in query:  # asyncpg's name
        mode = query.pop("ssl")
        query.setdefault("sslmode", {"true": "require", "1": "require"}.get(mode, mode))
    url = url.set(drivername="postgresql+psycopg", query=query)
    if url.host and "%2f" in url.host.lower():  # libpq's spelling of a socket folder
        url = url.set(host="", query={**query, "host": unquote(url.host)})
    return url, schema


def make_engine(address: Address) -> Engine:
    """Return an engine with the manners that its database needs; it connects on first use.

    Raises:
        MissingDependencyError: The driver is not installed.
    """
    return _sqlite_engine(address) if address.is_sqlite else _postgres_engine(address)


def _sqlite_engine(address: Address) -> Engine:
    url, arguments = address.url, {"timeout": BUSY_SECONDS, "check_same_thread": False}
    if address.in_memory and not (url.database or "").startswith("file:"):
        # A named database of SQLite's memdb VFS: many connections, real transactions, gone with the last of them.
        url = URL.create(
            "sqlite", database=f"file:/spend-{uuid.uuid4().hex}", query={"vfs": "memdb", "uri": "true"}
        )
    elif address.file is not None:
        address.file.parent.mkdir(parents=True, exist_ok=True)
    from sqlalchemy.pool import QueuePool

    engine = create_engine(url, poolclass=QueuePool, connect_args=arguments)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if address.in_memory:
        # The database lives as long as one connection is open: this one stays so.
        engine.dialect.spend_keeper = engine.raw_connection()  # type: ignore[attr-defined]
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA cache_size=-32768")
    # Hot pages of the rollups change in every batch: bring them back from the WAL seldom (pages of 4 kB).
    cursor.execute("PRAGMA wal_autocheckpoint=8000")
    cursor.execute("PRAGMA journal_size_limit=67108864")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writing one fails at once when another writer was quicker.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres_engine(address: Address) -> Engine:
    if find_spec("psycopg") is None:
        raise MissingDependencyError(
            "PostgreSQL needs psycopg: pip install 'spend-middleware[postgres]'", name="psycopg"
        )
    query: Mapping[str, Any] = address.url.query
    ours = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "spend-middleware",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    arguments: dict[str, Any] = {name: value for name, value in ours.items() if name not in query}
    arguments["prepare_threshold"] = None  # PgBouncer in transaction mode keeps no statements
    engine = create_engine(
        address.url, connect_args=arguments, pool_pre_ping=True, pool_size=5, max_overflow=5, pool_timeout=10
    )
    if address.schema:
        return engine.execution_options(schema_translate_map={None: address.schema})
    return engine


class Database:
    """The engine of a store, made when it is first needed and made anew in a forked child.

    Args:
        address: Where the database is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._engine: Engine | None = None
        self._writing: Engine | None = None
        self._lock = threading.Lock()
        self._opened: object = None
        self._kept: Connection | None = None
        self._keeping = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The engine for reading; writers take `writing`."""
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self.address)
            return self._engine

    @property
    def writing(self) -> Engine:
        """The same engine for transactions that write."""
        if self._writing is None:
            self._writing = self.engine.execution_options(**{WRITES: True})
        return self._writing

    @contextlib.contextmanager
    def batch(self) -> Iterator[Connection]:
        """Give a connection with a writing transaction under way, which is over when the block is.

        For SQLite one connection stays open for it, on which nothing but the driver's own statements may run: to
        SQLAlchemy a transaction is more work than a batch of few rows is to SQLite.
        """
        if not self.address.is_sqlite or not self._keeping.acquire(blocking=False):
            with self.writing.begin() as connection:
                yield connection
            return
        try:
            with self._begun() as connection:
                yield connection
        finally:
            self._keeping.release()

    @contextlib.contextmanager
    def _begun(self) -> Iterator[Connection]:
        kept = self._kept
        if kept is None:
            kept = self._kept = self.engine.connect()
        driver: Any = kept.connection.driver_connection
        try:
            driver.execute("BEGIN IMMEDIATE")
            yield kept
            driver.commit()
        except BaseException:
            self._kept = None  # whatever state it is in, the next batch begins on another one
            with contextlib.suppress(Exception):
                driver.rollback()
            raise
        finally:
            if self._kept is not kept:  # or the database was closed meanwhile, and its pool is no more
                kept.invalidate()
                kept.close()

    def opened(self) -> None:
        """Note which file it is that connections are open on."""
        self._opened = self._standing()

    def moved(self) -> bool:
        """Say whether another file than the opened one stands under the name now, or none.

        Connections stay open on the old file, and what they write is nowhere once it was deleted.
        """
        return self._opened is not None and self._opened != self._standing()

    def _standing(self) -> object:
        file = self.address.file
        if file is None:
            return None
        try:
            found = os.stat(file)
        except OSError:
            return "none"
        return found.st_dev, found.st_ino

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections alone, they are not ours to close."""
        self._lock, self._keeping = threading.Lock(), threading.Lock()
        if self._kept is not None:
            _inherited.append(self._kept)
            self._kept = None
        if self._engine is not None:
            _inherited.append(self._engine.pool)
            self._engine.dispose(close=False)

    def close(self) -> None:
        """Close all connections that are not in use."""
        kept, self._kept = self._kept, None
        # A batch that is under way closes it when it ends.
        if kept is not None and self._keeping.acquire(blocking=False):
            try:
                kept.close()
            finally:
                self._keeping.release()
        with self._lock:
            if self._engine is not None and not self.address.in_memory:
                self._engine.dispose()
