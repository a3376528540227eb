"""Imports run down the floors of the house only, and each third-party library stays in its room."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "spend_middleware"

FLOORS = {
    **dict.fromkeys(("errors", "call", "settings", "guard", "forks", "ids"), 1),
    **dict.fromkeys(("costs", "tally"), 2),
    **dict.fromkeys(("interception", "wire", "pricing", "store", "attribution", "telemetry"), 3),
    **dict.fromkeys(
        (
            "metering",
            "middleware",
            "opened",
            "usual",
            "inbound",
            "estimator",
            "headers",
            "record",
            "scopes",
            "opening",
            "outbound",
        ),
        4,
    ),
    "estimates": 5,
    **dict.fromkeys(("recorder", "api", "functions", "operations", "payers"), 6),
    "spend": 7,
    **dict.fromkeys(("__init__", "cli"), 8),
}

ROOMS = {
    "httpx": ("interception/clients",),
    "httpx2": ("interception/clients",),
    "aiohttp": ("interception/aiohttp_client", "interception/aiohttp_request"),
    "multidict": ("interception/aiohttp_",),
    "sqlmodel": ("store/", "api/"),
    "sqlalchemy": ("store/",),
    "alembic": ("store/",),
    "psycopg": ("store/",),
    "fastapi": ("api/",),
    "starlette": ("middleware", "api/"),
    "opentelemetry": ("telemetry",),
    "tiktoken": ("pricing/estimate",),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            module = node.module or ""
            names.update(
                f"{module}.{alias.name}" if module == "spend_middleware" else module for alias in node.names
            )
    return names


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", modules(), ids=room)
def test_an_import_runs_down_the_floors_only(path: Path) -> None:
    here = room(path).split("/")[0]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "spend_middleware":
            continue
        there = parts[1] if len(parts) > 1 else "__init__"
        if there in FLOORS and there != here:
            assert FLOORS[there] < FLOORS[here], f"{room(path)} imports {name}"


def test_no_files_import_each_other_in_a_circle_not_even_inside_functions() -> None:
    named = {f"spend_middleware.{room(path).replace('/', '.')}": path for path in modules()}
    below = {}
    for name, path in named.items():
        below[name] = {other for other in imports(path) if other in named and other != name}
    TopologicalSorter(below).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", modules(), ids=room)
def test_a_third_party_library_stays_in_its_room(path: Path) -> None:
    for name in imports(path):
        allowed = ROOMS.get(name.split(".")[0])
        assert allowed is None or room(path).startswith(allowed), f"{room(path)} imports {name}"


def test_no_deprecated_constant_of_the_semantic_conventions_is_used() -> None:
    assert not [path for path in modules() if any("semconv" in name for name in imports(path))]


def test_the_pins_name_no_index_and_the_documents_ask_for_no_lock() -> None:
    root = PACKAGE.parent.parent
    pins = (root / "requirements-dev.txt").read_text().splitlines()
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.+!]+( ;.*)?|#.*|", pin)]
    for page in (root / "README.md", *(root / "docs").glob("*.md"), *(root / "examples").glob("*/README.md")):
        assert not re.search(r"--locked|--frozen|--index|index-url", page.read_text()), page


def test_the_face_gives_every_name_that_it_lists_and_its_stub_lists_the_same() -> None:
    import spend_middleware

    given = {name: getattr(spend_middleware, name).__module__ for name in spend_middleware.__all__}
    assert given == {name: f"spend_middleware.{room}" for name, room in spend_middleware._ROOM_OF.items()}
    stub = {
        (alias.name, node.module)
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spend_middleware.")
        for alias in node.names
    }
    assert stub == set(given.items())
    assert list(spend_middleware.__all__) == sorted(given)
    contract = {
        "Spend",
        "SpendMiddleware",
        "Settings",
        "completion_cost",
        "cost_per_token",
        "token_counter",
        "Usage",
    }
    assert contract < set(given)


def test_the_face_is_imported_without_what_is_slow_to_import() -> None:
    program = (
        "import sys; from spend_middleware import Spend, SpendMiddleware, Usage, completion_cost; "
        "print([name for name in ('sqlalchemy', 'sqlmodel', 'fastapi', 'tiktoken', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_room_has_a_floor() -> None:
    rooms = {room(path).split("/")[0] for path in modules()}
    assert rooms == set(FLOORS)
    page = (PACKAGE.parent.parent / "AGENTS.md").read_text()
    told = {
        name.rstrip("/"): int(floor)
        for floor, names in re.findall(r"^\| (\d) \| (.*) \|$", page, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", names)
    }
    assert told == FLOORS
