"""The one process that writes a meter file: a request costs it a microsecond or two, and no system call."""

from __future__ import annotations

import mmap
import os
import threading
import time

import structlog

from base.meter.buckets import SECONDS, SIZES
from base.meter.layout import (
    BEGAN_MS,
    BLOCK_WORDS,
    BLOCKS_AT,
    COUNT,
    ERRORS,
    FIRST_BUCKET,
    HITS,
    LARGEST,
    MAX_SERIES,
    MISSES,
    NAME_BYTES,
    NAMES_AT,
    NANOSECONDS,
    REFUSALS,
    RING,
    SERIES_WORDS,
    SIZE,
    SLOT,
    SUM,
    SUM_OF_SIZES,
    WORD,
    name_of,
    route_and_model,
    slot_of,
)

# What has no series of its own: requests that no route is for, and models beyond the number of places.
OTHER = "other"
# Places that only routes may take, however many models there are.
KEPT_FOR_ROUTES = 128
_EMPTY_BLOCK = memoryview(bytes(BLOCK_WORDS * WORD)).cast("q")

log = structlog.get_logger()


class Recorder:
    """Counts requests in one file, from any number of threads of one process."""

    def __init__(self, descriptor: int | None) -> None:
        """``descriptor``: an empty file, or one that another process has left. None: memory of this process.

        Raises OSError if there is no room for it.
        """
        self._descriptor = descriptor
        self.mapped = mmap.mmap(-1, SIZE) if descriptor is None else _mapped(descriptor)
        self._words = memoryview(self.mapped).cast("q")
        self._floats = memoryview(self.mapped).cast("d")
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str | None], int] = {}
        if self._words[BEGAN_MS]:
            self._series = {key: index for index, key in enumerate(names(self.mapped))}
        else:
            self._begin()

    def record(
        self, route: str, model: str | None, seconds: float, status: int, *, hit: bool | None, now: float
    ) -> None:
        """Count an answer of ``status`` that took so long and ended ``now`` (monotonic clock).

        ``hit``: whether it came from the result cache; None if that was not asked.
        """
        bucket = FIRST_BUCKET + SECONDS.bucket_of(seconds)
        nanoseconds = int(seconds * 1e9)
        words = self._words
        with self._lock:
            for at in self._blocks(route, model, slot_of(now)):
                words[at + bucket] += 1
                words[at + NANOSECONDS] += nanoseconds
                if status >= 400:
                    words[at + (REFUSALS if status < 500 else ERRORS)] += 1
                if hit is not None:
                    words[at + (HITS if hit else MISSES)] += 1

    def record_difference(self, series: str, model: str, difference: float, *, now: float) -> None:
        """Count by how much, a finite number, one number differs from another; a hit is one that does not."""
        size = abs(difference)
        bucket = FIRST_BUCKET + SIZES.bucket_of(size)
        words, floats = self._words, self._floats
        with self._lock:
            for at in self._blocks(series, model, slot_of(now)):
                words[at + bucket] += 1
                words[at + (MISSES if size else HITS)] += 1
                floats[at + SUM] += difference
                floats[at + SUM_OF_SIZES] += size
                floats[at + LARGEST] = max(floats[at + LARGEST], size)

    def _blocks(self, route: str, model: str | None, slot: int) -> tuple[int, int]:
        """Where a series counts since the beginning, and where in this slot, emptied if that is new."""
        index = self._series.get((route, model))
        if index is None:
            index = self._add(route, model)
        total = index * SERIES_WORDS + BLOCKS_AT // WORD
        block, words = total + (1 + slot % RING) * BLOCK_WORDS, self._words
        if words[block + SLOT] != slot:
            words[block : block + BLOCK_WORDS] = _EMPTY_BLOCK
            words[block + SLOT] = slot
        return total, block

    def _add(self, route: str, model: str | None) -> int:
        """Make room for a series. If there is none it counts with others, as it does from then on."""
        count = self._words[COUNT]
        if model not in (None, OTHER) and count >= MAX_SERIES - KEPT_FOR_ROUTES:
            index = self._series.get((route, OTHER))
            index = self._add(route, OTHER) if index is None else index
        elif count == MAX_SERIES:
            index = 0
        else:
            index = self._try_to_append(count, name_of(route, model))
        self._series[route, model] = index
        return index

    def _try_to_append(self, count: int, name: bytes) -> int:
        try:
            self._append(count, name)
        except OSError as error:
            log.warning("no room to count requests apart", series=name.decode(), reason=str(error))
            return 0
        return count

    def _append(self, count: int, name: bytes) -> None:
        blocks_at, names_at = BLOCKS_AT + count * SERIES_WORDS * WORD, NAMES_AT + count * NAME_BYTES
        if self._descriptor is not None:  # written, not mapped: a page for which there is no room would kill
            os.pwrite(self._descriptor, bytes(SERIES_WORDS * WORD), blocks_at)
        self.mapped[names_at : names_at + NAME_BYTES] = name.ljust(NAME_BYTES, b"\0")
        self._words[COUNT] = count + 1  # last, because from now on others read it

    def _begin(self) -> None:
        self._append(0, name_of(OTHER, None))
        self._series[OTHER, None] = 0
        self._words[BEGAN_MS] = int(time.time() * 1000)


def names(mapped: mmap.mmap) -> list[tuple[str, str | None]]:
    """Route and model of every series in a file, in their order there."""
    count = int.from_bytes(mapped[COUNT * WORD : (COUNT + 1) * WORD], "little")
    starts = range(NAMES_AT, NAMES_AT + count * NAME_BYTES, NAME_BYTES)
    return [route_and_model(mapped[start : start + NAME_BYTES]) for start in starts]


def _mapped(descriptor: int) -> mmap.mmap:
    os.truncate(descriptor, SIZE)
    if os.pread(descriptor, BLOCKS_AT, 0) == bytes(BLOCKS_AT):
        os.pwrite(descriptor, bytes(BLOCKS_AT), 0)  # now there is room for it
    return mmap.mmap(descriptor, SIZE)
