"""Where the journal of a database is; told from the URL alone, because SQLAlchemy takes half a second to import."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from spend_middleware.settings import Settings


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
