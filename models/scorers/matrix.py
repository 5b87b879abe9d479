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
    """``dtype`` is what the estimator itself is given."""

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
        """The same of one row, rounded as the estimator's is; None is NaN."""
        row = np.array(values, dtype=np.float64)
        if self.dtype == "float64":
            return row
        with np.errstate(over="ignore"):
            return row.astype(self.dtype).astype(np.float64)
