"""Linear and logistic models: one product of a matrix and a vector, and a link."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge

from models.scorers.kernel import Kernel

_REGRESSORS = (ElasticNet, Lasso, LinearRegression, Ridge)


def linear_kernel(estimator: Any) -> Kernel | None:
    """The kernel of a linear estimator with one output; None for anything else, subclasses included."""
    if type(estimator) in _REGRESSORS:
        return _regression(estimator)
    if type(estimator) is LogisticRegression:
        return _binary(estimator) if len(estimator.classes_) == 2 else _multinomial(estimator)
    return None


def _regression(estimator: Any) -> Kernel | None:
    weights, intercept = np.asarray(estimator.coef_, float), np.asarray(estimator.intercept_, float)
    if weights.ndim != 1:
        return None
    return lambda row: (weights @ row + intercept).reshape(1)


def _binary(estimator: LogisticRegression) -> Kernel:
    weights, intercept = np.asarray(estimator.coef_[0], float), float(estimator.intercept_[0])

    def kernel(row: np.ndarray) -> np.ndarray:
        second = _expit(float(weights @ row) + intercept)
        return np.array([1 - second, second])

    return kernel


def _expit(score: float) -> float:
    """The logistic function; written so that no exponential overflows."""
    if score >= 0:
        return float(1 / (1 + np.exp(-score)))
    small = np.exp(score)
    return float(small / (1 + small))


def _multinomial(estimator: LogisticRegression) -> Kernel:
    weights, intercept = np.asarray(estimator.coef_, float), np.asarray(estimator.intercept_, float)

    def kernel(row: np.ndarray) -> np.ndarray:
        scores = weights @ row + intercept
        powers = np.exp(scores - scores.max())
        return np.asarray(powers / powers.sum())

    return kernel
