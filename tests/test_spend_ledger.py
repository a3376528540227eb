"""What `Spend` does besides the live path: calls told by hand, repricing, the command, flush, close and fork."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spend_middleware import ConfigurationError, PriceError, Settings, Spend, Usage
from spend_middleware.cli import main


@pytest.fixture
def spend(database_url: str, tmp_path: Path) -> Iterator[Spend]:
    with Spend(database_url, journal_dir=tmp_path / "journal", batch_seconds=0.01) as made:
        yield made


def total(spend: Spend) -> Decimal:
    from spend_middleware.store.report_values import EVERYTHING

    assert spend.flush()
    return spend.store.reports.total(EVERYTHING).spend


def test_a_call_told_by_hand_is_priced_or_takes_its_stated_cost(spend: Spend) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    priced = spend.record(
        provider="openai", model="gpt-4o-mini", usage=usage, tags=["batch"], end_user="acme"
    )
    stated = spend.record(provider="weaviate", model="search", cost="0.0123", operation="search")
    assert (priced.cost.amount, stated.cost.amount) == (Decimal("0.15"), Decimal("0.0123"))
    assert total(spend) == Decimal("0.1623")


def test_a_call_told_twice_under_its_provider_id_is_one_row(spend: Spend) -> None:
    for _ in range(3):
        spend.record(
            provider="xai",
            model="grok",
            cost=1,
            request_id="resp-1",
            start_time=datetime(2026, 5, 1, tzinfo=UTC),
        )
    assert total(spend) == Decimal(1)


def test_a_told_call_counts_in_the_tally_around_it(spend: Spend) -> None:
    with spend.tag("job") as tally:
        spend.record(provider="openai", model="gpt-4o-mini", cost=Decimal("0.000000000001"))
    assert tally.cost == Decimal("0.000000000001")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"cost": "many"}, "cost='many'"),
        ({"cost": float("nan")}, "cost=nan"),
        ({"cost": 1, "start_time": "yesterday"}, "start_time='yesterday'"),
        ({"cost": 1, "start_time": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
    ],
)
def test_a_told_call_with_a_wrong_value_is_refused_by_name(spend: Spend, wrong: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named.replace("(", r"\(")):
        spend.record(provider="p", model="m", **wrong)
    assert total(spend) == 0


def test_repricing_enters_what_a_late_price_changes_once(spend: Spend) -> None:
    usage = Usage(input_tokens=1_000, output_tokens=100)
    for _ in range(3):
        spend.record(provider="openai", model="in-house-1", usage=usage)
    assert total(spend) == 0
    spend.register_model({"in-house-1": {"input_cost_per_token": 1e-6, "output_cost_per_token": "2e-6"}})
    shown = spend.reprice(model="in-house-1")
    assert (shown.changed, total(spend)) == (3, Decimal(0))
    for expected in (3, 0):
        assert spend.reprice(model="in-house-1", dry_run=False, who="test").made == expected
    assert total(spend) == Decimal("0.0036")
    assert spend.verify().agrees


def test_repricing_leaves_told_costs_alone(spend: Spend) -> None:
    spend.record(provider="openai", model="gpt-4o-mini", usage=Usage(input_tokens=1000), cost="5")
    assert spend.reprice(dry_run=False).made == 0
    assert total(spend) == Decimal(5)


def test_a_price_of_ones_own_is_marked_and_not_repriced_by_who_does_not_know_it(
    spend: Spend, database_url: str, tmp_path: Path
) -> None:
    spend.register_model({"gpt-4o-mini": {"input_cost_per_token": 1e-3}})
    call = spend.record(provider="openai", model="gpt-4o-mini", usage=Usage(input_tokens=1000))
    assert (str(call.cost.status), total(spend)) == ("custom", Decimal(1))
    with Spend(database_url, journal_dir=tmp_path / "journal") as another:
        assert another.reprice(dry_run=False).made == 0
    assert total(spend) == Decimal(1)


def test_the_command_shows_reprices_verifies_and_purges(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPEND_JOURNAL_DIR", str(tmp_path / "journal"))
    with Spend(database_url) as spend:
        spend.record(provider="openai", model="house-2", usage=Usage(input_tokens=1000), end_user="acme")
    monkeypatch.setenv("SPEND_MODEL_PRICES", '{"house-2": {"input_cost_per_token": 0.001}}')
    command = ["--database", database_url]
    assert main([*command, "reprice", "--dry-run"]) == 0
    assert "+1.0 USD (0.0 -> 1.0)" in capsys.readouterr().out
    assert main([*command, "reprice"]) == 0
    assert "1 adjustments entered" in capsys.readouterr().out
    assert main([*command, "verify"]) == 0
    assert main([*command, "purge", "--end-user", "acme"]) == 0
    assert main([*command, "health"]) == 0
    assert main(["--database", "mysql://x", "verify"]) == 2
    assert "mysql" in capsys.readouterr().err


def test_settings_come_from_the_environment_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-from-litellm-0123456789")
    monkeypatch.setenv("SPEND_MAX_TAGS", "3")
    settings = Settings()
    assert (settings.database_url, settings.max_tags) == ("sqlite:///other.db", 3)
    assert settings.master_key is not None
    with pytest.raises(ConfigurationError, match="batch_size"):
        Spend("sqlite://", batch_size=0)
    with pytest.raises(ConfigurationError, match="no_such_knob"):
        Spend("sqlite://", no_such_knob=1)
    with pytest.raises(ConfigurationError, match="not both"):
        Spend("sqlite://", settings=settings)


def test_a_price_map_of_ones_own_is_followed_unless_only_the_bundled_one_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {f"model-{n}": {"litellm_provider": "openai", "input_cost_per_token": 1e-6} for n in range(3000)}
    path = tmp_path / "map.json"
    path.write_text(json.dumps(models))
    monkeypatch.setenv("LITELLM_MODEL_COST_MAP_URL", str(path))
    for local, price in (("false", Decimal(1)), ("true", None)):
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", local)
        with Spend(f"sqlite:///{tmp_path}/{local}.db") as spend:
            assert spend.prices is not None
            assert local == "true" or (spend._follower is not None and spend._follower.first_done.wait(60))
            call = spend.record(provider="openai", model="model-7", usage=Usage(input_tokens=1_000_000))
        assert call.cost.amount == price


def test_prices_of_ones_own_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"custom-model": {"input_cost_per_token": 1e-05, "output_cost_per_token": "0.00002"}}')
    with Spend(f"sqlite:///{tmp_path}/own.db") as spend:
        spend.register_model(path)
        call = spend.record(
            provider="openai", model="custom-model", usage=Usage(input_tokens=3, output_tokens=2)
        )
        assert call.cost.amount == Decimal("0.00007")
        for content in ("[]", "{", '{"m": 1}'):
            path.write_text(content)
            with pytest.raises(ConfigurationError, match=r"prices\.json"):
                spend.register_model(str(path))


def test_a_price_that_cannot_be_used_is_heard_of_at_once(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="input_cost_per_token of 'gpt-mine'"):
        Spend(f"sqlite:///{tmp_path}/p.db", model_prices={"gpt-mine": {"input_cost_per_token": "cheap"}})


PROGRAM = """
    import os, sys
    from spend_middleware import Spend
    spend = Spend("sqlite:///" + sys.argv[1], batch_seconds=0.01)
    spend.record(provider="p", model="parent", cost=1)
    {body}
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", 1),
        ("os._exit(0)", 1),
        ("os.kill(os.getpid(), 9)", 1),
        (
            "pid = os.fork(); spend.record(provider='p', model='either', cost=1); pid and os.waitpid(pid, 0)",
            3,
        ),
    ],
    ids=["exit without close", "_exit", "kill -9", "fork"],
)
def test_a_process_that_goes_without_close_loses_nothing(tmp_path: Path, body: str, expected: int) -> None:
    path = tmp_path / "left.db"
    program = textwrap.dedent(PROGRAM).format(body=body)
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, env={**os.environ}, timeout=60)
    with Spend(f"sqlite:///{path}") as spend:
        assert spend.flush(timeout=20)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM spend_logs").fetchone() == (expected,)


KILLED_AFTER_THREE = """
    import os, sys
    import {library}
    from spend_middleware import Spend

    answer = {{
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o",
        "choices": [{{"index": 0, "message": {{"content": "hi"}}, "finish_reason": "stop"}}],
        "usage": {{"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200}},
    }}
    prices = {{"gpt-4o": {{"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}}}}
    spend = Spend("sqlite:///" + sys.argv[1], model_prices=prices, batch_seconds=60)
    vendor = {library}.MockTransport(lambda request: {library}.Response(200, json=answer))
    client = {library}.Client(transport=spend.transport(vendor), headers={{"authorization": "Bearer sk-1"}})
    for _ in range(3):
        said = client.post(
            "https://api.openai.com/v1/chat/completions", json={{"model": "gpt-4o", "messages": [], "user": "ana"}}
        )
        print(said.headers["x-litellm-response-cost"], flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_call_left_by_a_killed_process_costs_what_its_own_prices_say(tmp_path: Path, library: str) -> None:
    path = tmp_path / "left.db"
    program = textwrap.dedent(KILLED_AFTER_THREE).format(library=library)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["0.28"] * 3, done.stderr
    with Spend(f"sqlite:///{path}") as spend:
        assert spend.flush(timeout=20)
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT spend, pricing_status, end_user, total_tokens FROM spend_logs"
        ).fetchall()
        total = connection.execute(
            "SELECT sum(spend_micros) FROM spend_name_totals WHERE kind = 'total'"
        ).fetchone()
    assert found == [(280_000_000_000, "custom", "ana", 200)] * 3
    assert total == (840_000,)


@pytest.mark.parametrize(("name", "value"), [("timezone", "Mars/X"), ("report_timezones", ("Mars/X",))])
def test_a_zone_that_is_none_is_heard_of_at_once(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^Setting '{name}': 'Mars/X' is not a time zone"):
        Spend("sqlite://", **{name: value})


@pytest.mark.parametrize(
    ("knob", "kept"),
    [("hash_end_users", hashlib.sha256(b"ana").hexdigest()), ("disable_end_user_cost_tracking", "")],
)
def test_an_end_user_told_by_hand_is_hidden_like_any_other(knob: str, kept: str, tmp_path: Path) -> None:
    switched: dict[str, Any] = {knob: True}
    with Spend(f"sqlite:///{tmp_path}/spend.db", **switched) as spend:
        spend.record(provider="p", model="m", cost=1, end_user="ana")
        assert spend.flush()
        with sqlite3.connect(tmp_path / "spend.db") as connection:
            assert connection.execute("SELECT end_user FROM spend_logs").fetchone() == (kept,)


def test_a_hashed_person_is_forgotten_by_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/spend.db"
    with Spend(url) as spend:
        spend.record(provider="p", model="m", cost=1, end_user="ana")
    with Spend(url, hash_end_users=True) as spend:
        spend.record(provider="p", model="m", cost=1, end_user="ana")
        assert spend.forget(end_user="ana").rows == 2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"provider": None}, "provider=None"),
        ({"model": 3}, "model=3"),
        ({"usage": {"input_tokens": 5}}, "usage="),
        ({"start_time": float("nan")}, "start_time=nan"),
        ({"start_time": 10, "end_time": 5}, "end_time=5"),
    ],
)
def test_a_told_call_of_the_wrong_types_is_refused_by_name(
    spend: Spend, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named}"):
        spend.record(**{"provider": "p", "model": "m", "cost": 1, **wrong})


def test_one_tag_may_be_told_as_a_text(spend: Spend) -> None:
    told: Any = "nightly"
    assert spend.record(provider="p", model="m", cost=1, tags=told).attribution.tags == ("nightly",)


def test_a_block_leaves_out_what_is_of_no_use(spend: Spend) -> None:
    useless: dict[str, Any] = {"metadata": "text", "api_key": 5, "end_user": ["x"], "session_id": 7}
    with spend.tag("job", **useless) as tally:
        spend.record(provider="p", model="m", cost=1)
    said = tally.calls[0].attribution
    assert (said.metadata, said.key_hash, said.end_user, said.session_id) == ({}, None, None, "7")


@pytest.mark.parametrize("command", [["verify"], ["health"], ["purge", "--end-user", "ana"]], ids=" ".join)
def test_the_command_makes_no_ledger_where_there_is_none(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--database", f"sqlite:///{tmp_path}/typo.db", *command]) == 2
    assert "there is no database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_who_cannot_be_purged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spend(f"sqlite:///{tmp_path}/spend.db") as spend:
        assert spend.flush()
    assert main(["--database", f"sqlite:///{tmp_path}/spend.db", "purge", "--end-user", ""]) == 2
    assert capsys.readouterr().err == "spend: end_user must name somebody.\n"
