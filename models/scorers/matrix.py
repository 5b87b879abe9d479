"""The reader of a model that takes the columns as they are: numbers and booleans, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from models.inputs import number_matrix
from models.scorers.part import Cell


@dataclass(frozen=True)
class Matrix:
    """``dtype`` is what the estimator is given many rows in; 32 bits if it rounds to them itself."""

    kind: ClassVar[str] = "matrix"
    names: tuple[str, ...]
    dtype: str

    @property
    def width(self) -> int:
        """As many as there are columns."""
        return len(self.names)

    def matrix(self, rows: pa.Table) -> np.ndarray:
        """All columns; a missing value is NaN."""
        return number_matrix(rows, self.names, self.dtype)

    def row(self, values: Sequence[Cell]) -> np.ndarray:
        """The same of one row, in 64 bits; None is NaN. Cores round as their estimators do."""
        return np.array(values, dtype=np.float64)
