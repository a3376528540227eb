"""Reading JSON whose shape nobody promised: every function takes anything and never raises."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Raw
from pydantic_core import from_json

LARGEST = (
    10**15
)  # beyond any count that a provider can mean; larger numbers would overflow a database integer
_DECIMALS = 40
_MARKS = (b"\xef", b"\xff", b"\xfe")
_NUMBER = b"0123456789.eE+- \t\r\n"
_NOTHING: Mapping[str, Any] = {}


class NoCount(int):
    """The 0 in place of a count that was stated and is none; what is added to it is no count either."""

    __slots__ = ()

    def __add__(self, other: int) -> NoCount:
        return NoCount(int(self) + other)

    __radd__ = __add__

    def __sub__(self, other: int) -> NoCount:
        return NoCount(int(self) - other)

    def __rsub__(self, other: int) -> NoCount:
        return NoCount(other - int(self))


class _Met(threading.local):
    """How many values this thread has met that were stated as counts and are none."""

    times = 0


met = _Met()


def no_count() -> NoCount:
    """Return what stands for a count that is none, and remember that one was met."""
    met.times += 1
    return NoCount()


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
        # A byte order mark is no JSON, and clients take it.
        if b"\\ud" not in body and b"\\uD" not in body and body[:1] not in _MARKS:
            raise
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return a body that is a JSON object, None for all others."""
    try:
        value = json_of(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


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


class Written(Mapping[str, Any]):
    """A JSON object, each value of which is parsed when it is first asked for.

    What cannot be read, such as text that is no UTF-8, stays `Raw`: neither a text nor an object to anybody here.

    Args:
        parts: Its values; those that nobody has asked for as they are written.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts

    def __getitem__(self, name: str) -> Any:
        value = self.parts[name]
        return self._parsed(name, value) if type(value) is Raw else value

    def get(self, name: str, default: Any = None) -> Any:
        value = self.parts.get(name, default)
        return self._parsed(name, value) if type(value) is Raw else value

    def _parsed(self, name: str, written: Raw) -> Any:
        # Of two threads both may parse it, and get the same.
        value = self.parts[name] = _value_of(written)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self.parts

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


def _value_of(written: Raw) -> Any:
    """Return a value; as it is written where it cannot be read, so that it is nobody's and leaves as it came."""
    text = bytes(written)
    for read in (json_of, json.loads):  # the second one nests more deeply
        with contextlib.suppress(ValueError, RecursionError):
            return read(text)
    return written


_OBJECTS = (dict, Written)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, _OBJECTS) else _NOTHING


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
    """Return a count: 0 where nothing is stated, `NoCount` for what is no whole number from 0 on.

    Whole numbers come in other clothes as well: Cohere's API declares its counts as doubles, and protobuf writes
    64-bit integers as strings. A fraction is no count (what OpenRouter states so for pictures is weighted by price),
    and -1 is how many home-made servers say that they do not know.
    https://docs.cohere.com/reference/chat and https://protobuf.dev/programming-guides/json
    """
    if type(value) is int:
        if 0 <= value <= LARGEST:
            return value
    elif value is None:
        return 0
    elif type(value) is NoCount:
        return value
    else:
        number = amount(value)
        if number is not None and number == int(number):
            return int(number)
    return no_count()


def units_of(**quantities: Any) -> dict[str, Decimal | int]:
    """Return the quantities that are not empty, whole ones as integers, `NoCount` for what is no quantity."""
    out: dict[str, Decimal | int] = {}
    for name, value in quantities.items():
        number = amount(value)
        if number:
            out[name] = int(number) if number == int(number) else number
        elif number is None and value is not None:
            out[name] = no_count()
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
