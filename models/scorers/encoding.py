"""Categories into numbers: one column for each (one-hot), or a column of their numbers (ordinal).

A category is a 64-bit number here, whatever it was: ``columns`` has numbered the texts. So texts, numbers and
booleans are encoded alike, by looking up equal numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np

from models.scorers.part import Unsure
from models.scorers.steps import refuse_infinite, refuse_infinite_one


@dataclass(frozen=True, eq=False)
class Lookup:
    """For each column: what its known values become, and what missing and unknown ones do.

    The values of column i are ``keys[starts[i]:starts[i + 1]]``, ascending. Where ``refuses_missing`` or
    ``refuses_unknown`` says so, the encoder raises an error about them.
    """

    kind: ClassVar[str] = "lookup"
    starts: tuple[int, ...]
    keys: np.ndarray
    results: np.ndarray
    missing: tuple[float, ...]
    unknown: tuple[float, ...]
    refuses_missing: tuple[bool, ...]
    refuses_unknown: tuple[bool, ...]

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return len(self.unknown)

    def many(self, column: int, values: np.ndarray) -> np.ndarray:
        """The results for the values of one column. Raises Unsure."""
        keys, results = self._known[column]
        places = np.searchsorted(keys, values)
        places[places == len(keys)] = 0
        found: np.ndarray = results[places]
        strange = keys[places] != values
        if strange.any():
            gaps = np.isnan(values)
            self._refuse(column, bool(gaps.any()), bool((strange & ~gaps).any()))
            found[strange] = self.unknown[column]
            found[gaps] = self.missing[column]
        return found

    def one(self, column: int, value: float) -> float:
        """The result for one value. Raises Unsure."""
        result = self._tables[column].get(value)
        if result is not None:
            return result
        is_missing = value != value  # noqa: PLR0124 - only NaN differs from itself
        self._refuse(column, is_missing, not is_missing)
        return self.missing[column] if is_missing else self.unknown[column]

    def _refuse(self, column: int, has_missing: bool, has_unknown: bool) -> None:
        if has_missing and self.refuses_missing[column]:
            raise Unsure("a value is missing")
        if has_unknown and self.refuses_unknown[column]:
            raise Unsure("a category is unknown")

    @cached_property
    def _known(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Keys and results of each column; NaN, which equals nothing, where a column has no keys."""
        parts = [(self.keys[start:end], self.results[start:end]) for start, end in pairwise(self.starts)]
        nothing = np.array([np.nan])
        return [(keys, results) if len(keys) else (nothing, nothing) for keys, results in parts]

    @cached_property
    def _tables(self) -> list[dict[float, float]]:
        return [dict(zip(keys.tolist(), results.tolist(), strict=True)) for keys, results in self._known]


@dataclass(frozen=True, eq=False)
class Ordinal:
    """A column for each column: the number of its category."""

    kind: ClassVar[str] = "ordinal"
    lookup: Lookup

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """A new matrix."""
        refuse_infinite(matrix)
        made = np.empty(matrix.shape, order="F")
        for column in range(matrix.shape[1]):
            made[:, column] = self.lookup.many(column, matrix[:, column])
        return made

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        refuse_infinite_one(row)
        return np.array([self.lookup.one(column, value) for column, value in enumerate(row.tolist())])


@dataclass(frozen=True, eq=False)
class OneHot:
    """``width`` columns of 0 and 1; the lookup tells where the 1 of a category stands, -1 for nowhere."""

    kind: ClassVar[str] = "one_hot"
    lookup: Lookup
    width: int

    def many(self, matrix: np.ndarray) -> np.ndarray:
        """A new matrix."""
        refuse_infinite(matrix)
        made = np.zeros((len(matrix), self.width), order="F")
        for column in range(matrix.shape[1]):
            places = self.lookup.many(column, matrix[:, column]).astype(np.int64)
            rows = np.flatnonzero(places >= 0)
            made[rows, places[rows]] = 1.0
        return made

    def one(self, row: np.ndarray) -> np.ndarray:
        """A new row."""
        refuse_infinite_one(row)
        made = np.zeros(self.width)
        for column, value in enumerate(row.tolist()):
            place = int(self.lookup.one(column, value))
            if place >= 0:
                made[place] = 1.0
        return made
