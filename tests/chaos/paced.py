"""A user's model that takes a known time for each row, so that faults find chunks at work on any machine."""

from __future__ import annotations

import time
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin


class Paced(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Answers as ``model`` does, after ``seconds_per_row`` for each row. It rests: no core is taken."""

    def __init__(self, model: Any, seconds_per_row: float) -> None:
        self.model = model
        self.seconds_per_row = seconds_per_row
        self.n_features_in_ = model.n_features_in_
        self.feature_names_in_ = model.feature_names_in_
        self.classes_ = model.classes_

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        time.sleep(self.seconds_per_row * len(X))
        return self.model.predict(X)
