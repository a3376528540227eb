"""Reading JSON whose shape nobody promised: every function takes anything and never raises."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic_core import from_json

LARGEST = (
    10**15
)  # beyond any count that a provider can mean; larger numbers would overflow a database integer
_DECIMALS = 40
_NUMBER = b"0123456789.eE+- \t\r\n"
_NOTHING: Mapping[str, Any] = {}


def json_of(body: bytes) -> Any:
    """Return the JSON value of a body.

    Raises:
        ValueError: The body is not JSON.
    """
    try:
        return from_json(body)
    except ValueError:
        # Half of a surrogate pair is legal in JSON (RFC 8259, section 8.2) and comes where a provider cuts a text
        # between chunks; the fast parser takes none.
        if b"\\ud" not in body and b"\\uD" not in body:
            raise
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body, the readable part of one that broke off, or None."""
    if not body:
        return None
    try:
        return json_of(body)
    except ValueError:
        pass
    try:
        # A number that stands last may have been cut: without it the pair that it belongs to is left out.
        return from_json(body.rstrip(_NUMBER), allow_partial=True)
    except ValueError:
        return None


def documents(body: bytes) -> list[Mapping[str, Any]]:
    """Return the objects of a body that is one JSON object or JSON lines, the readable part of a broken one too."""
    try:
        whole = json_of(body)
    except ValueError:
        pass
    else:
        return [whole] if isinstance(whole, dict) else []
    out = [
        found for line in body.split(b"\n") if line.lstrip()[:1] == b"{" and (found := mapping(parsed(line)))
    ]
    return out or [found for found in (mapping(parsed(body)),) if found]


def last_document(body: bytes) -> Mapping[str, Any]:
    """Return the last object of a body of JSON lines, or the one object that it is, an empty one when it broke off."""
    last = body.rstrip().rpartition(b"\n")[2]
    for text in (last, body):
        try:
            found = from_json(text)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return _NOTHING


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def listing(value: Any) -> Sequence[Any]:
    """Return the value if it is an array, else an empty one."""
    return value if isinstance(value, list) else ()


def within(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the object at the end of a path of keys, an empty one when any part is missing."""
    for key in path:
        value = mapping(value).get(key)
    return mapping(value)


def string(value: Any) -> str | None:
    """Return the value if it is a string that is not empty, cut at 512 characters."""
    return value[:512] if isinstance(value, str) and value else None


def strings(document: Mapping[str, Any], *names: str) -> list[str | None]:
    """Return the values of some keys, each if it is a string that is not empty, cut at 512 characters."""
    return [value[:512] if isinstance(value := document.get(name), str) and value else None for name in names]


def amount(value: Any) -> Decimal | None:
    """Return a number, or a string that spells one, exactly; None for all else, negative and endless ones too."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str) and len(value) > 64:
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or not 0 <= number <= LARGEST:
        return None
    # A quantity with more decimals than any meter has is noise, and slow to calculate with.
    return number if number.as_tuple().exponent >= -_DECIMALS else round(number, _DECIMALS)  # type: ignore[operator]


def count(value: Any) -> int:
    """Return a count: nothing, negative and nonsensical values are 0, a fraction is cut off."""
    if type(value) is int:
        return value if 0 < value <= LARGEST else 0
    if type(value) is float:
        return int(value) if math.isfinite(value) and 0 < value <= LARGEST else 0
    number = amount(value)
    return int(number) if number is not None else 0


def units_of(**quantities: Any) -> dict[str, Decimal | int]:
    """Return the quantities that are not empty, whole ones as integers."""
    out: dict[str, Decimal | int] = {}
    for name, value in quantities.items():
        number = amount(value)
        if number:
            out[name] = int(number) if number == int(number) else number
    return out


def traits_of(**traits: Any) -> dict[str, str]:
    """Return the traits that are short strings or whole numbers, as strings."""
    out: dict[str, str] = {}
    for name, value in traits.items():
        if isinstance(value, str) and 0 < len(value) <= 64:
            out[name] = value
        elif type(value) is int and 0 <= value <= LARGEST:
            out[name] = str(value)
    return out
