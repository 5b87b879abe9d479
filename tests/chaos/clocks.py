"""Clocks of single programs of a stack that can be set wrong while they run."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.clock.sitecustomize import ROLES

MODULE = Path(__file__).parent / "clock"


class Clocks:
    """The table in a file that the programs share; ``environment`` is what they must be started with."""

    def __init__(self, table: Path) -> None:
        self._table = table
        table.write_bytes(bytes(8 * len(ROLES)))
        paths = [str(MODULE), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {"CHAOS_CLOCKS": str(table), "PYTHONPATH": os.pathsep.join(paths)}

    @contextmanager
    def wrong(self, role: str, seconds: float) -> Iterator[None]:
        """Within the block, the clock of a program is ahead by ``seconds``; behind if they are negative."""
        self._set(role, seconds)
        try:
            yield
        finally:
            self._set(role, 0.0)

    def _set(self, role: str, seconds: float) -> None:
        with self._table.open("r+b") as file:
            file.seek(8 * ROLES.index(role))
            file.write(struct.pack("d", seconds))
