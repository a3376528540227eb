"""Spans of whole days whose sums are added up when they are over, so that a report over months adds up few rows.

A span has 4, 16 or 64 days and begins where the number of its first day can be divided by its length. The spans of
all days before `settled` are there, and none that ends later; which spans make up a period is arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

LENGTHS = (4, 16, 64)
"""Days in a span; each is made of spans of the length before."""

OPEN_DAYS = 2
"""Days before today that still change much: calls that ended late, and days that are not over everywhere yet."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """What the rollups have: the row `rollups` of `spend_meta`, which a batch holds while it moves them.

    Args:
        zones: The zones besides UTC whose days they know, sorted.
        settled: The sums of all days before this one stand in spans too; empty before the first.
    """

    zones: list[str] = field(default_factory=list)
    settled: str = ""

    @staticmethod
    def read(text: str | None) -> Rolled:
        """Return what a stored value says."""
        return Rolled(**json.loads(text or "{}"))

    def __str__(self) -> str:
        return json.dumps({"zones": self.zones, "settled": self.settled})


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Some days in a row, by the number that `date.toordinal` gives them.

    Args:
        first: Its first day.
        end: The day after its last one.
    """

    first: int
    end: int

    @property
    def name(self) -> str:
        """Its name in the tables, such as `2026-06-02+16`."""
        return f"{date.fromordinal(self.first).isoformat()}+{self.end - self.first:02d}"

    @property
    def dates(self) -> tuple[date, date]:
        """Its first and its last day."""
        return date.fromordinal(self.first), date.fromordinal(self.end - 1)

    def ended(self, settled: str) -> bool:
        """Return whether it was over when days were settled."""
        return self.end <= date.fromisoformat(settled).toordinal()


def span_around(day: int, length: int) -> Span | None:
    """Return the span of a length that holds a day; None where the calendar has no such days."""
    first = day - day % length
    return Span(first, first + length) if first > 0 and first + length <= date.max.toordinal() else None


@lru_cache(maxsize=4096)
def settled_spans(day: str, settled: str) -> tuple[str, ...]:
    """Return the names of the spans that hold a day and have been added up."""
    around = (span_around(date.fromisoformat(day).toordinal(), length) for length in LENGTHS)
    return tuple(span.name for span in around if span is not None and span.ended(settled))


def apart(first: int, end: int, settled: int) -> tuple[list[Span], list[Span]]:
    """Return the spans, and what stands between and beside them as stretches of single days, that make up a period."""
    spans: list[Span] = []
    days: list[Span] = []
    while first < end:
        last = min(end, settled)
        span = next(filter(None, (_from(first, length, last) for length in reversed(LENGTHS))), None)
        if span is not None:
            spans.append(span)
            first = span.end
            continue
        following = end if first >= last else first + 1
        if days and days[-1].end == first:
            days[-1] = Span(days[-1].first, following)
        else:
            days.append(Span(first, following))
        first = following
    return spans, days


def _from(first: int, length: int, end: int) -> Span | None:
    return Span(first, first + length) if first % length == 0 and first + length <= end else None


def ended(before: int, now: int, length: int) -> Iterator[Span]:
    """Yield the spans of a length that ended after one day, until another, and may hold calls.

    The first of them holds the days around the former, the last those before the latter; nothing was called between.
    """
    ends = {before - before % length + length, now - now % length}
    for end in sorted(ends):
        if before < end <= now and end > length:
            yield Span(end - length, end)
