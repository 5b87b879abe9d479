"""Scoring runs when nobody waits for an answer: the place of this process in the queue for the processor."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# A single prediction, whose caller waits, gets the processor at once; while nobody asks, scoring has it all.
NICENESS = 10
# Linux shares the processor between sessions first, and then among a session's processes by their niceness.
# Beside a session of 10 a prediction still waited for milliseconds, beside one of 19 for hardly any.
SESSION_NICENESS = 19


def yield_to_the_api() -> None:
    """Have whoever waits for an answer run first; Linux is also told that scoring needs no quick turn."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        _be_nice_as_a_session(Path("/proc/self/autogroup"))


def _be_nice_as_a_session(autogroup: Path) -> None:
    """Only in a session of the workers' own, as the stack makes them; a terminal's has other programs in it.

    Where the kernel makes no such groups, as in containers, there is nothing to do.
    """
    is_own_session = os.getsid(0) == os.getppid()
    if is_own_session and os.access(autogroup, os.W_OK):
        autogroup.write_text(f"{SESSION_NICENESS}\n")
