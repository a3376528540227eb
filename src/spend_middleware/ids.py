"""Ids of calls: time-ordered, and alike for nobody."""

from __future__ import annotations

import itertools
import os
import time


class _Ids:
    """What the ids of one process have in common, and a counter: random bits are drawn once, and no two are alike.

    To share an id, two processes would have to draw the same 42 bits and, in the same millisecond, stand at the same
    of 4,294,967,296 counts. So ids of one process are in the order in which they were made, but for one in some million;
    it counts in steps of a size of its own, so that an id does not simply tell how many came before it.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Draw anew: at first, and in a forked child, whose ids must not be its parent's."""
        drawn = int.from_bytes(os.urandom(16))
        self.tail = _as_uuid(drawn >> 80 << 32 & _RANDOM | _VERSION)[13:28]
        self.count = itertools.count(drawn & 0x7FFFFFFF, (drawn >> 32 & 0x7FE) + 3)


# The bits of the random part that say what kind of UUID it is: version 7, variant 10.
_VERSION = 0x7 << 76 | 0x8 << 60
_RANDOM = (1 << 80) - 1 & ~(0xF << 76 | 0xC << 60)


def _as_uuid(bits: int) -> str:
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.begin)


def new_call_id(at: float | None = None, entropy: bytes | None = None) -> str:
    """Return a time-ordered id, a UUID version 7 (RFC 9562, section 5.7; the counter as in 6.2, method 1).

    Args:
        at: Seconds since the epoch, UTC; the current time when None.
        entropy: Ten bytes that take the place of the random part, so that one object always gets one id.
    """
    millis = int((time.time() if at is None else at) * 1000) & 0xFFFFFFFFFFFF
    if entropy is not None:
        return _as_uuid(millis << 80 | int.from_bytes(entropy) & _RANDOM | _VERSION)
    # Through bytes: to write a number into a text is a lot of code, which would come into the cache for this alone.
    text = (millis << 32 | next(_ids.count) & 0xFFFFFFFF).to_bytes(10).hex()
    return f"{text[:8]}-{text[8:12]}{_ids.tail}{text[12:]}"
