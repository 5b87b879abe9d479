"""What a version is scored with instead of its estimator: a reader and a core, answering tables and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from models.scorers.part import Cell, Core, Reader


@dataclass(frozen=True)
class Scorer:
    """Safe to use from several threads at once. Raises Unsure where the estimator must be asked."""

    kind: ClassVar[str] = "scorer"
    reader: Reader
    core: Core

    def answer(self, rows: pa.Table | np.ndarray) -> np.ndarray:
        """(rows, outputs); images come as the matrix that the core takes."""
        return self.core.answer(self.reader.matrix(rows) if isinstance(rows, pa.Table) else rows)

    def answer_one(self, values: Sequence[Cell]) -> np.ndarray:
        """(outputs,) for one row's values in the signature's order."""
        return self.core.answer_one(self.reader.row(values))
