"""A fork that comes while another thread holds a lock of ours, as `gunicorn --preload` does at start."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, threading

from spend_middleware import Spend, forks

spend = Spend("sqlite:///spend.db")
held, done = threading.Event(), threading.Event()

def hold():
    with spend.fork_lock:
        held.set()
        done.wait()

threading.Thread(target=hold).start()
held.wait()
{before}
child = os.fork()
if child == 0:
    spend.record(provider="openai", model="gpt-4o-mini", cost=1)
    os._exit(0 if spend.flush() else 1)
done.set()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
spend.close()
sys.exit(status)
"""


@pytest.mark.parametrize(
    "before",
    ["os.register_at_fork(before=done.set)", "forks.WAIT_SECONDS = 0.0"],
    ids=["the fork waits for the lock", "the child gets a new lock"],
)
def test_a_child_prices_calls_though_a_thread_of_its_parent_was_reading_the_prices(
    before: str, tmp_path: Path
) -> None:
    program = textwrap.dedent(PROGRAM).format(before=before)
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
