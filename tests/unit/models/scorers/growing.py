"""Models of trees on random data, and the rows that part compiled walks from scikit-learn's, if any do."""

from __future__ import annotations

from typing import Any

import numpy as np

FEATURES = 5


def training(seed: int, classes: int, *, missing: bool, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Few distinct numbers beside arbitrary ones, so that rows lie on thresholds; 0 classes: a number."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(120, FEATURES)) * scale
    rows[:, 1] = generator.integers(-3, 4, 120) / 8
    pull = rows[:, 0] / scale + rows[:, 1]
    if missing:
        rows[generator.random(rows.shape) < 0.2] = np.nan
    if not classes:
        return rows, np.exp(pull)
    return rows, np.digitize(pull + generator.normal(size=120), np.linspace(-1, 1, classes + 1)[1:-1])


def thresholds(estimator: Any) -> np.ndarray:
    """All of a fitted model's split thresholds; never empty."""
    if hasattr(estimator, "_predictors"):
        nodes = [predictor.nodes for iteration in estimator._predictors for predictor in iteration]
        return np.concatenate([[0.0], *(tree["num_threshold"][tree["is_leaf"] == 0] for tree in nodes)])
    members = np.ravel(getattr(estimator, "estimators_", [estimator]))
    return np.concatenate([[0.0], *(member.tree_.threshold for member in members)])


def hard_rows(estimator: Any, seed: int) -> np.ndarray:
    """At thresholds, one step of 64 or 32 bits beside them; some are very large, very small or zero."""
    generator = np.random.default_rng(seed)
    at = generator.choice(thresholds(estimator), (120, FEATURES))
    with np.errstate(over="ignore"):
        single = at.astype(np.float32)
    steps = [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), single]
    steps += [np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))]
    rows = np.choose(generator.integers(0, len(steps), at.shape), steps)
    odd = np.array([0.0, -0.0, 1e-300, -1e30, 1e38, 5e-324])
    rows = np.where(generator.random(at.shape) < 0.05, generator.choice(odd, at.shape), rows)
    # a split of missing values from all others has an infinite threshold
    return rows if hasattr(estimator, "_predictors") else np.clip(rows, -3e38, 3e38)


def asked(estimator: Any, rows: np.ndarray) -> np.ndarray:
    """What the estimator itself says, in the shape of a core's answers."""
    with np.errstate(all="ignore"):
        if hasattr(estimator, "predict_proba"):
            answers: np.ndarray = estimator.predict_proba(rows)
            return answers
        return np.asarray(estimator.predict(rows))[:, None]
