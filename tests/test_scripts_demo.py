"""`make demo` shows the whole of it, finds that the numbers agree, and leaves; with KEEP=1 it serves on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

ROOT = Path(__file__).parent.parent


@contextmanager
def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run it as `make` does, with its output in a pipe that nobody unbuffers; it is gone when the block ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(
        [sys.executable, "scripts/demo.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_shows_a_header_the_tags_and_two_rows_and_that_all_sums_are_equal() -> None:
    with demo() as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "POST /ask     x-litellm-response-cost: 0.0000087" in said
    assert re.search(r"tally.cost 0\.\d+ USD over 4 calls", said)
    tags = re.findall(r"^  (\S+:\S+) +(\d+)  ", said, re.MULTILINE)
    assert dict(tags) == {
        "feature:review": "4",
        "demo:script": "4",
        "jobID:214590": "2",
        "taskName:run_page_classification": "2",
        "feature:ask": "2",
        "feature:stream": "1",
    }
    assert len(re.findall(r"^  request_id=.* spend=\S+$", said, re.MULTILINE)) == 2
    (ours, theirs) = re.findall(r"^(?:headers|the database).* (0\.\d+) USD", said, re.MULTILINE)
    assert ours == theirs
    assert said.rstrip().endswith("equal")
    assert "Warning" not in said
    assert "Traceback" not in said


def test_asked_to_keep_serving_it_prints_an_address_and_a_key_that_work() -> None:
    with demo("--keep") as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "curl" in line)
        found = re.search(r"Authorization: (Bearer \S+)' (\S+)", line)
        assert found is not None
        answer = httpx2.get(found[2], headers={"Authorization": found[1]})
        assert {row["individual_request_tag"] for row in answer.json()} > {"feature:ask", "demo:script"}
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
