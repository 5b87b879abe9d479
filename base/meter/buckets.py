"""Amounts as counts in buckets whose bounds grow by a factor, so that quantiles can be added up and told.

``SECONDS``: a quantile told from them is at most 5 % off the true one (sqrt(1.1) - 1 is 4.9 %), or 10 µs
where that is shorter. What took longer than an hour counts as about an hour. ``SIZES`` are of numbers of any
unit, so they reach from a hundred-millionth to a thousand million, and are coarser: at most 10 % off.
"""

from __future__ import annotations

import math

import numpy as np

BUCKETS = 210
_LAST = BUCKETS - 1


class Scale:
    """Where amounts are counted: the first bucket has what is below ``least``, the last has no bound."""

    def __init__(self, least: float, growth: float) -> None:
        self.least = least
        self._growth = growth
        self._per_log = 1 / math.log(growth)
        self._offset = 1 - math.log(least) * self._per_log

    def bucket_of(self, amount: float) -> int:
        """Where an amount, which must be finite, is counted."""
        if amount < self.least:
            return 0
        return min(int(math.log(amount) * self._per_log + self._offset), _LAST)

    def upper_bounds(self) -> np.ndarray:
        """Of every bucket but the last, which has none."""
        return self.least * self._growth ** np.arange(_LAST)

    def quantile(self, counts: np.ndarray, share: float) -> float | None:
        """The amount that ``share`` of those counted do not exceed; None if there are none."""
        total = int(counts.sum())
        if total == 0:
            return None
        rank = max(1, math.ceil(share * total))
        bucket = int(np.searchsorted(np.cumsum(counts), rank))
        return self.least * self._growth ** (bucket - 0.5) if bucket else self.least


SECONDS = Scale(least=1e-5, growth=1.1)
SIZES = Scale(least=1e-8, growth=1.21)
