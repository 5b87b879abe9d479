"""The core of linear models: a product of matrices, an intercept and a link.

Sums may be taken in another order than scikit-learn takes them, which moves the last bits; every BLAS does so
from shape to shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.linalg.blas import dnrm2

from models.scorers.links import LINKS, ROW_LINKS, quiet
from models.scorers.part import Unsure


@dataclass(frozen=True, eq=False)
class Linear:
    """``weights`` are (scores, features); ``link`` is a name in ``links``."""

    kind: ClassVar[str] = "linear"
    weights: np.ndarray
    intercepts: np.ndarray
    link: str

    @quiet
    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """In column order, which makes answers into columns of a result without a copy."""
        if matrix.dtype != np.float64:
            raise Unsure("scikit-learn computes 32-bit numbers in 32 bits")
        scores = self.weights @ matrix.T
        scores += self.intercepts[:, None]
        # a missing or infinite number makes its row's scores so, unless its weight is 0 and it is skipped
        skipped = sum(float(matrix[:, column].sum()) for column in self._unweighted)
        if not math.isfinite(float(scores.sum()) + skipped):
            raise Unsure("a number is missing, infinite or too large")
        return LINKS[self.link](scores).T

    def answer_one(self, row: np.ndarray) -> np.ndarray:
        """The same for one row."""
        # the length of a row is found faster than anything else that tells whether all of it is finite
        if not dnrm2(row) < self._limit:
            raise Unsure("a number is missing, infinite or too large")
        return self._one(row)

    @cached_property
    def _limit(self) -> float:
        """Rows that are shorter have finite scores."""
        return 1e300 / (1.0 + float(np.abs(self.weights).sum(axis=1).max()))

    @cached_property
    def _unweighted(self) -> np.ndarray:
        return np.flatnonzero((self.weights == 0).any(axis=0))

    @cached_property
    def _one(self) -> Callable[[np.ndarray], np.ndarray]:
        """With all that it needs at hand: to look up a field takes as long as to add ten numbers."""
        link = ROW_LINKS[self.link]
        if len(self.weights) > 1:
            weigh, intercepts = self.weights.dot, self.intercepts

            def scores_of(row: np.ndarray) -> list[float]:
                found: list[float] = (weigh(row) + intercepts).tolist()
                return found
        else:
            weigh_one, intercept = self.weights[0].dot, float(self.intercepts[0])

            def scores_of(row: np.ndarray) -> list[float]:
                return [float(weigh_one(row)) + intercept]

        def answer(row: np.ndarray) -> np.ndarray:
            return np.array(link(scores_of(row)))

        return answer
