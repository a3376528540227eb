"""How records get into the journal: on the caller's own thread, or on one of ours while the disk is slow."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import NamedTuple

from spend_middleware.store.journal import Journal
from spend_middleware.store.records import ROW, Values

_now = time.perf_counter
logger = logging.getLogger("spend_middleware.store")

PATIENCE = 0.05
"""Seconds an append may take, or wait for another one, before the disk counts as slow."""

STRIKES = 3
"""So many slow appends in a row, or one of ten times the patience, and the lane hands over to its thread."""

FAST_AGAIN = 20
"""So many fast appends in a row on the thread, and callers write for themselves again."""

QUEUE_BYTES = 16 << 20
"""Bodies kept in memory for the thread; beyond that, records are refused."""

_IDLE_SECONDS = 0.05


class Item(NamedTuple):
    """A record that waits for the lane's thread."""

    kind: bytes
    call_id: str
    body: bytes
    row: Values | bytes | None


class Lane:
    """Appends records in order without ever holding a caller up for long.

    Args:
        journal: Where records go.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.reset()

    def reset(self) -> None:
        """Start anew; in a forked child, the parent's queue is the parent's to write."""
        self._queue: deque[Item] = deque()
        self._queue_bytes = 0
        self._strikes = 0
        self._guard = threading.Lock()
        self.degraded = False
        self.degradations = 0

    def put(self, kind: bytes, call_id: str, body: bytes, row: Values | bytes | None) -> bool:
        """Append one record; False when it was refused."""
        journal = self._journal
        lock = journal.lock
        # A try without waiting is three times as quick, and as a rule it succeeds.
        if self.degraded or not (lock.acquire(False) or self._waited_for(lock)):
            return self._hand_over(Item(kind, call_id, body, row))
        began = _now()
        try:
            accepted = journal.put(kind, call_id, body, row)
        finally:
            lock.release()
        took = _now() - began
        if took >= PATIENCE:
            self._strike(took)
        elif self._strikes:
            self._strikes = 0
        return accepted

    def _waited_for(self, lock: threading.Lock) -> bool:
        """Wait for the lock; False when that took too long, or when others handed over meanwhile: they go first."""
        if not lock.acquire(timeout=PATIENCE):
            return False
        overtaken = self.degraded
        if overtaken:
            lock.release()
        return not overtaken

    def _strike(self, took: float) -> None:
        self._strikes += 1
        if self._strikes >= STRIKES or took > PATIENCE * 10:
            self._degrade()

    def waiting(self) -> int:
        """Return how many finished rows wait for the thread."""
        return sum(1 for item in list(self._queue) if item.kind == ROW)

    def _hand_over(self, item: Item) -> bool:
        with self._guard:
            if self._queue_bytes + len(item.body) > QUEUE_BYTES:
                if item.kind == ROW:
                    self._journal.refused += 1
                return False
            self._queue.append(item)
            self._queue_bytes += len(item.body)
        self._degrade()
        return True

    def _degrade(self) -> None:
        with self._guard:
            if self.degraded:
                return
            self.degraded = True
            self.degradations += 1
            self._strikes = 0
        logger.warning(
            "The journal's disk is slow: records are written by a thread of ours until it is fast again."
        )
        threading.Thread(target=self._run, args=(os.getpid(),), name="spend-journal", daemon=True).start()

    def _run(self, pid: int) -> None:
        fast = 0
        while os.getpid() == pid:
            item = self._queue[0] if self._queue else None
            if item is None and fast >= FAST_AGAIN and self._come_back():
                return
            if item is None:
                time.sleep(_IDLE_SECONDS)
                fast += 1
                continue
            began = time.perf_counter()
            try:
                with self._journal.lock:
                    self._journal.put(*item)
            except Exception:
                logger.exception("A record could not be written to the journal.")
            with self._guard:
                self._queue.popleft()
                self._queue_bytes -= len(item.body)
            fast = fast + 1 if time.perf_counter() - began < PATIENCE / 2 else 0

    def _come_back(self) -> bool:
        """Let callers write for themselves again, unless something has just come in."""
        with self._journal.lock, self._guard:
            if self._queue:
                return False
            self.degraded = False
        logger.warning("The journal's disk is fast again.")
        return True
