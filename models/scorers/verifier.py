"""Whether a compiled scorer is as good as its estimator: equal wherever it answers.

It is compared on the sample's rows and on rows made against it: the whole scorer on tables with odd values
(``adversaries``), and its core on what the last step is given, there at every split of its trees
(``at_splits``).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
import pyarrow as pa

from models.estimators import predicts_by_argmax
from models.inputs import estimator_input
from models.manifest import Manifest
from models.outputs import NEAR_TIE, checked_predictions, checked_probabilities, predicted_positions
from models.scorers.adversaries import odd_matrices, odd_tables
from models.scorers.at_splits import compare_at_splits
from models.scorers.comparing import Found, Pair, Rows
from models.scorers.part import Cell
from models.scorers.scorer import Scorer

# A sum in another order moves the last bits of linear algebra; anything more is another formula.
LINEAR_TOLERANCE = 1e-12
_EXACT = ("sklearn.tree.", "sklearn.ensemble.")


def tolerance_for(last: Any, asked: float | None) -> float:
    """By how much numbers may differ, of the larger of 1 and the estimator's, if that much was asked for.

    None: bit-equal for trees, LINEAR_TOLERANCE for everything else.
    """
    if asked is not None:
        return asked
    return 0.0 if type(last).__module__.startswith(_EXACT) else LINEAR_TOLERANCE


def near_tie_for(last: Any, tolerance: float) -> float | None:
    """How close to each other two classes are for which the estimator is asked; None: it need not be.

    Two numbers that each differ by the tolerance may change places if they are twice as close.
    """
    if predicts_by_argmax(last) and tolerance == 0:
        return None
    return max(NEAR_TIE, 2 * tolerance)


def compare(
    scorer: Scorer,
    last: Any,
    estimator: Any,
    manifest: Manifest,
    rows: Rows,
    *,
    tolerance: float | None = None,
) -> Found:
    """Compare on ``rows`` and on all adversaries; raises Differs. ``tolerance`` is as for tolerance_for."""
    allowed = tolerance_for(last, tolerance)
    how = near_tie_for(last, allowed), allowed
    found = Found()
    last, categories = without_own_encoder(last)
    core = Pair(*_of_core(scorer, last, manifest), *how, found)
    if isinstance(rows, pa.Table):
        whole = Pair(*_of_tables(scorer, estimator, manifest), *how, found)
        for table in (rows, *odd_tables(manifest.signature, rows)):
            whole.compare(table)
        matrix = scorer.reader.matrix(rows)
    else:
        matrix = rows
        core.compare(rows)
    for made in odd_matrices(matrix, categories):
        core.compare(made)
    compare_at_splits(core, scorer.core, last, matrix)
    return found


def without_own_encoder(last: Any) -> tuple[Any, int]:
    """The last step as its core sees it, and how many of the columns it is given are codes of categories.

    Histogram gradient boosting encodes categories itself and puts them first; readers have done so already.
    """
    if getattr(last, "_preprocessor", None) is None:
        return last, 0
    bare = copy(last)
    bare._preprocessor = None
    return bare, int(np.sum(last.is_categorical_))


def _of_tables(scorer: Scorer, estimator: Any, manifest: Manifest) -> tuple[Any, Any, Any, Any]:
    def data(rows: Rows) -> Any:
        return estimator_input(rows, manifest.signature)

    def one(rows: Rows, at: int) -> np.ndarray:
        return scorer.answer_one(_cells(rows, manifest, at))

    numbers = _numbers(estimator, manifest)
    return (
        lambda rows: numbers(data(rows)),
        _labels(estimator, manifest, data),
        scorer.answer,
        one,
    )


def _of_core(scorer: Scorer, last: Any, manifest: Manifest) -> tuple[Any, Any, Any, Any]:
    def one(rows: Rows, at: int) -> np.ndarray:
        return scorer.core.answer_one(rows[at].astype(np.float64))

    return _numbers(last, manifest), _labels(last, manifest, lambda rows: rows), scorer.core.answer, one


def _numbers(estimator: Any, manifest: Manifest) -> Callable[[Any], np.ndarray]:
    """What the estimator answers, in the form of a core's answers."""

    def numbers(data: Any) -> np.ndarray:
        if manifest.has_probabilities:
            probabilities = estimator.predict_proba(data)
            return checked_probabilities(probabilities, len(data), manifest.targets)[0]
        if manifest.targets[0].classes is not None:
            scores = np.asarray(estimator.decision_function(data), np.float64)
            return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
        predicted = checked_predictions(estimator.predict(data), len(data), manifest.targets)[0]
        return np.asarray(predicted, np.float64)[:, None]

    return numbers


def _labels(
    estimator: Any, manifest: Manifest, data: Callable[[Rows], Any]
) -> Callable[[Rows], np.ndarray] | None:
    if manifest.targets[0].classes is None:
        return None
    return lambda rows: predicted_positions(estimator, data(rows), manifest)


def _cells(rows: pa.Table, manifest: Manifest, at: int) -> list[Cell]:
    """One row's values as JSON gives them: whole numbers now and then without a point."""
    row = rows.slice(at, 1).to_pylist()[0]
    values = [row[name] for name in manifest.signature.names]
    if at % 2 == 0:
        return values
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
