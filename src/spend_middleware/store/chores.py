"""What a ledger needs now and then, done by the writer's thread while no rows wait."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spend_middleware.store.ledger import Ledger
    from spend_middleware.store.upkeep import Upkeep

logger = logging.getLogger("spend_middleware.store")

RETAIN_SECONDS = 600.0
"""How often old rows are deleted."""

SETTLE_SECONDS = 60.0
"""How often somebody looks whether days are over."""

FEW_CALLS = 1_000
"""Calls of days long over that may come between two looks; an import brings more, and is waited for: each of its calls
would have to be added to spans too."""

LOOK_AGAIN_SECONDS = 10.0
"""Until the second look, without which nobody knows what comes in."""

PAUSE_SECONDS = 1.0
"""Between two steps of settling, so that rows and other processes come first."""


class Chores:
    """Deletes what retention takes away, and settles days that are over, a step at a time.

    Args:
        retains: Whether rows are ever deleted.
    """

    def __init__(self, *, retains: bool) -> None:
        self._retains = retains
        self._retained_at = time.monotonic()
        self._warned = False
        self._calls: int | None = None

    def __call__(self, ledger: Ledger, upkeep: Callable[[], Upkeep]) -> float:
        """Do what is due, and return in how many seconds to come again.

        Args:
            ledger: Says whether anything is due.
            upkeep: Gives what does it, whose import takes a quarter of a second: a new ledger needs none of it.
        """
        if self._retains and time.monotonic() - self._retained_at >= RETAIN_SECONDS:
            self._retained_at = time.monotonic()
            upkeep().retain()
        from spend_middleware.store.ledger import said

        try:
            return self._settle(ledger, upkeep)
        except Exception as error:
            # Reports add days up themselves meanwhile: slower, and as exact.
            if not self._warned:
                logger.warning("Days that are over were not added up ahead of reports: %s", said(error))
            self._warned = True
            return SETTLE_SECONDS

    def _settle(self, ledger: Ledger, upkeep: Callable[[], Upkeep]) -> float:
        calls, before = ledger.calls_over(), self._calls
        self._calls = calls
        if before is None:
            return LOOK_AGAIN_SECONDS
        if not calls or calls - before > FEW_CALLS:
            return SETTLE_SECONDS
        return PAUSE_SECONDS if upkeep().settle(steps=1) else SETTLE_SECONDS
