"""What counts against keys, teams, users and members now: their spend since the last reset, out of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from spend_middleware.call import from_pico
from spend_middleware.guard import Guard
from spend_middleware.store.desk import MANY, Desk
from spend_middleware.store.entities import Limited, SpendBudget, Spender, SpendKey, SpendMembership
from spend_middleware.store.key_record import KeyRecord
from spend_middleware.store.report_values import EVERYTHING, By, Filter
from spend_middleware.store.reports import Reports
from spend_middleware.store.rows_values import LogFilter
from spend_middleware.store.running import RunningSpend
from spend_middleware.store.standing import Standing, instant, standing, window

_counting = Guard("reading what a key has spent")


@dataclass(frozen=True, slots=True)
class Account:
    """What counts against an entity now, and when that starts again."""

    spend: Decimal
    reset_at: int | None


class Accounts:
    """The spend of entities.

    Args:
        reports: Where it comes from.
        read: Opens a transaction that reads budgets.
        now: Microseconds since the epoch.
        zone: Whose midnights end budget windows.
    """

    def __init__(
        self,
        reports: Reports,
        read: Callable[[], AbstractContextManager[Desk]],
        now: Callable[[], int],
        zone: tzinfo,
    ) -> None:
        self._reports = reports
        self._read = read
        self._now = now
        self._zone = zone

    def of(self, by: By, entities: Mapping[str, Spender]) -> dict[str, Account]:
        """Return what counts against each entity, by its id."""
        at = self._standings(entities)
        spent = self._spent(by, {name: place.since for name, place in at.items()})
        return {
            name: Account(spent.get(name, Decimal(0)) + place.carried, place.reset_at)
            for name, place in at.items()
        }

    def count(self, key: SpendKey, record: KeyRecord, running: RunningSpend) -> KeyRecord:
        """Have what a key has spent counted on from what the database says; return its record with the end of that."""
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
            return self._reports.total(EVERYTHING, where=Filter(api_key=(token,))).spend
        return self._reports.spend_since(By.KEY, token, instant(since), EVERYTHING).spend

    def _standings(self, entities: Mapping[str, Spender]) -> dict[str, Standing]:
        now = self._now()
        budgets = self._budgets_of(entities.values())
        return {
            name: standing(
                entity,
                _own_limits(entity),
                budgets.get(getattr(entity, "budget_id", None) or ""),
                now,
                self._zone,
            )
            for name, entity in entities.items()
        }

    def reset_at(self, limits: Limited) -> int | None:
        """Return when the window of a budget ends, counted on from the last reset that was written down."""
        return window(limits, self._now(), self._zone)[1]

    def lifetime(self, keys: Sequence[SpendKey]) -> dict[str, Decimal]:
        """Return what each key has spent in its whole life, whatever was reset."""
        spent = self._spent(By.KEY, {key.token: key.total_since for key in keys})
        return {key.token: spent.get(key.token, Decimal(0)) + key.total_carried for key in keys}

    def of_members(self, members: Sequence[SpendMembership]) -> dict[tuple[str, str], Account]:
        """Return what counts against each member of a team or an organization, by (group, user)."""
        now = self._now()
        budgets = self._budgets_of(members)
        at = {
            (member.group_id, member.user_id): standing(
                member, None, budgets.get(member.budget_id or ""), now, self._zone
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
                for group in self._reports.by([by, By.USER], EVERYTHING, where=where).groups:
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
                    rows = self._reports.every_log(EVERYTHING, where_rows)
                    spent[group_id, user_id] = from_pico(sum(row.spend_pico or 0 for row in rows))
        return spent

    def _spent(self, by: By, since: Mapping[str, int]) -> dict[str, Decimal]:
        names: dict[int, list[str]] = {}
        for name, moment in since.items():
            names.setdefault(moment, []).append(name)
        spent: dict[str, Decimal] = {}
        for moment, some in names.items():
            for start in range(0, len(some), MANY):
                part = tuple(some[start : start + MANY])
                if moment == 0:
                    where = Filter(**{by.value: part})
                    groups = self._reports.by([by], EVERYTHING, where=where).groups
                    spent |= {group.keys[0]: group.sums.spend for group in groups}
                else:
                    sums = self._reports.spend_since_many(by, part, instant(moment), EVERYTHING)
                    spent |= {name: one.spend for name, one in sums.items()}
        return spent

    def _budgets_of(self, entities: Any) -> dict[str, SpendBudget]:
        names = {getattr(entity, "budget_id", None) for entity in entities} - {None}
        if not names:
            return {}
        with self._read() as desk:
            budgets = desk.some(SpendBudget, SpendBudget.budget_id, [name for name in names if name])
            return {budget.budget_id: budget for budget in budgets}


def _own_limits(entity: object) -> Limited | None:
    return entity if isinstance(entity, Limited) else None
