"""Whatever is done to a ledger, in whatever order: rows, rollups and every report agree."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import databases
from ledger_calls import Books, Row, calls, grouped, micros, total_of
from spend_middleware.call import Cost, PricingStatus, from_pico
from spend_middleware.store.adjust import AdjustmentKind, Entry, adjust
from spend_middleware.store.forget import forget
from spend_middleware.store.importing import SPEND_LOGS, import_litellm
from spend_middleware.store.report_values import EVERYTHING, By, Period
from spend_middleware.store.reprice import reprice
from spend_middleware.store.retention import retain
from spend_middleware.store.rows_values import LogFilter, LogRow
from spend_middleware.store.settle import settle
from spend_middleware.store.verify import verify

ZONES = ("UTC", "Asia/Kathmandu")
GROUPINGS: tuple[list[By], ...] = (
    [],
    [By.DAY],
    [By.TAG],
    [By.KEY],
    [By.DAY, By.END_USER],
    [By.TEAM, By.PROVIDER, By.ENDPOINT],
)
LAST = date(2026, 4, 13)


class Model:
    """What the ledger must say: all calls that ever were, and which rows are still there."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.rows: dict[str, Row] = {}
        self.kept = 0
        self.imported: list[dict[str, object]] = []

    def record(self, seed: int) -> None:
        new = [one for one in calls(1 + seed % 7, seed=seed) if one["start_time"] >= self.kept]
        self.books.write(new)
        for one in new:
            self.rows.setdefault(one["id"], one)

    def replay(self, seed: int) -> None:
        there = [
            one for one in self.rows.values() if one["start_time"] >= self.kept and not one.get("_theirs")
        ]
        again = random.Random(seed).sample(there, min(len(there), 5))
        assert self.books.write([one for one in again if one["end_user"]]) == 0

    def adjust(self, seed: int) -> None:
        dice = random.Random(seed)
        there = [one for one in self.rows.values() if one["start_time"] >= self.kept]
        for one in dice.sample(there, min(len(there), 3)):
            pico, kind = dice.randrange(-(10**12), 10**13), dice.choice(list(AdjustmentKind))
            entry = Entry(log_id=one["id"], amount=from_pico(pico), kind=kind, key=f"{seed}{one['id']}")
            made = adjust(self.books.ledger, [entry, entry])
            if made.made:
                one["_added"] = one.get("_added", 0) + pico
                one["_priced"] = one.get("_priced", False) or kind in ("reprice", "correction")

    def reprice(self, seed: int) -> None:
        def price(row: LogRow) -> Cost:
            amount = from_pico(row.columns["prompt_tokens"] * (seed % 3 + 1))
            return Cost(amount=amount, status=PricingStatus.PRICED)

        where = LogFilter(model=("claude",))
        reprice(self.books.ledger, self.books.reader, price, where, dry_run=seed % 4 == 0)
        if seed % 4:
            for one in self.rows.values():
                if one["model"] == "claude" and one["start_time"] >= self.kept:
                    one["_added"] = one["prompt_tokens"] * (seed % 3 + 1) - (one["spend"] or 0)
                    one["_priced"] = True

    def retain(self, seed: int) -> None:
        cutoff = LAST - timedelta(days=30 - seed % 12)
        now = micros(LAST.isoformat()) / 1e6
        retain(self.books.ledger, (LAST - cutoff).days, now=now, pause=0)
        self.kept = max(self.kept, micros(cutoff.isoformat()))

    def bring(self, seed: int) -> None:
        for one in calls(3, seed=seed + 20_000):  # none that was recorded
            if one["start_time"] < self.kept:
                continue
            theirs = {
                "request_id": one["id"],
                "startTime": one["start_time"] / 1e6,
                "endTime": one["end_time"] / 1e6,
                "spend": (one["spend"] or 0) / 1e12,
                "request_tags": one["request_tags"],
                **{name: one[name] for name in ("model", "model_group", "api_key", "team_id", "end_user")},
                **{name: one[name] for name in ("prompt_tokens", "completion_tokens", "organization_id")},
                "user": one["user_id"],
                "custom_llm_provider": one["provider"],
            }
            for _ in range(2):
                import_litellm(self.books.ledger, {SPEND_LOGS: [theirs]})
            (found,) = self.books.reports.logs(EVERYTHING, LogFilter(request_id=one["id"])).rows
            if found.columns["id"] not in self.rows:
                self.rows[found.columns["id"]] = {**found.columns, "_theirs": True}
                assert found.columns["spend"] == int(
                    Decimal(repr(theirs["spend"])).scaleb(12).to_integral_value()
                )

    def settle(self, seed: int) -> None:
        settle(self.books.ledger, today=LAST + timedelta(days=5 - seed % 30))

    def forget(self, seed: int) -> None:
        name = random.Random(seed).choice(["ana", "Bob"])
        forget(self.books.ledger, name)
        for one in self.rows.values():
            one["end_user"] = "" if one["end_user"] == name else one["end_user"]

    def check(self) -> None:
        rows, books = list(self.rows.values()), self.books
        for zone in ZONES:
            for grouping in GROUPINGS:
                report = books.reports.by(grouping, EVERYTHING, Period(zone=zone))
                assert {g.keys: g.sums for g in report.groups} == grouped(rows, grouping, zone=zone)
                assert report.total == total_of(rows)
                cut: dict[str, Any] = {"zone": zone, "start": date(2026, 3, 23), "end": date(2026, 4, 11)}
                report = books.reports.by(grouping, EVERYTHING, Period(**cut))
                assert {g.keys: g.sums for g in report.groups} == grouped(rows, grouping, **cut)
        there = [one for one in rows if one["start_time"] >= self.kept]
        page = books.reports.logs(EVERYTHING, LogFilter(), limit=1_000)
        assert page.total == len(page.rows) == len(there)
        shown = sum(one.spend_pico or 0 for one in page.rows)
        assert shown == total_of(there).spend_pico
        assert [
            json.loads(one.columns["request_tags"]) for one in page.rows if one.columns["id"] not in self.rows
        ] == []
        assert verify(books.ledger, books.reader).count == 0


OPERATIONS = ("record", "replay", "adjust", "reprice", "retain", "bring", "forget", "settle")
STEPS = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 10_000)), min_size=1, max_size=12)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_after_any_operations_everything_agrees(
    kind: str, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("ledger")
    with databases.database(kind, folder) as url:
        books = Books(url, zones=ZONES[1:])
        try:
            model = Model(books)
            model.record(6)
            for name, seed in steps:
                getattr(model, name)(seed)
            model.check()
        finally:
            books.database.close()
