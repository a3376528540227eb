"""The command that replays recorded traffic: rows are held against what is expected, and a missed bar is an exit code."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "replay_corpus.py"

# The smallest folder that the command can read: its own `replay.py` beside a list of interactions.
REPLAY = """
import json, pathlib
from types import SimpleNamespace
import httpx2

def load(part, **match):
    for known in json.loads((pathlib.Path(__file__).parent / "index.json").read_text()):
        if all(known.get(name) == value for name, value in match.items()):
            yield known

def replay(wrap, *, interactions, lib, asynchronous, chunk):
    for known in interactions:
        inner = httpx2.MockTransport(lambda request: httpx2.Response(200, json=known["answer"]))
        with httpx2.Client(transport=wrap(inner)) as client:
            answer = client.post(known["url"], json=known["request"])
        same = answer.json() == known["answer"]
        yield SimpleNamespace(interaction=known, transparent=same, why=[] if same else ["body"])

def compare(row, expected, *, fields=("prompt_tokens", "completion_tokens"), min_confidence="medium"):
    wrong = [name for name in fields if row[name] != expected[name]]
    cost = expected["truth"]["cost"]
    return wrong + (["cost"] if cost is not None and abs((row["cost"] or 0) - cost) > 1e-9 else [])
"""


def interaction(identity: str, path: str, usage: dict[str, int], expected: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "provider": "openai",
        "endpoint": "chat",
        "url": f"https://api.openai.com{path}",
        "request": {"model": "gpt-4o-mini", "messages": []},
        "answer": {"id": identity, "object": "chat.completion", "model": "gpt-4o-mini", "usage": usage},
        "expected": {"usage_reported": True, "truth": {"cost": None, "confidence": None}, **expected},
    }


def run(folder: Path, interactions: list[dict[str, Any]], *options: str) -> int:
    (folder / "replay.py").write_text(REPLAY)
    (folder / "index.json").write_text(json.dumps(interactions))
    spec = importlib.util.spec_from_file_location("replay_corpus", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    code: int = module.main([str(folder), *options])
    return code


CHAT = interaction(
    "chat",
    "/v1/chat/completions",
    {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    {
        "row_expected": "yes",
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "truth": {"cost": 0.00021, "confidence": "high"},
    },
)
LISTING = interaction("listing", "/v1/files", {}, {"row_expected": "no"})


def test_traffic_as_expected_meets_all_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [CHAT, LISTING]) == 0
    out = capsys.readouterr().out
    assert "all bars are met" in out
    assert out.count("1/1") >= 6


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"prompt_tokens": 999}, "prompt_tokens"), ({"row_expected": "no"}, "a row for no LLM call")],
)
def test_a_difference_is_named_and_misses_a_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], sentence: str
) -> None:
    assert run(tmp_path, [{**CHAT, "expected": {**CHAT["expected"], **wrong}}]) == 1
    out = capsys.readouterr().out
    assert sentence in out
    assert "missed: " in out


def test_bars_are_options(tmp_path: Path) -> None:
    wrong = {**CHAT, "expected": {**CHAT["expected"], "prompt_tokens": 999}}
    assert run(tmp_path, [wrong], "--tokens", "0", "--quiet") == 0
