"""The process in quarantine as the worker sees it: started, asked, waited for, ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Self

from jobs.quarantine.trials import Ending, Outcome, Trial

START_SECONDS = 120.0
WAIT_SECONDS = 0.2
# Given the worker's own search path, it imports what the worker does, wherever it starts. Threads of linear
# algebra would not survive the forks.
_COMMAND = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "os.environ.update(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1', MKL_NUM_THREADS='1'); "
    "from jobs.quarantine.server import main; main(int(sys.argv[1]))"
)
_STDERR = 2


class QuarantineProcess:
    """Answers trials one after another; it may die at any of them, and is then started again at the next."""

    def __init__(self, described: bytes, alive: Callable[[], None]) -> None:
        """``described`` says what is tried; ``alive`` is called while waiting, and may raise to stop."""
        self._described = described
        self._alive = alive
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def ask(self, trial: Trial) -> tuple[Outcome, bytes]:
        """How the trial ended, and the table that it made. Raises ``RuntimeError`` if nothing starts."""
        connection = self._connection or self.start()
        try:
            connection.send_bytes(trial.to_bytes())
            # the process itself keeps the trial's time; this is for one that was stopped or swapped out
            outcome = Outcome.from_bytes(self._receive(connection, 2 * trial.seconds + START_SECONDS))
            return outcome, self._receive(connection, START_SECONDS)
        except (EOFError, OSError):
            self._stop()
            return Outcome(Ending.KILLED, "it took the process that watched it with it"), b""

    def start(self) -> Connection:
        """Start it, and wait until it can be asked; asking does that too, where it must."""
        self._connection, theirs = Pipe()
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the working folder
        number = theirs.fileno()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, str(number), json.dumps(path)],
                pass_fds=(number,),
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,  # what user code prints belongs into the worker's log
            )
        try:
            self._connection.send_bytes(self._described)
            self._receive(self._connection, START_SECONDS)
        except (EOFError, OSError) as error:
            self._stop()
            raise RuntimeError("the quarantine did not start; the log has its reason") from error
        return self._connection

    def _receive(self, connection: Connection, seconds: float) -> bytes:
        waited = 0.0
        while not connection.poll(WAIT_SECONDS):
            self._alive()
            waited += WAIT_SECONDS
            if waited > seconds:
                raise TimeoutError(f"no answer within {seconds:g} s")
        return connection.recv_bytes()

    def _stop(self) -> None:
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None
