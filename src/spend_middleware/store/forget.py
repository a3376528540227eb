"""A person erased from rows, tags, rollups and journal; what was spent stays, without a name."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from spend_middleware.errors import ConfigurationError
from spend_middleware.store.alone import alone
from spend_middleware.store.dialects import tables_for
from spend_middleware.store.ledger import Ledger
from spend_middleware.store.records import storable
from spend_middleware.store.report_sources import (
    CUSTOMERS,
    DAY_LINES,
    LOGS,
    NAME_SPANS,
    NAMES,
    TAGS,
    TOTALS,
    one_of,
)
from spend_middleware.store.rollups import MOVED, SUMS

_AT_ONCE = 500
_NOTHING = {
    "end_user": "",
    "metadata": "{}",
    "session_id": None,
    "trace_id": None,
    "requester_ip_address": None,
    "user_agent": None,
}
"""What a forgotten person's rows hold in place of what pointed to the person."""

_WORD_ENDS = r"[\s:=/|,;#@()\[\]{}\"']"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased.

    Args:
        rows: Rows that named the person.
        tags: Tags that named the person; each has become "erased:" and a random word.
        rollups: Rows of rollups that were merged into the nameless ones.
        journal: Records in the journal that were rewritten.
    """

    rows: int
    tags: int
    rollups: int
    journal: int

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(
            self.rows + other.rows,
            self.tags + other.tags,
            self.rollups + other.rollups,
            self.journal + other.journal,
        )


def forget(ledger: Ledger, end_user: str, *, journal: Callable[[str], int] = lambda _: 0) -> Forgotten:
    """Erase a person from everything that is stored; all totals stay.

    The rows go first, in small batches; then, with all writers kept out, those that came in meanwhile and the rollups.
    Doing it again is harmless, and so is being killed half-way: doing it again completes it.

    Args:
        end_user: As it was recorded (hashed, where `hash_end_users` is on).
        journal: Erases the person from records that are not in the database yet, and says how many there were.

    Raises:
        ConfigurationError: The name is empty.
    """
    name = storable(end_user)
    if not name:
        raise ConfigurationError("end_user must name somebody.")
    waiting = journal(name)
    ledger.prepare()
    rows = 0
    while True:
        with ledger.database.writing.begin() as connection:
            _secure(connection)
            erased = _erase_rows(connection, name)
        rows += erased
        if erased < _AT_ONCE:
            break
    with alone(ledger) as connection:
        _secure(connection)
        while erased := _erase_rows(connection, name):
            rows += erased
        merged = _merge_names(ledger, connection, name)
        connection.execute(delete(DAY_LINES))  # days have fewer names now: whoever settles counts again
        tags = _tags_naming(connection, name)
        for tag in tags:
            merged += _rename_tag(connection, tag, f"erased:{secrets.token_hex(8)}")
    return Forgotten(rows, len(tags), merged, waiting)


def _secure(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "PRAGMA secure_delete = ON"
        )  # deleted text is overwritten, not left in free pages


def _erase_rows(connection: Connection, name: str) -> int:
    some = list(connection.scalars(select(LOGS.c.id).where(one_of(LOGS.c.end_user, [name])).limit(_AT_ONCE)))
    if some:
        connection.execute(update(LOGS).where(LOGS.c.id.in_(some)).values(_NOTHING))
    return len(some)


def _merge_names(ledger: Ledger, connection: Connection, name: str) -> int:
    """Add the person's rows of every rollup to the nameless ones."""
    tables = tables_for(ledger.database.address)
    merged = 0
    for table, column, kind in (
        (CUSTOMERS, "end_user", None),
        (NAMES, "name", "customer"),
        (NAME_SPANS, "name", "customer"),
        (TOTALS, "name", "customer"),
    ):
        own = [table.c[column] == name, *([] if kind is None else [table.c.kind == kind])]
        key = MOVED[table.name]
        while True:
            taken = select(*(table.c[part] for part in key), *(table.c[part] for part in SUMS))
            rows = [tuple(line) for line in connection.execute(taken.where(*own).limit(_AT_ONCE))]
            if not rows:
                break
            for row in rows:
                connection.execute(
                    delete(table).where(*(table.c[part] == row[at] for at, part in enumerate(key)))
                )
            position = key.index(column)
            nameless = [(*row[:position], "", *row[position + 1 :]) for row in rows]
            tables.move(connection, {table.name: list(zip(*sorted(nameless), strict=True))})
            merged += len(rows)
    return merged


def _tags_naming(connection: Connection, name: str) -> list[str]:
    """Return the tags in which the name stands as a whole word, such as `palantir` or `customer:palantir`."""
    named = select(TOTALS.c.name).where(TOTALS.c.kind == "tag", TOTALS.c.name.contains(name, autoescape=True))
    whole = re.compile(rf"(?:^|{_WORD_ENDS}){re.escape(name)}(?:$|{_WORD_ENDS})")
    return sorted({tag for tag in connection.scalars(named) if whole.search(tag)})


def _rename_tag(connection: Connection, tag: str, nameless: str) -> int:
    """Give a tag another name everywhere; a new name of its own, so that no call ends up with one tag twice."""
    rows = connection.execute(
        select(LOGS.c.id, LOGS.c.request_tags).join(TAGS, TAGS.c.log_id == LOGS.c.id).where(TAGS.c.tag == tag)
    ).all()
    for log_id, text in rows:
        tags = [nameless if one == tag else one for one in json.loads(text or "[]")]
        connection.execute(update(LOGS).where(LOGS.c.id == log_id).values(request_tags=json.dumps(tags)))
    connection.execute(update(TAGS).where(TAGS.c.tag == tag).values(tag=nameless))
    renamed = 0
    for table in (NAMES, NAME_SPANS, TOTALS):
        own = (table.c.kind == "tag", table.c.name == tag)
        renamed += connection.execute(update(table).where(*own).values(name=nameless)).rowcount
    return renamed
