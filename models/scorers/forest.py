"""Trees and forests: one row walks down all trees at once, a level at a time, by NumPy's indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from models.rules import FLOAT32_OVERFLOW
from models.scorers.kernel import Kernel

_TREES = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
_FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)

_NO_ANSWER = np.array([np.nan])


def forest_kernel(estimator: Any) -> Kernel | None:
    """The kernel of a tree or forest with one output; None for anything else, subclasses included."""
    if type(estimator) in _FORESTS and estimator.n_outputs_ == 1:
        return _kernel([tree.tree_ for tree in estimator.estimators_])
    if type(estimator) in _TREES and estimator.n_outputs_ == 1:
        return _kernel([estimator.tree_])
    return None


def _kernel(trees: list[Any]) -> Kernel:
    """Bit for bit what scikit-learn answers: 32-bit features, 64-bit thresholds, sums in the trees' order."""
    counts = [tree.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(counts)[:-1]])
    is_leaf = np.concatenate([tree.children_left for tree in trees]) < 0
    own = np.arange(len(is_leaf))
    # a leaf leads to itself, so that rows which arrive early wait there
    feature = np.where(is_leaf, 0, np.concatenate([tree.feature for tree in trees]))
    threshold = np.concatenate([tree.threshold for tree in trees])
    children = np.stack([_joined(trees, "children_right", roots), _joined(trees, "children_left", roots)])
    children = np.where(is_leaf, own, children).T.ravel().copy()
    values = np.concatenate([tree.value[:, 0, :] for tree in trees])
    depth = max(tree.max_depth for tree in trees)

    def kernel(row: np.ndarray) -> np.ndarray:
        if not (np.abs(row) < FLOAT32_OVERFLOW).all():
            return _NO_ANSWER  # scikit-learn refuses it
        features = row.astype(np.float32).astype(np.float64)
        nodes = roots
        for _ in range(depth):
            goes_left = features[feature[nodes]] <= threshold[nodes]
            nodes = children[2 * nodes + goes_left]
        # not `sum`, which adds a single column in pairs
        return np.asarray(np.add.accumulate(values[nodes], axis=0)[-1] / len(roots))

    return kernel


def _joined(trees: list[Any], name: str, roots: np.ndarray) -> np.ndarray:
    """An array of child positions of all trees, counted from the first node of the first tree."""
    return np.concatenate([getattr(tree, name) + root for tree, root in zip(trees, roots, strict=True)])
