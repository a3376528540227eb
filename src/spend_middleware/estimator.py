"""A thread that counts tokens, so that neither a caller nor an event loop ever waits for a tokenizer."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger("spend_middleware")

MAX_WAITING = 10_000
"""Calls that may wait to be counted; a further one is recorded without an estimate."""


class BackgroundEstimator:
    """Runs work one by one on a daemon thread of its own; started at the first work."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew in a forked child: the work, and the thread that does it, are the parent's."""
        self._waiting: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._busy = 0
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], None]) -> bool:
        """Run the work soon; False when too much is waiting already."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                return False
            self._waiting.append(work)
            self._busy += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spend-estimates", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return True

    def drain(self, timeout: float) -> bool:
        """Wait until nothing is waiting or running; False when that took longer than `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._changed:
            while self._busy:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return not self._busy
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                work = self._waiting.popleft()
            try:
                work()
            except Exception:
                log.warning("A call without reported usage could not be recorded.", exc_info=True)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
