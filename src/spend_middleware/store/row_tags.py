"""A row's tags, which it holds as JSON: a list of texts, each once, wherever the row came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pydantic_core import from_json

from spend_middleware.store.records import AT, Values, storable

_START, _TAGS, _ID = AT["start_time"], AT["request_tags"], AT["id"]


def tags_in(stored: str | None) -> tuple[str, ...]:
    """Return the tags that a row's `request_tags` names, each once."""
    return _parsed(stored)[0] if stored and stored != "[]" else ()


def tag_columns(rows: Iterable[Values]) -> tuple[list[str], list[int], list[str]]:
    """Return the tags of rows with each tag's row: three columns, tag, start_time and log_id."""
    tags: list[str] = []
    starts: list[int] = []
    ids: list[str] = []
    for row in rows:
        own = tags_in(row[_TAGS])
        tags += own
        starts += [row[_START]] * len(own)
        ids += [row[_ID]] * len(own)
    return tags, starts, ids


def with_plain_tags(rows: Sequence[Values]) -> list[Values]:
    """Return rows whose tags both databases can unfold: no tag twice, nothing that is no text, no broken JSON."""
    return [row if _is_plain(row[_TAGS]) else _made_plain(row) for row in rows]


def _is_plain(stored: str | None) -> bool:
    return stored is None or stored == "[]" or _parsed(stored)[1]


def _made_plain(row: Values) -> Values:
    plain = json.dumps(tags_in(row[_TAGS]), ensure_ascii=False)
    return (*row[:_TAGS], plain, *row[_TAGS + 1 :])


@lru_cache(maxsize=8192)  # more than a batch has: it is gone through three times
def _parsed(stored: str) -> tuple[tuple[str, ...], bool]:
    """Return the tags in JSON, and whether it holds just them."""
    try:
        found = from_json(stored)
    except ValueError:
        try:
            found = json.loads(stored)  # slower, and takes lone surrogates
        except ValueError:
            return (), False
    if not isinstance(found, list):
        return (), False
    tags = tuple(dict.fromkeys([storable(tag) for tag in found if isinstance(tag, str)]))
    return tags, len(tags) == len(found) and tags == tuple(found)
