"""Finds the kernel for a fitted estimator, and lets it answer only where it is the estimator's equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from models.manifest import Manifest, Signature
from models.outputs import checked_predictions, checked_probabilities
from models.scorers.forest import forest_kernel
from models.scorers.kernel import Kernel
from models.scorers.linear import linear_kernel

PROBES = 32
# A sum in another order moves the last bits of linear algebra; anything more is another formula.
LARGEST_DIFFERENCE = 1e-12


def row_scorer(estimator: Any, manifest: Manifest) -> Kernel | None:
    """A kernel that answers single rows as ``estimator`` does; None if there is none, or if it differs.

    It takes finite numbers only. Compared on rows drawn from the ranges that the signature knows.
    """
    is_table = manifest.signature.kind == "table" and manifest.signature.input == "matrix"
    if not is_table or len(manifest.targets) != 1:
        return None
    kernel = _kernel(estimator)
    last = estimator.steps[-1][1] if type(estimator) is Pipeline else estimator
    difference = LARGEST_DIFFERENCE if linear_kernel(last) else 0.0
    return kernel if kernel and _is_equal(kernel, estimator, manifest, difference) else None


def _kernel(estimator: Any) -> Kernel | None:
    if type(estimator) is not Pipeline:
        return linear_kernel(estimator) or forest_kernel(estimator)
    steps = [step for _, step in estimator.steps]
    kernel = _kernel(steps[-1])
    if kernel is None:
        return None
    for step in reversed(steps[:-1]):
        if type(step) is not StandardScaler:
            return None
        kernel = _scaled(step, kernel)
    return kernel


def _scaled(scaler: StandardScaler, then: Kernel) -> Kernel:
    mean = 0.0 if scaler.mean_ is None or not scaler.with_mean else scaler.mean_
    scale = 1.0 if scaler.scale_ is None or not scaler.with_std else scaler.scale_
    return lambda row: then((row - mean) / scale)


def _is_equal(kernel: Kernel, estimator: Any, manifest: Manifest, difference: float) -> bool:
    rows = _probes(manifest.signature)
    given = rows.astype(manifest.signature.dtype)
    if manifest.has_probabilities:
        wanted = checked_probabilities(estimator.predict_proba(given), len(rows), manifest.targets)[0]
    else:
        wanted = checked_predictions(estimator.predict(given), len(rows), manifest.targets)[0][:, None]
    answered = np.array([kernel(row) for row in rows])
    scale = np.maximum(1.0, np.abs(wanted))
    return answered.shape == wanted.shape and bool((np.abs(answered - wanted) <= difference * scale).all())


def _probes(signature: Signature) -> np.ndarray:
    generator = np.random.default_rng(0)
    columns = [
        generator.uniform(
            -1.0 if spec.minimum is None else spec.minimum,
            1.0 if spec.maximum is None else spec.maximum,
            PROBES,
        )
        if spec.kind == "number"
        else generator.integers(0, 2, PROBES).astype(float)
        for spec in signature.columns
    ]
    return np.column_stack(columns)
