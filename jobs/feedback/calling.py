"""The operator's command for an alarm, while it runs: started, looked after, ended with what it started."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Self

import structlog

from base.settings import Settings, environment_of_child
from jobs.feedback.alarms import Alarm

# The end of what a command printed that is repeated.
SAID_BYTES = 1000
# What was killed is gone by then, or cannot be killed.
KILLED_SECONDS = 5.0

log = structlog.get_logger()


class Call:
    """One call of the command. Nothing here waits for it, nor asks the database."""

    def __init__(
        self, alarm: Alarm, process: subprocess.Popen[bytes], output: IO[bytes], seconds: float
    ) -> None:
        self.alarm = alarm
        self._process = process
        self._output = output
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._is_over = self._is_late = False

    @classmethod
    def start(cls, alarm: Alarm, settings: Settings) -> Self:
        """Raises OSError if it cannot be started, or what it prints not be kept."""
        output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the command
        try:
            process = subprocess.Popen(
                shlex.split(settings.accuracy_command),
                env=environment_of_child(**_facts(alarm)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            output.close()
            raise
        return cls(alarm, process, output, settings.accuracy_command_seconds)

    def is_over(self) -> bool:
        """Whether it has ended, or has been ended because its time is over."""
        if self._is_over:
            return True
        self._is_late = self._process.poll() is None and time.monotonic() >= self._ends_at
        if self._process.returncode is not None or self._is_late:
            self.end()
        return self._is_over

    def end(self) -> None:
        """Kill what still runs of it: the command, and what it started in its group."""
        self._is_over = True
        try:
            # its number is not given to others so soon, whoever has waited for it
            with suppress(ProcessLookupError):  # nothing is left
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(KILLED_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:  # another user's, or it waits for a disk
            log.error("accuracy command not killed", reason=str(error), model=self.alarm.reference)

    @property
    def failure(self) -> str | None:
        """Why a command that is over did not end well, if it did not."""
        if self._is_late:
            return f"killed after {self._seconds:g} s"
        status = self._process.returncode
        if status is None or status < 0:
            return "killed" if status is None else f"killed by signal {-status}"
        return f"exit status {status}" if status else None

    @property
    def said(self) -> str:
        """The end of what it printed."""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - SAID_BYTES))
        # Postgres has no NUL
        return self._output.read().decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()

    def close(self) -> None:
        """Give up what it printed."""
        self._output.close()


def _facts(alarm: Alarm) -> Mapping[str, str]:
    return {
        "ACCURACY_MODEL": alarm.reference,
        "ACCURACY_NAME": alarm.model_name,
        "ACCURACY_VERSION": str(alarm.model_version),
        "ACCURACY": f"{alarm.accuracy:.6g}",
        "ACCURACY_BELOW": f"{alarm.below:.6g}",
        "ACCURACY_LABELLED": str(alarm.labelled),
    }
