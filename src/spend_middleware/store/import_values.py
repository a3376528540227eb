"""Values of LiteLLM's rows, as drivers, JSON exports and CSV exports give them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from spend_middleware.store.import_rows import UnusableRow
from spend_middleware.store.zones import moment_of

LONGEST_ID = 512
_LARGEST = (1 << 63) - 1
_MOST = Decimal(10**15)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"{}]+)')


class Values:
    """One row of LiteLLM's, read by column; a value that cannot be used raises `UnusableRow` with the column's name."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        if not isinstance(row, Mapping):
            raise UnusableRow(f"a row is a mapping, not {type(row).__name__}")
        self.row = row

    def id(self, column: str) -> str:
        """Return a text that must be there."""
        value = self.text(column)
        if not value:
            raise UnusableRow(f"{column} is missing")
        if len(value) > LONGEST_ID:
            raise UnusableRow(f"{column} is longer than {LONGEST_ID} characters")
        return value

    def text(self, column: str) -> str | None:
        """Return a text, None for an empty one."""
        value = self.row.get(column)
        if value is None or value == "":
            return None
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UnusableRow(f"{column} is not a text")
        kept: str = _storable(str(value), column)
        return kept

    def names(self, column: str) -> list[Any]:
        """Return a list: of a driver, of JSON text, or of PostgreSQL's `{a,b}`."""
        value = self.row.get(column)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            value = _literal(value) if value.startswith("{") else _json(value, column)
        if not isinstance(value, list | tuple):
            raise UnusableRow(f"{column} is not a list")
        return [_storable(one, column) for one in value]

    def map(self, column: str) -> dict[str, Any]:
        """Return a JSON object, an empty one for NULL."""
        return self.optional_map(column) or {}

    def optional_map(self, column: str) -> dict[str, Any] | None:
        """Return a JSON object, None for NULL."""
        value = self.json(column)
        if value is None or (isinstance(value, list) and not value):
            return None
        if not isinstance(value, Mapping):
            raise UnusableRow(f"{column} is not an object")
        return dict(value)

    def json(self, column: str) -> Any:
        """Return a JSON value of any kind."""
        value = self.row.get(column)
        if isinstance(value, str):
            value = None if value == "" else _json(value, column)
        return _storable(value, column)

    def money(self, column: str) -> Decimal | None:
        """Return USD; a float is taken as the shortest decimal that reads back as the same float."""
        value = self.row.get(column)
        if value is None or value == "":
            return None
        try:
            amount = Decimal(repr(value) if isinstance(value, float) else str(value))
        except InvalidOperation as error:
            raise UnusableRow(f"{column} is not a number") from error
        if not amount.is_finite() or abs(amount) > _MOST:
            raise UnusableRow(f"{column} is not an amount of money")
        return amount

    def count(self, column: str) -> int | None:
        """Return a whole number."""
        value = self.row.get(column)
        if value is None or value == "":
            return None
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise UnusableRow(f"{column} is not a whole number") from error
        if abs(number) > _LARGEST:
            raise UnusableRow(f"{column} is too large")
        return number

    def flag(self, column: str) -> bool | None:
        """Return a truth value; `t` and `f` are PostgreSQL's in text."""
        value = self.row.get(column)
        if value is None or value == "":
            return None
        known = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
        found = known.get(str(value).lower())
        if found is None:
            raise UnusableRow(f"{column} is neither true nor false")
        return found

    def moment(self, column: str) -> int | None:
        """Return microseconds since the epoch; LiteLLM's times carry no zone and are UTC."""
        value = self.row.get(column)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError as error:
                raise UnusableRow(f"{column} is not a time") from error
        if not isinstance(value, datetime):
            raise UnusableRow(f"{column} is not a time")
        return moment_of(value)

    def extras(self, *columns: str) -> dict[str, Any]:
        """Return columns that are only shown again, as JSON; those that are NULL or absent are left out."""
        found: dict[str, Any] = {}
        for column in columns:
            value = self.row.get(column)
            if isinstance(value, datetime):
                value = value.isoformat()
            elif isinstance(value, str) and value[:1] in ("[", "{"):
                value = _literal(value) if _is_literal(value) else _json(value, column)
            if value is not None and value != "":
                found[column] = _storable(value, column)
        return found


def _is_literal(value: str) -> bool:
    """Return whether a text is PostgreSQL's `{a,b}` and not JSON."""
    try:
        json.loads(value)
    except ValueError:
        return value.startswith("{") and value.endswith("}")
    return False


def _literal(value: str) -> list[Any]:
    return [
        re.sub(r"\\(.)", r"\1", quoted) if quoted else plain.strip()
        for quoted, plain in _ELEMENT.findall(value[1:-1])
    ]


def _json(value: str, column: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UnusableRow(f"{column} is not JSON") from error


def _storable(value: Any, column: str, depth: int = 0) -> Any:
    """Return a value that JSON and every database can hold, or refuse the row."""
    if depth > 64:
        raise UnusableRow(f"{column} is nested too deep")
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise UnusableRow(f"{column} holds a NUL or half a surrogate pair")
        return value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnusableRow(f"{column} holds a number that JSON cannot")
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {
            str(_storable(str(key), column)): _storable(one, column, depth + 1) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_storable(one, column, depth + 1) for one in value]
    raise UnusableRow(f"{column} holds a {type(value).__name__}")
