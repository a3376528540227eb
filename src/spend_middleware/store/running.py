"""What known keys have spent by now: the database's number when a key was looked up, and what was recorded since."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from spend_middleware.call import EXACT, Call, from_pico, to_pico

RECENT_CALLS = 4_096
"""Calls remembered one by one: as many as wait in memory for the writer, and by their ids none counts twice."""


@dataclass(slots=True)
class _Sum:
    """One key: the database's number, from which moment on calls count in it, and what was recorded since."""

    base: Decimal
    since: int
    pico: int


class _Recent(NamedTuple):
    """A call that was recorded: when (monotonic), for which key, how much, and when it had started (microseconds)."""

    at: float
    key_hash: str
    pico: int
    started: int


class RunningSpend:
    """A bounded, thread-safe memory of what keys have spent, so that no call has to ask the database.

    What other processes record is in it once the key is looked up anew.

    Args:
        held: Gives a block in which nothing recorded by this process gets into the database, and in it the moment
            (monotonic) since which what was recorded is not there.
        size: Keys kept; beyond that the one that was looked up and used longest ago goes.
    """

    def __init__(self, held: Callable[[], AbstractContextManager[float]], size: int = 10_000) -> None:
        self._held = held
        self._size = size
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew, also in a forked child: it looks every key up itself."""
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self.known: OrderedDict[str, _Sum] = OrderedDict()

    def of(self, key_hash: str | None) -> Decimal | None:
        """Return what a key has spent by now; None where no key with this hash was looked up."""
        found = self.known.get(key_hash) if key_hash is not None else None
        return None if found is None else EXACT.add(found.base, from_pico(found.pico))

    def add(self, call: Call) -> None:
        """Count one recorded call to the key that it was made for, if that key is known."""
        key_hash, amount = call.attribution.key_hash, call.cost.amount
        if key_hash is None or not amount or key_hash not in self.known:
            return
        recent = _Recent(time.monotonic(), key_hash, to_pico(amount), int(call.started_at * 1e6))
        with self._lock:
            if call.call_id in self._recent:
                return
            self._recent[call.call_id] = recent
            if len(self._recent) > RECENT_CALLS:
                self._recent.popitem(last=False)
            found = self.known.get(key_hash)
            if found is not None:
                self.known.move_to_end(key_hash)
                if recent.started >= found.since:
                    found.pico += recent.pico

    def look_up(self, key_hash: str, read: Callable[[], Decimal], since: int = 0) -> None:
        """Begin a key's sum with what the database says, and what this process has recorded that is not there yet.

        Args:
            read: Gives what counts against the key in the database.
            since: The moment from which on calls count against it (microseconds).
        """
        with self._held() as unwritten_since:
            base = read()
        with self._lock:
            pico = 0
            for recent in reversed(self._recent.values()):
                if recent.at < unwritten_since:
                    break
                if recent.key_hash == key_hash and recent.started >= since:
                    pico += recent.pico
            self.known[key_hash] = _Sum(base, since, pico)
            self.known.move_to_end(key_hash)
            if len(self.known) > self._size:
                self.known.popitem(last=False)

    def forget(self, key_hash: str) -> None:
        """Forget a key, because it is gone or what it has spent cannot be read."""
        with self._lock:
            self.known.pop(key_hash, None)
