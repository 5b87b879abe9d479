"""One child process: how it starts, how it ends. What to run and when to restart it is decided elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rowmill.stack import tether

LOG_BYTES = 16 << 20  # a log beyond this moves to `<name>.log.1`, so that a stack may run for months


@dataclass(frozen=True)
class Program:
    """What to run. ``inherit`` are file descriptors that the program finds open under the same numbers."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    stop_seconds: float = 10
    inherit: tuple[int, ...] = ()


class Child:
    """A running program in a process group of its own, so that a Ctrl-C in the terminal does not reach it.

    Not in a session of its own: Linux shares the processor between sessions first, and only then by niceness
    (sched_autogroup_enabled), so scoring would get as much as the API that it is to yield to.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started = time.monotonic()
        command = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *program.arguments]
        with program.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=dict(program.environment),
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=program.inherit,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Also the id of the process group that holds whatever the program starts itself."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it. Collects the dead process."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """SIGTERM to the program itself; it ends its own children as it sees fit."""
        self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within the time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill_group(self) -> None:
        """SIGKILL for the program and all that it started; without effect on those that are gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def rotate(log: Path) -> None:
    """Keep what the log holds as ``<name>.log.1`` and empty it in place: its writer has it open to append."""
    if not log.exists() or not log.stat().st_size:
        return
    older = log.with_name(log.name + ".1")
    try:
        shutil.copyfile(log, older)
    except OSError:  # a full disk: room matters more than an old log
        older.unlink(missing_ok=True)
    os.truncate(log, 0)


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, for a message about why its process died."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-count:])
