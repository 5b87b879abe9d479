"""The short way for one row that is plainly fine; whatever is unusual about a row takes the thorough way.

This decides nothing: it accepts a row only where ``single`` would accept it as it stands and has nothing to
remark, and says None otherwise. So the rules, their codes and their messages stand in one place, and a row
like those of training costs microseconds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.estimators import predicts_by_argmax
from models.manifest import ColumnSpec, Label, Manifest, Signature, label_text
from models.outputs import NEAR_TIE
from models.rules import FLOAT32_OVERFLOW, INEXACT_INTEGER
from models.scorers import row_scorer

_ROWS = frozenset({dict, list})
_NUMBER, _BOOLEAN = frozenset({float, int}), frozenset({bool})


class PlainRows:
    """Answers plain rows of one loaded version, in any number of threads."""

    def __init__(self, manifest: Manifest, estimator: Any) -> None:
        """Finds a kernel, which takes some milliseconds."""
        self._kernel = row_scorer(estimator, manifest)
        self._names = manifest.signature.names
        self._accepted = [_accepted(spec, manifest.signature) for spec in manifest.signature.columns]
        self._takes_ties = predicts_by_argmax(estimator)
        self._classes = manifest.targets[0].classes
        self.class_names = [label_text(label) for label in self._classes or ()]

    def answer(self, row: Any) -> tuple[Label, list[float]] | None:
        """Label and probabilities of the classes, or the number and nothing; None if the row is not plain."""
        if self._kernel is None or (values := self._values(row)) is None:
            return None
        answered = self._kernel(np.array(values, dtype=np.float64)).tolist()
        if not math.isfinite(sum(answered)):
            return None  # no number of JSON
        if self._classes is None:
            return answered[0], []
        best = max(answered)
        if not self._takes_ties and sum(best - value <= NEAR_TIE for value in answered) > 1:
            return None
        return self._classes[answered.index(best)], answered

    def _values(self, row: Any) -> list[Any] | None:
        if type(row) not in _ROWS or len(row) != len(self._names):
            return None
        try:
            values = [row[name] for name in self._names] if type(row) is dict else row
        except KeyError:
            return None
        for value, (kinds, low, high) in zip(values, self._accepted, strict=True):
            if type(value) not in kinds or not low < value < high:
                return None
        return values


def _accepted(spec: ColumnSpec, signature: Signature) -> tuple[frozenset[type], float, float]:
    """The types of Python and the open range of numbers that need no second look."""
    if spec.categories:
        return frozenset(), 0, 0
    if spec.kind == "boolean":
        return _BOOLEAN, -1, 2
    limit = min(float(INEXACT_INTEGER), FLOAT32_OVERFLOW if signature.dtype == "float32" else float("inf"))
    low, high = spec.usual
    return _NUMBER, max(-limit, math.nextafter(low, -math.inf)), min(limit, math.nextafter(high, math.inf))
