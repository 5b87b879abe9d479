"""What an estimator answers, as the fixed columns of a result. Nothing here touches the input's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.errors import ArtefactRefused
from models.estimators import classes_of
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
    columns = list(labels)
    columns += [pa.array(values) for matrix in probabilities for values in np.asfortranarray(matrix).T]
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
        raise ArtefactRefused(
            "unexpected_output",
            f"predict answered {rows} rows with an array of shape {values.shape}, expected {expected}.",
        )
    return [values] if len(targets) == 1 else list(values.T)


def checked_probabilities(answered: Any, rows: int, targets: Sequence[Target]) -> list[np.ndarray]:
    """One (rows, classes) array of 64-bit floats per target, in the order of the classes."""
    matrices = answered if isinstance(answered, list) else [answered]
    shapes = [np.shape(matrix) for matrix in matrices]
    expected = [(rows, len(target.classes or ())) for target in targets]
    if shapes != expected:
        raise ArtefactRefused(
            "unexpected_output", f"predict_proba answered with shapes {shapes}, expected {expected}."
        )
    return [np.asarray(matrix, dtype=np.float64) for matrix in matrices]


def _labels_from(
    probabilities: list[np.ndarray], estimator: Any, data: Any, targets: Sequence[Target]
) -> list[pa.Array]:
    indices = [matrix.argmax(axis=1) for matrix in probabilities]
    doubtful = np.flatnonzero(np.logical_or.reduce([_near_ties(matrix) for matrix in probabilities]))
    if len(doubtful):
        rows = data.iloc[doubtful] if isinstance(data, pd.DataFrame) else data[doubtful]
        predicted = checked_predictions(estimator.predict(rows), len(doubtful), targets)
        for index, classes, values in zip(indices, _classes(estimator, targets), predicted, strict=True):
            index[doubtful] = _positions(values, classes)
    return [_named(index, target) for index, target in zip(indices, targets, strict=True)]


def _near_ties(matrix: np.ndarray) -> np.ndarray:
    if matrix.shape[1] < 2:
        return np.zeros(len(matrix), dtype=bool)
    largest = matrix.max(axis=1)
    # written so that NaN counts as doubtful
    close: np.ndarray = ~(matrix < (largest - NEAR_TIE)[:, None])
    return np.asarray(close.sum(axis=1) > 1)


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
        raise ArtefactRefused("unexpected_output", f"predict answered {stranger!r}, not one of classes_.")
    return np.asarray(positions)


def _named(positions: np.ndarray, target: Target) -> pa.Array:
    labels = pa.array(list(target.classes or ()), ARROW_LABELS[target.label_type])
    return labels.take(pa.array(positions))
