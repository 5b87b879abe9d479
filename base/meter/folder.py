"""Where the files lie, and who writes which: a lock that the kernel takes back when its process ends.

A file whose process has ended is gone on with by the next process that begins, so nothing that was counted is
lost, and there are never more files than there were processes at one time. The last process that ends in
order removes them all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from pathlib import Path

from base.meter.layout import LAYOUT

# Never a disk: a process that writes to a mapped page while that is being written back waits for the disk.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - random names, and only files of our own are opened
# What processes leave behind that were all killed at once is theirs if they start again, for a day.
ABANDONED_SECONDS = 86400.0


class MeterFolder:
    """The meter files of all processes that serve one data folder on this host."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else data_dir / "run"
        self._all = f"rowmill-meter-{os.getuid()}-"
        self._prefix = f"{self._all}{hashlib.sha256(bytes(data_dir)).hexdigest()[:16]}-{LAYOUT}-"

    def claim(self) -> int:
        """A file for this process alone, as long as the descriptor is open. Raises OSError."""
        self._sweep()
        for path in self.paths():
            if (descriptor := _lock(path)) is not None:
                return descriptor
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor, _name = tempfile.mkstemp(prefix=self._prefix, dir=self._folder)
            if _is_locked(descriptor):
                return descriptor

    def paths(self) -> list[Path]:
        """Every file of the group, whoever lives."""
        return list(self._folder.glob(f"{self._prefix}*"))

    def leave(self, descriptor: int) -> None:
        """Give a file back; if nobody else has one, remove them all."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a mapping holds the file open, so closing it is not enough
        os.close(descriptor)
        self.remove_unused()

    def remove_unused(self) -> None:
        """Remove all files if none of their processes lives."""
        paths = self.paths()
        locks = [_lock(path) for path in paths]
        if None not in locks:
            for path in paths:
                path.unlink(missing_ok=True)
        for lock in locks:
            if lock is not None:
                os.close(lock)

    def _sweep(self) -> None:
        """Remove what belonged to other data folders that nobody serves any more."""
        for path in set(self._folder.glob(f"{self._all}*")) - set(self.paths()):
            if (descriptor := _lock(path)) is not None:
                if time.time() - os.fstat(descriptor).st_mtime > ABANDONED_SECONDS:
                    path.unlink(missing_ok=True)
                os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the file; None if somebody else does, or if it is not ours or gone."""
    descriptor = open_own(path)
    return descriptor if descriptor is not None and _is_locked(descriptor) else None


def open_own(path: Path) -> int | None:
    """A descriptor of a file of this user; None if it is another's or gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if os.fstat(descriptor).st_uid == os.getuid():
        return descriptor
    os.close(descriptor)
    return None


def _is_locked(descriptor: int) -> bool:
    """Whether the file could be locked and still has a name; closed if not."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    if os.fstat(descriptor).st_nlink:
        return True
    os.close(descriptor)
    return False
