"""Decision trees, extra trees, and forests of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

from models.scorers.growing import NO_KNOWN_SETS, NO_LEFT_SETS, Tree, grow
from models.scorers.part import NotCompiled
from models.scorers.trees import Trees


def compile_tree(estimator: Any) -> Trees:
    """The core of a single tree. Raises NotCompiled."""
    # whatever is added to -0.0 stays what it is, 0.0 and -0.0 too
    return _compiled(estimator, [estimator], start=-0.0)


def compile_forest(estimator: Any) -> Trees:
    """The core of a forest: the mean of its trees. Raises NotCompiled."""
    members = list(estimator.estimators_)
    if not all(type(member) in _TREES for member in members):
        raise NotCompiled("the forest holds trees of classes that are not scikit-learn's own")
    return _compiled(estimator, members, start=0.0)


def fitted_tree(member: Any, scale: float = 1.0) -> Tree:
    """A tree of scikit-learn with one output, its leaves multiplied by ``scale``."""
    inner = member.tree_
    return Tree(
        left=inner.children_left,
        right=inner.children_right,
        feature=inner.feature,
        threshold=inner.threshold,
        nan_left=inner.missing_go_to_left,
        by_category=np.zeros(inner.node_count, bool),
        # a forest's values, all trees together, would be half of its size once more
        values=inner.value[:, 0, :] if scale == 1 else scale * inner.value[:, 0, :],
    )


def _compiled(estimator: Any, members: list[Any], start: float) -> Trees:
    if estimator.n_outputs_ != 1:
        raise NotCompiled(f"the model answers {estimator.n_outputs_} outputs, compiled trees answer one")
    outputs = int(getattr(estimator, "n_classes_", 1))
    return grow(
        [fitted_tree(member) for member in members],
        number=np.float32,
        features=int(estimator.n_features_in_),
        start=np.full(outputs, start),
        divisor=float(len(members)),
        link="identity",
        takes_nan=bool(members[0].__sklearn_tags__().input_tags.allow_nan),
        takes_infinite=False,
        left_sets=NO_LEFT_SETS,
        known_sets=NO_KNOWN_SETS,
    )


_TREES = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
_FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)

COMPILERS: Mapping[type, Callable[[Any], Trees]] = {
    **dict.fromkeys(_TREES, compile_tree),
    **dict.fromkeys(_FORESTS, compile_forest),
}
