"""One fitted model of each kind that can be compiled, and the rows that it is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

FIT_ROWS = 20_000
SAMPLE_ROWS = 2_000
NUMBERS = [f"f{number:02d}" for number in range(20)]
WORDS = ["colour", "city"]
_FOREST = {"n_estimators": 100, "max_depth": 12, "random_state": 0}


@dataclass(frozen=True)
class Case:
    """A fitted model. ``sample`` has the columns that it was fitted on."""

    title: str
    estimator: Any
    sample: pd.DataFrame


class _Zoo:
    """Iterated, so that each model is fitted when its turn comes and is gone after it."""

    def __iter__(self) -> Iterator[Case]:
        for title, estimator, kind in _models():
            rows, target = _rows(kind)
            yield Case(title, estimator.fit(rows, target), rows.head(SAMPLE_ROWS))


ZOO = _Zoo()


def _models() -> Iterator[tuple[str, Any, str]]:
    """Title, estimator, and what it is fitted on: classes, numbers, with gaps or words."""
    yield from _linear()
    yield "DecisionTreeClassifier", DecisionTreeClassifier(random_state=0), "2"
    yield "DecisionTreeRegressor", DecisionTreeRegressor(random_state=0), "numbers"
    yield "ExtraTreeClassifier", ExtraTreeClassifier(random_state=0), "2"
    yield "ExtraTreeRegressor", ExtraTreeRegressor(random_state=0), "numbers"
    for classifier in (RandomForestClassifier, ExtraTreesClassifier):
        yield f"{classifier.__name__}, 100 trees", classifier(**_FOREST), "2"
    yield "RandomForestClassifier, 5 classes", RandomForestClassifier(**_FOREST), "5"
    yield "RandomForestClassifier, with gaps", RandomForestClassifier(**_FOREST), "2 gaps"
    for forest in (RandomForestRegressor, ExtraTreesRegressor):
        yield f"{forest.__name__}, 100 trees", forest(**_FOREST), "numbers"
    yield "GradientBoostingClassifier, 100 stages", GradientBoostingClassifier(random_state=0), "2"
    yield "GradientBoostingClassifier, 3 classes", GradientBoostingClassifier(random_state=0), "3"
    yield "GradientBoostingRegressor, 100 stages", GradientBoostingRegressor(random_state=0), "numbers"
    boosted = {"max_iter": 200, "early_stopping": False, "random_state": 0}
    yield "HistGradientBoostingClassifier, 200 stages", HistGradientBoostingClassifier(**boosted), "2"
    yield "HistGradientBoostingClassifier, 3 classes", HistGradientBoostingClassifier(**boosted), "3"
    yield "HistGradientBoostingClassifier, with gaps", HistGradientBoostingClassifier(**boosted), "2 gaps"
    with_words = HistGradientBoostingClassifier(categorical_features=[20, 21], **boosted)
    yield "HistGradientBoostingClassifier, categories", with_words, "2 words"
    yield "HistGradientBoostingRegressor, 200 stages", HistGradientBoostingRegressor(**boosted), "numbers"
    layers = {"hidden_layer_sizes": (64, 32), "max_iter": 10, "random_state": 0}
    yield "MLPClassifier, 64 and 32", MLPClassifier(**layers), "2"
    yield "MLPRegressor, 64 and 32", MLPRegressor(**layers), "numbers"
    yield "StandardScaler, LogisticRegression", make_pipeline(StandardScaler(), LogisticRegression()), "2"
    yield (
        "SimpleImputer, StandardScaler, MLPClassifier",
        make_pipeline(SimpleImputer(), StandardScaler(), MLPClassifier(**layers)),
        "2 gaps",
    )
    yield "ColumnTransformer with OneHotEncoder, LogisticRegression", _mixed(LogisticRegression()), "2 words"
    yield "the same, RandomForestClassifier", _mixed(RandomForestClassifier(**_FOREST)), "2 words"
    ordinal = ColumnTransformer(
        [("words", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), WORDS)],
        remainder="passthrough",
    )
    yield (
        "OrdinalEncoder, HistGradientBoostingRegressor",
        make_pipeline(ordinal, HistGradientBoostingRegressor(**boosted)),
        "numbers words",
    )


def _linear() -> Iterator[tuple[str, Any, str]]:
    yield "LogisticRegression", LogisticRegression(), "2"
    yield "LogisticRegression, 3 classes", LogisticRegression(), "3"
    penalties: dict[str, Any] = {"Cs": 3, "cv": 3, "l1_ratios": (0.0,), "use_legacy_attributes": False}
    yield "LogisticRegressionCV", LogisticRegressionCV(scoring="accuracy", **penalties), "2"
    yield "LinearDiscriminantAnalysis, 3 classes", LinearDiscriminantAnalysis(), "3"
    yield "SGDClassifier, log loss", SGDClassifier(loss="log_loss", random_state=0), "2"
    yield "SGDClassifier, hinge loss", SGDClassifier(random_state=0), "2"
    for classifier in (LinearSVC(), Perceptron(), RidgeClassifier(), RidgeClassifierCV()):
        yield type(classifier).__name__, classifier, "2"
    yield "RidgeClassifier, 3 classes", RidgeClassifier(), "3"
    for regressor in (
        LinearRegression(),
        Ridge(),
        RidgeCV(),
        Lasso(0.01),
        LassoCV(cv=3),
        ElasticNet(0.01),
        ElasticNetCV(cv=3),
        Lars(),
        LarsCV(cv=3),
        LassoLars(0.01),
        LassoLarsCV(cv=3),
        LassoLarsIC(),
        OrthogonalMatchingPursuit(),
        OrthogonalMatchingPursuitCV(cv=3),
        ARDRegression(),
        BayesianRidge(),
        HuberRegressor(),
        QuantileRegressor(alpha=0.0),
        TheilSenRegressor(max_subpopulation=500, random_state=0),
        SGDRegressor(random_state=0),
        LinearSVR(),
        PLSRegression(),
    ):
        yield type(regressor).__name__, regressor, "numbers"
    for generalised in (PoissonRegressor(), TweedieRegressor(power=1.5), GammaRegressor()):
        kind = "positive" if isinstance(generalised, GammaRegressor) else "counts"
        yield type(generalised).__name__, generalised, kind


def _mixed(last: Any) -> Any:
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("words", OneHotEncoder(handle_unknown="ignore"), WORDS),
        ]
    )
    return make_pipeline(columns, last)


def _rows(kind: str) -> tuple[pd.DataFrame, Any]:
    generator = np.random.default_rng(20261120)
    values = generator.normal(size=(FIT_ROWS, len(NUMBERS))).round(6)
    rows = pd.DataFrame(values, columns=NUMBERS)
    pull = values[:, :4] @ np.array([1.0, 0.8, -0.6, 0.4]) + generator.logistic(scale=0.2, size=FIT_ROWS)
    if "words" in kind:
        rows["colour"] = generator.choice(["red", "green", "blue"], FIT_ROWS)
        rows["city"] = generator.choice([f"city {number}" for number in range(40)], FIT_ROWS)
        pull += rows["colour"].map({"red": 0.5, "green": 0.0, "blue": -0.5}).to_numpy()
    if "gaps" in kind:
        rows = rows.mask(generator.random(rows.shape) < 0.05)
    return rows, _target(kind.split(maxsplit=1)[0], pull)


def _target(kind: str, pull: np.ndarray) -> np.ndarray:
    if kind == "numbers":
        return pull
    if kind == "positive":
        positive: np.ndarray = np.exp(pull / 2)
        return positive
    if kind == "counts":
        return np.floor(np.exp(pull / 2))
    classes = int(kind)
    edges = np.quantile(pull, np.arange(1, classes) / classes)
    found: np.ndarray = np.digitize(pull, edges)
    return found
