"""Compiled linear models and networks answer as scikit-learn does, to the last bits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
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
from sklearn.svm import LinearSVC, LinearSVR

from models.scorers import network_core
from models.scorers.linear_models import LINEAR, NETWORKS, compile_linear, compile_network
from models.scorers.network_core import Network
from models.scorers.part import Core, NotCompiled, Unsure

FEATURES = 5
RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(240, FEATURES))
SCORES = ROWS @ RANDOM.normal(size=FEATURES) + RANDOM.normal(size=240) / 4
TARGETS = {2: SCORES > 0, 4: np.array(list("dcab"))[np.digitize(SCORES, [-1, 0, 1])], 1: np.exp(SCORES / 4)}

CLASSIFIERS = [
    LogisticRegression(),
    LogisticRegression(l1_ratio=1.0, C=0.05, solver="saga"),
    LogisticRegression(fit_intercept=False, tol=0.1),
    LogisticRegressionCV(Cs=2, cv=2, l1_ratios=(0.0,), scoring="accuracy", use_legacy_attributes=False),
    SGDClassifier(loss="log_loss"),
    SGDClassifier(loss="modified_huber"),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    MLPClassifier((7,), max_iter=20),
    MLPClassifier((6, 4), activation="tanh", max_iter=20),
    MLPClassifier((6,), activation="logistic", max_iter=20),
    MLPClassifier((6,), activation="identity", max_iter=20),
    MLPClassifier((), max_iter=20),
]
DECIDING = [
    LinearSVC(),
    LinearSVC(multi_class="crammer_singer"),
    Perceptron(),
    RidgeClassifier(),
    RidgeClassifierCV(),
    SGDClassifier(),
    SGDClassifier(loss="squared_hinge", penalty="l1"),
]
REGRESSORS = [
    ARDRegression(),
    BayesianRidge(),
    ElasticNet(0.1),
    ElasticNetCV(cv=2),
    GammaRegressor(),
    HuberRegressor(),
    Lars(),
    LarsCV(cv=2),
    Lasso(0.1),
    LassoCV(cv=2),
    LassoLars(0.01),
    LassoLarsCV(cv=2),
    LassoLarsIC(),
    LinearRegression(),
    LinearRegression(fit_intercept=False),
    LinearSVR(),
    OrthogonalMatchingPursuit(),
    OrthogonalMatchingPursuitCV(cv=2),
    PLSRegression(),
    PoissonRegressor(),
    QuantileRegressor(),
    Ridge(),
    RidgeCV(),
    SGDRegressor(),
    TheilSenRegressor(max_subpopulation=50),
    TweedieRegressor(power=0, link="identity"),
    TweedieRegressor(power=1.5),
    MLPRegressor(hidden_layer_sizes=(7,), max_iter=20),
    MLPRegressor("poisson", (7,), max_iter=20),
]


def trained(estimator: Any, outputs: int) -> tuple[Any, Core]:
    """Fitted for so many classes, or with 1 to a number; and its core."""
    with warnings.catch_warnings(action="ignore"):
        estimator.fit(ROWS, TARGETS[outputs])
    compiled = compile_network if type(estimator) in NETWORKS else compile_linear
    return estimator, compiled(estimator)


def asked_of(estimator: Any) -> Callable[[np.ndarray], np.ndarray]:
    if hasattr(estimator, "predict_proba"):
        answer: Callable[[np.ndarray], np.ndarray] = estimator.predict_proba
        return answer
    if hasattr(estimator, "decision_function"):
        return lambda rows: _by_class(estimator.decision_function(rows))
    return lambda rows: estimator.predict(rows)[:, None]


def _by_class(scores: np.ndarray) -> np.ndarray:
    """The score of each class; of two classes it is one score, of the second."""
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def check_equal(estimator: Any, core: Core) -> None:
    for scale in (1.0, 1e-6, 30.0):
        rows = RANDOM.normal(size=(700, FEATURES)) * scale
        expected = asked_of(estimator)(rows)
        tolerance = 1e-12 * np.maximum(1.0, np.abs(expected))
        for given_rows in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=0)[::2]):
            answer = core.answer(given_rows)
            assert answer.dtype == np.float64
            assert (np.abs(answer - expected) <= tolerance).all()
        ones = np.array([core.answer_one(row) for row in rows[:20]])
        assert (np.abs(ones - expected[:20]) <= tolerance[:20]).all()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
def test_classifiers_agree(estimator: Any, classes: int) -> None:
    check_equal(*trained(estimator, classes))


@pytest.mark.parametrize("estimator", REGRESSORS, ids=str)
def test_regressors_agree(estimator: Any) -> None:
    check_equal(*trained(estimator, 1))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("estimator", DECIDING, ids=str)
def test_classifiers_without_probabilities_agree(estimator: Any, classes: int) -> None:
    estimator, core = trained(estimator, classes)
    check_equal(estimator, core)
    labels = estimator.classes_[core.answer(ROWS).argmax(axis=1)]
    np.testing.assert_array_equal(labels, estimator.predict(ROWS))


def test_a_score_of_0_is_the_first_of_two_classes() -> None:
    estimator, _ = trained(LinearSVC(), 2)
    estimator.coef_[:], estimator.intercept_[:] = 0, 0
    core = compile_linear(estimator)
    assert core.answer(ROWS[:3]).argmax(axis=1).tolist() == estimator.predict(ROWS[:3]).tolist()
    assert core.answer_one(ROWS[0]).argmax() == estimator.predict(ROWS[:1])[0]


def test_every_class_is_tried() -> None:
    assert {type(each) for each in (*CLASSIFIERS, *DECIDING, *REGRESSORS)} == {*LINEAR, *NETWORKS}


@pytest.mark.parametrize(
    ("estimator", "outputs"),
    [
        (Lasso(0.1), 1),
        (LogisticRegression(l1_ratio=1.0, C=0.05, solver="saga"), 4),
        (PoissonRegressor(), 1),
        (MLPClassifier((7,), max_iter=5), 2),
        (MLPRegressor(hidden_layer_sizes=(7,), activation="tanh", max_iter=5), 1),
    ],
    ids=str,
)
def test_what_is_not_finite_is_left_to_the_estimator(estimator: Any, outputs: int) -> None:
    estimator, core = trained(estimator, outputs)
    for bad in (np.nan, np.inf, -np.inf):
        for column in range(FEATURES):
            rows = ROWS[:3].copy()
            rows[1, column] = bad
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                estimator.predict(rows)
            for order in (rows, np.asfortranarray(rows)):
                with pytest.raises(Unsure):
                    core.answer(order)
            with pytest.raises(Unsure):
                core.answer_one(rows[1])


def test_numbers_too_large_are_left_to_the_estimator() -> None:
    """Each of them is finite, as is the length of the row; an answer is not."""
    for untrained, size in ((Ridge(), 7e307), (PoissonRegressor(), 1e5)):
        estimator, _ = trained(untrained, 1)
        estimator.coef_ *= 10
        core = compile_linear(estimator)
        row = np.sign(estimator.coef_) * size
        with np.errstate(over="ignore"):
            assert np.isinf(estimator.predict([row])).all()
        with pytest.raises(Unsure):
            core.answer_one(row)
        if type(estimator) is Ridge:
            with pytest.raises(Unsure):
                core.answer(row[None])


def test_numbers_too_large_for_a_network_are_left_to_the_estimator() -> None:
    network, _ = trained(MLPRegressor(hidden_layer_sizes=(), max_iter=20), 1)
    network.coefs_[0] *= 10
    core = compile_network(network)
    row = np.sign(network.coefs_[0][:, 0]) * 7e307
    with pytest.raises(Unsure):
        core.answer(row[None])
    with pytest.raises(Unsure):
        core.answer_one(row)


def test_without_numba_a_row_alone_is_answered_as_many_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for untrained, outputs in ((MLPClassifier((7, 3), max_iter=5), 4), (MLPRegressor(max_iter=5), 1)):
        estimator, core = trained(untrained, outputs)
        with monkeypatch.context() as patched:
            patched.setattr(network_core, "forward", None)
            check_equal(estimator, core)


def test_a_row_of_another_length_is_left_to_the_estimator() -> None:
    _, core = trained(MLPClassifier((7,), max_iter=5), 2)
    for length in (0, FEATURES - 1, FEATURES + 1):
        with pytest.raises(Unsure):
            core.answer_one(np.zeros(length))


def test_a_network_whose_parameters_do_not_fit_its_layers_is_damaged() -> None:
    _, core = trained(MLPClassifier((7,), max_iter=5), 2)
    assert isinstance(core, Network)
    for sizes in ((FEATURES, 7, 2), (FEATURES, 1), (FEATURES, 7, 1, 0), (-1, 7, 1)):
        with pytest.raises(NotCompiled, match="damaged"):
            replace(core, sizes=sizes)
    with pytest.raises(NotCompiled, match="damaged"):
        replace(core, parameters=core.parameters[:-1])


def test_numbers_of_32_bits_are_left_to_the_estimator() -> None:
    for estimator, outputs in ((LogisticRegression(), 2), (MLPClassifier((7,), max_iter=5), 2)):
        _, core = trained(estimator, outputs)
        with pytest.raises(Unsure):
            core.answer(ROWS.astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4), min_size=FEATURES, max_size=FEATURES), st.integers(1, 4))
def test_any_row_gets_the_same_shares(row: list[float], power: int) -> None:
    """Scores of any size, through every link of classifiers."""
    for estimator, core in SHARING:
        estimator.coef_ = estimator.coef_ / np.abs(estimator.coef_).max() * 10.0**-power
        moved = compile_linear(estimator)
        expected = estimator.predict_proba([row])
        np.testing.assert_allclose(moved.answer(np.array([row])), expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(moved.answer_one(np.array(row)), expected[0], rtol=0, atol=1e-9)
        assert type(moved) is type(core)


SHARING = [trained(each, classes) for each in CLASSIFIERS[:1] + CLASSIFIERS[4:6] for classes in (2, 4)]


def test_what_is_not_known_exactly_is_not_compiled() -> None:
    targets = np.stack([SCORES, -SCORES], axis=1)
    with pytest.raises(NotCompiled, match="several targets"):
        compile_linear(LinearRegression().fit(ROWS, targets))
    with pytest.raises(NotCompiled, match="several targets"):
        compile_network(MLPRegressor(hidden_layer_sizes=(3,), max_iter=200, tol=1).fit(ROWS, targets))
    with pytest.raises(NotCompiled, match="several targets"):
        compile_network(MLPClassifier((3,), max_iter=200, tol=1).fit(ROWS, targets > 0))
    thin = LogisticRegression().fit(ROWS, TARGETS[2]).sparsify()
    assert sparse.issparse(thin.coef_)
    with pytest.raises(NotCompiled, match="sparse"):
        compile_linear(thin)
