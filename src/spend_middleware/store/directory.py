"""The directory: who may spend, read and written in transactions that every worker hears of within a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import Engine, update
from sqlmodel import Session, col, select

from spend_middleware.settings import Settings
from spend_middleware.store.accounts import Accounts
from spend_middleware.store.desk import ENTITIES, Desk, writing
from spend_middleware.store.entities import SpendConfig, SpendKey, SpendMembership, SpendTeam, SpendUser
from spend_middleware.store.key_cache import KeyCache, _Unknown
from spend_middleware.store.key_record import KeyRecord, record_of
from spend_middleware.store.reports import Reports
from spend_middleware.store.running import RunningSpend

ALLOWED_IPS: Final = "allowed_ips"
COST_DISCOUNTS: Final = "cost_discount_config"
COST_MARGINS: Final = "cost_margin_config"


class Directory:
    """Keys, teams, users, customers, budgets, tags and organizations over one engine.

    Args:
        engine: The database.
        reports: Where the spend of an entity comes from.
        zone: Whose midnights end budget windows.
        now: Seconds since the epoch.
        running: Is told what a key has spent whenever it is read; None where nobody asks for it.
    """

    def __init__(
        self,
        engine: Engine,
        reports: Reports,
        zone: tzinfo = UTC,
        now: Callable[[], float] = time.time,
        cache_size: int = 10_000,
        running: RunningSpend | None = None,
    ) -> None:
        self._engine = engine
        self.reports = reports
        self.zone = zone
        self._now = now
        self.accounts = Accounts(reports, self.read, self.now, zone)
        self._running = running
        self.cache = KeyCache(self._version, self._load_key, self._load_ips, size=cache_size, now=now)

    # -- transactions

    @contextmanager
    def read(self, actor: str = "") -> Iterator[Desk]:
        """Open a transaction that reads."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield Desk(session, self.now(), self.zone, actor)

    @contextmanager
    def write(self, actor: str = "") -> Iterator[Desk]:
        """Open a transaction that writes: all of it or, when anything is raised, nothing of it."""
        with writing(self._engine, self.now(), self.zone, actor) as desk:
            yield desk
        self.cache.clear()

    def now(self) -> int:
        """Return the time in microseconds since the epoch."""
        return int(self._now() * 1_000_000)

    def _version(self) -> int:
        with Session(self._engine) as session:
            version = session.exec(select(SpendConfig.version).where(SpendConfig.name == ENTITIES)).first()
            return version or 0

    # -- keys

    def peek_key(self, key_hash: str) -> KeyRecord | Literal[_Unknown.UNKNOWN] | None:
        """Return a key's record, None for an unknown key, or UNKNOWN; never waits for the database."""
        return self.cache.peek(key_hash)

    def recall_key(self, key_hash: str) -> KeyRecord | Literal[_Unknown.UNKNOWN] | None:
        """Return what was last known of a key, however long ago, or UNKNOWN; never waits for the database."""
        return self.cache.recall(key_hash)

    def find_key(self, key_hash: str) -> KeyRecord | None:
        """Return a key's record, None for an unknown key; may wait for the database, so call it in a thread.

        Raises:
            StoreError: The database cannot be reached and the key is not among the known ones.
        """
        return self.cache.find(key_hash)

    def _load_key(self, key_hash: str) -> KeyRecord | None:
        running = self._running
        with Session(self._engine) as session:
            key = session.get(SpendKey, key_hash)
            if key is None:
                if running is not None:
                    running.forget(key_hash)
                return None
            team = session.get(SpendTeam, key.team_id) if key.team_id else None
            user = session.get(SpendUser, key.user_id) if key.user_id else None
            memberships = session.exec(
                select(SpendMembership)
                .where(SpendMembership.kind == "team", SpendMembership.user_id == (key.user_id or ""))
                .order_by(col(SpendMembership.group_id))
            ).all()
            record = record_of(key, team, user, memberships)
        return record if running is None else self.accounts.count(key, record, running)

    def reset_spend(self) -> None:
        """Set the spend of all keys and teams to zero from now on; the ledger stays as it is."""
        with self.write() as desk:
            for model in (SpendKey, SpendTeam):
                desk.session.execute(
                    update(model).values(spend_since=desk.now, spend_carried=Decimal(0), updated_at=desk.now)
                )

    # -- what every worker shares

    def config(self, name: str) -> Any:
        """Return a shared setting, None when it was never set."""
        with Session(self._engine) as session:
            row = session.get(SpendConfig, name)
            return None if row is None else row.value

    def set_config(self, name: str, value: Any) -> None:
        """Set a shared setting."""
        with self.write() as desk:
            _put_config(desk, name, value)
        self.cache.tell()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call a function now, and whenever this worker hears of a write, its own or another's."""
        self.cache.listeners.append(listener)
        self.cache.tell()

    def cost_config(self, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return discounts and margins: those that were set by a route, else those of the settings."""
        discounts, margins = self.config(COST_DISCOUNTS), self.config(COST_MARGINS)
        return (
            dict(settings.cost_discount_config) if discounts is None else discounts,
            dict(settings.cost_margin_config) if margins is None else margins,
        )

    def allowed_ips(self) -> Sequence[str]:
        """Return the addresses and networks that may call; empty when everybody may."""
        return self.cache.allowed_ips()

    def _load_ips(self) -> Sequence[str]:
        return self.config(ALLOWED_IPS) or ()

    def add_allowed_ip(self, network: str) -> bool:
        """Allow an address or a network; False when it was allowed before."""
        with self.write() as desk:
            listed = _listed_ips(desk)
            if network in listed:
                return False
            _put_config(desk, ALLOWED_IPS, [*listed, network])
            return True

    def remove_allowed_ip(self, network: str) -> bool:
        """Take an address or a network off the list; False when it was not on it."""
        with self.write() as desk:
            listed = _listed_ips(desk)
            if network not in listed:
                return False
            _put_config(desk, ALLOWED_IPS, [other for other in listed if other != network])
            return True

    def close(self) -> None:
        """Stop following the counter of changes."""
        self.cache.close()


def _listed_ips(desk: Desk) -> list[str]:
    row = desk.get(SpendConfig, ALLOWED_IPS)
    return list(row.value or ()) if row is not None else []


def _put_config(desk: Desk, name: str, value: Any) -> None:
    row = desk.get(SpendConfig, name) or SpendConfig(name=name)
    row.value, row.version, row.updated_at = value, row.version + 1, desk.now
    desk.session.add(row)
