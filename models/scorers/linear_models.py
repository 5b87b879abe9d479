"""Compiles linear models and multilayer perceptrons of scikit-learn; each by its exact class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn._loss.link import IdentityLink, LogLink
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lars,
    LarsCV,
    Lasso,
    LassoCV,
    LassoLars,
    LassoLarsCV,
    LassoLarsIC,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    OrthogonalMatchingPursuit,
    OrthogonalMatchingPursuitCV,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TheilSenRegressor,
    TweedieRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import LinearSVC, LinearSVR

from models.scorers.linear_core import Linear
from models.scorers.network_core import Network
from models.scorers.part import NotCompiled

_GENERALISED = (GammaRegressor, PoissonRegressor, TweedieRegressor)
_LOGISTIC = (LinearDiscriminantAnalysis, LogisticRegression, LogisticRegressionCV)
# Their labels follow from scores that are no probabilities.
_DECIDING = (LinearSVC, Perceptron, RidgeClassifier, RidgeClassifierCV)
_REGRESSORS = (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    HuberRegressor,
    Lars,
    LarsCV,
    Lasso,
    LassoCV,
    LassoLars,
    LassoLarsCV,
    LassoLarsIC,
    LinearRegression,
    LinearSVR,
    OrthogonalMatchingPursuit,
    OrthogonalMatchingPursuitCV,
    PLSRegression,
    QuantileRegressor,
    Ridge,
    RidgeCV,
    SGDRegressor,
    TheilSenRegressor,
)
LINEAR = (*_DECIDING, *_GENERALISED, *_LOGISTIC, *_REGRESSORS, SGDClassifier)
NETWORKS = (MLPClassifier, MLPRegressor)


def compile_linear(estimator: Any) -> Linear:
    """A fitted estimator of one of the classes in LINEAR. Raises NotCompiled."""
    weights = np.atleast_2d(_array(estimator.coef_))
    if type(estimator) in (*_GENERALISED, *_REGRESSORS) and len(weights) > 1:
        raise NotCompiled(f"{type(estimator).__name__} with several targets")
    intercepts = np.broadcast_to(_array(estimator.intercept_).ravel(), len(weights)).copy()
    if type(estimator) is PLSRegression:
        intercepts -= weights @ estimator._x_mean  # it takes the mean off each row first
    return Linear(weights, intercepts, _link(estimator, len(weights)))


def _array(values: Any) -> np.ndarray:
    if not isinstance(values, np.ndarray | float | int | np.number):
        raise NotCompiled("the coefficients are a sparse matrix")
    return np.ascontiguousarray(values, dtype=np.float64)


def _link(estimator: Any, scores: int) -> str:
    if type(estimator) in _REGRESSORS:
        return "identity"
    if type(estimator) in _GENERALISED:
        return _generalised_link(estimator)
    if type(estimator) in _LOGISTIC:
        return "logistic" if scores == 1 else "softmax"
    # no other loss gives probabilities
    loss = getattr(estimator, "loss", "") if type(estimator) is SGDClassifier else ""
    links = {"log_loss": "logistic" if scores == 1 else "one by one", "modified_huber": "huber"}
    return links.get(loss, "decision")


def _generalised_link(estimator: Any) -> str:
    links = {IdentityLink: "identity", LogLink: "exponential"}
    link = type(estimator._base_loss.link)
    if link not in links:
        raise NotCompiled(f"{type(estimator).__name__} with {link.__name__}")
    return links[link]


def compile_network(estimator: Any) -> Network:
    """A fitted MLPClassifier or MLPRegressor. Raises NotCompiled."""
    outputs = estimator.n_outputs_
    if type(estimator) is MLPRegressor:
        if outputs > 1:
            raise NotCompiled("MLPRegressor with several targets")
        link = {"identity": "identity", "exp": "exponential"}.get(estimator.out_activation_)
    else:
        if estimator._label_binarizer.y_type_ not in ("binary", "multiclass"):
            raise NotCompiled("MLPClassifier with several targets")
        link = {"logistic": "logistic", "softmax": "softmax"}.get(estimator.out_activation_)
    if link is None or estimator.activation not in ("identity", "logistic", "relu", "tanh"):
        functions = f"{estimator.activation!r} and {estimator.out_activation_!r}"
        raise NotCompiled(f"{type(estimator).__name__} with the functions {functions}")
    layers = zip(estimator.intercepts_, estimator.coefs_, strict=True)
    parameters = [_array(each).ravel() for layer in layers for each in layer]
    sizes = (estimator.n_features_in_, *map(len, estimator.intercepts_))
    return Network(np.concatenate(parameters), sizes, estimator.activation, link)
