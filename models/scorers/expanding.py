"""Steps that make other columns of numbers out of numbers: products of columns, and bins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np

from models.scorers.part import Unsure


def _refuse_odd(values: np.ndarray) -> None:
    if not np.isfinite(values.sum()):
        raise Unsure("a value is missing or infinite")


@dataclass(frozen=True, eq=False)
class Products:
    """Each new column is the product of the columns in a row of ``factors``, multiplied from left to right.

    ``factors`` are filled up with the number of columns, which stands for 1.
    """

    kind: ClassVar[str] = "products"
    factors: np.ndarray

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """A new matrix."""
        _refuse_odd(matrix)
        made = np.ones((len(matrix), len(self.factors)), order="F")
        for column, factors in enumerate(self.factors):
            for factor in factors[factors < matrix.shape[1]]:
                made[:, column] *= matrix[:, factor]
        return made

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        _refuse_odd(row)
        numbers = np.append(row, 1.0)
        made: np.ndarray = numbers[self.factors[:, 0]]
        for factors in self.factors.T[1:]:
            made = made * numbers[factors]
        return made


@dataclass(frozen=True, eq=False)
class Bins:
    """Each number becomes that of its bin. Column i has the inner ``edges[starts[i]:starts[i + 1]]``."""

    kind: ClassVar[str] = "bins"
    edges: np.ndarray
    starts: tuple[int, ...]

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """In place."""
        _refuse_odd(matrix)
        for column, edges in enumerate(self._by_column):
            matrix[:, column] = np.searchsorted(edges, matrix[:, column], side="right")
        return matrix

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        made: np.ndarray = self.many(row[None, :].copy())[0]
        return made

    @cached_property
    def _by_column(self) -> list[np.ndarray]:
        return [self.edges[start:end] for start, end in pairwise(self.starts)]
