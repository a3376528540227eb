"""What keeps the host safe from us: a fault in our own code is counted and logged once, and the host's call goes on."""

from __future__ import annotations

import logging
from collections import Counter
from types import TracebackType

logger = logging.getLogger("spend_middleware")

_said: set[str] = set()

faults: Counter[str] = Counter()
"""How often each kind of our own work failed, by the guard's name."""


class Guard:
    """A context manager around our own work; it holds no state, so one instance serves all threads.

    Exceptions end here; what is no `Exception` (a cancellation, an exit) always passes.

    Args:
        work: What is being done, in a few words; a fault is logged the first time that it happens to this work.
    """

    __slots__ = ("work",)

    def __init__(self, work: str) -> None:
        self.work = work

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        note_fault(self.work, error)
        return True


def say_once(message: str) -> None:
    """Log a warning that a process needs to read only once; the message holds nothing of a caller's."""
    if message not in _said:
        _said.add(message)
        logger.warning("%s This is said once.", message)


def note_fault(work: str, error: BaseException) -> None:
    """Count a fault of ours, and log its class and place if it is the first of its kind."""
    kind = f"{work}: {type(error).__name__}"
    faults[kind] += 1
    if faults[kind] == 1:
        # The message of an exception may hold a prompt or a key (pydantic quotes its input), so it stays out.
        logger.warning("Spend: %s failed with %s at %s; further ones are only counted.", work, *_place(error))


def _place(error: BaseException) -> tuple[str, str]:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return type(error).__name__, where
