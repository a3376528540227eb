"""The guard: our faults end here, are counted, and are told once, without what they hold."""

from __future__ import annotations

import asyncio
import logging

import pytest

from spend_middleware.guard import Guard, faults


def test_a_fault_is_counted_each_time_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("testing once")
    with caplog.at_level(logging.WARNING, logger="spend_middleware"):
        for _ in range(3):
            with guard:
                raise ValueError("sk-secret and a prompt")
    assert faults["testing once: ValueError"] == 3
    (record,) = caplog.records
    assert "testing once failed with ValueError at " in record.getMessage()
    assert "test_guard.py" in record.getMessage()
    assert "sk-secret" not in caplog.text


def test_another_kind_of_fault_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("testing kinds")
    for error in (KeyError("a"), TypeError("b"), KeyError("c")):
        with guard:
            raise error
    assert len(caplog.records) == 2


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_stops_a_program_or_a_task_passes(kind: type[BaseException]) -> None:
    with pytest.raises(kind), Guard("testing exits"):
        raise kind
    assert not [name for name in faults if name.startswith("testing exits")]
