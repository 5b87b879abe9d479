"""What a version answers is what scikit-learn answers in process, for every kind of estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from models.estimators import labels_may_follow_probabilities
from models.manifest import output_schema
from models.outputs import largest_column
from tests.unit.models.making import added, table_of

WINE, KIND = load_wine(return_X_y=True, as_frame=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True, as_frame=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True, as_frame=True)

TREES = [
    RandomForestClassifier(20, random_state=0, n_jobs=2),
    DecisionTreeClassifier(random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=10),
]
OTHERS = [
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
    make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=2000, random_state=0)),
    KNeighborsClassifier(4),
    GaussianNB(),
    BaggingClassifier(n_estimators=3, random_state=0),
    CalibratedClassifierCV(GaussianNB(), cv=2),
    VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], voting="soft"),
    GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 2]}, cv=2),
    StackingClassifier([("a", GaussianNB())], LogisticRegression(), cv=2),
    make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)),
]


def probabilities(answer: pa.Table) -> np.ndarray:
    names = [name for name in answer.column_names if name.startswith("probability_")]
    return np.column_stack([answer[name].to_numpy() for name in names])


@pytest.mark.filterwarnings("ignore:.*probability.*:FutureWarning")
@pytest.mark.parametrize("estimator", [*TREES, *OTHERS], ids=lambda each: str(each)[:30])
@pytest.mark.parametrize("on_frame", [True, False])
def test_classifiers_answer_as_in_process(tmp_path: Path, estimator: Any, on_frame: bool) -> None:
    features = WINE if on_frame else WINE.to_numpy()
    exact = estimator in TREES
    estimator = clone(estimator).fit(features, KIND)
    model = added(tmp_path, estimator)
    rows = WINE if on_frame else WINE.set_axis([f"x{i}" for i in range(13)], axis=1)
    answer = model.score(table_of(rows))
    assert answer.schema == output_schema(model.manifest)
    assert answer["prediction"].to_pylist() == estimator.predict(features).tolist()
    expected = estimator.predict_proba(features)
    if exact:
        assert np.array_equal(probabilities(answer), expected)
    else:
        assert np.allclose(probabilities(answer), expected, rtol=0, atol=1e-12)
    assert model.manifest.signature.input == "matrix"


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingRegressor(max_iter=10),
        ExtraTreesRegressor(10, random_state=0, n_jobs=2),
        LinearRegression(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_regressors_answer_as_in_process(tmp_path: Path, estimator: Any) -> None:
    estimator.fit(DIABETES, PROGRESS)
    model = added(tmp_path, estimator)
    answer = model.score(table_of(DIABETES))
    assert answer.column_names == ["prediction"]
    assert np.allclose(answer["prediction"].to_numpy(), estimator.predict(DIABETES), rtol=1e-12, atol=0)
    assert model.manifest.task == "regression"


@pytest.mark.parametrize(
    ("labels", "arrow", "names"),
    [
        (["no", "yes"], pa.string(), ["probability_no", "probability_yes"]),
        ([0, 1], pa.int64(), ["probability_0", "probability_1"]),
        ([False, True], pa.bool_(), ["probability_false", "probability_true"]),
        ([0.0, 1.0], pa.float64(), ["probability_0.0", "probability_1.0"]),
    ],
)
def test_labels_keep_their_type(
    tmp_path: Path, labels: list[Any], arrow: pa.DataType, names: list[str]
) -> None:
    target = np.array(labels)[BENIGN]
    estimator = HistGradientBoostingClassifier(max_iter=5).fit(CANCER, target)
    answer = added(tmp_path, estimator).score(table_of(CANCER))
    assert answer.schema.field("prediction").type == arrow
    assert answer.column_names[1:] == names
    assert answer["prediction"].to_pylist() == estimator.predict(CANCER).tolist()


def test_names_given_to_classes_stand_in_results(tmp_path: Path) -> None:
    estimator = LinearSVC().fit(CANCER, BENIGN)
    model = added(tmp_path, estimator, labels={"0": "malignant", "1": "benign"})
    answer = model.score(table_of(CANCER))
    assert answer.column_names == ["prediction"]
    expected = ["benign" if label else "malignant" for label in estimator.predict(CANCER)]
    assert answer["prediction"].to_pylist() == expected


def test_several_outputs_have_a_column_each(tmp_path: Path) -> None:
    targets = np.column_stack(
        [np.where(BENIGN, "b", "m"), np.where(CANCER["mean area"] > 500, "large", "small")]
    )
    estimator = RandomForestClassifier(10, random_state=0).fit(CANCER, targets)
    answer = added(tmp_path, estimator, targets=["kind", "size"]).score(table_of(CANCER), confidence=True)
    assert answer.column_names == [
        *("prediction_kind", "prediction_size"),
        *("probability_kind_b", "probability_kind_m", "probability_size_large", "probability_size_small"),
        *("confidence_kind", "confidence_size"),
    ]
    predicted = estimator.predict(CANCER)
    assert answer["prediction_kind"].to_pylist() == predicted[:, 0].tolist()
    assert answer["prediction_size"].to_pylist() == predicted[:, 1].tolist()
    assert np.array_equal(probabilities(answer), np.column_stack(estimator.predict_proba(CANCER)))


def test_several_outputs_without_probabilities_or_names(tmp_path: Path) -> None:
    targets = np.column_stack([BENIGN, 1 - BENIGN])
    estimator = MultiOutputClassifier(LinearSVC()).fit(CANCER, targets)
    answer = added(tmp_path, estimator).score(table_of(CANCER))
    assert answer.column_names == ["prediction_y0", "prediction_y1"]
    assert answer["prediction_y1"].to_pylist() == estimator.predict(CANCER)[:, 1].tolist()


def test_a_chain_of_classifiers_has_labels_only(tmp_path: Path) -> None:
    targets = np.column_stack([BENIGN, 1 - BENIGN])
    estimator = ClassifierChain(GaussianNB()).fit(CANCER, targets)
    answer = added(tmp_path, estimator).score(table_of(CANCER))
    assert answer.column_names == ["prediction_y0", "prediction_y1"]
    assert answer["prediction_y1"].to_pylist() == estimator.predict(CANCER)[:, 1].tolist()


def test_several_numbers_are_predicted_at_once(tmp_path: Path) -> None:
    estimator = LinearRegression().fit(DIABETES, np.column_stack([PROGRESS, -PROGRESS]))
    answer = added(tmp_path, estimator).score(table_of(DIABETES))
    assert np.allclose(answer["prediction_y1"].to_numpy(), estimator.predict(DIABETES)[:, 1], rtol=1e-12)


def test_clusters_and_outliers_are_whole_numbers(tmp_path: Path) -> None:
    for name, estimator in {
        "clustering": KMeans(3, n_init=1, random_state=0),
        "outlier_detection": IsolationForest(n_estimators=5, random_state=0),
    }.items():
        estimator.fit(WINE)
        model = added(tmp_path / name, estimator)
        answer = model.score(table_of(WINE))
        assert model.manifest.task == name
        assert answer.schema == pa.schema({"prediction": pa.int64()})
        assert answer["prediction"].to_pylist() == estimator.predict(WINE).tolist()


def test_confidence_is_the_largest_probability(tmp_path: Path) -> None:
    estimator = GaussianNB().fit(WINE, KIND)
    answer = added(tmp_path, estimator).score(table_of(WINE), confidence=True)
    assert answer["confidence"].to_numpy().tolist() == probabilities(answer).max(axis=1).tolist()


def test_a_preprocessor_is_applied_first(tmp_path: Path) -> None:
    import joblib  # noqa: PLC0415 - only this test saves a second file

    scaler = StandardScaler().fit(WINE)
    estimator = LogisticRegression().fit(scaler.transform(WINE), KIND)
    joblib.dump(scaler, tmp_path / "scaler.pkl")
    model = added(tmp_path, estimator, preprocessor=tmp_path / "scaler.pkl")
    answer = model.score(table_of(WINE))
    assert answer["prediction"].to_pylist() == estimator.predict(scaler.transform(WINE)).tolist()
    assert model.manifest.signature.names == tuple(WINE.columns)
    assert model.manifest.preprocessor is not None
    assert model.manifest.preprocessor.source == "scaler.pkl"


def test_trees_get_32_bits_and_pipelines_64(tmp_path: Path) -> None:
    forest = added(tmp_path / "a", RandomForestClassifier(5).fit(WINE, KIND))
    pipeline = added(
        tmp_path / "b", make_pipeline(StandardScaler(), RandomForestClassifier(5)).fit(WINE, KIND)
    )
    assert forest.manifest.signature.dtype == "float32"
    assert pipeline.manifest.signature.dtype == "float64"


class Contrary(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Predicts the class it holds least likely: legal, if odd."""

    def fit(self, features: Any, labels: Any) -> Contrary:
        self.inner_ = GaussianNB().fit(features, labels)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, features: Any) -> Any:
        return self.inner_.predict_proba(features)

    def predict(self, features: Any) -> Any:
        return self.classes_[self.predict_proba(features).argmin(axis=1)]


@pytest.mark.parametrize(
    ("estimator", "follow"),
    [
        (LogisticRegression(max_iter=10_000), True),
        (TunedThresholdClassifierCV(LogisticRegression(max_iter=10_000), cv=2), False),
        (VotingClassifier([("a", TunedThresholdClassifierCV(GaussianNB(), cv=2))], voting="soft"), False),
    ],
    ids=["plain", "threshold", "threshold inside"],
)
def test_labels_follow_probabilities_only_where_they_must(
    tmp_path: Path, estimator: Any, follow: bool
) -> None:
    estimator.fit(CANCER.iloc[:, :4], BENIGN)
    model = added(tmp_path, estimator)
    assert model.manifest.labels_from_probabilities is follow
    answer = model.score(table_of(CANCER.iloc[:, :4]))
    assert answer["prediction"].to_pylist() == estimator.predict(CANCER.iloc[:, :4]).tolist()


def test_a_classifier_that_nobody_knows_is_asked_for_both() -> None:
    estimator = make_pipeline(StandardScaler(), Contrary()).fit(WINE, KIND)
    assert not labels_may_follow_probabilities(estimator)


def test_near_ties_are_asked_of_predict_itself(tmp_path: Path) -> None:
    features = pd.DataFrame({"a": [-1.0, 1.0, -2.0, 2.0]})
    estimator = LogisticRegression().fit(features, [0, 1, 0, 1])
    estimator.intercept_[:] = 0.0
    tiny = pd.DataFrame({"a": [1e-20, -1e-20, 0.0, 1.0, -1.0]})
    assert estimator.predict(tiny).tolist() == [1, 0, 0, 1, 0]
    assert estimator.predict_proba(tiny)[:3, 0].tolist() == [0.5, 0.5, 0.5]
    model = added(tmp_path, estimator)
    assert model.manifest.labels_from_probabilities
    assert model.score(table_of(tiny))["prediction"].to_pylist() == [1, 0, 0, 1, 0]


@given(st.lists(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=3, max_size=3), min_size=1))
def test_the_largest_column_is_numpys_argmax(rows: list[list[float]]) -> None:
    matrix = np.asfortranarray(rows)
    position, near_tie = largest_column(matrix)
    assert position.tolist() == matrix.argmax(axis=1).tolist()
    ordered = np.sort(matrix, axis=1)
    assert near_tie.tolist() == (~(ordered[:, -1] - ordered[:, -2] > 1e-9)).tolist()
    assert largest_column(matrix, 0.1)[1].tolist() == (~(ordered[:, -1] - ordered[:, -2] > 0.1)).tolist()


def test_scores_larger_than_1_are_near_ties_by_their_own_size() -> None:
    scores = np.array([[1e6, 1e6 + 1e-4], [1e6, 1e6 + 1e-2], [1e-4, 0.0], [-1e6, -1e6 - 1e-4]])
    assert largest_column(scores)[1].tolist() == [True, False, False, True]


def test_a_row_without_probabilities_counts_as_a_tie() -> None:
    assert largest_column(np.array([[np.nan, np.nan], [0.1, 0.9]]))[1].tolist() == [True, False]


def test_every_part_runs_on_one_thread(tmp_path: Path) -> None:
    inner = RandomForestClassifier(3, n_jobs=-1)
    estimator = VotingClassifier([("a", make_pipeline(StandardScaler(), inner))], n_jobs=2).fit(WINE, KIND)
    loaded = added(tmp_path, estimator).estimator
    assert loaded.n_jobs == 1
    assert loaded.estimators_[0][-1].n_jobs == 1


def test_the_rows_of_many_arrow_chunks_stay_in_order(tmp_path: Path) -> None:
    estimator = LinearRegression().fit(DIABETES, PROGRESS)
    model = added(tmp_path, estimator)
    table = table_of(DIABETES)
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])
    assert model.score(pieces).equals(model.score(table))


def test_no_rows_is_what_the_estimator_makes_of_it(tmp_path: Path) -> None:
    model = added(tmp_path, GaussianNB().fit(WINE, KIND))
    with pytest.raises(ValueError, match="0 sample"):
        model.score(table_of(WINE).slice(0, 0))
