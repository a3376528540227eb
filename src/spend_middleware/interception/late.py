"""Headers that are added to an answer once somebody looks for them: most callers never do, and making them costs."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from spend_middleware.guard import note_fault
from spend_middleware.interception.exchange import Added

OURS = ("x-litellm", "x-spend")
"""What the names of our headers begin with."""

ADDED = "_spend_added"
"""What makes the headers to add, among what headers hold whose class is a late one."""

_lower_name = itemgetter(1)


def late_class(own: Any) -> type:
    """Make the class that headers have, in place of their own, while ours are still to be made.

    Who has headers to add gives them this class, and what makes ours as `ADDED`. Whatever reaches for the list inside,
    and so every method of their own but the one below, finds ours in it, and the headers are of their own class again
    from then on.

    Args:
        own: A library's class of headers.
    """

    class Late(own):  # type: ignore[misc]
        @property
        def _list(self) -> Any:
            return _arrived(self, own)._list

        @_list.setter
        def _list(self, entries: Any) -> None:
            _arrived(self, own)._list = entries

        def __getitem__(self, name: str) -> str:
            # Of the provider's own headers, which are what SDKs ask for, none of ours is one.
            encoding = self.__dict__["_encoding"]
            asked = name.lower()
            if encoding is None or asked.startswith(OURS):
                there: str = _arrived(self, own)[name]
                return there
            key = asked.encode(encoding)
            entries = self.__dict__["_list"]
            names = [*map(_lower_name, entries)]
            if key not in names:
                raise KeyError(name)
            if names.count(key) > 1:
                return b", ".join([value for _, lower, value in entries if lower == key]).decode(encoding)
            value: bytes = entries[names.index(key)][2]
            return value.decode(encoding)

        def __reduce_ex__(self, protocol: Any) -> Any:
            # They are copied and pickled as what they are.
            return _arrived(self, own).__reduce_ex__(protocol)

    Late.__name__, Late.__qualname__, Late.__module__ = own.__name__, own.__qualname__, own.__module__
    return Late


def _arrived(headers: Any, own: type) -> Any:
    """Return headers of their own class, with ours in them."""
    inside = headers.__dict__
    added = inside.pop(ADDED, None)  # of two threads one gets it
    if added is not None:
        _add_missing(inside["_list"], added)
    headers.__class__ = own
    return headers


def _add_missing(entries: list[tuple[bytes, bytes, bytes]], added: Added) -> None:
    """Append headers to others; what is there already, such as a LiteLLM proxy's own, stays."""
    try:
        new = added()
        present = {lower for _, lower, _ in entries}
        entries.extend([(name, name, value) for name, value in new.items() if name not in present])
    except Exception as fault:
        note_fault("adding headers to an answer", fault)
