"""What a compiled scorer answers about many rows, as the columns of a result that the estimator fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from models.manifest import Manifest, ScorerRecord
from models.outputs import answers_from
from models.scorers.scorer import Scorer

Rows: TypeAlias = "pa.Table | np.ndarray[Any, Any]"


@dataclass(frozen=True)
class Compiled:
    """A scorer with what was found out about it. ``settle`` asks the estimator for the labels of few rows."""

    manifest: Manifest
    record: ScorerRecord
    scorer: Scorer
    settle: Callable[[Rows], np.ndarray]

    @property
    def scores_batches(self) -> bool:
        """Else it is slower than the estimator on many rows."""
        return self.record.scores_batches

    def score(self, rows: Rows, confidence: bool) -> pa.Table:
        """One row per row of ``rows``, under the model's output schema. Raises Unsure."""

        def settle(doubtful: np.ndarray) -> np.ndarray:
            return self.settle(
                rows.take(pa.array(doubtful)) if isinstance(rows, pa.Table) else rows[doubtful]
            )

        values = self.scorer.answer(rows)
        doubt = None if self.record.labels_from_ties else (settle, self.record.near_tie)
        return answers_from(values, self.manifest, doubt, confidence)
