"""The caretaker's watch over accuracy: a word in the log, and the operator's command, when a version falls.

Nothing is waited for: a command runs beside the caretaker's work, and each tick looks after it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO

import structlog

from base.settings import environment_of_child
from jobs.feedback.falling import Fall, new_falls
from jobs.stores import Stores

WATCH_SECONDS = 60.0
# The end of what a command said that the log repeats.
SAID_BYTES = 1000

log = structlog.get_logger()


# What was killed is gone by then, or cannot be killed.
KILLED_SECONDS = 5.0


@dataclass(frozen=True)
class _Running:
    """A command that was called."""

    fall: Fall
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    ends_at: float

    def end(self) -> None:
        """Kill it, with all that it started in its session."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(KILLED_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:  # another user's, or it waits for a disk
            log.error("accuracy command not killed", reason=str(error), **_named(self.fall))

    def said(self) -> str:
        """The end of what it printed."""
        size = self.output.seek(0, os.SEEK_END)
        self.output.seek(max(0, size - SAID_BYTES))
        return self.output.read().decode(errors="replace").strip()


class AccuracyWatch:
    """Looks once a minute, if a threshold is set."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._looked_at = -WATCH_SECONDS
        self._running: list[_Running] = []

    def tick(self) -> None:
        """One round: commands that ended or take too long, then versions that fell."""
        self._running = [each for each in self._running if not self._is_over(each)]
        settings = self._stores.settings
        if settings.accuracy_below and time.monotonic() - self._looked_at >= WATCH_SECONDS:
            self._looked_at = time.monotonic()
            for fall in new_falls(self._stores.database, settings):
                self._tell(fall)

    def close(self) -> None:
        """Kill what still runs: nothing outlives a stack."""
        for each in self._running:
            log.warning("accuracy command killed, the caretaker stops", **_named(each.fall))
            each.end()
            each.output.close()
        self._running = []

    def _tell(self, fall: Fall) -> None:
        settings = self._stores.settings
        log.warning("accuracy fell", accuracy=round(fall.accuracy, 4), labelled=fall.labelled, **_named(fall))
        if not settings.accuracy_command:
            return
        facts = {
            "ACCURACY_MODEL": f"{fall.name}@{fall.version}",
            "ACCURACY_NAME": fall.name,
            "ACCURACY_VERSION": str(fall.version),
            "ACCURACY": f"{fall.accuracy:.6g}",
            "ACCURACY_BELOW": f"{settings.accuracy_below:.6g}",
            "ACCURACY_LABELLED": str(fall.labelled),
        }
        output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the command
        try:
            process = subprocess.Popen(
                shlex.split(settings.accuracy_command),
                env=environment_of_child(**facts),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            output.close()
            log.error("accuracy command not started", reason=str(error), **_named(fall))
            return
        ends_at = time.monotonic() + settings.accuracy_command_seconds
        self._running.append(_Running(fall, process, output, ends_at))

    def _is_over(self, each: _Running) -> bool:
        code = each.process.poll()
        if code is None and time.monotonic() < each.ends_at:
            return False
        if code is None:
            each.end()
            log.error("accuracy command took too long, killed", said=each.said(), **_named(each.fall))
        elif code:
            log.error("accuracy command failed", status=code, said=each.said(), **_named(each.fall))
        else:
            log.info("accuracy command done", said=each.said(), **_named(each.fall))
        each.output.close()
        return True


def _named(fall: Fall) -> dict[str, str]:
    return {"model": f"{fall.name}@{fall.version}"}
