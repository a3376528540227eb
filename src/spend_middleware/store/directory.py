"""The directory: who may spend, read and written in transactions that every worker hears of within a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Engine, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel, col, select

from spend_middleware.call import from_pico
from spend_middleware.guard import Guard
from spend_middleware.settings import Settings
from spend_middleware.store.engine import WRITES
from spend_middleware.store.entities import (
    Limited,
    SpendBudget,
    SpendConfig,
    Spender,
    SpendKey,
    SpendMembership,
    SpendTeam,
    SpendUser,
)
from spend_middleware.store.key_cache import KeyCache, _Unknown
from spend_middleware.store.key_record import KeyRecord, record_of
from spend_middleware.store.report_values import EVERYTHING, By, Filter, LogFilter
from spend_middleware.store.reports import Reports
from spend_middleware.store.running import RunningSpend
from spend_middleware.store.standing import Standing, instant, standing, window

Row = TypeVar("Row", bound=SQLModel)

ENTITIES: Final = "entities"
"""The name of the counter that every write moves."""

ALLOWED_IPS: Final = "allowed_ips"
COST_DISCOUNTS: Final = "cost_discount_config"
COST_MARGINS: Final = "cost_margin_config"

_counting = Guard("reading what a key has spent")

_MANY: Final = 500
"""Values in one IN list: below the variable limit of every SQLite."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One transaction on the directory.

    Args:
        now: When it began, in microseconds since the epoch.
        actor: The user id in whose name rows are written.
    """

    session: Session
    now: int
    zone: tzinfo
    actor: str

    def get(self, model: type[Row], key: Any) -> Row | None:
        """Return the row with a primary key, None when there is none."""
        return self.session.get(model, key)

    def some(self, model: type[Row], column: Any, values: Sequence[str]) -> list[Row]:
        """Return the rows whose column holds one of the values, in any number, ordered by that column."""
        found: list[Row] = []
        wanted = sorted(set(values))
        for start in range(0, len(wanted), _MANY):
            chunk = wanted[start : start + _MANY]
            found += self.session.exec(
                select(model).where(col(column).in_(chunk)).order_by(col(column))
            ).all()
        return found


@dataclass(frozen=True, slots=True)
class Account:
    """What counts against an entity now, and when that starts again."""

    spend: Decimal
    reset_at: int | None


@contextmanager
def writing(engine: Engine, now: int, zone: tzinfo = UTC, actor: str = "") -> Iterator[Desk]:
    """Open a transaction that writes and moves the counter of changes: all of it or nothing of it.

    Writers stand in line at the counter's row, so what one of them has checked holds until it commits.
    """
    with Session(engine.execution_options(**{WRITES: True}), expire_on_commit=False) as session:
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        row = insert(SpendConfig).values(name=ENTITIES, value=None, version=1, updated_at=now)
        change = {"version": SpendConfig.version + 1, "updated_at": now}
        session.execute(row.on_conflict_do_update(index_elements=["name"], set_=change))
        yield Desk(session, now, zone, actor)
        session.commit()


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
        with Session(self._engine) as session:
            key = session.get(SpendKey, key_hash)
            if key is None:
                if self._running is not None:
                    self._running.forget(key_hash)
                return None
            team = session.get(SpendTeam, key.team_id) if key.team_id else None
            user = session.get(SpendUser, key.user_id) if key.user_id else None
            memberships = session.exec(
                select(SpendMembership)
                .where(SpendMembership.kind == "team", SpendMembership.user_id == (key.user_id or ""))
                .order_by(col(SpendMembership.group_id))
            ).all()
            record = record_of(key, team, user, memberships)
        return record if self._running is None else self._count(key, record, self._running)

    def _count(self, key: SpendKey, record: KeyRecord, running: RunningSpend) -> KeyRecord:
        """Have what a key has spent counted on from what the database says."""
        with _counting:  # a key whose spend cannot be read is a key all the same
            place = self._standings({key.token: key})[key.token]
            running.look_up(
                key.token, lambda: self._spent_with(key.token, place.since) + place.carried, place.since
            )
            return (
                record if place.reset_at is None else replace(record, counts_until=place.reset_at / 1_000_000)
            )
        running.forget(key.token)
        return record

    def _spent_with(self, token: str, since: int) -> Decimal:
        if since == 0:
            return self.reports.total(EVERYTHING, where=Filter(api_key=(token,))).spend
        return self.reports.spend_since(By.KEY, token, instant(since), EVERYTHING).spend

    # -- spend

    def accounts(self, by: By, entities: Mapping[str, Spender]) -> dict[str, Account]:
        """Return what counts against each entity, by its id."""
        at = self._standings(entities)
        spent = self._spent(by, {name: place.since for name, place in at.items()})
        return {
            name: Account(spent.get(name, Decimal(0)) + place.carried, place.reset_at)
            for name, place in at.items()
        }

    def _standings(self, entities: Mapping[str, Spender]) -> dict[str, Standing]:
        now = self.now()
        budgets = self._budgets_of(entities.values())
        return {
            name: standing(
                entity,
                _own_limits(entity),
                budgets.get(getattr(entity, "budget_id", None) or ""),
                now,
                self.zone,
            )
            for name, entity in entities.items()
        }

    def reset_at(self, limits: Limited) -> int | None:
        """Return when the window of a budget ends, counted on from the last reset that was written down."""
        return window(limits, self.now(), self.zone)[1]

    def lifetime(self, keys: Sequence[SpendKey]) -> dict[str, Decimal]:
        """Return what each key has spent in its whole life, whatever was reset."""
        spent = self._spent(By.KEY, {key.token: key.total_since for key in keys})
        return {key.token: spent.get(key.token, Decimal(0)) + key.total_carried for key in keys}

    def member_accounts(self, members: Sequence[SpendMembership]) -> dict[tuple[str, str], Account]:
        """Return what counts against each member of a team or an organization, by (group, user)."""
        now = self.now()
        budgets = self._budgets_of(members)
        at = {
            (member.group_id, member.user_id): standing(
                member, None, budgets.get(member.budget_id or ""), now, self.zone
            )
            for member in members
        }
        spent = self._spent_in(members, {place: one.since for place, one in at.items()})
        return {place: Account(spent[place] + one.carried, one.reset_at) for place, one in at.items()}

    def member_totals(self, members: Sequence[SpendMembership]) -> dict[tuple[str, str], Decimal]:
        """Return what each member has spent in the group in all, by (group, user)."""
        spent = self._spent_in(members, {(one.group_id, one.user_id): one.total_since for one in members})
        return {
            (one.group_id, one.user_id): spent[one.group_id, one.user_id] + one.total_carried
            for one in members
        }

    def _spent_in(
        self, members: Sequence[SpendMembership], since: Mapping[tuple[str, str], int]
    ) -> dict[tuple[str, str], Decimal]:
        spent = dict.fromkeys(since, Decimal(0))
        for kind, by in (("team", By.TEAM), ("organization", By.ORGANIZATION)):
            groups = tuple(sorted({one.group_id for one in members if one.kind == kind}))
            always = [(one.group_id, one.user_id) for one in members if one.kind == kind]
            if any(since[place] == 0 for place in always):
                where = Filter(team_id=groups) if by is By.TEAM else Filter(organization_id=groups)
                for group in self.reports.by([by, By.USER], EVERYTHING, where=where).groups:
                    place = (group.keys[0], group.keys[1])
                    if since.get(place) == 0:
                        spent[place] = group.sums.spend
            for group_id, user_id in always:
                moment = since[group_id, user_id]
                if moment:  # A window or a reset: few calls, added up one by one.
                    mine = (group_id,)
                    where_rows = LogFilter(
                        team_id=mine if by is By.TEAM else (),
                        organization_id=mine if by is By.ORGANIZATION else (),
                        user_id=(user_id,),
                        since=moment,
                    )
                    rows = self.reports.every_log(EVERYTHING, where_rows)
                    spent[group_id, user_id] = from_pico(sum(row.spend_pico or 0 for row in rows))
        return spent

    def _spent(self, by: By, since: Mapping[str, int]) -> dict[str, Decimal]:
        names: dict[int, list[str]] = {}
        for name, moment in since.items():
            names.setdefault(moment, []).append(name)
        spent: dict[str, Decimal] = {}
        for moment, some in names.items():
            for start in range(0, len(some), _MANY):
                part = tuple(some[start : start + _MANY])
                if moment == 0:
                    where = Filter(**{by.value: part})
                    groups = self.reports.by([by], EVERYTHING, where=where).groups
                    spent |= {group.keys[0]: group.sums.spend for group in groups}
                else:
                    sums = self.reports.spend_since_many(by, part, instant(moment), EVERYTHING)
                    spent |= {name: one.spend for name, one in sums.items()}
        return spent

    def _budgets_of(self, entities: Any) -> dict[str, SpendBudget]:
        names = {getattr(entity, "budget_id", None) for entity in entities} - {None}
        if not names:
            return {}
        with self.read() as desk:
            budgets = desk.some(SpendBudget, SpendBudget.budget_id, [name for name in names if name])
            return {budget.budget_id: budget for budget in budgets}

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


def _own_limits(entity: object) -> Limited | None:
    return entity if isinstance(entity, Limited) else None


def _listed_ips(desk: Desk) -> list[str]:
    row = desk.get(SpendConfig, ALLOWED_IPS)
    return list(row.value or ()) if row is not None else []


def _put_config(desk: Desk, name: str, value: Any) -> None:
    row = desk.get(SpendConfig, name) or SpendConfig(name=name)
    row.value, row.version, row.updated_at = value, row.version + 1, desk.now
    desk.session.add(row)
