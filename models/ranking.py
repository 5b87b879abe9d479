"""How well scores tell two kinds of rows apart (the area under the ROC curve), in bounded memory.

Scores are counted by value, which is exact. Once they are too many different ones, neighbours are counted
together: the last bits of all are dropped, until they are few enough again.
"""

from __future__ import annotations

import numpy as np

MAX_SCORES = 1 << 18
# Dropping one bit would be followed by the next drop soon.
_DROPPED_AT_ONCE = 4


class Ranking:
    """Counts of rows that are, and are not, of a class, by the score that the class got."""

    def __init__(self, max_scores: int = MAX_SCORES) -> None:
        self._max_scores = max_scores
        self._dropped_bits = 0
        self._keys: np.ndarray = np.empty(0, np.int64)
        self._counts: np.ndarray = np.empty((0, 2), np.int64)  # others, members
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._pending_rows = 0

    def add(self, scores: np.ndarray, is_member: np.ndarray) -> None:
        """Count more rows; no score is NaN."""
        self._pending.append((_keys(scores), is_member))
        self._pending_rows += len(scores)
        if self._pending_rows >= self._max_scores:  # each counting sorts all that was counted so far
            self._count()

    def _count(self) -> None:
        keys = [keys >> self._dropped_bits for keys, _ in self._pending]
        counts = [np.eye(2, dtype=np.int64)[members.astype(np.int64)] for _, members in self._pending]
        self._pending, self._pending_rows = [], 0
        self._keys, self._counts = _joined(
            np.concatenate([self._keys, *keys]), np.concatenate([self._counts, *counts])
        )
        while len(self._keys) > self._max_scores:
            self._dropped_bits += _DROPPED_AT_ONCE
            self._keys, self._counts = _joined(self._keys >> _DROPPED_AT_ONCE, self._counts)

    @property
    def distinct(self) -> int:
        """How many counts are kept."""
        self._count()
        return len(self._keys)

    def area(self) -> float | None:
        """How often a member has a larger score than another row; equal scores count half.

        None without rows of both kinds.
        """
        self._count()
        others, members = self._counts.T.astype(np.float64)
        if not others.sum() or not members.sum():
            return None
        below = np.cumsum(others) - others / 2
        return float(members @ below / members.sum() / others.sum())


def _joined(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, in order, with the counts of all its rows."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return keys[starts], np.add.reduceat(counts[order], starts) if len(starts) else counts[:0]


def _keys(scores: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of the scores: their bits are, once those of negative ones are turned."""
    bits = (np.asarray(scores, np.float64) + 0.0).view(np.int64)  # 0.0 added: -0.0 and 0.0 are one score
    keys: np.ndarray = bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
    return keys
