"""Quantiles of a stream of numbers in bounded memory.

Numbers are counted in buckets by their sign, their exponent and the first bits of their fraction, so that no
range need be known beforehand. A bucket is told as the mean of what fell into it: numbers that come again and
again are told exactly, all others within 1/16,384 of their size. A sketch that may have few buckets
makes them larger as it needs to.
"""

from __future__ import annotations

import math

import numpy as np

FRACTION_BITS = 14
_DROPPED_BITS = 52 - FRACTION_BITS
_PENDING_NUMBERS = 1 << 18


class Sketch:
    """Counts of numbers by bucket; NaN is no number and left out."""

    def __init__(self, max_buckets: int | None = None) -> None:
        self.count = 0
        self._max_buckets = max_buckets
        self._max_pending = min(_PENDING_NUMBERS, max_buckets or _PENDING_NUMBERS)
        self.dropped_bits = 0  # of the fraction, beyond those that every sketch drops
        self._least, self._greatest = math.inf, -math.inf
        self._keys: np.ndarray = np.empty(0, np.int64)
        self._counts: np.ndarray = np.empty(0, np.int64)
        self._sums: np.ndarray = np.empty(0)
        self._pending: list[np.ndarray] = []
        self._pending_count = 0

    def add(self, numbers: np.ndarray) -> None:
        """Count more numbers (float64)."""
        kept = numbers[~np.isnan(numbers)]
        if not len(kept):
            return
        self.count += len(kept)
        self._least = min(self._least, float(kept.min()))
        self._greatest = max(self._greatest, float(kept.max()))
        self._pending.append(kept)
        self._pending_count += len(kept)
        if self._pending_count >= self._max_pending:
            self.settle()

    def buckets(self, dropped_bits: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys, which are in the order of the numbers, and how many numbers each bucket has.

        ``dropped_bits`` are at least as many as this sketch has dropped, once it is asked for them.
        """
        keys = self._keys >> (dropped_bits - self.dropped_bits)
        starts = _starts(keys)
        return keys[starts], _sums(self._counts, starts)

    def quantile(self, share: float) -> float | None:
        """The number that `share` of them do not exceed, between its neighbours as NumPy does it."""
        if not self.count:
            return None
        self.settle()
        place = share * (self.count - 1)
        below, above = self._at(math.floor(place)), self._at(math.ceil(place))
        between = below if below == above else below + (place - math.floor(place)) * (above - below)
        return min(max(between, self._least), self._greatest)

    def _at(self, index: int) -> float:
        """About the number that stands there once all are sorted."""
        bucket = int(np.searchsorted(np.cumsum(self._counts), index, side="right"))
        return float(self._sums[bucket] / self._counts[bucket])

    def settle(self) -> None:
        """Count what was added since the last time, and make buckets larger if they have become too many."""
        if not self._pending:
            return
        numbers = np.concatenate(self._pending)
        self._pending, self._pending_count = [], 0
        new_keys = _keys(numbers) >> self.dropped_bits
        keys, places = np.unique(np.concatenate([self._keys, new_keys]), return_inverse=True)
        old, new = places[: len(self._keys)], places[len(self._keys) :]
        counts: np.ndarray = np.bincount(new, minlength=len(keys)).astype(np.int64)
        sums: np.ndarray = np.bincount(new, numbers, len(keys))
        counts[old] += self._counts
        sums[old] += self._sums
        self._keys, self._counts, self._sums = keys, counts, sums
        while self._max_buckets is not None and len(self._keys) > self._max_buckets:
            self.dropped_bits += 1
            keys = self._keys >> 1
            starts = _starts(keys)
            self._keys = keys[starts]
            self._counts, self._sums = _sums(self._counts, starts), _sums(self._sums, starts)


def _starts(keys: np.ndarray) -> np.ndarray:
    """Where each key comes first; equal ones stand together."""
    return np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sum of each run of values."""
    return np.add.reduceat(values, starts) if len(starts) else values[:0]


def area_under_roc(positive: Sketch, negative: Sketch) -> float | None:
    """How often a positive stands above a negative; those of one bucket count half, as equals do."""
    if not positive.count or not negative.count:
        return None
    for sketch in (positive, negative):
        sketch.settle()
    dropped_bits = max(positive.dropped_bits, negative.dropped_bits)
    keys, counts = positive.buckets(dropped_bits)
    other_keys, other_counts = negative.buckets(dropped_bits)
    cumulated = np.concatenate([[0], np.cumsum(other_counts)])
    before = cumulated[np.searchsorted(other_keys, keys, side="left")]
    up_to = cumulated[np.searchsorted(other_keys, keys, side="right")]
    wins = float(np.dot(counts.astype(np.float64), (before + up_to) / 2))
    return wins / positive.count / negative.count


def _keys(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers in the same order: the bits of a float64 are, once those of negative ones are turned."""
    bits = np.ascontiguousarray(numbers, np.float64).view(np.int64)
    keys: np.ndarray = (bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))) >> _DROPPED_BITS
    return keys
