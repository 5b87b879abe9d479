"""Importances and coefficients stand in the manifest, under the names of what the last step is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from models import insight
from tests.unit.models.making import added

FLOWERS, SPECIES = load_iris(return_X_y=True, as_frame=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True, as_frame=True)


def told(folder: Path, estimator: Any, **options: Any) -> dict[str, Any]:
    weights = added(folder, estimator, **options).manifest.weights
    assert weights is not None
    return weights


def test_importances_by_name_largest_first(tmp_path: Path) -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(FLOWERS, SPECIES)
    found = told(tmp_path, forest)["importances"]
    assert found == dict(zip(FLOWERS.columns, forest.feature_importances_.tolist(), strict=True))
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_coefficients_of_a_regression(tmp_path: Path) -> None:
    line = LinearRegression().fit(DIABETES, PROGRESS)
    found = told(tmp_path, line)
    assert found["coefficients"] == dict(zip(DIABETES.columns, line.coef_.tolist(), strict=True))
    assert found["intercept"] == line.intercept_
    magnitudes = [abs(value) for value in found["coefficients"].values()]
    assert magnitudes == sorted(magnitudes, reverse=True)


def test_several_classes_and_several_outputs_have_a_row_each(tmp_path: Path) -> None:
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    classes = make_pipeline(StandardScaler(), LogisticRegression()).fit(FLOWERS, names)
    found = told(tmp_path / "classes", classes)
    assert set(found["coefficients"]) == set(found["intercept"]) == {"setosa", "versicolor", "virginica"}
    assert found["coefficients"]["virginica"]["petal width (cm)"] == classes[-1].coef_[2, 3]
    both = Ridge().fit(FLOWERS, np.column_stack([SPECIES, -SPECIES]))
    assert set(told(tmp_path / "both", both, targets=("up", "down"))["coefficients"]) == {"up", "down"}


def test_two_classes_have_one_row(tmp_path: Path) -> None:
    line = LogisticRegression(max_iter=1000).fit(FLOWERS, SPECIES > 0)
    found = told(tmp_path, line)
    assert found["coefficients"]["petal length (cm)"] == line.coef_[0, 2]
    assert found["intercept"] == line.intercept_[0]


def test_features_behind_an_encoder_have_its_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({"region": ["north", "south"] * 20, "age": np.arange(40.0)})
    encoded = make_column_transformer((OneHotEncoder(), ["region"]), remainder="passthrough")
    search = GridSearchCV(make_pipeline(encoded, Ridge()), {"ridge__alpha": [0.1, 1.0]}, cv=2)
    found = told(tmp_path, search.fit(frame, frame["age"]))
    assert set(found["coefficients"]) == {
        "onehotencoder__region_north",
        "onehotencoder__region_south",
        "remainder__age",
    }


def test_of_many_features_those_that_weigh_most_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insight, "MAX_WEIGHTS", 6)
    model = LogisticRegression(max_iter=1000).fit(FLOWERS, SPECIES)
    found = told(tmp_path, model)["coefficients"]
    largest = [np.sort(np.abs(row))[::-1][:2].tolist() for row in model.coef_]
    assert [[abs(value) for value in row.values()] for row in found.values()] == largest


def test_a_model_with_odd_weights_is_added_all_the_same(tmp_path: Path) -> None:
    line = LinearRegression().fit(DIABETES, PROGRESS)
    line.feature_importances_ = np.array(["some"] * DIABETES.shape[1], dtype=object)
    assert told(tmp_path, line) == {}


@pytest.mark.parametrize(
    "estimator",
    [HistGradientBoostingRegressor(max_iter=5), SVC(kernel="rbf"), SVC(kernel="linear")],
    ids=["boosting", "kernel", "pairs of classes"],
)
def test_nothing_is_made_up(tmp_path: Path, estimator: Any) -> None:
    labels = np.arange(len(FLOWERS)) % 4 if isinstance(estimator, SVC) else SPECIES
    assert told(tmp_path, estimator.fit(FLOWERS, labels)) == {}
