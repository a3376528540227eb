"""Key look-ups without a query a request: a bounded cache that follows one counter of changes.

Every write of an entity moves the counter `spend_config['entities'].version` in its own transaction. While the cache
is in use, a thread reads that one row at most every `POLL` seconds and empties the cache when it has moved; when the
row was last read more than `PATIENCE` seconds ago, a look-up reads it itself before it answers. So a block or a
deletion is felt within a second by every worker on every machine, an idle service asks nothing, and a busy one asks
for two small rows a second. While the database cannot be reached, what was known goes on being answered.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from spend_middleware.errors import StoreError
from spend_middleware.store.key_record import KeyRecord

log = logging.getLogger("spend_middleware.store")

PATIENCE = 0.9
"""Seconds for which the last reading of the counter is believed."""

POLL = 0.45
"""Seconds after which a look-up has the counter read again in the background."""


class _Unknown(enum.Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""What `peek` answers when only the database can tell."""


class KeyCache:
    """A bounded, thread-safe and fork-safe memory of keys, unknown keys and the allowed addresses.

    Args:
        read_version: Reads the counter of changes.
        read_key: Reads one key by its hash; None when there is none.
        read_ips: Reads the allowed addresses and networks.
        size: Keys kept; as many unknown hashes are kept apart, so that guesses cannot push keys out.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        read_version: Callable[[], int],
        read_key: Callable[[str], KeyRecord | None],
        read_ips: Callable[[], Sequence[str]],
        *,
        size: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._read_version = read_version
        self._read_key = read_key
        self._read_ips = read_ips
        self._size = size
        self._clock = clock
        self._now = now
        self._version = -1
        self.listeners: list[Callable[[], None]] = []
        self._reborn()
        _living.add(self)

    def _reborn(self) -> None:
        """Start anew with locks of our own: at birth, and in a forked child."""
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._checked = float("-inf")
        self._failed = float("-inf")
        self._epoch = 0
        self._keys: OrderedDict[str, KeyRecord] = OrderedDict()
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._ips: tuple[str, ...] | None = None

    def peek(self, key_hash: str) -> KeyRecord | Literal[_Unknown.UNKNOWN] | None:
        """Return a key's record, None for an unknown key, or UNKNOWN; never waits for the database."""
        found = self._cached(key_hash) if self._fresh() else UNKNOWN
        return UNKNOWN if self._ended(found) else found

    def recall(self, key_hash: str) -> KeyRecord | Literal[_Unknown.UNKNOWN] | None:
        """Return what was last known of a key, however long ago, and have it looked up again behind the caller."""
        self._fresh()
        return self._cached(key_hash)

    def find(self, key_hash: str) -> KeyRecord | None:
        """Return a key's record, None for an unknown key; may wait for the database, so call it in a thread.

        Raises:
            StoreError: The database cannot be reached and the key is not among the known ones.
        """
        found = self.peek(key_hash)
        if found is not UNKNOWN:
            return found
        reachable = self._refresh()
        epoch, found = self._epoch, self._cached(key_hash)
        if found is not UNKNOWN and not (reachable and self._ended(found)):
            return found
        if not reachable:
            raise StoreError("The database cannot be reached, so an unknown key cannot be checked.")
        record = self._read_key(key_hash)
        self._keep(key_hash, record, epoch)
        return record

    def allowed_ips(self) -> tuple[str, ...]:
        """Return the allowed addresses and networks; may wait for the database, so call it in a thread."""
        reachable = self._fresh() or self._refresh()
        epoch, ips = self._epoch, self._ips
        if ips is None:
            ips = tuple(self._read_ips())
            with self._lock:
                if reachable and epoch == self._epoch:
                    self._ips = ips
        return ips

    def clear(self) -> None:
        """Forget everything, because this process has just written."""
        with self._lock:
            self._forget()
            self._checked = float("-inf")

    def close(self) -> None:
        """Stop the thread; look-ups go on working."""
        self._closed = True
        self._wake.set()

    # -- what is kept

    def _fresh(self) -> bool:
        age = self._clock() - self._checked
        if age > POLL and not self._wake.is_set():
            self._wake.set()
        return age <= PATIENCE

    def _cached(self, key_hash: str) -> KeyRecord | Literal[_Unknown.UNKNOWN] | None:
        with self._lock:
            record = self._keys.get(key_hash)
            if record is not None:
                self._keys.move_to_end(key_hash)
                return record
            return None if key_hash in self._absent else UNKNOWN

    def _ended(self, found: KeyRecord | Literal[_Unknown.UNKNOWN] | None) -> bool:
        """Whether a key's budget window has ended by the clock, so that another amount counts against it."""
        until = found.counts_until if isinstance(found, KeyRecord) else None
        return until is not None and until <= self._now()

    def _keep(self, key_hash: str, record: KeyRecord | None, epoch: int) -> None:
        with self._lock:
            if epoch != self._epoch:
                return  # Something was written since the record was read.
            if record is None:
                self._absent[key_hash] = None
                kept: OrderedDict[str, Any] = self._absent
            else:
                self._keys[key_hash] = record
                kept = self._keys
            if len(kept) > self._size:
                kept.popitem(last=False)

    def _forget(self) -> None:
        self._epoch += 1
        self._keys.clear()
        self._absent.clear()
        self._ips = None

    # -- the counter

    def _refresh(self) -> bool:
        """Read the counter unless somebody just has; return whether the database could be reached."""
        with self._reading:
            now = self._clock()
            if now - self._checked <= POLL:
                return True
            if now - self._failed <= PATIENCE:
                return False
            try:
                version = self._read_version()
            except Exception as error:
                if self._failed < self._checked or self._failed == float("-inf"):
                    log.warning("Keys cannot be checked, known ones go on being accepted: %s", error)
                self._failed = self._clock()
                return False
            with self._lock:
                moved = version != self._version
                if moved:
                    self._forget()
                    self._version = version
                self._checked = now
            self._follow()
        if moved:
            self.tell()
        return True

    def tell(self) -> None:
        """Tell the listeners that something was written."""
        for listener in self.listeners:
            try:
                listener()
            except Exception:
                log.exception("What was written could not be taken over.")

    def _follow(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(
                target=_follow, args=(weakref.ref(self), self._wake), name="spend-keys", daemon=True
            )
            self._thread.start()


def _follow(reference: weakref.ref[KeyCache], wake: threading.Event) -> None:
    """Read the counter whenever a look-up asks for it, until the cache is closed or gone."""
    while True:
        wake.wait(60)
        cache = reference()
        if cache is None or cache._closed:
            return
        if wake.is_set():
            cache._refresh()
            wake.clear()
        del cache


_living: weakref.WeakSet[KeyCache] = weakref.WeakSet()


def _in_child() -> None:
    for cache in tuple(_living):
        cache._reborn()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
