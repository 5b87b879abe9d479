"""How well scores tell two kinds of rows apart (the area under the ROC curve), in bounded memory.

Scores are counted by value, which is exact. Once they are too many different ones, neighbours are counted
together: the last bits of all are dropped, until they are few enough again.
"""

from __future__ import annotations

import numpy as np

MAX_SCORES = 1 << 20
# Dropping one bit would be followed by the next drop soon.
_DROPPED_AT_ONCE = 4


class Ranking:
    """Counts of rows that are, and are not, of a class, by the score that the class got."""

    def __init__(self, max_scores: int = MAX_SCORES) -> None:
        self._max_scores = max_scores
        self._dropped_bits = 0
        self._keys: np.ndarray = np.empty(0, np.int64)
        self._counts: np.ndarray = np.empty((0, 2), np.int64)  # others, members

    def add(self, scores: np.ndarray, is_member: np.ndarray) -> None:
        """Count more rows; no score is NaN."""
        keys = np.concatenate([self._keys, _keys(scores) >> self._dropped_bits])
        counts = np.zeros((len(keys), 2), np.int64)
        counts[: len(self._keys)] = self._counts
        counts[np.arange(len(self._keys), len(keys)), is_member.astype(np.int64)] = 1
        self._keys, self._counts = _joined(keys, counts)
        while len(self._keys) > self._max_scores:
            self._dropped_bits += _DROPPED_AT_ONCE
            self._keys, self._counts = _joined(self._keys >> _DROPPED_AT_ONCE, self._counts)

    def area(self) -> float | None:
        """How often a member has a larger score than another row; equal scores count half.

        None without rows of both kinds.
        """
        others, members = self._counts.T.astype(np.float64)
        if not others.sum() or not members.sum():
            return None
        below = np.cumsum(others) - others / 2
        return float(members @ below / members.sum() / others.sum())


def _joined(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, in order, with the counts of all its rows."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([keys[:1] == keys[:1], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts[order], starts) if len(starts) else counts[:0]


def _keys(scores: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of the scores: their bits are, once those of negative ones are turned."""
    bits = (np.asarray(scores, np.float64) + 0.0).view(np.int64)  # 0.0 added: -0.0 and 0.0 are one score
    keys: np.ndarray = bits ^ ((bits >> 63) & np.int64(0x7FFF_FFFF_FFFF_FFFF))
    return keys
