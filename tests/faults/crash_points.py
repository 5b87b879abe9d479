"""Named moments in the life of a job at which a process may die, fail or freeze.

The product knows nothing of them: a child process wraps the function that stands at the moment, then acts.
"""

from __future__ import annotations

import functools
import importlib
import mmap
import os
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Fault = Literal["SIGKILL", "exception", "pause"]
FAULTS: tuple[Fault, ...] = ("SIGKILL", "exception", "pause")


@dataclass(frozen=True)
class CrashPoint:
    """``target`` is ``module:name`` or ``module:Class.name``, as the code that calls it finds it."""

    name: str
    when: Literal["before", "after"]
    target: str

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


POINTS = (
    CrashPoint("receive: body written", "after", "jobs.intake:Upload.finish"),
    CrashPoint("receive: file kept", "after", "base.files:Files.keep"),
    CrashPoint("receive: before the commit", "before", "api.job_routes:accept"),
    CrashPoint("receive: committed", "after", "api.job_routes:accept"),
    CrashPoint("receive: message sent", "after", "api.job_routes:send_step"),
    CrashPoint("plan: before the claim", "before", "jobs.lifecycle.steps:claim_planning"),
    CrashPoint("plan: claimed", "after", "jobs.lifecycle.steps:claim_planning"),
    CrashPoint("plan: cuts found", "before", "jobs.lifecycle.steps:planned"),
    CrashPoint("plan: committed", "after", "jobs.lifecycle.steps:planned"),
    CrashPoint("plan: window sent", "after", "jobs.planning:open_window"),
    CrashPoint("score: before the claim", "before", "jobs.lifecycle.chunks:claim"),
    CrashPoint("score: claimed", "after", "jobs.lifecycle.chunks:claim"),
    CrashPoint("score: rows scored", "after", "jobs.running:score_span"),
    CrashPoint("score: part written", "after", "jobs.parts:write_table"),
    CrashPoint("score: part kept", "before", "jobs.lifecycle.chunks:commit"),
    CrashPoint("commit: committed", "after", "jobs.lifecycle.chunks:commit"),
    CrashPoint("commit: next chunks sent", "after", "jobs.running:send_chunks"),
    CrashPoint("commit: finish sent", "after", "jobs.running:send_step"),
    CrashPoint("finish: before the claim", "before", "jobs.lifecycle.steps:claim_finishing"),
    CrashPoint("finish: claimed", "after", "jobs.lifecycle.steps:claim_finishing"),
    CrashPoint("finish: parts joined", "after", "jobs.results:join"),
    CrashPoint("finish: result kept", "before", "jobs.lifecycle.steps:finished"),
    CrashPoint("finish: committed", "after", "jobs.lifecycle.steps:finished"),
    CrashPoint("caretaker: time checked", "after", "jobs.caretaker:end_overdue"),
    CrashPoint("caretaker: chunks recovered", "after", "jobs.caretaker:recover_chunks"),
    CrashPoint("caretaker: steps recovered", "after", "jobs.caretaker:recover_steps"),
    CrashPoint("caretaker: messages recovered", "after", "jobs.caretaker:Caretaker._recover_messages"),
    CrashPoint("caretaker: all sent", "after", "jobs.caretaker:send_due"),
    CrashPoint("caretaker: old jobs removed", "after", "jobs.caretaker:expire_jobs"),
)

# Where planning has more to do than to find cuts: these are reached with a compressed archive only.
ARCHIVE_POINTS = (
    CrashPoint("plan: bytes decoded", "after", "jobs.planning:decode"),
    CrashPoint("plan: decoded file kept", "after", "jobs.planning:_decode"),
    CrashPoint("plan: members listed", "after", "jobs.planning:write_index"),
    CrashPoint("plan: list kept", "before", "jobs.planning:plan_members"),
)


class Trigger:
    """Counts the hits of one point over all processes, and strikes at the one that is asked for, once."""

    def __init__(self, point: CrashPoint, fault: Fault, hit: int) -> None:
        self._point, self._fault, self._hit = point, fault, hit
        self._hits = mmap.mmap(-1, 8)  # shared with every child

    @property
    def struck(self) -> bool:
        """Whether the fault has happened."""
        return bool(struct.unpack("q", self._hits[:8])[0] >= self._hit)

    def install(self) -> None:
        """Wrap the point's function in this process."""
        module, _, path = self._point.target.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if self._point.when == "before":
                self._pass()
            result = original(*arguments, **named)
            if self._point.when == "after":
                self._pass()
            return result

        return wrapped

    def _pass(self) -> None:
        hits = struct.unpack("q", self._hits[:8])[0] + 1
        self._hits[:8] = struct.pack("q", hits)
        if hits != self._hit:
            return
        if self._fault == "exception":
            raise RuntimeError(f"struck at {self._point.name}")
        os.kill(os.getpid(), signal.SIGKILL if self._fault == "SIGKILL" else signal.SIGSTOP)
