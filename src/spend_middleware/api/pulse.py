"""Whether the database answers: asked in a thread of its own, and never waited for longer than a moment."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from anyio import sleep

PATIENCE = 3.0
"""Seconds without an answer from which on the database counts as gone; a question may hang for ever."""

_log = logging.getLogger("spend_middleware.api")


class _Beat:
    """One question to the database, and what became of it."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self.pid = os.getpid()
        self.began = time.monotonic()
        self.answered: bool | None = None
        self._ask = ask

    def ask(self) -> None:
        try:
            self._ask()
        except Exception as error:
            # One line: probes ask every few seconds.
            _log.warning("The database does not answer (%s).", type(error).__name__)
            self.answered = False
        else:
            self.answered = True


class Pulse:
    """Feels whether the database answers, for any number of probes at a time with one question.

    Args:
        ask: Asks the database something small; may raise, or never return.
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._beat: _Beat | None = None

    async def beats(self) -> bool:
        """Return whether the database answers now; at once when it has been silent for long."""
        beat, pause = self._current(), 0.001
        while beat.answered is None and time.monotonic() < beat.began + PATIENCE:
            await sleep(pause)
            pause = min(2 * pause, 0.05)
        return beat.answered is True

    def _current(self) -> _Beat:
        with self._lock:
            beat = self._beat
            # A fork leaves the thread behind that would have answered.
            if beat is None or beat.answered is not None or beat.pid != os.getpid():
                beat = self._beat = _Beat(self._ask)
                threading.Thread(target=beat.ask, name="spend-pulse", daemon=True).start()
            return beat
