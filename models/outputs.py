"""What an estimator answers, as the fixed columns of a result. Nothing here touches the input's columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.errors import UnexpectedOutput
from models.estimators import classes_of, predicts_by_argmax
from models.manifest import ARROW_LABELS, Manifest, Target, output_schema

# Where the two largest probabilities are closer than this, rounding may have made them equal or swapped them;
# such rows are asked of `predict` itself.
NEAR_TIE = 1e-9


def answers(estimator: Any, data: Any, manifest: Manifest, confidence: bool = False) -> pa.Table:
    """Predictions for every row of ``data`` under ``output_schema(manifest, confidence)``."""
    schema = output_schema(manifest, confidence)
    targets = manifest.targets
    probabilities: list[np.ndarray] = []
    if manifest.has_probabilities:
        probabilities = checked_probabilities(estimator.predict_proba(data), len(data), targets)
    if manifest.labels_from_probabilities:
        labels = _labels_from(probabilities, estimator, data, targets)
    else:
        labels = _labels(estimator, checked_predictions(estimator.predict(data), len(data), targets), targets)
    return _table(schema, labels, probabilities, confidence)


def answers_from(
    values: np.ndarray,
    manifest: Manifest,
    doubt: tuple[Callable[[np.ndarray], np.ndarray], float] | None,
    confidence: bool,
) -> pa.Table:
    """The same columns from the numbers of a compiled core, for a model of one output.

    ``doubt`` is what settles it, and what counts as a tie, where two classes are as good as equal: given the
    numbers of such rows it gives the positions of their classes. Without it the first one counts.
    """
    schema, target = output_schema(manifest, confidence), manifest.targets[0]
    if target.classes is None:
        return _table(schema, [pa.array(values[:, 0]).cast(ARROW_LABELS[target.label_type])], [], False)
    matrix = np.asfortranarray(values)
    settle, near_tie = doubt or (None, NEAR_TIE)
    position, is_tie = largest_column(matrix, near_tie)
    doubtful = np.flatnonzero(is_tie)
    if settle is not None and len(doubtful):
        position[doubtful] = settle(doubtful)
    probabilities = [matrix] if manifest.has_probabilities else []
    return _table(schema, [_named(position, target)], probabilities, confidence)


def predicted_positions(estimator: Any, data: Any, manifest: Manifest) -> np.ndarray:
    """Where the labels that ``predict`` answers stand in ``classes_``, for a classifier of one output."""
    predicted = checked_predictions(estimator.predict(data), len(data), manifest.targets)
    return _positions(predicted[0], _classes(estimator, manifest.targets)[0])


def _table(
    schema: pa.Schema, labels: Sequence[pa.Array], probabilities: Sequence[np.ndarray], confidence: bool
) -> pa.Table:
    columns = list(labels)
    columns += [pa.array(values) for matrix in probabilities for values in matrix.T]
    if confidence:
        columns += [pa.array(matrix.max(axis=1)) for matrix in probabilities]
    return pa.Table.from_arrays(columns, schema=schema)


def checked_predictions(predicted: Any, rows: int, targets: Sequence[Target]) -> list[np.ndarray]:
    """One array per target; an answer of another shape is refused rather than guessed at."""
    values = np.asarray(predicted)
    if values.ndim == 2 and values.shape[1] == 1 and len(targets) == 1:
        values = values[:, 0]
    expected = (rows,) if len(targets) == 1 else (rows, len(targets))
    if values.shape != expected:
        raise UnexpectedOutput(
            "unexpected_output",
            f"predict answered {rows} rows with an array of shape {values.shape}, expected {expected}.",
        )
    return [values] if len(targets) == 1 else list(values.T)


def checked_probabilities(answered: Any, rows: int, targets: Sequence[Target]) -> list[np.ndarray]:
    """One (rows, classes) array per target, 64-bit, each column in one piece, in the order of the classes."""
    matrices = answered if isinstance(answered, list) else [answered]
    shapes = [np.shape(matrix) for matrix in matrices]
    expected = [(rows, len(target.classes or ())) for target in targets]
    if shapes != expected:
        raise UnexpectedOutput(
            "unexpected_output", f"predict_proba answered with shapes {shapes}, expected {expected}."
        )
    return [np.asarray(matrix, dtype=np.float64, order="F") for matrix in matrices]


def _labels_from(
    probabilities: list[np.ndarray], estimator: Any, data: Any, targets: Sequence[Target]
) -> list[pa.Array]:
    largest = [largest_column(matrix) for matrix in probabilities]
    positions = [position for position, _ in largest]
    if not predicts_by_argmax(estimator):
        doubtful = np.flatnonzero(np.logical_or.reduce([near_tie for _, near_tie in largest]))
        if len(doubtful):
            rows = data.iloc[doubtful] if isinstance(data, pd.DataFrame | pd.Series) else data[doubtful]
            predicted = checked_predictions(estimator.predict(rows), len(doubtful), targets)
            for position, classes, values in zip(
                positions, _classes(estimator, targets), predicted, strict=True
            ):
                position[doubtful] = _positions(values, classes)
    return [_named(position, target) for position, target in zip(positions, targets, strict=True)]


def largest_column(matrix: np.ndarray, near_tie: float = NEAR_TIE) -> tuple[np.ndarray, np.ndarray]:
    """By row: the column of the (first) largest value, and whether another is as good as equal to it.

    That is closer than ``near_tie``, of 1 or of the largest value if it is larger. NaN counts as a tie.
    Column by column: six times faster than NumPy's reductions along short rows.
    """
    best = matrix[:, 0].copy()
    second = np.full(len(matrix), -np.inf)
    position = np.zeros(len(matrix), dtype=np.int64)
    for index in range(1, matrix.shape[1]):
        column = matrix[:, index]
        position[column > best] = index
        np.maximum(second, np.minimum(best, column), out=second)
        np.maximum(best, column, out=best)
    return position, ~(best - second > near_tie * np.maximum(1.0, np.abs(best)))


def _labels(estimator: Any, predicted: list[np.ndarray], targets: Sequence[Target]) -> list[pa.Array]:
    columns = []
    known = _classes(estimator, targets) if targets[0].classes else [None] * len(targets)
    for values, classes, target in zip(predicted, known, targets, strict=True):
        if classes is None:
            columns.append(pa.array(values).cast(ARROW_LABELS[target.label_type]))
        else:
            columns.append(_named(_positions(values, classes), target))
    return columns


def _classes(estimator: Any, targets: Sequence[Target]) -> list[np.ndarray]:
    classes = classes_of(estimator)
    assert classes is not None
    assert len(classes) == len(targets)
    return classes


def _positions(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    positions = pd.Index(classes).get_indexer(pd.Index(values))
    if len(positions) and positions.min() < 0:
        stranger = values[int(positions.argmin())]
        raise UnexpectedOutput("unexpected_output", f"predict answered {stranger!r}, not one of classes_.")
    return np.asarray(positions)


def _named(positions: np.ndarray, target: Target) -> pa.Array:
    labels = pa.array(list(target.classes or ()), ARROW_LABELS[target.label_type])
    return labels.take(pa.array(positions))
