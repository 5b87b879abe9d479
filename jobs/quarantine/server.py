"""The process in quarantine: forks for each trial, watches it, and tells the worker how it ended.

It imports what scoring needs and then only waits, so that a trial costs a fork and the loading of the model,
not a start of Python. It never loads the model itself: what a library starts when it is loaded or first used
(threads of OpenMP) does not survive a fork.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import NoReturn

from base.memory import limit_memory
from base.processes import die_with_parent
from jobs.quarantine.trials import Ending, Outcome, Trial, Trials

WATCH_SECONDS = 0.005
LAST_BREATH_SECONDS = 5.0
READY = b"ready"


def main(descriptor: int) -> None:
    """Answer the worker at the other end of ``descriptor`` until it hangs up."""
    die_with_parent()
    worker = Connection(descriptor)
    trials = Trials.prepared(worker.recv_bytes())
    limit_memory(trials.workshop.settings.max_process_bytes)
    worker.send_bytes(READY)
    with contextlib.suppress(EOFError):
        while True:
            _serve(worker, trials, Trial.from_bytes(worker.recv_bytes()))


def _serve(worker: Connection, trials: Trials, trial: Trial) -> None:
    reader, writer = Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        worker.close()
        reader.close()
        _try(trials, trial, writer)
    writer.close()
    with reader:
        outcome, table = _await(pid, worker, reader, trial.seconds)
    worker.send_bytes(outcome.to_bytes())
    worker.send_bytes(table)


def _try(trials: Trials, trial: Trial, writer: Connection) -> NoReturn:
    """What the forked process does; it ends by leaving at once, or as its user's code has it."""
    try:
        os.setsid()  # what kills its process group kills itself only
        die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _be_the_first_to_go()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        outcome, table = trials.run(trial)
        writer.send_bytes(outcome.to_bytes())
        writer.send_bytes(table)
    finally:
        os._exit(1)


def _be_the_first_to_go() -> None:
    """If the machine runs out of memory, the kernel shall choose this process."""
    with contextlib.suppress(OSError):  # not Linux, or a sandbox
        Path("/proc/self/oom_score_adj").write_text("1000")


def _await(pid: int, worker: Connection, reader: Connection, seconds: float) -> tuple[Outcome, bytes]:
    """The outcome of a forked process, which is gone afterwards. Raises ``EOFError`` if the worker is."""
    deadline = time.monotonic() + seconds
    while not reader.poll(WATCH_SECONDS):
        if worker.poll():  # it sends nothing while it waits, so it has hung up
            _end(pid)
            raise EOFError
        if time.monotonic() > deadline:
            _end(pid)
            return Outcome(Ending.TIME), b""
    try:
        answer = Outcome.from_bytes(reader.recv_bytes()), reader.recv_bytes()
    except EOFError:
        return _death(_status(pid)), b""
    _end(pid)
    return answer


def _status(pid: int) -> int:
    """How a process ended that closed its end of the pipe: by dying, or by closing all that it had."""
    until = time.monotonic() + LAST_BREATH_SECONDS
    while time.monotonic() < until:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            return status
        time.sleep(WATCH_SECONDS)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _death(status: int) -> Outcome:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Outcome(Ending.KILLED, f"it left with status {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return Outcome(Ending.KILLED, f"it was ended by {name}")
