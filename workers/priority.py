"""Scoring runs when nobody waits for an answer: the place of this process in the queue for the processor."""

from __future__ import annotations

import os
import sys

# A single prediction, whose caller waits, gets the processor at once; while nobody asks, scoring has it all.
NICENESS = 10


def yield_to_the_api() -> None:
    """Have whoever waits for an answer run first; Linux is also told that scoring needs no quick turn."""
    os.nice(NICENESS)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
