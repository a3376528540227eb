"""What the tests of the entity routes share: a house on each database, and hostile values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from api_house import bearer, call, client, spending

CALLS = [
    call("2026-05-06T10:00:00", "0.001", end_user="palantir", tags=["jobs"], user_id="ishaan", team_id="t-prod"),
    call("2026-05-06T11:00:00", "0.002", end_user="acme", tags=["jobs", "prod"], team_id="t-prod"),
]  # fmt: skip


@contextmanager
def served(folder: Path, url: str) -> Iterator[TestClient]:
    """Open a house with two calls and everybody of `api_house.KEYS`; the client is the master."""
    with spending(folder, CALLS, url) as spend:
        http = client(spend.app)
        http.headers.update(bearer("master"))
        yield http


HOSTILE: dict[str, Any] = {
    "a NUL": "a\0b",
    "half a surrogate pair": "a\ud800b",
    "a very long text": "x" * 100_000,
    "a list": ["a"],
    "an object": {"a": 1},
    "a number": 10**400,
    "true": True,
}
NUMBERS: dict[str, Any] = {
    "a word": "much",
    "more than 64 bits": 2**63,
    "a list": [1],
    "more than there is": 1e300,
}


def post(http: TestClient, path: str, body: Any) -> Any:
    """Send a JSON body as it is, half surrogate pairs too, which a well-behaved client would not write."""
    text = json.dumps(body)
    return http.post(path, content=text, headers={"content-type": "application/json"})


def said(answer: Any) -> str:
    """Return the message of a refusal in any of the four bodies that LiteLLM's routes have."""
    body = answer.json()
    detail = body["error"]["message"] if "error" in body else body["detail"]
    return str(detail["error"]) if isinstance(detail, dict) else str(detail)


def kinds(shape: Any, where: str = "") -> dict[str, str]:
    """Return the JSON kind of every key of a row, in its order; `null` stands for what is not set."""
    names = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null", dict: "{}", list: "[]"}
    assert isinstance(shape, Mapping), where
    return {key: names[type(value)] for key, value in shape.items()}


def skeleton(text: str) -> dict[str, str]:
    """Return `name:kind` pairs, separated by blanks, as `kinds` does."""
    return dict(pair.split(":") for pair in text.split())
