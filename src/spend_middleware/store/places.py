"""What a database URL tells by its text alone, because SQLAlchemy takes half a second to import."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from spend_middleware.errors import ConfigurationError
from spend_middleware.settings import Settings

SQLITE = frozenset(("sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"))
POSTGRES = frozenset(
    f"{name}{driver}"
    for name in ("postgres", "postgresql")
    for driver in ("", "+psycopg", "+psycopg2", "+asyncpg", "+psycopg_async")
)

_EXPECTED = "expected sqlite:///file.db or postgresql://user:password@host/name"
# As SQLAlchemy reads it: user and password, which ends at the first "@", then host and port.
_SERVER = re.compile(r"(?:[^:/]*(?::[^@]*)?@)?(?:\[[^\]/?]+\]|[^:/?\[\]]*)(?::(\d*))?(?=[/?]|$)")


def check_url(url: str, setting: str = "database_url") -> None:
    """Refuse a URL whose text cannot mean a database of ours; it may hold a password and is not shown.

    Raises:
        ConfigurationError: The message names the setting and what is expected.
    """
    scheme, found, rest = url.partition("://")
    if not found or not re.fullmatch(r"[\w+]+", scheme):
        raise ConfigurationError(f"{setting} cannot be read: {_EXPECTED}")
    if scheme in SQLITE:
        if rest[:1] not in ("", "/", "?"):
            raise ConfigurationError(f"{setting} cannot be read: three slashes, as in sqlite:///file.db")
    elif scheme not in POSTGRES:
        raise ConfigurationError(
            f"{setting} names {scheme!r}: use sqlite:///file.db or postgresql://host/name"
        )
    else:
        server = _SERVER.match(rest)
        if server is None or int(server[1] or 0) > 65_535:
            raise ConfigurationError(f"{setting} cannot be read, its host or port: {_EXPECTED}")


def journal_folder(settings: Settings) -> Path | None:
    """Return where the journal is to be; None when the database is in memory, for then so is the journal."""
    if is_in_memory(settings.database_url):
        return None
    if settings.journal_dir is not None:
        # Databases may share a folder that was named: each has one of its own in it.
        return settings.journal_dir.absolute() / database_key(settings)
    if settings.database_url.startswith("sqlite"):
        name = settings.database_url.partition("://")[2].partition("?")[0].removeprefix("/")
        return Path(f"{name.removeprefix('file:')}.journal").absolute()
    from platformdirs import user_state_path

    return user_state_path("spend-middleware", appauthor=False) / database_key(settings)


def is_in_memory(url: str) -> bool:
    """Say whether a URL names SQLite without a file."""
    scheme, _, rest = url.partition("://")
    name = rest.partition("?")[0].removeprefix("/")
    return scheme.startswith("sqlite") and (
        name in ("", ":memory:") or "vfs=memdb" in rest or "mode=memory" in rest
    )


def database_key(settings: Settings) -> str:
    """Return a short name that every process on the same database gives it; it tells no credential."""
    url = settings.database_url
    if url.startswith("sqlite"):
        name = url.partition("://")[2].partition("?")[0].removeprefix("/")
        place = str(Path(name).absolute())
    else:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        host = parts.netloc.rpartition("@")[2] or "".join(query.get("host", ()))
        schema = settings.database_schema or "".join(query.get("schema", ()) or query.get("options", ()))
        place = f"{host.lower().removesuffix(':5432')}{parts.path}#{schema}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]
