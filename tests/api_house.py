"""A house with fixed calls and one caller of every kind, for the tests of the routes."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.testclient import TestClient

from spend_middleware import Spend
from spend_middleware.call import to_pico
from spend_middleware.ids import new_call_id
from spend_middleware.store.entities import SpendKey, SpendTeam, SpendUser
from spend_middleware.store.records import DEFAULTS

MASTER = "sk-the-master-key-0001"
CLIENT = ("127.0.0.1", 50_000)

USERS = {
    "root": "proxy_admin",
    "auditor": "proxy_admin_viewer",
    "ishaan": "internal_user",
    "krrish": "internal_user_viewer",
}
DAY = 86_400
KEYS: dict[str, dict[str, Any]] = {
    "admin": {"user_id": "root"},
    "viewer": {"user_id": "auditor"},
    "internal": {"user_id": "ishaan"},
    "internal_viewer": {"user_id": "krrish"},
    "roleless": {"user_id": "nobody-knows-me"},
    "nobody": {},
    "team": {"team_id": "t-prod"},
    "other_team": {"team_id": "t-test"},
    "routed": {"allowed_routes": ["/spend/tags", "/spend/logs", "/global/spend/report"]},
    "routed_team": {"allowed_routes": ["/spend/*"], "team_id": "t-test"},
    "opened": {"permissions": {"get_spend_routes": True}},
    "not_opened": {"permissions": {"get_spend_routes": False}},
    "blocked": {"user_id": "root", "blocked": True},
    "expired": {"user_id": "root", "expires": 1_000_000},
    "blocked_team": {"team_id": "t-blocked"},
}


def raw(name: str) -> str:
    """Return the key of a caller."""
    return MASTER if name == "master" else f"sk-key-of-{name.replace('_', '-')}-0001"


def sha(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {raw(name)}"}


def micros(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def call(at: str, spend: str | None = "0.001", **columns: Any) -> dict[str, Any]:
    """Return one row of the ledger; `tags`, `pairs` and money are given as Python values."""
    start = micros(at)
    tags, pairs = columns.pop("tags", ()), columns.pop("pairs", {})
    prompt, completion = columns.pop("prompt_tokens", 10), columns.pop("completion_tokens", 5)
    return {
        **DEFAULTS,
        "id": new_call_id(start / 1_000_000),
        "request_id": f"chatcmpl-{uuid.uuid4().hex[:8]}",
        "call_type": "completion",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "model_group": "gpt-4o-mini",
        "endpoint": "/v1/chat/completions",
        "api_base": "https://api.openai.com/v1",
        "spend": None if spend is None else to_pico(Decimal(spend)),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "start_time": start,
        "end_time": start + 1_500_000,
        "status": "success",
        "status_code": 200,
        "usage_source": "reported",
        "pricing_status": "unpriced" if spend is None else "priced",
        "request_tags": json.dumps(list(tags)),
        "metadata": json.dumps({"spend_logs_metadata": pairs}) if pairs else "{}",
        **columns,
    }


@contextmanager
def spending(
    folder: Path, calls: list[dict[str, Any]], url: str | None = None, **knobs: Any
) -> Iterator[Spend]:
    """Open a house with these calls in its ledger, and everybody of `KEYS` in its directory."""
    knobs = {"master_key": MASTER, "journal_dir": folder / "journal", **knobs}
    with Spend(url or f"sqlite:///{folder / 'spend.db'}", **knobs) as spend:
        for row in calls:
            spend.store.append(row)
        assert spend.flush(60)
        people(spend)
        yield spend


def people(spend: Spend) -> None:
    with spend.directory.write() as desk:
        for user_id, role in USERS.items():
            desk.session.add(SpendUser(user_id=user_id, user_role=role, user_email=f"{user_id}@example.com"))
        for team_id, alias in (
            ("t-prod", "Prod Team"),
            ("t-test", "Test Team"),
            ("t-blocked", "Blocked Team"),
        ):
            desk.session.add(SpendTeam(team_id=team_id, team_alias=alias, blocked=team_id == "t-blocked"))
        for name, columns in KEYS.items():
            key = raw(name)
            given = {
                "token": sha(key),
                "key_name": f"sk-...{key[-4:]}",
                "key_alias": f"alias-{name}",
                **columns,
            }
            desk.session.add(SpendKey(**given))


def client(app: Any, **options: Any) -> TestClient:
    """Return a client from the loopback address; what goes wrong inside shows as an answer.

    All clients share a loop, as a server's requests do: one for every request costs as much as the answer.
    """
    made = TestClient(app, client=CLIENT, raise_server_exceptions=False, **options)
    made.portal = _loop()
    return made


LOOPS = ExitStack()
"""The loop of the clients; closed with the session."""


@cache
def _loop() -> BlockingPortal:
    return LOOPS.enter_context(start_blocking_portal("asyncio"))


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
