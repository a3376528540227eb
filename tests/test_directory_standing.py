"""What counts against an entity: resets, windows that roll over by the clock, and what is carried."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api_house import call
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_budgets import change_budget, create_budget
from spend_middleware.store.directory_keys import change, generate, reset_spend
from spend_middleware.store.entities import SpendBudget, SpendEndUser, SpendKey, SpendMembership
from spend_middleware.store.report_values import By
from spend_middleware.store.standing import Standing, micros, standing
from spend_middleware.store.store import Store


def at(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def key(**columns: Any) -> SpendKey:
    return SpendKey(**{"token": "t", "spend_carried": Decimal(7), **columns})


NOW = at("2026-05-13T10:07:31")

CASES = [
    # (duration, reset_at, spend_since) -> (since, carried, reset_at)
    ("nothing was ever reset", (None, None, 0), (0, 7, None)),
    ("a reset by hand counts", (None, None, at("2026-05-01")), (at("2026-05-01"), 7, None)),
    ("the first window still runs", ("1d", at("2026-05-14"), 0), (0, 7, at("2026-05-14"))),
    ("the window has ended today", ("1d", at("2026-05-13"), 0), (at("2026-05-13"), 0, at("2026-05-14"))),
    ("it ended long ago", ("1d", at("2020-05-13"), 0), (at("2026-05-13"), 0, at("2026-05-14"))),
    ("a month ended", ("30d", at("2026-03-01"), 0), (at("2026-05-01"), 0, at("2026-06-01"))),
    ("a week ended", ("7d", at("2026-04-06"), 0), (at("2026-05-11"), 0, at("2026-05-18"))),
    ("seconds, for years", ("30s", at("2020-01-01"), 0), (at("2026-05-13T10:07:30"), 0, at("2026-05-13T10:08:00"))),
    ("a reset by hand within the window", ("1d", at("2026-05-12"), at("2026-05-13T09:00")), (at("2026-05-13T09:00"), 7, at("2026-05-14"))),
    ("a duration that is none", ("soon", at("2026-05-01"), 0), (at("2026-05-01"), 0, None)),
]  # fmt: skip


@pytest.mark.parametrize(("case", "given", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_what_counts_begins_with_the_latest_reset(case: str, given: Any, wanted: Any) -> None:
    duration, reset_at, since = given
    entity = key(budget_duration=duration, budget_reset_at=reset_at, spend_since=since)
    assert standing(entity, entity, None, NOW) == Standing(wanted[0], Decimal(wanted[1]), wanted[2])


def test_a_linked_budget_rules_where_the_entity_has_no_window_of_its_own() -> None:
    budget = SpendBudget(budget_id="b", budget_duration="1d", budget_reset_at=at("2026-05-10"))
    customer = SpendEndUser(user_id="c", spend_carried=Decimal(3))
    assert standing(customer, None, budget, NOW).since == at("2026-05-13")
    own = key(budget_duration="30d", budget_reset_at=at("2026-05-01"))
    assert standing(own, own, budget, NOW).since == at("2026-05-01")


def test_windows_end_at_the_midnight_of_the_settings_zone() -> None:
    entity = key(budget_duration="1d", budget_reset_at=at("2026-05-01T18:30"))
    rolled = standing(entity, entity, None, NOW, ZoneInfo("Asia/Kolkata"))
    assert (rolled.since, rolled.reset_at) == (at("2026-05-12T18:30"), at("2026-05-13T18:30"))


@pytest.fixture
def clock() -> list[float]:
    return [NOW / 1_000_000]


@pytest.fixture
def directory(store: Store, clock: list[float]) -> Directory:
    return Directory(store.engine, store.reports, now=lambda: clock[0])


def spend_of(directory: Directory, token: str) -> tuple[Decimal, Decimal]:
    with directory.read() as desk:
        found = desk.get(SpendKey, token)
    assert found is not None
    return directory.accounts.of(By.KEY, {token: found})[token].spend, directory.accounts.lifetime([found])[
        token
    ]


def test_a_key_counts_by_window_and_in_all(store: Store, directory: Directory, clock: list[float]) -> None:
    with directory.write() as desk:
        made, _ = generate(desk, {"budget_duration": "1d", "spend": Decimal("0.5")})
    store.append(call("2026-05-13T10:30:00", "0.1", api_key=made.token))
    store.append(call("2026-05-14T00:00:00", "0.02", api_key=made.token))
    store.append(call("2026-05-15T09:00:00", "0.003", api_key=made.token))
    assert store.flush(10) == 0
    assert spend_of(directory, made.token) == (Decimal("0.623"), Decimal("0.623"))
    clock[0] = at("2026-05-14T12:00") / 1e6
    assert spend_of(directory, made.token) == (Decimal("0.023"), Decimal("0.623"))
    clock[0] = at("2026-05-15T12:00") / 1e6
    assert spend_of(directory, made.token) == (Decimal("0.003"), Decimal("0.623"))
    with directory.write() as desk:
        change(desk, made.token, {"budget_duration": "30d"})
    assert spend_of(directory, made.token)[0] == Decimal("0.003"), "a new duration forgets nothing"
    with directory.write() as desk:
        reset_spend(desk, made.token, Decimal("0.001"))
    assert spend_of(directory, made.token) == (Decimal("0.001"), Decimal("0.623"))


def test_the_global_reset_moves_baselines_and_leaves_the_ledger(
    store: Store, directory: Directory, clock: list[float]
) -> None:
    with directory.write() as desk:
        made, _ = generate(desk, {"spend": Decimal(1)})
    store.append(call("2026-05-13T10:00:00", "0.1", api_key=made.token))
    assert store.flush(10) == 0
    directory.reset_spend()
    assert spend_of(directory, made.token) == (Decimal(0), Decimal("1.1"))
    from spend_middleware.store.report_values import EVERYTHING

    assert store.reports.total(EVERYTHING).spend == Decimal("0.1")


def test_a_budget_whose_duration_changes_keeps_the_window_of_those_linked_to_it(
    store: Store, directory: Directory, clock: list[float]
) -> None:
    with directory.write() as desk:
        budget = create_budget(desk, {"budget_duration": "1d"})
        desk.session.add(SpendEndUser(user_id="palantir", budget_id=budget.budget_id))
    store.append(call("2026-05-13T11:00:00", "0.1", end_user="palantir"))
    store.append(call("2026-05-14T11:00:00", "0.02", end_user="palantir"))
    assert store.flush(10) == 0
    clock[0] = at("2026-05-14T12:00") / 1e6
    with directory.write() as desk:
        change_budget(desk, budget.budget_id, {"budget_duration": "30d"})
    with directory.read() as desk:
        customer = desk.get(SpendEndUser, "palantir")
    assert customer is not None
    account = directory.accounts.of(By.END_USER, {"palantir": customer})["palantir"]
    assert (account.spend, account.reset_at) == (Decimal("0.02"), at("2026-06-01"))


def test_a_member_counts_what_the_user_spent_in_the_team(
    store: Store, directory: Directory, clock: list[float]
) -> None:
    with directory.write() as desk:
        budget = create_budget(desk, {"budget_duration": "1d"})
        for group in ("g", "h"):
            desk.session.add(
                SpendMembership(kind="team", group_id=group, user_id="u", budget_id=budget.budget_id)
            )
    for day, team, spend in (("13", "g", "0.1"), ("14", "g", "0.02"), ("13", "h", "0.003")):
        store.append(call(f"2026-05-{day}T11:00:00", spend, user_id="u", team_id=team))
    assert store.flush(10) == 0
    with directory.read() as desk:
        members = desk.some(SpendMembership, SpendMembership.user_id, ["u"])
    totals = directory.accounts.member_totals(members)
    assert totals == {("g", "u"): Decimal("0.12"), ("h", "u"): Decimal("0.003")}
    clock[0] = at("2026-05-14T12:00") / 1e6
    accounts = directory.accounts.of_members(members)
    assert {place: account.spend for place, account in accounts.items()} == {
        ("g", "u"): Decimal("0.02"),
        ("h", "u"): Decimal(0),
    }
