"""How the scores moved: their distribution in both models, and the change of each row.

A score is the number that a regressor predicts. Of two classes it is the probability of the second one, of
more (or of models whose classes differ) the confidence, which is the largest probability of a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rowmill.client.comparison.answers import Answers, Target, label_text
from rowmill.client.comparison.sketch import Sketch

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
QUANTILES_OF_CHANGE = (0.5, 0.9, 0.95, 0.99, 1.0)


def score_name(target: Target) -> str | None:
    """What is compared as the score; None if a model gives no probabilities."""
    if not target.is_classes:
        return target.first.prediction
    if not target.first.probabilities or not target.second.probabilities:
        return None
    if _texts(target.first) == _texts(target.second) and len(target.first.probabilities) == 2:
        return target.first.probabilities[1]
    return "confidence" if target.name is None else f"confidence_{target.name}"


def score_columns(answers: Answers, name: str) -> tuple[str, ...]:
    """The columns of a result that the score is the largest of."""
    return (name,) if name in (answers.prediction, *answers.probabilities) else answers.probabilities


class Scores:
    """Counts the scores of one target."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._first, self._second, self._changes = Sketch(), Sketch(), Sketch()
        self._sum = self._sum_of_sizes = 0.0
        self._unchanged = self._rows = 0

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Scores of the same rows; what is no finite number in either has no change to speak of."""
        self._first.add(first)
        self._second.add(second)
        finite = np.isfinite(first) & np.isfinite(second)
        change = second[finite] - first[finite]
        sizes = np.abs(change)
        self._changes.add(sizes)
        self._sum += float(change.sum())
        self._sum_of_sizes += float(sizes.sum())
        self._unchanged += int((change == 0).sum())
        self._rows += len(change)

    def report(self) -> dict[str, Any]:
        """Quantiles of both distributions, and of the sizes of the changes."""
        return {
            "of": self.name,
            "quantiles": [self._quantile(share) for share in QUANTILES],
            "change": {
                "rows": self._rows,
                "unchanged": self._unchanged,
                "mean": self._sum / self._rows if self._rows else None,
                "mean_absolute": self._sum_of_sizes / self._rows if self._rows else None,
                "quantiles_absolute": [
                    {"quantile": share, "change": _finite(self._changes.quantile(share))}
                    for share in QUANTILES_OF_CHANGE
                ],
            },
        }

    def _quantile(self, share: float) -> dict[str, float | None]:
        first, second = (_finite(scores.quantile(share)) for scores in (self._first, self._second))
        shift = None if first is None or second is None else second - first
        return {"quantile": share, "first": first, "second": second, "shift": shift}


def score_of(batch: pa.RecordBatch, columns: tuple[str, ...]) -> np.ndarray:
    """The score of each row; NaN where the row has none."""
    best = numbers_of(batch.column(columns[0]))
    for name in columns[1:]:
        best = np.fmax(best, numbers_of(batch.column(name)))
    return best


def numbers_of(column: pa.Array) -> np.ndarray:
    """A column as float64, NaN for null."""
    values: np.ndarray = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _texts(answers: Answers) -> list[str]:
    return [label_text(label) for label in answers.classes or ()]


def _finite(value: float | None) -> float | None:
    """JSON knows no infinity."""
    return value if value is not None and np.isfinite(value) else None
