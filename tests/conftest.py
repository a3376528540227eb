"""Fixtures that every room's tests share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as property_settings

import api_house
import databases
from ledger_calls import Books
from spend_middleware.settings import Settings
from spend_middleware.store.store import Store

# How long an example takes says more about the machine, and what else runs on it, than about us.
property_settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("house")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _loop_of_the_clients() -> Iterator[None]:
    yield
    api_house.LOOPS.close()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test away from this machine's own settings and state."""
    for name in ("DATABASE_URL", "SPEND_DATABASE_URL", "SPEND_MASTER_KEY", "LITELLM_MASTER_KEY"):
        monkeypatch.delenv(name, raising=False)
    # Named, not made: most tests keep no state, and a folder for each of thousands takes its time.
    state = tmp_path_factory.getbasetemp() / "state" / uuid.uuid4().hex
    monkeypatch.setenv("XDG_STATE_HOME", str(state))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with our tables, empty; the test runs once on SQLite and once on PostgreSQL."""
    with databases.with_tables(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, for tests of how these are made; on SQLite and on PostgreSQL."""
    with databases.database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings for a database, with the journal in the test's own folder."""

    def make(url: str, **knobs: Any) -> Settings:
        return Settings(
            database_url=url, **{"journal_dir": tmp_path / "journal", "batch_seconds": 0.01, **knobs}
        )

    return make


@pytest.fixture
def new_store(database_url: str, settings_for: Callable[..., Settings]) -> Iterator[Callable[..., Store]]:
    """Makes stores on the test's database, closed afterwards."""
    made: list[Store] = []

    def make(**knobs: Any) -> Store:
        store = Store(settings_for(database_url, **knobs))
        made.append(store)
        store.start()
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(new_store: Callable[..., Store]) -> Store:
    """A started store on an empty database."""
    return new_store()


@pytest.fixture
def new_books(database_url: str) -> Iterator[Callable[..., Books]]:
    """Makes ledgers with reports on the test's database, closed afterwards."""
    made: list[Books] = []

    def make(**knobs: Any) -> Books:
        made.append(Books(database_url, **knobs))
        return made[-1]

    yield make
    for books in made:
        books.database.close()


@pytest.fixture
def books(new_books: Callable[..., Books]) -> Books:
    """An empty ledger with reports."""
    return new_books()
