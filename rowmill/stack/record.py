"""What a stack leaves in ``<data>/run`` while it runs: a lock, and the record of its processes.

The lock tells a second start from the first. The record lets a start end what an earlier one left behind
where the kernel does not do it (not Linux, or a launcher killed in an unlucky moment).
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import psutil

from rowmill.stack.problem import StackProblem

# Every process of a stack finds the stack's id here, and so do the processes that it starts itself.
MARK = "_ROWMILL_STACK_ID"
KILL_SECONDS = 10


@dataclass
class Record:
    """The content of ``stack.json``; ``processes`` holds process id and start time of each child by name."""

    stack_id: str
    pid: int
    url: str
    flower_url: str
    processes: dict[str, tuple[int, float]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Replace the file in one step, so that a reader never meets half of it."""
        draft = path.with_name(path.name + ".new")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n")
        draft.replace(path)


def load_record(path: Path) -> Record | None:
    """The record of the stack that runs now or ran last; None if there is none that can be read."""
    try:
        fields = json.loads(path.read_text())
        fields["processes"] = {name: (int(pid), float(at)) for name, (pid, at) in fields["processes"].items()}
        return Record(**fields)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def lock(run: Path) -> IO[str]:
    """Take the data folder for this process; the lock ends with the returned file, or with the process.

    Raises StackProblem, naming the stack that has it, if it is taken.
    """
    file = (run / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        other = load_record(run / "stack.json")
        who = f"{other.url}, process {other.pid}" if other else "it is just starting"
        raise StackProblem(
            f"A stack already runs in {run.parent} ({who}). Use that one, stop it with Ctrl-C in its "
            "terminal, or start another with its own --data-dir and --port."
        ) from error
    return file


def end_leftovers(record: Record) -> list[int]:
    """Kill what is left of a stack whose launcher has ended, and return the process ids.

    A process counts as the stack's own only if it carries the stack's id in its environment, or if both its
    id and its start time are recorded: process ids are used again.
    """
    left = [process for process in psutil.process_iter() if _belongs(process, record)]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=KILL_SECONDS)
    return [process.pid for process in left]


def started_at(pid: int) -> float:
    """When a process started, as the record keeps it; 0 if it is gone already."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _belongs(process: psutil.Process, record: Record) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if (process.pid, process.create_time()) in record.processes.values():
            return True
        return process.environ().get(MARK) == record.stack_id
    except psutil.Error:  # gone meanwhile, or another user's
        return False
