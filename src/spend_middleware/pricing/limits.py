"""What is known of models besides prices: how long a prompt and an answer may be, and what they can do."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

NUMBERS = ("max_tokens", "max_input_tokens", "max_output_tokens")
"""LiteLLM's fields of the limits that a model has; `max_tokens` is the longest answer."""


def limits_of(key: str) -> dict[str, int | bool]:
    """Return a model's limits and the `supports_...` fields that are true, in LiteLLM's names; those known."""
    packed = _packaged()
    line = packed["models"].get(key)
    if line is None:
        return {}
    *numbers, bits = line
    found: dict[str, int | bool] = {
        name: number for name, number in zip(packed["numbers"], numbers, strict=True) if number is not None
    }
    return found | {name: True for place, name in enumerate(packed["abilities"]) if bits >> place & 1}


def checked_limits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return the limits among fields that somebody gave; what is no number of tokens is left out."""
    given = {name: fields.get(name) for name in NUMBERS}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, int) and not isinstance(value, bool) and value > 0
    }


@cache
def _packaged() -> dict[str, Any]:
    stored = files("spend_middleware.pricing").joinpath("data/limits.json.gz").read_bytes()
    packed: dict[str, Any] = json.loads(gzip.decompress(stored))
    return packed
