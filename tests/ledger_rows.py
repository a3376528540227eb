"""Rows for the store's tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from spend_middleware.call import NOBODY
from spend_middleware.ids import new_call_id
from spend_middleware.store.facts import Started

NOON = 1_795_435_200_000_000
"""2026-11-23 12:00 UTC in microseconds."""


def row(**columns: Any) -> dict[str, Any]:
    """Return a finished call; `tags` may be given as a list."""
    tags = columns.pop("tags", ())
    start = columns.get("start_time", NOON)
    plain = {
        "id": new_call_id(start / 1e6),
        "call_type": "completion",
        "provider": "openai",
        "model": "gpt-4o-mini-2024-07-18",
        "model_group": "gpt-4o-mini",
        "endpoint": "/v1/chat/completions",
        "spend": 1_234_567,
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "start_time": start,
        "end_time": start + 1_500_000,
        "status": "success",
        "usage_source": "reported",
        "pricing_status": "priced",
        "request_tags": json.dumps(list(tags)),
    }
    return {**plain, **columns}


def unmakeable() -> list[bytes]:
    """Return records that no row can be made of: no JSON, no call, and what should be a call and has no fields."""
    return [
        b"no JSON",
        b"[]",
        b'{"a": 1}',
        b'[1,["x"],0,0,0,0,0]',
        b"\x92\x01",
        b"\x92\x01\x05",
        b"\x92\x01\x91\xa6broken",
    ]


def started_as(call_id: str) -> Started:
    """Return what is known of a call that goes out."""
    base, endpoint = "https://api.openai.com", "/chat/completions"
    return call_id, "completion", "openai", "gpt-4o-mini", base, endpoint, 5.0, 0, NOBODY


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what another thread or process brings about."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)
