"""The API's side: whoever answers leaves a copy and goes on; a thread passes copies to the scoring process.

What waits is bounded, and what has no room is dropped and counted. So a challenger that is slow, stuck, or
kills its process costs those who wait for an answer nothing.
"""

from __future__ import annotations

import atexit
import base64
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog

from base.meter import spread
from base.meter.meter import Meter
from models.manifest import Label, Manifest

# What may wait for the scoring process; as much as a pipe holds is on its way besides.
MAX_ROWS = 2000
MAX_BYTES = 16 << 20
# The thread that passes copies on wakes once for all that came meanwhile: each turn of it may keep an answer
# waiting for some microseconds.
GATHER_SECONDS = 0.05
# A process that ended is not started again before that.
RESTART_SECONDS = 10.0
# How long it may take to give back what it counts in.
END_SECONDS = 5.0

log = structlog.get_logger()


class Copy(NamedTuple):
    """Rows that the champion has answered, one after another, and what it said."""

    alias: str
    challenger: Manifest
    rows: Sequence[Any]
    predictions: Sequence[Any]
    size_bytes: int

    def line(self) -> bytes:
        """As the scoring process reads it."""
        document = {
            "alias": self.alias,
            "name": self.challenger.name,
            "version": self.challenger.version,
            "rows": self.rows,
            "predictions": self.predictions,
        }
        return json.dumps(document, default=_as_text).encode() + b"\n"


class Shadows:
    """Of one process. Nothing is started before the first copy, so it may be made before a fork."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._waiting: deque[Copy] = deque()
        self._rows = self._bytes = 0
        self._changing = threading.Lock()  # never held for long
        self._wake = threading.Event()
        self._passing: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = -RESTART_SECONDS
        self._closed = False
        self._told: set[str] = set()

    @property
    def pid(self) -> int | None:
        """Of the scoring process, if one was started."""
        return None if self._process is None else self._process.pid

    def offer(
        self,
        alias: str,
        challenger: Manifest,
        rows: Sequence[Any],
        predictions: Sequence[Label | dict[str, Any] | None],
        size_bytes: int,
    ) -> None:
        """Leave a copy of what was answered; ``size_bytes`` is about what it takes. Never waits."""
        copy = Copy(alias, challenger, rows, predictions, size_bytes)
        with self._changing:
            has_room = self._rows + len(rows) <= MAX_ROWS and self._bytes + size_bytes <= MAX_BYTES
            is_taken = has_room and (self._passing is not None or self._start())
            if is_taken:
                self._waiting.append(copy)
                self._rows, self._bytes = self._rows + len(rows), self._bytes + size_bytes
        if is_taken:
            self._wake.set()
        else:
            self._drop(copy)

    def _start(self) -> bool:
        """Start the thread that passes copies on; False if the system has none to give, for now."""
        thread = threading.Thread(target=self._pass_on, name="shadows", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._tell(error)
            return False
        self._passing = thread
        atexit.register(self.close)
        return True

    def close(self) -> None:
        """Give up what waits, and end the scoring process; at the end of this one by itself."""
        atexit.unregister(self.close)
        self._closed = True
        self._wake.set()
        if self._process is not None:
            _stop(self._process)  # now nothing is written to it any more
        if self._passing is not None:
            self._passing.join()
        if self._process is not None:  # perhaps another one, that was only just started
            _let_go_of(self._process)

    def _pass_on(self) -> None:
        while not self._closed:
            self._wake.wait()
            time.sleep(GATHER_SECONDS)
            self._wake.clear()
            while not self._closed and (copy := self._next()) is not None:
                self._send(copy)

    def _next(self) -> Copy | None:
        with self._changing:
            if not self._waiting:
                return None
            copy = self._waiting.popleft()
            self._rows, self._bytes = self._rows - len(copy.rows), self._bytes - copy.size_bytes
            return copy

    def _send(self, copy: Copy) -> None:
        """Pass a copy on, which waits as long as the process has no room for it."""
        try:
            process = self._running()
            if process is None or process.stdin is None:
                self._drop(copy)
                return
            rest = memoryview(copy.line())
            while rest:
                rest = rest[process.stdin.write(rest) :]
        except OSError:  # it has ended, or there is no room for another process
            self._drop(copy)
        except Exception as error:  # noqa: BLE001 - one copy that cannot be written must not be the last one
            self._tell(error)
            self._drop(copy)

    def _running(self) -> subprocess.Popen[bytes] | None:
        """The scoring process; None if it has ended and it is too early for another."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        if time.monotonic() - self._started_at < RESTART_SECONDS:
            return None
        if self._process is not None:
            log.warning("the process that scores for challengers has ended", status=self._process.returncode)
            _let_go_of(self._process)
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            (sys.executable, "-m", "jobs.shadowing.scoring"),
            stdin=subprocess.PIPE,
            bufsize=0,
        )
        return self._process

    def _tell(self, error: Exception) -> None:
        """Once for each kind of error: they may be as many as requests."""
        if (kind := type(error).__name__) not in self._told:
            self._told.add(kind)
            log.warning("copies for challengers are dropped", reason=repr(error)[:300])

    def _drop(self, copy: Copy) -> None:
        series, now = spread.series("dropped", copy.alias), time.monotonic()
        for _ in copy.rows:
            self._meter.record(series, copy.challenger.reference, 0.0, 200, hit=None, now=now)


def _let_go_of(process: subprocess.Popen[bytes]) -> None:
    _stop(process)
    if process.stdin is not None:
        process.stdin.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, in order if it lets itself be."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _as_text(value: Any) -> Any:
    """Images that came as they are; numbers of NumPy from a tensor."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value.item()
