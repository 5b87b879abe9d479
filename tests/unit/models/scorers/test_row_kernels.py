"""Kernels for single rows answer as scikit-learn does: trees bit for bit, linear models to 1e-12."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from models.adding import NewVersion, prepare
from models.manifest import Manifest
from models.scorers.forest import forest_kernel
from models.scorers.row import row_scorer

FEATURES = 5
NAMES = [f"f{index}" for index in range(FEATURES)]
LINEAR = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(with_mean=False), StandardScaler(with_std=False), LogisticRegression()),
]
TREES = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(12, random_state=0),
    ExtraTreesClassifier(7, max_depth=3, random_state=0),
    make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
]
REGRESSORS = [
    LinearRegression(),
    Ridge(fit_intercept=False),
    DecisionTreeRegressor(max_depth=4, random_state=0),
    RandomForestRegressor(100, random_state=0),
    ExtraTreesRegressor(4, random_state=0),
]


def classes(count: int) -> tuple[pd.DataFrame, Any]:
    rows, labels = make_classification(
        400, FEATURES, n_informative=4, n_redundant=0, n_classes=count, random_state=count
    )
    return pd.DataFrame(rows, columns=NAMES), labels


def manifest_of(folder: Path, estimator: Any, rows: pd.DataFrame) -> Manifest:
    """As `models add` would record it."""
    file, sample, staging = folder / "model.joblib", folder / "sample.parquet", folder / "staging"
    joblib.dump(estimator, file)
    rows.to_parquet(sample)
    staging.mkdir()
    return prepare(NewVersion(name="model", file=file, sample=sample), staging)


def hard_rows(estimator: Any, rows: pd.DataFrame) -> np.ndarray:
    """Rows of training, and rows whose values lie at split thresholds and one step beside them."""
    steps = estimator.steps if hasattr(estimator, "steps") else [("", estimator)]
    last = steps[-1][1]
    trees = [tree.tree_ for tree in getattr(last, "estimators_", [last]) if hasattr(tree, "tree_")]
    thresholds = np.concatenate([tree.threshold for tree in trees] or [np.zeros(1)])
    near = np.stack(
        [np.resize(thresholds, (60, FEATURES)), np.resize(np.nextafter(thresholds, 9), (60, FEATURES))]
    )
    single = near.astype(np.float32).astype(float)
    return np.concatenate([rows.to_numpy(), *near, *single, np.full((1, FEATURES), 1e9)])


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("estimator", LINEAR, ids=str)
def test_logistic_models_agree_to_the_last_bits(tmp_path: Path, estimator: Any, count: int) -> None:
    rows, labels = classes(count)
    estimator.fit(rows.to_numpy(), labels)
    kernel = row_scorer(estimator, manifest_of(tmp_path, estimator, rows))
    assert kernel is not None
    asked = hard_rows(estimator, rows)
    answered = np.array([kernel(row) for row in asked])
    np.testing.assert_allclose(answered, estimator.predict_proba(asked), atol=1e-12, rtol=0)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("estimator", TREES, ids=str)
def test_trees_agree_bit_for_bit(tmp_path: Path, estimator: Any, count: int) -> None:
    rows, labels = classes(count)
    estimator.fit(rows.to_numpy(), labels)
    kernel = row_scorer(estimator, manifest_of(tmp_path, estimator, rows))
    assert kernel is not None
    asked = hard_rows(estimator, rows)
    answered = np.array([kernel(row) for row in asked])
    np.testing.assert_array_equal(answered, estimator.predict_proba(asked))


@pytest.mark.parametrize("estimator", REGRESSORS, ids=str)
def test_regressors_agree(tmp_path: Path, estimator: Any) -> None:
    values, target = make_regression(300, FEATURES, random_state=1)
    rows = pd.DataFrame(values, columns=NAMES)
    estimator.fit(rows.to_numpy(), target)
    kernel = row_scorer(estimator, manifest_of(tmp_path, estimator, rows))
    assert kernel is not None
    answered = np.array([kernel(row)[0] for row in rows.to_numpy()])
    tolerance = 0 if hasattr(estimator, "tree_") or hasattr(estimator, "estimators_") else 1e-12
    np.testing.assert_allclose(answered, estimator.predict(rows.to_numpy()), rtol=tolerance)


def test_a_number_that_a_step_makes_too_large_for_a_tree_is_left_to_the_estimator(tmp_path: Path) -> None:
    rows, labels = classes(2)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0))
    forest.fit(rows.to_numpy() * 1e-32, labels)
    kernel = row_scorer(forest, manifest_of(tmp_path, forest, rows * 1e-32))
    assert kernel is not None
    assert np.isnan(kernel(np.full(FEATURES, 1e9))).all()


def test_what_has_no_kernel_is_left_to_the_estimator(tmp_path: Path) -> None:
    rows, labels = classes(2)

    class Stubborn(LogisticRegression):  # type: ignore[misc]  # scikit-learn ships no types
        """Its own class, so that nobody knows what it computes."""

    for number, estimator in enumerate(
        [
            HistGradientBoostingClassifier(max_iter=3),
            make_pipeline(MinMaxScaler(), LogisticRegression()),
            Stubborn(),
        ]
    ):
        estimator.fit(rows.to_numpy(), labels)
        folder = tmp_path / str(number)
        folder.mkdir()
        manifest = manifest_of(folder, LogisticRegression().fit(rows.to_numpy(), labels), rows)
        assert row_scorer(estimator, manifest) is None


def test_a_kernel_that_differs_is_not_used(tmp_path: Path) -> None:
    rows, labels = classes(2)
    estimator = LogisticRegression().fit(rows.to_numpy(), labels)
    manifest = manifest_of(tmp_path, estimator, rows)
    estimator.predict_proba = lambda given: np.full((len(given), 2), 0.5)
    assert row_scorer(estimator, manifest) is None


@settings(max_examples=30)
@given(
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(2, 5),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=FEATURES, max_size=FEATURES),
)
def test_any_forest_agrees_on_any_row(trees: int, depth: int, count: int, row: list[float]) -> None:

    rows, labels = classes(count)
    forest = RandomForestClassifier(trees, max_depth=depth, random_state=trees).fit(rows.to_numpy(), labels)
    kernel = forest_kernel(forest)
    assert kernel is not None
    np.testing.assert_array_equal(kernel(np.array(row)), forest.predict_proba([row])[0])
