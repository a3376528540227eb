"""Finds the shape that a path has, by its last word first, so that most paths cost one look."""

from __future__ import annotations

import re

from spend_middleware.wire.shapes import SHAPES, Shape
from spend_middleware.wire.vendor_shapes import VENDOR_SHAPES

# A model's place in a path that names none: https://docs.anthropic.com/en/api/claude-on-vertex-ai counts tokens so, free.
_NO_MODELS = frozenset({"count-tokens"})
_WILD = {"{id}": r"[^/]+", "{model}": r"(?P<model>[^/]+)", "{model+}": r"(?P<model>[^/].*)"}


def _pattern(tail: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{[a-z]+\+?\})", tail)
    return re.compile(r"(?:^|/)" + "".join(_WILD.get(piece) or re.escape(piece) for piece in pieces) + r"$")


def _last_word(path: str, method: str) -> str:
    """Return the word of a path that tells most: the verb, the last segment, or for GET the last but one."""
    head, _, last = path.rpartition("/")
    if ":" in last and not last.startswith("arn:"):
        return last.rpartition(":")[2]
    return last if method == "POST" or last == "results" else head.rpartition("/")[2]


def _index() -> dict[tuple[str, str, str], list[tuple[re.Pattern[str], Shape]]]:
    out: dict[tuple[str, str, str], list[tuple[re.Pattern[str], Shape]]] = {}
    for shape in (*SHAPES, *VENDOR_SHAPES):
        word = _last_word(shape.tail, shape.method)
        key = (shape.family, shape.method, "" if "{" in word else word)
        out.setdefault(key, []).append((_pattern(shape.tail), shape))
    return out


_INDEX = _index()


def shape_of(family: str, method: str, path: str) -> tuple[Shape, str | None] | None:
    """Return the shape of a path and the model that it names, None when the family bills no such path."""
    for word in (_last_word(path, method), ""):
        for pattern, shape in _INDEX.get((family, method, word), ()):
            found = pattern.search(path)
            if found:
                model = found.groupdict().get("model")
                return None if model in _NO_MODELS else (shape, model)
    return None
