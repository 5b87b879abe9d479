"""A user's model whose rows take as long as they say: large jobs of few rows, on however busy a machine."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class Slow(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Returns the row's number; the processor is free meanwhile."""

    n_features_in_ = 2
    feature_names_in_ = np.array(["seconds", "number"], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        values = np.asarray(X, dtype=float)
        time.sleep(values[:, 0].sum())
        return values[:, 1]
