"""Whole scorers: what the verifier accepts is equal on rows that it never saw, and takes bounded memory."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.base import is_classifier
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from models.inputs import estimator_input
from models.manifest import ColumnSpec, Manifest, Signature, StoredFile, Target
from models.scorers.compiling import compile_scorer
from models.scorers.part import Unsure
from models.scorers.verifier import compare
from tests.unit.models.scorers.people import TRAINING, column_transformers, people, signature_of

LABELS = np.array(list("abc"))[np.arange(len(TRAINING)) % 3]
seeds = st.integers(0, 9)
last_steps = st.one_of(
    st.builds(LogisticRegression, C=st.sampled_from([0.01, 1.0, 100.0])),
    st.builds(MLPClassifier, st.just((5,)), max_iter=st.just(5), random_state=seeds),
    st.builds(DecisionTreeClassifier, random_state=seeds),
    st.builds(RandomForestClassifier, st.integers(1, 9), random_state=seeds),
    st.builds(GradientBoostingClassifier, n_estimators=st.integers(1, 5), random_state=seeds),
    st.builds(HistGradientBoostingClassifier, max_iter=st.integers(1, 5), min_samples_leaf=st.just(5)),
    st.builds(HistGradientBoostingRegressor, max_iter=st.integers(1, 5), min_samples_leaf=st.just(5)),
    st.builds(ExtraTreesRegressor, st.integers(1, 5), random_state=seeds),
    st.builds(Ridge),
    st.builds(RidgeClassifier),
)


def manifest_of(estimator: Any, signature: Signature) -> Manifest:
    """As far as the verifier reads it."""
    classes = tuple(estimator.classes_.tolist()) if is_classifier(estimator) else None
    tells = hasattr(estimator, "predict_proba")
    return Manifest(
        name="people",
        version=1,
        sha256="0" * 64,
        created_at="",
        task="classification" if classes else "regression",
        estimator=type(estimator[-1]).__name__,
        artefact=StoredFile(file="m", sha256="0" * 64, bytes=1, source="m"),
        signature=signature,
        targets=(Target(name=None, classes=classes, label_type="string" if classes else "number"),),
        has_probabilities=tells,
        labels_from_probabilities=tells,
        row_cost_seconds=1e-6,
    )


def fitted(transformer: Any, last: Any, signature: Signature) -> Any:
    """What cannot be fitted (a gap that reaches a network, boosting on a sparse matrix) is not tried."""
    target = LABELS if is_classifier(last) else np.arange(len(TRAINING)) % 7 / 3
    with warnings.catch_warnings(action="ignore"):
        try:
            return make_pipeline(transformer, last).fit(estimator_input(TRAINING, signature), target)
        except (TypeError, ValueError):
            reject()


def wanted(estimator: Any, rows: pa.Table, signature: Signature) -> np.ndarray | None:
    """Probabilities, scores of the classes or predictions; None where it refuses."""
    ways = ("predict_proba", "decision_function", "predict")
    ask = next(getattr(estimator, way) for way in ways if hasattr(estimator, way))
    with warnings.catch_warnings(action="ignore"):
        try:
            answer = np.asarray(ask(estimator_input(rows, signature)))
        except ValueError:
            return None
    return answer if answer.ndim == 2 else answer[:, None]


def check_equal(answered: np.ndarray | None, expected: np.ndarray | None, tolerance: float) -> None:
    """Equal, or unsure; and never an answer where the estimator has none."""
    if answered is not None:
        assert expected is not None
        assert (np.abs(answered - expected) <= tolerance * np.maximum(1.0, np.abs(expected))).all()


def sure(answer: Callable[[Any], np.ndarray], given_rows: Any) -> np.ndarray | None:
    """None where it is unsure."""
    try:
        return answer(given_rows)
    except Unsure:
        return None


@pytest.mark.timeout(600)  # an example takes a second or two, on a busy machine ten times as long
@settings(max_examples=5)
@given(st.data())
def test_no_accepted_scorer_differs(data: Any) -> None:
    missing = data.draw(st.sampled_from(["nan", "none"]))
    signature = signature_of(missing)
    estimator = fitted(data.draw(column_transformers(missing)), data.draw(last_steps), signature)
    scorer, last = compile_scorer(estimator, signature)
    with warnings.catch_warnings(action="ignore"):
        found = compare(scorer, last, estimator, manifest_of(estimator, signature), TRAINING, tolerance=None)
    assert found.rows > len(TRAINING)
    is_exact = type(last).__module__.startswith(("sklearn.tree.", "sklearn.ensemble."))
    tolerance = 0.0 if is_exact else 1e-12
    fresh = people(60, data.draw(st.integers(0, 999)), odd=True)
    check_equal(sure(scorer.answer, fresh), wanted(estimator, fresh, signature), tolerance)
    for at, row in enumerate(fresh.to_pylist()[:4]):
        expected = wanted(estimator, fresh.slice(at, 1), signature)
        check_equal(sure(scorer.answer_one, list(row.values())), expected, tolerance)


def test_many_categories_take_no_more_memory_with_more_rows() -> None:
    kinds = [str(number) for number in range(2000)]
    column = ColumnSpec(name="kind", kind="string", dtype="string")
    signature = Signature(kind="table", named=True, input="frame", columns=(column,))
    table = pa.table({"kind": kinds * 20})
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression(max_iter=2))
    with warnings.catch_warnings(action="ignore"):
        estimator.fit(estimator_input(table.slice(0, 2000), signature), np.arange(2000) % 2)
    scorer, _ = compile_scorer(estimator, signature)
    tracemalloc.start()
    answers = scorer.answer(table)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 200e6  # all rows at once: 640 MB
    expected = estimator.predict_proba(estimator_input(table, signature))
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-12)
