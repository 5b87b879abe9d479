"""Gradient boosting and histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn._loss.link import IdentityLink, LogLink
from sklearn._loss.loss import ExponentialLoss, HalfBinomialLoss, HalfMultinomialLoss
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.tree import DecisionTreeRegressor

from models.scorers.forests import fitted_tree
from models.scorers.growing import NO_KNOWN_SETS, NO_LEFT_SETS, Tree, grow
from models.scorers.part import NotCompiled
from models.scorers.trees import Trees

_CLASSIFIER_LINKS = {HalfBinomialLoss: "logit", ExponentialLoss: "half_logit", HalfMultinomialLoss: "softmax"}
_REGRESSOR_LINKS = {IdentityLink: "identity", LogLink: "log"}


def compile_boosting(estimator: Any) -> Trees:
    """The core of gradient boosting on a constant first guess. Raises NotCompiled."""
    members = estimator.estimators_
    if not all(type(member) is DecisionTreeRegressor for member in members.ravel()):
        raise NotCompiled("the model boosts trees of a class that is not scikit-learn's own")
    is_classifier = type(estimator) is GradientBoostingClassifier
    return grow(
        [fitted_tree(member, scale=estimator.learning_rate) for member in members.ravel()],
        number=np.float32,
        features=int(estimator.n_features_in_),
        start=_first_guess(estimator),
        divisor=1.0,
        link=_link(_CLASSIFIER_LINKS, estimator._loss) if is_classifier else "identity",
        takes_nan=False,
        takes_infinite=False,
        left_sets=NO_LEFT_SETS,
        known_sets=NO_KNOWN_SETS,
    )


def _first_guess(estimator: Any) -> np.ndarray:
    """What boosting starts from: (outputs,)."""
    if not (estimator.init_ == "zero" or type(estimator.init_) in (DummyClassifier, DummyRegressor)):
        raise NotCompiled(f"boosting starts from another model, {type(estimator.init_).__name__}")
    some = np.zeros((2, estimator.n_features_in_), np.float32)
    some[1] = 1
    guesses: np.ndarray = estimator._raw_predict_init(some)
    if not np.array_equal(guesses[0], guesses[1]):
        raise NotCompiled("boosting starts from a guess that is not the same for all rows")
    guess: np.ndarray = guesses[0].copy()
    return guess


def compile_histogram_boosting(estimator: Any) -> Trees:
    """The core of histogram boosting, behind its own encoder of categories if it has one.

    Raises NotCompiled.
    """
    predictors = [predictor for iteration in estimator._predictors for predictor in iteration]
    set_counts = np.cumsum([0, *(len(predictor.raw_left_cat_bitsets) for predictor in predictors)])
    has_sets = set_counts[-1] > 0
    mapper = estimator._bin_mapper
    return grow(
        [_histogram_tree(*each) for each in zip(predictors, set_counts, strict=False)],
        number=np.float64,
        features=len(mapper.is_categorical_),
        start=(0.0 + estimator._baseline_prediction).reshape(-1),
        divisor=1.0,
        link=_histogram_link(estimator),
        takes_nan=True,
        takes_infinite=True,
        left_sets=np.concatenate([_left_sets(each) for each in predictors]) if has_sets else NO_LEFT_SETS,
        known_sets=_known_sets(mapper) if has_sets else NO_KNOWN_SETS,
    )


def _left_sets(predictor: Any) -> np.ndarray:
    """The sets of a tree with a word more, for what is missing or unknown."""
    sets = np.zeros((len(predictor.raw_left_cat_bitsets), 9), np.uint32)
    sets[:, :8] = predictor.raw_left_cat_bitsets
    nodes = predictor.nodes[predictor.nodes["is_categorical"].astype(bool)]
    sets[nodes["bitset_idx"], 8] = nodes["missing_go_to_left"]
    return sets


def _known_sets(mapper: Any) -> np.ndarray:
    """By feature; of a feature without categories it is empty."""
    sets, places = mapper.make_known_categories_bitsets()
    return np.where(mapper.is_categorical_[:, None].astype(bool), sets[places], 0).astype(np.uint32)


def _histogram_tree(predictor: Any, first_set: int) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    by_category = nodes["is_categorical"].astype(bool)
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"],
        threshold=np.where(
            by_category, first_set + nodes["bitset_idx"].astype(np.int64), nodes["num_threshold"]
        ),
        nan_left=nodes["missing_go_to_left"],
        by_category=by_category,
        values=nodes["value"][:, None],
    )


def _histogram_link(estimator: Any) -> str:
    if type(estimator) is HistGradientBoostingRegressor:
        return _link(_REGRESSOR_LINKS, estimator._loss.link)
    link = _link(_CLASSIFIER_LINKS, estimator._loss)
    return "softmax_by_columns" if link == "softmax" else link


def _link(links: Mapping[type, str], loss: Any) -> str:
    if type(loss) not in links:
        raise NotCompiled(f"the model answers through {type(loss).__name__}, which is not known here")
    return links[type(loss)]


COMPILERS: Mapping[type, Callable[[Any], Trees]] = {
    GradientBoostingClassifier: compile_boosting,
    GradientBoostingRegressor: compile_boosting,
    HistGradientBoostingClassifier: compile_histogram_boosting,
    HistGradientBoostingRegressor: compile_histogram_boosting,
}
