"""The journal's folders on disk: one per process, locked while it lives, adopted by anybody once it is dead.

    <journal folder>/            0700
        <pid>-<random>/          one owner: a process (or a Store in it)
            lock                 flock'd for as long as the owner lives
            00000001.seg         records, oldest first; unlinked once all of them are in the database
        set-aside.jsonl          what no database would take, with the reason

One lock per owner, not per segment: a start mark and the row that ends it may stand in two segments, and only who
holds both can tell a call that ended from one that was interrupted.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # no flock on this platform: calls are kept in memory only, and the store says so
    fcntl = None  # type: ignore[assignment]

SEGMENT_BYTES = 4 << 20
LOCK_NAME = "lock"
SET_ASIDE_NAME = "set-aside.jsonl"
_NEW = ".new-"
_STALE_SECONDS = 3600.0
_CLAIMS = 8


class Segment:
    """One file of an owner's records, and what must still happen before it may go.

    Args:
        number: Its place in the owner's order.
        path: Where it is.
        fd: Open for appending, -1 once it is sealed.
    """

    __slots__ = (
        "fd",
        "first_spilled",
        "held",
        "number",
        "path",
        "pins",
        "releases",
        "sealed",
        "size",
        "spilled",
        "uncommitted",
    )

    def __init__(self, number: int, path: Path, fd: int) -> None:
        self.number = number
        self.path = path
        self.fd = fd
        self.size = 0
        self.sealed = False
        self.uncommitted = 0  # rows in memory that are not in the database yet
        self.spilled = 0  # rows that memory had no room for: they are read back from the file
        self.first_spilled = 0  # the sequence number of the first of them
        self.pins = 0  # start marks and provisional rows whose call has not ended
        self.releases: list[Segment] = []  # segments whose pins go once the spilled rows are in
        self.held: list[Segment] = []  # segments that take start marks in here back, and may not go before

    @property
    def done(self) -> bool:
        """True when nothing in it is needed any more."""
        return not (self.waits or self.pins)

    @property
    def waits(self) -> bool:
        """True while rows in it are not in the database."""
        return bool(self.uncommitted or self.spilled)

    def close(self) -> None:
        """Let go of the file."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Owner:
    """A folder of segments and the lock that says that its owner lives."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    def segments(self) -> list[Path]:
        """Return the segment files, oldest first."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(self.path.glob("*.seg"))
        return []

    def create(self, number: int) -> Segment:
        """Make and open the next segment."""
        path = self.path / f"{number:08d}.seg"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        return Segment(number, path, os.open(path, flags, 0o600))

    def release(self) -> None:
        """Give the lock back (or, in a forked child, drop the inherited descriptor: the parent keeps the lock)."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def remove(self) -> None:
        """Delete the folder with all that is in it, then give the lock back."""
        for path in self.segments():
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.path / LOCK_NAME).unlink(missing_ok=True)
            self.path.rmdir()
        self.release()


def prepare_folder(folder: Path) -> None:
    """Make the journal's folder, for its owner alone.

    Raises:
        OSError: It cannot be made or written to, or the platform has no file locks.
    """
    if fcntl is None:
        raise OSError("this platform has no flock")
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "the journal's folder cannot be written to", str(folder))


def claim(folder: Path) -> Owner:
    """Make and lock an owner's folder of our own; nobody ever sees it unlocked under its final name."""
    prepare_folder(folder)
    for _ in range(_CLAIMS):
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        fresh = folder / f"{_NEW}{name}"
        fresh.mkdir(mode=0o700)
        fd = os.open(fresh / LOCK_NAME, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh.rename(folder / name)
        except OSError:  # somebody took it for a dead process's leftover in this very moment
            os.close(fd)
            continue
        return Owner(folder / name, fd)
    raise OSError(f"no owner's folder could be claimed in {folder}")


def has_others(folder: Path, own: Path | None) -> bool:
    """Tell whether a journal's folder holds anything of other owners: by one look, as each takes the caller's time."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    mine = (SET_ASIDE_NAME, None if own is None else own.name)
    return any(name not in mine for name in names)


def orphans(folder: Path, own: Path | None = None) -> Iterator[Owner]:
    """Yield, locked, each owner's folder whose process is dead; the caller releases or removes it."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = folder / name
        if path == own or not path.is_dir():
            continue
        owner = _take_over(path)
        if owner is None:
            continue
        if name.startswith(_NEW):  # died between making its folder and its first record
            owner.remove()
        else:
            yield owner


def _take_over(path: Path) -> Owner | None:
    """Lock a folder whose owner is dead; None while it lives or when the folder has just gone."""
    try:
        fd = os.open(path / LOCK_NAME, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        _sweep(path)
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path / LOCK_NAME).st_ino == os.fstat(fd).st_ino:
            return Owner(path, fd)
    except OSError:
        pass
    os.close(fd)
    return None


def _sweep(path: Path) -> None:
    """Remove an old folder that never got its lock; an empty one only, so that nothing is ever lost."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            path.rmdir()


def folder_bytes(folder: Path) -> int:
    """Return how many bytes of segments a journal's folder holds, of all owners."""
    total = 0
    with contextlib.suppress(OSError):
        for owner in os.listdir(folder):
            # An owner may end, and its folder go, while we look.
            with contextlib.suppress(OSError), os.scandir(folder / owner) as entries:
                total += sum(entry.stat().st_size for entry in entries if entry.name.endswith(".seg"))
    return total
