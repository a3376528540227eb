"""What dead processes left in the journal: read, resolved per call, and given to the writer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic_core import from_json

from spend_middleware.store.call_rows import interrupted
from spend_middleware.store.facts import decode, facts_in
from spend_middleware.store.records import (
    AT,
    COLUMNS,
    HEADER,
    MARK,
    PROVISIONAL,
    ROW,
    UNMARK,
    Damage,
    Values,
    read_frames,
)
from spend_middleware.store.segments import Owner
from spend_middleware.store.setaside import SetAside

ROWS_AT_ONCE = 5_000
"""Rows of one transaction, at most, of those that come from files: fast, and still done within a second."""

_ID = AT["id"]

Write = Callable[[list[Values]], None]


def read_segment(path: Path, set_aside: SetAside) -> Iterator[tuple[bytes, str, Values]]:
    """Yield kind, call id and row of each record of a segment; damage is set aside, a torn end is dropped."""
    segment = path.read_bytes()
    columns = COLUMNS
    for record in read_frames(segment):
        if isinstance(record, Damage):
            if not record.torn:
                found = segment[record.offset : record.offset + record.length]
                set_aside.damage(str(path), found, f"damaged at byte {record.offset}")
            continue
        kind, body = record
        try:
            if kind == HEADER:
                columns = tuple(from_json(body))
            elif kind in (ROW, PROVISIONAL):
                values = decode(body, columns)
                yield kind, values[_ID], values
            elif kind == MARK:
                values = interrupted(facts_in(body))
                yield kind, values[_ID], values
            elif kind == UNMARK:
                yield kind, body.decode(), ()
        except Exception as error:  # whatever it is, the records after it are to be read
            set_aside.damage(str(path), body, f"no row can be made of it: {type(error).__name__}")


def finished_rows(path: Path, set_aside: SetAside) -> Iterator[Values]:
    """Yield the finished rows of one segment of a living process."""
    for kind, _, values in read_segment(path, set_aside):
        if kind == ROW:
            yield values


def provisional_rows(waiting: Mapping[str, Path], set_aside: SetAside) -> list[Values]:
    """Return the provisional rows of calls, from the segments of a living process.

    Args:
        waiting: Call id and segment of each.
        set_aside: Where damage goes.
    """
    found: dict[str, Values] = {}
    for path in set(waiting.values()):
        records = read_segment(path, set_aside)
        found |= {
            call_id: values
            for kind, call_id, values in records
            if kind == PROVISIONAL and waiting.get(call_id) == path
        }
    return list(found.values())


def adopt(owner: Owner, write: Write, set_aside: SetAside) -> int:
    """Write all that a dead process left, drop its folder, and return how many calls that were.

    A finished row wins over a provisional one, that over a start mark; what has neither ended is `interrupted`.
    Dying anywhere in here is harmless: the folder's lock goes with the process, and rows that are there already
    move nothing when they are written again.
    """
    unfinished: dict[str, tuple[Path, Values]] = {}
    total = 0
    for path in owner.segments():
        batch: list[Values] = []
        for kind, call_id, values in read_segment(path, set_aside):
            unfinished.pop(call_id, None)
            if kind == ROW:
                batch.append(values)
            elif kind != UNMARK:
                unfinished[call_id] = (path, values)
        total += len(batch)
        write_in_parts(batch, write)
        if path not in {source for source, _ in unfinished.values()}:
            path.unlink(missing_ok=True)
    rest = [values for _, values in unfinished.values()]
    write_in_parts(rest, write)
    owner.remove()
    return total + len(rest)


def write_in_parts(rows: Iterable[Values], write: Write) -> None:
    """Write rows in as few transactions as may be, all about equally large."""
    waiting = list(rows)
    parts = -(-len(waiting) // ROWS_AT_ONCE)
    size = -(-len(waiting) // parts) if parts else 1
    for start in range(0, len(waiting), size):
        write(waiting[start : start + size])
