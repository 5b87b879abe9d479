"""How right a model is where the true labels are known: counted a batch at a time, told at the end.

The names and meanings are scikit-learn's. A label that a model has no class for was given no probability.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from rowmill.client.comparison.agreement import pair_counts
from rowmill.client.comparison.labels import positions
from rowmill.client.comparison.sketch import Sketch, area_under_roc

# The area is that of each class against all others: two sketches a class, which share these buckets.
MAX_CLASSES_OF_AREA = 50
MAX_BUCKETS = 1 << 20
_SMALLEST = float(np.finfo(np.float64).eps)


class LabelMetrics:
    """Of the labels that one model gave: accuracy and F1."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[Any, Any]] = Counter()

    def add(self, true: pa.Array, predicted: pa.Array) -> None:
        """Labels of the same rows, without nulls."""
        self._pairs.update(pair_counts(true, predicted))

    def report(self) -> dict[str, float | None]:
        """Null without rows."""
        rows = sum(self._pairs.values())
        if not rows:
            return {"accuracy": None, "f1_macro": None}
        right = {true: count for (true, predicted), count in self._pairs.items() if true == predicted}
        return {"accuracy": sum(right.values()) / rows, "f1_macro": self._f1(right)}

    def _f1(self, right: dict[Any, int]) -> float:
        """The mean over all labels that are true or predicted somewhere."""
        seen: Counter[Any] = Counter()
        for (true, predicted), count in self._pairs.items():
            seen[true] += count
            seen[predicted] += count
        return sum(2 * right.get(label, 0) / count for label, count in seen.items()) / len(seen)


class ProbabilityMetrics:
    """Of the probabilities that one model gave: ROC AUC, log loss and Brier score."""

    def __init__(self, classes: pa.Array) -> None:
        self._classes = classes
        self._rows = 0
        self._log_loss = self._brier = 0.0
        most = MAX_BUCKETS // max(2, 2 * len(self._ranked()))
        self._sketches = [(Sketch(most), Sketch(most)) for _ in self._ranked()]

    def add(self, true: pa.Array, probabilities: np.ndarray) -> None:
        """Labels without nulls; probabilities by row and class, none of them NaN."""
        places = positions(true, self._classes)
        known = np.flatnonzero(places >= 0)
        of_true = np.zeros(len(places))
        of_true[known] = probabilities[known, places[known]]
        self._rows += len(places)
        self._log_loss -= float(np.log(np.clip(of_true, _SMALLEST, 1.0)).sum())
        # the sum of (p - y)², in which y is 1 for the true class only
        self._brier += float((probabilities**2).sum() - 2 * of_true.sum() + len(places))
        for index, (positive, negative) in zip(self._ranked(), self._sketches, strict=True):
            is_class, scores = places == index, probabilities[:, index]
            positive.add(scores[is_class])
            negative.add(scores[~is_class])

    def report(self) -> dict[str, float | None]:
        """Null without rows; the area is null where a class has no row, or has them all."""
        rows = self._rows
        of_all_classes = 2 if len(self._classes) == 2 else 1  # scikit-learn's, for two classes, counts one
        return {
            "roc_auc": self._area(),
            "log_loss": self._log_loss / rows if rows else None,
            "brier": self._brier / rows / of_all_classes if rows else None,
        }

    def _area(self) -> float | None:
        areas = [area_under_roc(positive, negative) for positive, negative in self._sketches]
        known = [area for area in areas if area is not None]
        return sum(known) / len(known) if known and len(known) == len(areas) else None

    def _ranked(self) -> range:
        """The classes whose area is counted: of two the second, of more each."""
        if len(self._classes) == 2:
            return range(1, 2)
        return range(len(self._classes) if len(self._classes) <= MAX_CLASSES_OF_AREA else 0)


class NumberMetrics:
    """Of the numbers that one model predicted: R², MAE and RMSE."""

    def __init__(self) -> None:
        self._rows = 0
        self._mean = self._spread = self._squares = self._sizes = 0.0

    def add(self, true: np.ndarray, predicted: np.ndarray) -> None:
        """Finite numbers of the same rows."""
        if not len(true):
            return
        errors = predicted - true
        self._squares += float(np.square(errors).sum())
        self._sizes += float(np.abs(errors).sum())
        mean, rows = float(true.mean()), self._rows + len(true)
        # Chan's way to join two spreads: sums of squares alone would cancel out
        self._spread += float(np.square(true - mean).sum())
        self._spread += (mean - self._mean) ** 2 * self._rows * len(true) / rows
        self._mean += (mean - self._mean) * len(true) / rows
        self._rows = rows

    def report(self) -> dict[str, float | None]:
        """Null without rows; R² is null where all true numbers are the same."""
        rows = self._rows
        return {
            "r2": 1 - self._squares / self._spread if self._spread else None,
            "mae": self._sizes / rows if rows else None,
            "rmse": math.sqrt(self._squares / rows) if rows else None,
        }
