"""The files of versions: written in a staging folder, made durable, and moved in as a whole.

Which of them count is for the rows of the database to say.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uuid6 import uuid7

from base.files import make_folder

STAGING_SECONDS = 24 * 3600


class Folders:
    """The folders of all versions under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, name: str, version: int) -> Path:
        """Where the files of a version lie."""
        return self._root / name / str(version)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A new folder to write into; what is still there at the end of the block is removed."""
        place = self._root / ".staging"
        make_folder(place)
        _sweep(place)
        folder = place / str(uuid7())
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def move_in(self, staging: Path, name: str, version: int) -> None:
        """Make a staging folder, which :func:`sync` made durable, that of a version."""
        folder = self.of(name, version)
        make_folder(folder.parent)
        if folder.exists():
            shutil.rmtree(folder)  # left from an add that died before its row was committed
        staging.rename(folder)
        sync(folder.parent)

    def move_out(self, name: str, version: int, staging: Path) -> None:
        """The opposite of :meth:`move_in`, for a version that came to nothing."""
        self.of(name, version).rename(staging)

    def remove(self, name: str, version: int) -> None:
        """Remove the files of a version; whoever is killed meanwhile leaves them to the next add."""
        with self.staging() as staging, suppress(FileNotFoundError):
            self.of(name, version).rename(staging / "removed")


def _sweep(place: Path) -> None:
    """Remove what adds that were killed left behind, long ago."""
    for folder in place.iterdir():
        with suppress(FileNotFoundError):  # another process may just have moved its own to where it belongs
            if time.time() - folder.stat().st_mtime > STAGING_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def sync(*paths: Path) -> None:
    """Make files and folder entries outlive a crash of the machine."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
