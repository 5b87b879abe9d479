"""Questions about a fitted scikit-learn object that need no data: its parts, classes and parameters.

Anything with scikit-learn's interface is an estimator here; nothing is imported from other libraries. What
must be found out by running the estimator stands in ``probing``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.svm import SVC, NuSVC
from sklearn.tree import BaseDecisionTree, DecisionTreeClassifier

from models.manifest import Label, LabelType, Task

MAX_PARAMETER_TEXT = 200
# These compare 32-bit numbers only, so handing them 32-bit numbers changes nothing but saves a copy.
_FLOAT32 = (
    BaseDecisionTree,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
# These decide by something other than the largest probability.
_OWN_DECISION = (SVC, NuSVC, FixedThresholdClassifier, TunedThresholdClassifierCV)
_KNOWN_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost")


def parts(estimator: Any) -> Iterator[Any]:
    """The estimator and every estimator inside it (steps, members, best_estimator_), once each."""
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple) or (isinstance(item, np.ndarray) and item.dtype == object):
            waiting.extend(item)
        elif hasattr(item, "get_params") and not isinstance(item, type):
            yield item
            waiting.extend(vars(item).values())


def run_on_one_thread(estimator: Any) -> None:
    """Set ``n_jobs`` to 1 in every part: one process per core scores, and threads add up in any order."""
    for part in parts(estimator):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = 1


def class_path(estimator: Any) -> str:
    """Dotted name of the class; of the last step for a pipeline, which is what people call the model."""
    steps = getattr(estimator, "steps", None)
    if steps:
        return class_path(steps[-1][1])
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def task_of(estimator: Any) -> Task:
    """What the estimator says it is; of one that does not say, whether it has classes."""
    if is_outlier_detector(estimator):
        return "outlier_detection"
    if is_clusterer(estimator):
        return "clustering"
    if is_classifier(estimator) or (not is_regressor(estimator) and hasattr(estimator, "classes_")):
        return "classification"
    return "regression"


def classes_of(estimator: Any) -> list[np.ndarray] | None:
    """``classes_``, one array per output; None for an estimator without classes."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return None
    if isinstance(classes, list | tuple) and len(classes) and isinstance(classes[0], np.ndarray):
        return [np.asarray(each) for each in classes]
    return [np.asarray(classes)]


def json_label(value: Any) -> Label:
    """A class label as JSON has it, of the nearest of boolean, integer, number and string."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    return str(value)


def label_type_of(values: np.ndarray) -> LabelType:
    """The type of the prediction column that holds such labels."""
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
    if values.dtype.kind in kinds:
        return kinds[values.dtype.kind]  # type: ignore[return-value]
    found = {type(json_label(value)) for value in values.ravel().tolist()}
    if found == {bool}:
        return "boolean"
    return "integer" if found == {int} else "string"


def labels_may_follow_probabilities(estimator: Any) -> bool:
    """False where ``predict`` is known not to be, or may not be, the class of the largest probability."""
    return not any(
        isinstance(part, _OWN_DECISION) or (hasattr(part, "predict_proba") and not is_known(part))
        for part in parts(estimator)
    )


def is_known(part: Any) -> bool:
    """A class of a library whose ways are known, not of the user's own."""
    return type(part).__module__.split(".")[0] in _KNOWN_LIBRARIES


def predicts_by_argmax(estimator: Any) -> bool:
    """``predict`` is the first largest probability by its own code, ties included."""
    return isinstance(estimator, DecisionTreeClassifier | ExtraTreesClassifier | RandomForestClassifier)


def takes_float32(estimator: Any) -> bool:
    """The estimator itself (not a pipeline around it) turns its input into 32-bit numbers first."""
    return isinstance(estimator, _FLOAT32)


def parameters_of(estimator: Any) -> dict[str, Any]:
    """``get_params`` as JSON: nested estimators by class name, anything else unusual as text cut short."""
    return {name: json_safe(value) for name, value in sorted(estimator.get_params(deep=True).items())}


def json_safe(value: Any) -> Any:
    """``value`` with only what JSON (and a database's JSON column) can hold; never NaN or infinity."""
    if hasattr(value, "get_params"):
        return value.__name__ if isinstance(value, type) else type(value).__name__
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [json_safe(each) for each in value]
    if isinstance(value, dict):
        return {str(key): json_safe(each) for key, each in value.items()}
    text = repr(value)
    return text if len(text) <= MAX_PARAMETER_TEXT else text[: MAX_PARAMETER_TEXT - 1] + "…"


def compact(parameters: dict[str, Any], limit: int = 64 * 1024) -> dict[str, Any]:
    """Parameters without the values too long to be read (a vocabulary, a list of a million names)."""
    return {
        name: value if len(json.dumps(value)) <= limit else f"({len(json.dumps(value))} characters)"
        for name, value in parameters.items()
    }
