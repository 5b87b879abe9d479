"""Durable files in one folder: written aside, fsynced, renamed, and never overwritten.

A file counts only once a committed database row names it; what no row names is an orphan that the caretaker
removes. Names are made here from ids, never from what a client sent.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from uuid6 import uuid7

# One upload, one planning step or one chunk may stay unfinished this long before it counts as an orphan.
ORPHAN_AGE_SECONDS = 24 * 3600
# What a file system says that has no hard links, or no more of them.
NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP)


class Files:
    """The folder ``root``: ``inputs/<input>/…``, ``jobs/<job>/…``, and ``staging/`` for unfinished files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / "staging"

    def path(self, name: str) -> Path:
        """Where the stored file ``name`` (as returned by :meth:`keep`) lies."""
        return self.root / name

    @contextmanager
    def draft(self, suffix: str = "") -> Iterator[Path]:
        """A path for a new file, removed at the end of the block unless :meth:`keep` took it."""
        self.staging.mkdir(parents=True, exist_ok=True)
        path = self.staging / f"{uuid7()}{suffix}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, draft: Path, name: str) -> str:
        """Make ``draft`` durable under ``name``, and return the name."""
        target = self.root / name
        make_folder(target.parent)
        _fsync(draft)
        draft.rename(target)
        _fsync(target.parent)
        return name

    def share(self, name: str, new_name: str) -> bool:
        """Give a stored file a second name, so that it stays until both are removed; False if it is gone.

        The new name outlives a crash only after :meth:`sync_folder`.
        """
        target = self.root / new_name
        make_folder(target.parent)
        try:
            os.link(self.root / name, target)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with self.draft() as draft:
                shutil.copyfile(self.root / name, draft)
                self.keep(draft, new_name)
        return True

    def sync_folder(self, name: str) -> None:
        """Make the names in a stored folder durable; it need not be there."""
        if (self.root / name).is_dir():
            _fsync(self.root / name)

    def remove(self, name: str) -> None:
        """Remove a stored file; one that is gone already is fine."""
        (self.root / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Remove a stored folder with all that lies in it; one that is gone already is fine."""
        # moved out of the way first: a worker may be writing into it, or removing from it, at this moment
        self.staging.mkdir(parents=True, exist_ok=True)
        doomed = self.staging / f"{uuid7()}"
        with suppress(FileNotFoundError):
            (self.root / name).rename(doomed)
            _remove_tree(doomed)

    def free_bytes(self) -> int:
        """Room left on the disk that holds the folder."""
        make_folder(self.root)
        return shutil.disk_usage(self.root).free


class DigestWriter:
    """A binary file object that hashes and counts what passes through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.bytes += len(data)
        self._stream.write(data)
        return len(data)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of all bytes written so far."""
        return self._hash.hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Create a folder and its parents so that they outlive a crash of the machine."""
    if path.is_dir():
        return
    make_folder(path.parent)
    # not exist_ok, which looks again whether it is a folder, and fails if it was just removed
    with suppress(FileExistsError):
        path.mkdir()
    _fsync(path.parent)


def _remove_tree(folder: Path) -> None:
    """Remove a folder that nobody can find any more, together with what was already on its way into it."""
    while True:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
