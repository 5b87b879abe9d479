"""A disk of its own for the data folder of a chaos run, so that it can be really full."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_BYTES = 6 << 30
PAGE_BYTES = 4096


class SmallDisk:
    """A file system in memory. Where that is not permitted it is the plain folder, and never full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._busy = threading.Lock()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
        mounted = (
            os.geteuid() == 0 and not subprocess.run(command, capture_output=True, check=False).returncode
        )
        self.is_own = mounted

    @contextmanager
    def full(self) -> Iterator[None]:
        """Within the block, no byte more fits on the disk."""
        with self._busy:
            used = shutil.disk_usage(self.folder).used
            self._resize(used // PAGE_BYTES * PAGE_BYTES)
            try:
                yield
            finally:
                self._resize(DISK_BYTES)

    def close(self) -> None:
        """Give the disk back."""
        if self.is_own:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def _resize(self, size: int) -> None:
        command = ["mount", "-o", f"remount,size={size}", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)
