"""How answers are written: exact amounts as the shortest numbers that name them, times as LiteLLM writes them."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from fastapi.responses import Response, StreamingResponse

from spend_middleware.api.threads import sent
from spend_middleware.call import from_pico
from spend_middleware.store.report_answers import TagReport
from spend_middleware.store.report_values import Sums

UNPRICED_HEADER = "x-spend-unpriced-calls"
ESTIMATED_HEADER = "x-spend-estimated-calls"
TOTAL_HEADER = "x-spend-total"
_CHUNK = 64 * 1024
# Not strftime: its names follow the locale of the process.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(amount: Decimal) -> float:
    """Return the float that stands nearest to an exact amount; JSON writes its shortest form."""
    return float(amount)


def short_number(amount: Decimal) -> float | int:
    """Return an amount as LiteLLM's raw SQL answers write it: a whole number has no point."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def rounded(amount: Decimal, places: int) -> float:
    """Return an amount rounded for showing, half to even."""
    return float(round(amount, places))


def plain(amount: Decimal) -> str:
    """Return an exact amount as text, without exponent and trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_json(content: Any) -> str:
    """Return compact JSON; a number that JSON has no word for is an error of ours, never an answer."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def answer(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a whole answer; it is rendered here, so that amounts keep their form."""
    return written(to_json(content), headers)


def written(text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that is JSON text already."""
    return Response(text, media_type="application/json", headers=dict(headers or {}))


def counted(unpriced: int, estimated: int = 0) -> dict[str, str]:
    """Return the headers that say how far a total can be relied on; shapes stay LiteLLM's."""
    return {UNPRICED_HEADER: str(unpriced), ESTIMATED_HEADER: str(estimated)}


def counted_tags(report: TagReport) -> dict[str, str]:
    """Return the same headers for tags, and the exact sum over the tagged calls, each once."""
    total, untagged = report.total, report.untagged or Sums()
    spend = from_pico(total.spend_pico - untagged.spend_pico)
    counts = counted(total.unpriced - untagged.unpriced, total.estimated - untagged.estimated)
    return {**counts, TOTAL_HEADER: plain(spend)}


def stream(
    pieces: Iterable[str], headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> StreamingResponse:
    """Return an answer that is made while it is sent, so that its size costs no memory.

    What goes wrong before the first piece is known becomes a proper refusal.
    """
    chunks = _joined(pieces)
    first = next(chunks, "")
    return StreamingResponse(
        sent(first, chunks, chunks.close), media_type=media_type, headers=dict(headers or {})
    )


def array(items: Iterable[str]) -> Iterator[str]:
    """Yield the text of a JSON array of items that are text already."""
    yield "["
    for index, item in enumerate(items):
        yield "," + item if index else item
    yield "]"


def _joined(pieces: Iterable[str]) -> Generator[str]:
    """Yield larger pieces: each one is a visit to a thread."""
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size > _CHUNK:
            yield "".join(pending)
            pending, size = [], 0
    yield "".join(pending)


def moment(micros: int) -> datetime:
    """Return stored microseconds as a time in UTC, without a float in between."""
    seconds, fraction = divmod(micros, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=fraction)


def zulu(micros: int | None) -> str | None:
    """Return a time as `/spend/logs` writes it: `2026-05-06T10:00:00Z`, with six digits where there is a fraction."""
    return None if micros is None else moment(micros).isoformat().replace("+00:00", "Z")


def offset_time(micros: int | None) -> str | None:
    """Return a time as the paged routes write it: `2026-05-06T10:00:00.000+00:00`."""
    return None if micros is None else moment(micros).isoformat(timespec="milliseconds")


def short_day(day: date | str) -> str:
    """Return a day as LiteLLM's dashboards write it, such as "May 01"."""
    named = date.fromisoformat(day) if isinstance(day, str) else day
    return f"{_MONTHS[named.month - 1]} {named.day:02d}"
