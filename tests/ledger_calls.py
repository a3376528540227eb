"""Calls made at random, and what any report over them must say, added up one by one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ledger_rows import row
from spend_middleware.ids import new_call_id
from spend_middleware.store.engine import Address, Database
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.records import values_of
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_values import By, Sums
from spend_middleware.store.reports import Reports

Row = dict[str, Any]

DAY = 86_400_000_000


def micros(moment: str) -> int:
    """Return microseconds since the epoch of ISO text; UTC unless it says otherwise."""
    parsed = datetime.fromisoformat(moment)
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def calls(count: int, *, first: str = "2026-03-20", days: int = 24, seed: int = 1) -> list[Row]:
    """Return calls of a small company, spread over days; the same ones for the same seed."""
    dice = random.Random(seed)
    start = micros(first)
    return [_call(dice, start + dice.randrange(days * DAY)) for _ in range(count)]


def _call(dice: random.Random, at: int) -> Row:
    number = dice.randrange(6)
    owned = dice.random() > 0.1
    return row(
        id=new_call_id(at / 1e6, dice.randbytes(10)),
        request_id=f"chatcmpl-{dice.randrange(10_000)}",
        session_id=dice.choice([None, "session-1", "session-2"]),
        start_time=at,
        end_time=at + dice.randrange(9_000_000),
        api_key=f"key{number}",
        user_id=f"user{number // 2}" if owned else "",
        team_id=f"team{number % 2}" if owned else "",
        organization_id="acme" if owned else "",
        end_user=dice.choice(["", "ana", "Bob", "çelik"]),
        model=dice.choice(["gpt-4o", "claude", "Gemini", "ähnlich"]),
        model_group=dice.choice(["large", "small"]),
        provider=dice.choice(["openai", "anthropic"]),
        endpoint=dice.choice(["/v1/chat/completions", "/v1/responses"]),
        spend=dice.choice([None, 0, dice.randrange(10**7), dice.randrange(10**16)]),
        prompt_tokens=dice.randrange(5_000),
        completion_tokens=dice.randrange(500),
        cache_read_input_tokens=dice.randrange(50),
        reasoning_tokens=dice.randrange(20),
        status=dice.choice(["success"] * 4 + ["failure", "aborted", "interrupted"]),
        usage_source=dice.choice(["reported", "reported", "estimated"]),
        tags=dice.sample(["red", "blue", "Green", "a b", "été"], dice.randrange(4)),
    )


def amount_of(row: Row, added: int = 0, priced: bool = False) -> Sums:
    """Return what one call adds to every sum, with what was adjusted."""
    failed = row["status"] in ("failure", "interrupted")
    return Sums(
        spend_pico=(row["spend"] or 0) + added,
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cache_read_input_tokens=row.get("cache_read_input_tokens", 0),
        cache_creation_input_tokens=row.get("cache_creation_input_tokens", 0),
        reasoning_tokens=row.get("reasoning_tokens", 0),
        requests=1,
        successes=int(not failed),
        failures=int(failed),
        unpriced=int(row["spend"] is None and not priced),
        estimated=int(row["usage_source"] == "estimated"),
        duration=row["end_time"] - row["start_time"],
    )


def day_in(row: Row, zone: str) -> date:
    """Return the day of a call as a clock in the zone showed it."""
    return datetime.fromtimestamp(row["start_time"] / 1_000_000, ZoneInfo(zone)).date()


def keys_of(row: Row, dimensions: Iterable[By], zone: str) -> Iterator[tuple[str, ...]]:
    """Yield the groups that a call belongs to: one, but one for each tag when tags are asked for."""
    dimensions = tuple(dimensions)
    tags = json.loads(row["request_tags"]) if By.TAG in dimensions else [""]
    for tag in tags:
        yield tuple(
            day_in(row, zone).isoformat() if by is By.DAY else tag if by is By.TAG else row.get(by.value, "")
            for by in dimensions
        )


def grouped(
    rows: Iterable[Row],
    dimensions: Iterable[By] = (),
    zone: str = "UTC",
    start: date | None = None,
    end: date | None = None,
    where: Callable[[Row], bool] = lambda _: True,
) -> dict[tuple[str, ...], Sums]:
    """Return the sums by group, call by call."""
    found: dict[tuple[str, ...], Sums] = {}
    for one in rows:
        day = day_in(one, zone)
        if (start and day < start) or (end and day > end) or not where(one):
            continue
        for key in keys_of(one, dimensions, zone):
            found[key] = found.get(key, Sums()) + amount_of(
                one, one.get("_added", 0), one.get("_priced", False)
            )
    return found


def total_of(rows: Iterable[Row], **more: Any) -> Sums:
    """Return the sums over all calls, each once."""
    return grouped(rows, (), **more).get((), Sums())


class Books:
    """A ledger with calls in it, and its reports."""

    def __init__(self, url: str, zones: tuple[str, ...] = (), slots: int = 1) -> None:
        from spend_middleware.settings import Settings

        self.database = Database(Address(url))
        self.ledger = Ledger(self.database, zones=zones, slots=slots)
        self.ledger.prepare()
        self.reports = Reports(self.database.engine, Settings(database_url=url))
        self.reader = Reader(self.database.engine)

    def write(self, rows: Iterable[Row]) -> int:
        """Write calls, and return how many were new."""
        names = ("_added", "_priced")
        return self.ledger.write(
            [values_of({k: v for k, v in one.items() if k not in names}) for one in rows]
        )
