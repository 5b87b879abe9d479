"""What a version is scored with instead of its estimator: a reader and a core, answering tables and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from models.scorers.part import Cell, Core, Reader

# Of one matrix: 4 MB. In less, each call counts; more is in no cache by the next step. One-hot encoders make
# hundreds of columns out of one, which scikit-learn holds sparse.
BLOCK_NUMBERS = 1 << 19


@dataclass(frozen=True)
class Scorer:
    """Safe to use from several threads at once. Raises Unsure where the estimator must be asked."""

    kind: ClassVar[str] = "scorer"
    reader: Reader
    core: Core

    def answer(self, rows: pa.Table | np.ndarray) -> np.ndarray:
        """(rows, outputs); images come as the matrix that the core takes."""
        if not isinstance(rows, pa.Table):
            return self.core.answer(rows)
        block = max(1, BLOCK_NUMBERS // max(1, self.reader.width))
        starts = range(0, max(1, rows.num_rows), block)
        answers = [self.core.answer(self.reader.matrix(rows.slice(start, block))) for start in starts]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def answer_one(self, values: Sequence[Cell]) -> np.ndarray:
        """(outputs,) for one row's values in the signature's order."""
        return self.core.answer_one(self.reader.row(values))
