"""One process's part in the meter: it records into its own file, and reads all of them."""

from __future__ import annotations

import mmap
import os
import threading
import time
import weakref
from pathlib import Path

import structlog

from base.meter.folder import MeterFolder, open_own
from base.meter.layout import SIZE
from base.meter.recorder import Recorder
from base.meter.tally import Reading, read

log = structlog.get_logger()


class Meter:
    """Counts the requests of this process, and tells those of all that serve the same data folder here.

    Nothing is opened before the first request is counted, so it may be made before a fork.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = MeterFolder(data_dir)
        self._opening = threading.Lock()
        self._recorder: Recorder | None = None
        self._is_alone = False

    def record(
        self, route: str, model: str | None, seconds: float, status: int, *, hit: bool | None, now: float
    ) -> None:
        """As ``Recorder.record``."""
        (self._recorder or self._open()).record(route, model, seconds, status, hit=hit, now=now)

    def record_difference(self, series: str, model: str, difference: float, *, now: float) -> None:
        """As ``Recorder.record_difference``."""
        (self._recorder or self._open()).record_difference(series, model, difference, now=now)

    def read(self, now: float) -> Reading:
        """What all processes counted; ``now`` is of the monotonic clock."""
        found = [_read_file(path, now) for path in self._folder.paths()]
        if self._recorder is not None and self._is_alone:
            found.append(read(self._recorder.mapped, now))
        return Reading.of([part for part in found if part is not None], time.time())

    def _open(self) -> Recorder:
        with self._opening:
            if self._recorder is None:
                self._recorder = self._shared() or Recorder(None)
            return self._recorder

    def _shared(self) -> Recorder | None:
        """None, and a word in the log, where there is no room for a file."""
        try:
            descriptor = self._folder.claim()
            weakref.finalize(self, self._folder.leave, descriptor)
            return Recorder(descriptor)
        except OSError as error:
            log.warning("this process counts its requests for itself", reason=str(error))
            self._is_alone = True
            return None


def _read_file(path: Path, now: float) -> Reading | None:
    descriptor = open_own(path)
    if descriptor is None:
        return None
    try:
        if os.fstat(descriptor).st_size != SIZE:
            return None  # only just made
        with mmap.mmap(descriptor, SIZE, access=mmap.ACCESS_READ) as mapped:
            return read(mapped, now)
    finally:
        os.close(descriptor)
