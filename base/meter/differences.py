"""A block of the files read as a series of differences: how far one model's numbers are from another's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from base.meter.buckets import SIZES
from base.meter.layout import LARGEST, SUM, SUM_OF_SIZES
from base.meter.tally import Tally


@dataclass(frozen=True, eq=False)
class Differences:
    """Numbers of a challenger less those of the champion, in the unit of what they predict."""

    tally: Tally

    @property
    def rows(self) -> int:
        return self.tally.requests

    @property
    def unchanged(self) -> int:
        """Rows for which both said the same number."""
        return self.tally.hits

    @property
    def mean(self) -> float | None:
        return self._a_row(SUM)

    @property
    def mean_absolute(self) -> float | None:
        return self._a_row(SUM_OF_SIZES)

    def quantile_absolute(self, share: float) -> float | None:
        """What ``share`` of the differences do not exceed in size: at most 10 % off, the largest exactly."""
        if not self.rows:
            return None
        if math.ceil(share * self.rows) <= self.unchanged:
            return 0.0
        told, largest = SIZES.quantile(self.tally.buckets, share), self._float(LARGEST)
        return largest if told is None or share >= 1 else min(told, largest)

    def _a_row(self, at: int) -> float | None:
        """None without rows, and where the sum is beyond all numbers."""
        found = self._float(at) / self.rows if self.rows else math.nan
        return found if math.isfinite(found) else None

    def _float(self, at: int) -> float:
        return float(self.tally.words[at : at + 1].view(np.float64)[0])
