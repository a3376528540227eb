"""The parts of a store that need SQLAlchemy: each is made, and that imported, when it is first asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from spend_middleware.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from spend_middleware.store.engine import Database
    from spend_middleware.store.ledger import Ledger
    from spend_middleware.store.reports import Reports


class Parts:
    """Database, ledger, engines and reports of one store; safe to ask for from any thread.

    Args:
        settings: The knobs under "the database and the journal".
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = threading.RLock()
        self._database: Database | None = None
        self._ledger: Ledger | None = None
        self._reports: Reports | None = None

    @property
    def database(self) -> Database:
        """The database; importing SQLAlchemy happens here.

        Raises:
            ConfigurationError: The URL cannot be used.
        """
        with self._opening:
            if self._database is None:
                from spend_middleware.store.engine import Address, Database

                self._database = Database(
                    Address(self._settings.database_url, self._settings.database_schema)
                )
            return self._database

    @property
    def ledger(self) -> Ledger:
        """The database as the writer sees it."""
        with self._opening:
            if self._ledger is None:
                from spend_middleware.store.ledger import Ledger

                self._ledger = Ledger(
                    self.database,
                    auto_migrate=self._settings.auto_migrate,
                    slots=self._settings.hot_row_slots,
                    zones=self._settings.report_timezones,
                )
            return self._ledger

    @property
    def engine(self) -> Engine:
        """The engine for reading, its schema brought up to date; sessions that write bind to `write_engine`.

        Raises:
            SchemaError: The database holds a schema that this version cannot use.
            MissingDependencyError: The database's driver is not installed.
        """
        self.ledger.prepare()
        return self.database.engine

    @property
    def write_engine(self) -> Engine:
        """The engine for transactions that write: on SQLite they wait for each other from their beginning."""
        self.ledger.prepare()
        return self.database.writing

    @property
    def reports(self) -> Reports:
        """Every question that can be asked of the ledger."""
        with self._opening:
            if self._reports is None:
                from spend_middleware.store.reports import Reports

                self._reports = Reports(self._reports_engine(), self._settings)
            return self._reports

    def _reports_engine(self) -> Engine:
        if self._settings.reports_url is None:
            return self.engine
        from spend_middleware.store.engine import Address, make_engine

        return make_engine(Address(self._settings.reports_url, self._settings.database_schema))
