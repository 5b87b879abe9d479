"""What a loaded model says about its own inputs: importances or coefficients, by the name of the feature.

Read from the fitted estimator and never computed from data, so asking costs little. Models that keep neither
(histogram boosting, neighbours, kernels) have nothing to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.estimators import json_safe
from models.manifest import Manifest, Target, label_text

# Of more features (words of a text, say) those that weigh most are told: so many of a class or output, and
# fewer where there are many of these, for all of it is kept in the manifest.
MAX_FEATURES = 500
MAX_WEIGHTS = 5000


def insight(estimator: Any, manifest: Manifest) -> dict[str, Any]:
    """``importances``, or ``coefficients`` with ``intercept``; empty if the estimator has neither.

    Values stand by feature name, largest magnitude first; those of a model with several outputs, or of a
    classifier of more than two classes, by output or class first. In a pipeline the features are those that
    its last step is given.
    """
    last, names = _unwrapped(estimator, list(manifest.signature.names))
    importances = getattr(last, "feature_importances_", None)
    if importances is not None and np.ndim(importances) == 1:
        return {"importances": _by_name(np.asarray(importances), names, MAX_FEATURES)}
    coefficients = getattr(last, "coef_", None)
    if coefficients is None:
        return {}
    matrix = np.atleast_2d(coefficients.toarray() if hasattr(coefficients, "toarray") else coefficients)
    if matrix.ndim != 2:
        return {}
    most = min(MAX_FEATURES, max(1, MAX_WEIGHTS // len(matrix)))
    rows = [_by_name(row, names, most) for row in matrix]
    intercepts = _intercepts(last, len(rows))
    if len(rows) == 1:
        return {"coefficients": rows[0], "intercept": intercepts[0]}
    titles = _titles(manifest.targets, len(rows))
    if titles is None:
        return {}
    return {
        "coefficients": dict(zip(titles, rows, strict=True)),
        "intercept": dict(zip(titles, intercepts, strict=True)),
    }


def _unwrapped(estimator: Any, names: list[str]) -> tuple[Any, list[str]]:
    """The innermost fitted estimator that has the weights, and the names of the features it is given."""
    best = getattr(estimator, "best_estimator_", None) or getattr(estimator, "regressor_", None)
    if best is not None:
        return _unwrapped(best, names)
    steps = getattr(estimator, "steps", None)
    if steps:
        return _unwrapped(steps[-1][1], _names_behind(estimator, names))
    return estimator, names


def _names_behind(pipeline: Any, names: list[str]) -> list[str]:
    if len(pipeline.steps) == 1:
        return names
    first = next((at for at, (_, step) in enumerate(pipeline.steps[:-1]) if _makes_words(step)), 0)
    before = pipeline[first:-1]  # what stands before a vectorizer has no names to give, and it needs none
    given = getattr(before, "feature_names_in_", None)
    try:
        return [str(name) for name in before.get_feature_names_out(names if given is None else given)]
    except Exception:  # noqa: BLE001 - the user's own transformers may know no names and say so in any way
        return []


def _makes_words(step: Any) -> bool:
    """A vectorizer of texts, or several beside each other."""
    union = getattr(step, "transformer_list", None)
    if union:
        return all(_makes_words(transformer) for _, transformer in union)
    return hasattr(step, "build_analyzer")


def _titles(targets: Sequence[Target], rows: int) -> list[str] | None:
    """What each of several rows of coefficients is about; None if that cannot be told."""
    if len(targets) == rows:
        return [str(target.name) for target in targets]
    classes = [label_text(label) for label in targets[0].classes or ()]
    return classes if len(classes) == rows else None


def _intercepts(estimator: Any, rows: int) -> list[Any]:
    values = np.atleast_1d(getattr(estimator, "intercept_", 0.0))
    if values.shape not in ((1,), (rows,)):
        return [None] * rows
    return [json_safe(value) for value in np.broadcast_to(values, rows)]


def _by_name(values: np.ndarray, names: Sequence[str], most: int) -> dict[str, Any]:
    titles = names if len(names) == len(values) else [f"x{position}" for position in range(len(values))]
    order = np.argsort(-np.abs(values), kind="stable")[:most]
    return {titles[position]: json_safe(values[position]) for position in order}
