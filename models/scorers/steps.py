"""What transformers of numbers do to a matrix: scale, fill gaps, choose and join columns.

Each step computes what scikit-learn's ``transform`` does in the same order, so that its numbers are the same
to the last bit: behind it may stand a tree. Steps of categories are in ``encoding``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy.linalg.blas import dnrm2

from models.scorers.part import Part, Unsure


class Step(Part, Protocol):
    """One step between the columns and the core."""

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """From (rows, columns) to (rows, other columns), 64-bit; may overwrite its input. Raises Unsure."""

    def one(self, row: np.ndarray) -> np.ndarray:
        """The same for one row, one-dimensional. Raises Unsure."""


def refuse_infinite(values: np.ndarray) -> None:
    """Raises Unsure if a number is infinite, which no transformer takes; NaN is a missing value."""
    # a sum is one fast pass; only if it is not finite must each number be looked at
    if not np.isfinite(values.sum()) and np.isinf(values).any():
        raise Unsure("a number is infinite")


def refuse_infinite_one(row: np.ndarray) -> None:
    """The same for one row: its length is found in a tenth of the time of NumPy's passes."""
    if not dnrm2(row) < np.inf and np.isinf(row).any():
        raise Unsure("a number is infinite")


def chosen(matrix: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """A copy of some columns, in column order as all matrices here are."""
    copied: np.ndarray = matrix.T[positions].T
    return copied


def apply_many(steps: tuple[Step, ...], matrix: np.ndarray) -> np.ndarray:
    """All steps, one after the other."""
    for step in steps:
        matrix = step.many(matrix)
    return matrix


def apply_one(steps: tuple[Step, ...], row: np.ndarray) -> np.ndarray:
    """All steps for one row."""
    for step in steps:
        row = step.one(row)
    return row


@dataclass(frozen=True, eq=False)
class Scale:
    """Each column times, minus, over, plus a number, in this order; then clipped. None leaves a part out.

    A scaler uses at most two of the four, and never two whose order would matter otherwise.
    """

    kind: ClassVar[str] = "scale"
    times: np.ndarray | None = None
    minus: np.ndarray | None = None
    over: np.ndarray | None = None
    plus: np.ndarray | None = None
    lowest: float | None = None
    highest: float | None = None

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """In place."""
        refuse_infinite(matrix)
        return self._scaled(matrix)

    def one(self, row: np.ndarray) -> np.ndarray:
        """In place."""
        refuse_infinite_one(row)
        return self._scaled(row)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        """What becomes too large is for the next step to refuse, as in scikit-learn."""
        if self.times is not None:
            values *= self.times
        if self.minus is not None:
            values -= self.minus
        if self.over is not None:
            values /= self.over
        if self.plus is not None:
            values += self.plus
        if self.lowest is not None:
            np.clip(values, self.lowest, self.highest, out=values)
        return values


@dataclass(frozen=True, eq=False)
class Impute:
    """Puts ``fills`` where a value is missing, and 1 into a column of ``flagged`` that tells so.

    ``kept`` are the columns that had values in training; the others are left out. ``missing`` is the number
    that means a missing value; None: NaN does, which is refused otherwise.
    """

    kind: ClassVar[str] = "impute"
    fills: np.ndarray
    kept: np.ndarray | None
    missing: float | None
    flagged: np.ndarray | None

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """In place, unless columns come or go."""
        refuse_infinite(matrix)
        mask = self._mask(matrix)
        flags = None if self.flagged is None else mask[:, self.flagged].astype(np.float64)
        if self.kept is not None:
            matrix, mask = chosen(matrix, self.kept), chosen(mask, self.kept)
        for column in np.flatnonzero(mask.any(axis=0)):
            matrix[mask[:, column], column] = self.fills[column]
        return matrix if flags is None else np.asfortranarray(np.hstack([matrix, flags]))

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        refuse_infinite_one(row)
        mask = self._mask(row)
        flags = None if self.flagged is None else mask[self.flagged].astype(np.float64)
        if self.kept is not None:
            row, mask = row[self.kept], mask[self.kept]
        row = np.where(mask, self.fills, row)
        return row if flags is None else np.concatenate([row, flags])

    def _mask(self, values: np.ndarray) -> np.ndarray:
        gaps: np.ndarray = np.isnan(values)
        if self.missing is None:
            return gaps
        if gaps.any():
            raise Unsure("a value is missing")
        marked: np.ndarray = values == self.missing
        return marked


@dataclass(frozen=True, eq=False)
class Complete:
    """Changes nothing. No estimator takes a missing value in a sparse matrix, even if it does in others."""

    kind: ClassVar[str] = "complete"

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """The same matrix."""
        if not np.isfinite(matrix.sum()):
            raise Unsure("a value is missing or infinite")
        return matrix

    def one(self, row: np.ndarray) -> np.ndarray:
        """The same row."""
        if not dnrm2(row) < np.inf:
            raise Unsure("a value is missing or infinite")
        return row


@dataclass(frozen=True, eq=False)
class Take:
    """Some of the columns, in the order of ``positions``, as selectors of features leave them."""

    kind: ClassVar[str] = "take"
    positions: np.ndarray

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """A new matrix. Selectors refuse NaN."""
        if not np.isfinite(matrix.sum()):
            raise Unsure("a value is missing or infinite")
        return chosen(matrix, self.positions)

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        if not np.isfinite(row.sum()):
            raise Unsure("a value is missing or infinite")
        taken: np.ndarray = row[self.positions]
        return taken


@dataclass(frozen=True, eq=False)
class Branch:
    """What becomes of the columns at ``positions``."""

    kind: ClassVar[str] = "branch"
    positions: np.ndarray
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Branches:
    """Columns go different ways and are joined side by side, as in a ColumnTransformer."""

    kind: ClassVar[str] = "branches"
    branches: tuple[Branch, ...]

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """A new matrix, in column order."""
        made = [apply_many(each.steps, chosen(matrix, each.positions)) for each in self.branches]
        if len(made) == 1:
            return made[0]
        joined = np.empty((len(matrix), sum(each.shape[1] for each in made)), order="F")
        np.concatenate(made, axis=1, out=joined)
        return joined

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        return np.concatenate([apply_one(each.steps, row[each.positions]) for each in self.branches])
