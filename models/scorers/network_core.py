"""The core of multilayer perceptrons: products of matrices with a simple function between them.

Many rows go through all layers a block at a time, which stays in the processor's cache; scikit-learn takes
all rows through one layer after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.linalg.blas import dnrm2

from models.scorers.links import LINKS, ROW_LINKS, expit, quiet
from models.scorers.part import Unsure

# About as many numbers as a core's own cache holds.
BLOCK_NUMBERS = 1 << 16

# In place. Comparing a row with an array of zeros takes a quarter of the time that a single 0 takes.
_Activation = Callable[[np.ndarray, np.ndarray], object]
_ACTIVATIONS: Mapping[str, _Activation] = {
    "identity": lambda values, _: values,
    "logistic": lambda values, _: expit(values),
    "relu": lambda values, zeros: np.maximum(values, zeros, out=values),
    "tanh": lambda values, _: np.tanh(values, out=values),
}
_ZERO = np.zeros(())

_Layer = tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, _Activation, np.ndarray]


@dataclass(frozen=True, eq=False)
class Network:
    """``weights[i]`` are (outputs, inputs) of layer i. ``link`` is a name in ``links``."""

    kind: ClassVar[str] = "network"
    weights: tuple[np.ndarray, ...]
    intercepts: tuple[np.ndarray, ...]
    activation: str
    link: str

    @quiet
    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """In column order."""
        if matrix.dtype != np.float64:
            raise Unsure("scikit-learn computes 32-bit numbers in 32 bits")
        # unlike in linear models, a missing number need not show in the scores
        if not np.isfinite(matrix.sum()):
            raise Unsure("a number is missing or infinite")
        scores = np.empty((len(self.intercepts[-1]), len(matrix)))
        block = max(64, BLOCK_NUMBERS // max(map(len, self.intercepts)))
        for start in range(0, len(matrix), block):
            scores[:, start : start + block] = self._scores(matrix[start : start + block])
        if not np.isfinite(scores.sum()):
            raise Unsure("an answer is too large")
        return LINKS[self.link](scores).T

    def answer_one(self, row: np.ndarray) -> np.ndarray:
        """The same for one row."""
        if not dnrm2(row) < self._limit:
            raise Unsure("a number is missing, infinite or too large")
        for weigh, intercepts, activate, zeros in self._hidden:
            row = weigh(row)
            row += intercepts
            activate(row, zeros)
        scores = self.weights[-1].dot(row)
        scores += self.intercepts[-1]
        return np.array(ROW_LINKS[self.link](scores.tolist()))

    def _scores(self, values: np.ndarray) -> np.ndarray:
        activate = _ACTIVATIONS[self.activation]
        for weights, intercepts in zip(self.weights[:-1], self.intercepts[:-1], strict=True):
            values = values @ weights.T
            values += intercepts
            activate(values, _ZERO)
        scores: np.ndarray = self.weights[-1] @ values.T
        scores += self.intercepts[-1][:, None]
        return scores

    @cached_property
    def _limit(self) -> float:
        """Rows that are shorter stay finite through all layers."""
        layers = zip(self.weights, self.intercepts, strict=True)
        gains = [1.0 + float(np.abs(w).sum(axis=1).max() + np.abs(b).max()) for w, b in layers]
        return 1e300 / math.prod(gains)

    @cached_property
    def _hidden(self) -> list[_Layer]:
        activate = _ACTIVATIONS[self.activation]
        layers = zip(self.weights[:-1], self.intercepts[:-1], strict=True)
        return [
            (weights.dot, intercepts, activate, np.zeros(len(intercepts))) for weights, intercepts in layers
        ]
