"""A user's model that takes as long to load as somebody holds a gate shut: a file that is there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class Gated(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Returns the first column. ``<gate>.waits`` says that somebody waits at the gate."""

    n_features_in_ = 2
    feature_names_in_ = np.array(["a", "b"], dtype=object)

    def __init__(self, gate: str = "") -> None:
        self.gate = gate

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        while Path(self.gate).is_file():
            Path(f"{self.gate}.waits").touch()
            time.sleep(0.02)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return np.asarray(X, dtype=float)[:, 0]
