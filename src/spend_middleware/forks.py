"""A fork never copies a lock that another thread holds: it waits for those locks, and the child gets new ones."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Protocol

WAIT_SECONDS = 10.0
"""How long a fork waits for a lock; the child gets a new one in any case."""


class Forked(Protocol):
    """What a fork needs of an object whose lock other threads hold for longer, such as to read the price table."""

    fork_lock: Any

    def after_fork(self) -> None:
        """Begin anew in a child, with new locks."""


class _Held(threading.local):
    """The locks that the forking thread took."""

    def __init__(self) -> None:
        self.locks: list[Any] = []


_living: weakref.WeakSet[Forked] = weakref.WeakSet()
_held = _Held()


def watch(forked: Forked) -> None:
    """Keep an object's lock whole over forks, for as long as the object lives."""
    _living.add(forked)


def _before() -> None:
    # What the holder does under the lock is then done, its imports too: a child would wait for those for ever.
    for forked in list(_living):
        lock = forked.fork_lock
        if lock.acquire(timeout=WAIT_SECONDS):
            _held.locks.append(lock)


def _in_parent() -> None:
    while _held.locks:
        _held.locks.pop().release()


def _in_child() -> None:
    _held.locks.clear()
    for forked in list(_living):
        forked.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
