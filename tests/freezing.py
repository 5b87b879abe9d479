"""Processes that are there and do nothing, as after SIGSTOP, in a debugger, or on a machine that swaps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Within the block, the process is frozen."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()
