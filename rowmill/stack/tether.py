"""Runs another program so that it dies with the process that started it.

The supervisor starts every child as ``python tether.py PARENT_PID PROGRAM ARGUMENT…``. On Linux the kernel
then kills the program when its parent ends, even by ``kill -9``; elsewhere the next start ends what was left
(see ``record.py``). It is a program of its own, not a ``preexec_fn``, because Python code between fork and
exec may deadlock in a process with threads. It imports nothing of Rowmill, and costs only milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent thread ends; exit at once if it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("The process that started this one has ended.")


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - an argument list, no shell
