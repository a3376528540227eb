"""The programs of the README run, and print what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from standin import Standin

README = Path(__file__).parent.parent / "README.md"
PROGRAMS: list[str] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

pytestmark = pytest.mark.anyio


@pytest.fixture
def _providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with Standin() as standin:
        monkeypatch.setenv("OPENAI_BASE_URL", standin.base("openai"))
        monkeypatch.setenv("OPENAI_API_KEY", "stand-in")
        yield


def program(first: str) -> str:
    found = [text for text in PROGRAMS if first in text]
    assert len(found) == 1
    return found[0]


def answer_after(first: str) -> str:
    """Return the console block that follows a program."""
    _, _, after = README.read_text().partition(program(first))
    found = re.search(r"```console\n(.*?)```", after, re.DOTALL)
    assert found is not None
    assert "```python" not in after[: found.start()], "each program has its own answer"
    return found[1]


@pytest.mark.usefixtures("_providers")
@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_the_script_prints_what_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(program("nightly-report"), "README.md", "exec"), {})
    assert f"```text\n{capsys.readouterr().out}```" in README.read_text()


@pytest.mark.usefixtures("_providers")
@pytest.mark.parametrize("framework", ["fastapi", "litestar"])
async def test_the_services_answer_what_the_readme_says(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType(f"readme_{framework}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names: dict[str, Any] = vars(module)
    exec(compile(program(f"from {framework} import"), "README.md", "exec"), names)
    transport = httpx2.ASGITransport(names["app"])
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        answer = await client.get("/ask", params={"customer": "palantir"})
        said = answer_after(f"from {framework} import")
        assert f"\nx-litellm-response-cost: {answer.headers['x-litellm-response-cost']}\n" in said
        assert names["spend"].flush()
        tags = await client.get("/spend/tags", headers={"Authorization": "Bearer sk-choose-a-long-one"})
    assert said.endswith(f"\n{tags.text}\n")
    await names["openai"].close()
    names["spend"].close()


def test_the_shortest_program_and_its_answer_stand_near_the_top() -> None:
    lines = README.read_text().splitlines()
    assert any("USD over 1 call" in line for line in lines[:40])
