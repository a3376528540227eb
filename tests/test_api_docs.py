"""The page of routes is written from the route table, and is current."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_docs", ROOT / "scripts" / "api_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_routes_is_current() -> None:
    assert (ROOT / "docs" / "api.md").read_text() == script().page(), "run scripts/api_docs.py"


def test_every_route_is_on_the_page_with_a_sentence() -> None:
    lines = [
        line
        for line in script().page().splitlines()
        if line.startswith(("| `GET", "| `POST", "| `P", "| `D"))
    ]
    assert len(lines) > 90
    assert not [line for line in lines if not line.split("|")[2].strip().endswith(".")]
