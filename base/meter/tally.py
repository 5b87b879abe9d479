"""What the files say together: requests, refusals, errors, times and cache hits, in the window and in all.

A series of differences is read from the same words by ``differences``.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from base.meter.buckets import SECONDS
from base.meter.layout import (
    BEGAN_MS,
    BLOCK_WORDS,
    BLOCKS_AT,
    ERRORS,
    FIRST_BUCKET,
    HITS,
    LARGEST,
    MISSES,
    NANOSECONDS,
    REFUSALS,
    RING,
    SLOT,
    SUM,
    WINDOW_SLOTS,
    WORD,
    slot_of,
)
from base.meter.recorder import names

_EMPTY = np.zeros(BLOCK_WORDS, np.int64)


def _added_up(blocks: np.ndarray, axis: int) -> np.ndarray:
    """Several blocks as one."""
    words: np.ndarray = blocks.sum(axis)
    sums = blocks[..., SUM:LARGEST].view(np.float64).sum(axis)
    words[..., SUM:LARGEST] = sums.view(np.int64)
    # floats that are not below zero stand in the order of their bits
    words[..., LARGEST] = blocks[..., LARGEST].max(axis)
    return words


@dataclass(frozen=True, eq=False)
class Tally:
    """Requests that were counted together; can be added to others. ``words`` is one block of the files."""

    words: np.ndarray

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> Tally:
        """All of them together."""
        return cls(_added_up(np.stack([_EMPTY, *(tally.words for tally in tallies)]), axis=0))

    @property
    def buckets(self) -> np.ndarray:
        """Requests by duration, see ``buckets``."""
        return self.words[FIRST_BUCKET:]

    @property
    def requests(self) -> int:
        return int(self.buckets.sum())

    @property
    def refusals(self) -> int:
        """Answers of 400 to 499."""
        return int(self.words[REFUSALS])

    @property
    def errors(self) -> int:
        """Answers of 500 and more, and those that broke off."""
        return int(self.words[ERRORS])

    @property
    def hits(self) -> int:
        return int(self.words[HITS])

    @property
    def misses(self) -> int:
        return int(self.words[MISSES])

    @property
    def seconds(self) -> float:
        """Of all requests together."""
        return float(self.words[NANOSECONDS]) / 1e9

    def quantile_seconds(self, share: float) -> float | None:
        """What ``share`` of the requests took at most; None if there were none."""
        return SECONDS.quantile(self.buckets, share)


@dataclass(frozen=True, eq=False)
class Measured:
    """``recent``: within the window; ``total``: since the meter began."""

    recent: Tally
    total: Tally

    @classmethod
    def of(cls, parts: Iterable[Measured]) -> Measured:
        """All of them together."""
        several = list(parts)
        return cls(Tally.of(part.recent for part in several), Tally.of(part.total for part in several))


@dataclass(frozen=True)
class Reading:
    """What one moment's look at the files found, by route and model; ``began_at`` is seconds since 1970."""

    series: dict[tuple[str, str | None], Measured]
    began_at: float

    @classmethod
    def of(cls, parts: Iterable[Reading], now: float) -> Reading:
        """The readings of several files together; ``now``, seconds since 1970, is when a meter begins."""
        found: dict[tuple[str, str | None], list[Measured]] = {}
        for part in parts:
            now = min(now, part.began_at)
            for key, measured in part.series.items():
                found.setdefault(key, []).append(measured)
        return cls({key: Measured.of(several) for key, several in found.items()}, now)


def read(mapped: mmap.mmap, now: float) -> Reading | None:
    """What stands in a file at ``now`` (monotonic clock); None if it has not begun."""
    head = np.frombuffer(mapped, np.int64, BLOCKS_AT // WORD)
    if not head[BEGAN_MS]:
        return None
    keys = names(mapped)
    shape = (len(keys), 1 + RING, BLOCK_WORDS)
    live = np.frombuffer(mapped, np.int64, int(np.prod(shape)), BLOCKS_AT).reshape(shape)
    slots = live[:, :, SLOT].copy()  # before the counts: a block is emptied before it gets another slot
    slot = slot_of(now)
    in_window = (slots > slot - WINDOW_SLOTS) & (slots <= slot)
    in_window[:, 0] = False
    blocks = live.copy()
    recent = _added_up(np.where(in_window[:, :, None], blocks, 0), axis=1)
    series = {key: Measured(Tally(recent[index]), Tally(blocks[index, 0])) for index, key in enumerate(keys)}
    return Reading(series, float(head[BEGAN_MS]) / 1000)
