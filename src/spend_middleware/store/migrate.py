"""The schema brought up to date: one query where nothing is due, Alembic under a lock where something is."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateSchema

from spend_middleware.errors import SchemaError
from spend_middleware.store.engine import Address, Database

if TYPE_CHECKING:
    from alembic.migration import MigrationContext

logger = logging.getLogger("spend_middleware.store")

VERSION_TABLE = "spend_schema_version"
REVISIONS: tuple[str, ...] = ("0001", "0002")
"""Every revision, oldest first, so that the usual start need not import Alembic to know that nothing is due."""

# Any number will do as long as all versions of this package share it ("spend" in ASCII).
_LOCK = 0x7370656E64


def migrate(database: Database, *, auto: bool = True) -> None:
    """Bring the schema up to date.

    Args:
        database: Where.
        auto: False only looks, for teams whose DBA applies `sql_script`.

    Raises:
        SchemaError: The schema is newer than this version, or older and `auto` is off.
    """
    with database.engine.connect() as connection:
        if _is_current(database, _version(connection, database.address.schema)):
            return
    if not auto:
        raise SchemaError(
            "The database needs our tables in their newest form and auto_migrate is off: apply the script that"
            " spend_middleware.store.migrate.sql_script(url) gives, or turn auto_migrate on."
        )
    with database.writing.begin() as connection:
        _lock(connection, database.address)
        # Another process may have been quicker while we waited for the lock.
        if _is_current(database, _version(connection, database.address.schema)):
            return
        _upgrade(connection, database.address)
    logger.info("The schema of %s is at revision %s.", database.address, REVISIONS[-1])


def sql_script(url: str, schema: str | None = None, since: str | None = None) -> str:
    """Return the SQL that makes our tables, or brings them up to date, for a DBA to apply.

    Args:
        url: The database; only its kind and schema are looked at, nothing connects.
        schema: The PostgreSQL schema of our tables.
        since: The revision that the database is at; None for an empty database.
    """
    from alembic.migration import MigrationContext

    address = Address(url, schema)
    out = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="sqlite" if address.is_sqlite else "postgresql",
        opts={**_options(address), "as_sql": True, "output_buffer": out, "starting_rev": since},
    )
    with context.begin_transaction():
        _run(context)
    return out.getvalue()


def _version(connection: Connection, schema: str | None) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE, schema=schema):
        return None
    table = f'"{schema}".{VERSION_TABLE}' if schema else VERSION_TABLE
    version: str | None = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608
    return version


def _is_current(database: Database, version: str | None) -> bool:
    if version is not None and version not in REVISIONS:
        raise SchemaError(
            f"{database.address} holds the schema of a newer spend-middleware (revision {version}; this version"
            f" knows up to {REVISIONS[-1]}): upgrade the package here."
        )
    return version == REVISIONS[-1]


def _lock(connection: Connection, address: Address) -> None:
    """Wait until no other process changes the schema; SQLite's BEGIN IMMEDIATE has done so already."""
    if not address.is_sqlite:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _upgrade(connection: Connection, address: Address) -> None:
    with _quiet_alembic():
        from alembic.migration import MigrationContext

        if address.schema:
            connection.execute(CreateSchema(address.schema, if_not_exists=True))
        _run(MigrationContext.configure(connection, opts=_options(address)))


@contextlib.contextmanager
def _quiet_alembic() -> Iterator[None]:
    """Keep Alembic's progress of our own tables out of the host's log; what a host's migrations say stays."""
    ours = threading.get_ident()

    def passes(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or record.thread != ours

    loggers = [logging.getLogger(f"alembic.runtime.{name}") for name in ("migration", "plugins")]
    for chatty in loggers:
        chatty.addFilter(passes)
    try:
        yield
    finally:
        for chatty in loggers:
            chatty.removeFilter(passes)


def _options(address: Address) -> dict[str, Any]:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    return {
        "version_table": VERSION_TABLE,
        "version_table_schema": address.schema,
        "transactional_ddl": True,
        "spend_schema": address.schema,
        "fn": lambda revision, _context: scripts._upgrade_revs("head", revision),
    }


def _run(context: MigrationContext) -> None:
    """Run what is due; without `alembic.op` and `alembic.context`, which a host's own migrations may be using."""
    from alembic.operations import Operations

    context.run_migrations(op=Operations(context))
