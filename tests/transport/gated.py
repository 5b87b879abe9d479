"""A user's model that stands still at certain rows until the test lets it go on."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

GATED = -1.0  # in column a; column b says which gate


def gate(mark: float, what: str) -> Path:
    """The file that says ``reached``, or that the gate is ``open``."""
    return Path(tempfile.gettempdir()) / f"rowmill-test-gate-{mark:.0f}-{what}"


class Gated(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The sum of a row."""

    n_features_in_ = 2
    feature_names_in_ = np.array(["a", "b"], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        values = np.asarray(X, dtype=float)
        for value, mark in values:
            if value == GATED:
                gate(mark, "reached").touch()
                while not gate(mark, "open").exists():
                    time.sleep(0.02)
        return values.sum(axis=1)
