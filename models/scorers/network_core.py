"""The core of multilayer perceptrons: products of matrices with a simple function between them.

Many rows go through all layers a block at a time, which stays in the processor's cache; scikit-learn takes
all rows through one layer after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import ModuleType
from typing import ClassVar

import numpy as np

from models.scorers.links import LINKS, ROW_LINKS, expit, quiet
from models.scorers.part import NotCompiled, Unsure

forward: ModuleType | None
try:
    from models.scorers import forward
except ImportError:  # there is no numba for this machine
    forward = None

# About as many numbers as a core's own cache holds.
BLOCK_NUMBERS = 1 << 16

# In place.
_ACTIVATIONS: Mapping[str, Callable[[np.ndarray], object]] = {
    "identity": lambda values: values,
    "logistic": expit,
    "relu": lambda values: np.maximum(values, 0.0, out=values),
    "tanh": lambda values: np.tanh(values, out=values),
}


@dataclass(frozen=True, eq=False)
class Network:
    """``sizes`` are the numbers of inputs, of units in each hidden layer, and of outputs.

    ``parameters`` has for each layer its intercepts, then the weights of its first input to all units, of its
    second, and so on. ``link`` is a name in ``links``.
    """

    kind: ClassVar[str] = "network"
    parameters: np.ndarray
    sizes: tuple[int, ...]
    activation: str
    link: str

    def __post_init__(self) -> None:
        """Raises NotCompiled if the parameters are not those of such layers."""
        expected = sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))
        if min(self.sizes) < 1 or self.parameters.shape != (expected,):
            raise NotCompiled("the stored network is damaged; add the model again")

    @quiet
    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """In column order."""
        if matrix.dtype != np.float64:
            raise Unsure("scikit-learn computes 32-bit numbers in 32 bits")
        # unlike in linear models, a missing number need not show in the scores
        if not np.isfinite(matrix.sum()):
            raise Unsure("a number is missing or infinite")
        scores = np.empty((self.sizes[-1], len(matrix)))
        block = max(64, BLOCK_NUMBERS // max(self.sizes[1:]))
        for start in range(0, len(matrix), block):
            scores[:, start : start + block] = self._scores(matrix[start : start + block])
        if not np.isfinite(scores.sum()):
            raise Unsure("an answer is too large")
        return LINKS[self.link](scores).T

    def answer_one(self, row: np.ndarray) -> np.ndarray:
        """The same for one row."""
        if forward is None:
            answers: np.ndarray = self.answer(row[None])[0]
            return answers
        if row.shape != self.sizes[:1]:
            raise Unsure
        scores = np.empty(self.sizes[-1])
        if not self._score_one(np.ascontiguousarray(row, np.float64), scores):
            raise Unsure("a number is missing, infinite or too large")
        return np.array(ROW_LINKS[self.link](scores.tolist()))

    def _scores(self, values: np.ndarray) -> np.ndarray:
        activate = _ACTIVATIONS[self.activation]
        for intercepts, weights in self._layers[:-1]:
            values = values @ weights
            values += intercepts
            activate(values)
        intercepts, weights = self._layers[-1]
        scores: np.ndarray = weights.T @ values.T
        scores += intercepts[:, None]
        return scores

    @cached_property
    def _layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Intercepts and weights (inputs, outputs), in the parameters' memory."""
        found, start = [], 0
        for inputs, outputs in pairwise(self.sizes):
            middle, end = start + outputs, start + (inputs + 1) * outputs
            weights = self.parameters[middle:end].reshape(inputs, outputs)
            found.append((self.parameters[start:middle], weights))
            start = end
        return found

    @cached_property
    def _limit(self) -> float:
        """A row of smaller numbers stays finite through all layers."""
        gains = [
            1.0 + float(np.abs(weights).sum(axis=0).max() + np.abs(intercepts).max())
            for intercepts, weights in self._layers
        ]
        return 1e300 / math.prod(gains)

    @cached_property
    def _score_one(self) -> Callable[[np.ndarray, np.ndarray], bool]:
        assert forward is not None
        scored: Callable[[np.ndarray, np.ndarray], bool]
        scored = forward.scores_of(self.parameters, self.sizes, self.activation, self._limit)
        return scored
