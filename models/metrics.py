"""Figures of what a model answered where the truth is known: counted a batch at a time, told at the end.

Names and meanings are scikit-learn's; where a figure has no meaning (no row, one label only) it is None.
Memory does not grow with the rows.
"""

from __future__ import annotations

import math

import numpy as np

from models.ranking import MAX_SCORES, Ranking

# One ranking a class; beyond this the area is not computed.
MAX_RANKED_CLASSES = 50
_SMALLEST = float(np.finfo(np.float64).eps)

Figures = dict[str, float | None]


class LabelMetrics:
    """Of labels, as positions among ``classes`` classes: accuracy and F1.

    ``f1_macro`` is the mean over the classes that are true or predicted somewhere; of two classes, ``f1`` is
    that of the second.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._true, self._predicted, self._right = (np.zeros(classes, np.int64) for _ in range(3))

    def add(self, true: np.ndarray, predicted: np.ndarray) -> None:
        """Positions of the same rows."""
        self._true += np.bincount(true, minlength=self._classes)
        self._predicted += np.bincount(predicted, minlength=self._classes)
        self._right += np.bincount(true[true == predicted], minlength=self._classes)

    def miss(self, true: np.ndarray) -> None:
        """Positions of rows that have no answer, which is no right one."""
        self._true += np.bincount(true, minlength=self._classes)

    def figures(self) -> Figures:
        rows = int(self._true.sum())
        if not rows:
            return {"accuracy": None, "f1": None, "f1_macro": None}
        with np.errstate(invalid="ignore"):
            f1 = 2 * self._right / (self._true + self._predicted)  # NaN where a class is nowhere
        return {
            "accuracy": int(self._right.sum()) / rows,
            "f1": _number(f1[1]) if self._classes == 2 else None,
            "f1_macro": float(np.nanmean(f1)),
        }


class ProbabilityMetrics:
    """Of probabilities by row and class: ROC AUC, log loss, Brier score.

    The area is, of more than two classes, the mean over each against all others; the Brier score is, of two
    classes, that of one, and of more the sum over all.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._rows = 0
        self._has_gaps = False
        self._log_loss = self._brier = 0.0
        ranked = range(1, 2) if classes == 2 else range(classes if classes <= MAX_RANKED_CLASSES else 0)
        self._rankings = {index: Ranking(MAX_SCORES // max(1, len(ranked))) for index in ranked}
        self._halves = 2 if classes == 2 else 1

    def add(self, true: np.ndarray, probabilities: np.ndarray) -> None:
        """Positions of the true classes, and probabilities; NaN among them leaves nothing to be told.

        A position behind the last class is a label that the model does not know: it gave it no probability.
        """
        if self._has_gaps or np.isnan(probabilities).any():
            self._has_gaps = True
            return
        known = np.flatnonzero(true < self._classes)
        of_true = np.zeros(len(true))
        of_true[known] = probabilities[known, true[known]]
        self._rows += len(true)
        self._log_loss -= float(np.log(np.clip(of_true, _SMALLEST, 1.0)).sum())
        # the sum of (p - y)², in which y is 1 for the true class only
        self._brier += float(np.square(probabilities).sum() - 2 * of_true.sum() + len(true))
        for index, ranking in self._rankings.items():
            ranking.add(probabilities[:, index], true == index)

    def miss(self, true: np.ndarray) -> None:
        """Rows that have no answer count as if the model had been sure of another label."""
        self._rows += len(true)
        self._log_loss -= math.log(_SMALLEST) * len(true)
        self._brier += 2 * len(true)
        for index, ranking in self._rankings.items():
            ranking.add(np.where(true == index, -np.inf, np.inf), true == index)

    def figures(self) -> Figures:
        rows = 0 if self._has_gaps else self._rows
        return {
            "roc_auc": self._area() if rows else None,
            "log_loss": self._log_loss / rows if rows else None,
            "brier": self._brier / rows / self._halves if rows else None,
        }

    def _area(self) -> float | None:
        areas = [ranking.area() for ranking in self._rankings.values()]
        known = [area for area in areas if area is not None]
        return sum(known) / len(known) if known and len(known) == len(areas) else None


class NumberMetrics:
    """Of numbers: R², mean absolute error, root of the mean squared error."""

    def __init__(self) -> None:
        self._rows = 0
        self._mean = self._spread = self._squares = self._sizes = 0.0

    def add(self, true: np.ndarray, predicted: np.ndarray) -> None:
        """Numbers of the same rows."""
        if not len(true):
            return
        errors = predicted - true
        self._squares += float(np.square(errors).sum())
        self._sizes += float(np.abs(errors).sum())
        # Chan's way to join two spreads: sums of squares alone would cancel out
        mean, rows = float(true.mean()), self._rows + len(true)
        self._spread += float(np.square(true - mean).sum())
        self._spread += (mean - self._mean) ** 2 * self._rows * len(true) / rows
        self._mean += (mean - self._mean) * len(true) / rows
        self._rows = rows

    def figures(self) -> Figures:
        rows = self._rows
        return {
            "r2": _number(1 - self._squares / self._spread) if self._spread else None,
            "mae": _number(self._sizes / rows) if rows else None,
            "rmse": _number(math.sqrt(self._squares / rows)) if rows else None,
        }


def _number(value: float) -> float | None:
    """A model that predicts NaN or infinity has no figure."""
    return float(value) if math.isfinite(value) else None
