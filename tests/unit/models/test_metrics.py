"""Figures counted in batches are those that scikit-learn gives for all rows at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as truth

from models.metrics import MAX_RANKED_CLASSES, LabelMetrics, NumberMetrics, ProbabilityMetrics
from models.ranking import Ranking

Seeds = st.integers(0, 2**32 - 1)


def batches(random: np.random.Generator, rows: int) -> Iterator[slice]:
    """Cuts of any size, empty ones too."""
    cuts = np.sort(random.integers(0, rows + 1, random.integers(0, 5))).tolist()
    for start, stop in zip([0, *cuts], [*cuts, rows], strict=True):
        yield slice(start, stop)


def close(found: float | None, expected: float) -> bool:
    return found is not None and found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(seed=Seeds, rows=st.integers(1, 300), classes=st.integers(2, 5))
def test_labels(seed: int, rows: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    true, predicted = random.integers(0, random.integers(1, classes + 1), (2, rows))
    counted = LabelMetrics(classes)
    for batch in batches(random, rows):
        counted.add(true[batch], predicted[batch])
    figures = counted.figures()
    assert close(figures["accuracy"], truth.accuracy_score(true, predicted))
    assert close(figures["f1_macro"], truth.f1_score(true, predicted, average="macro"))
    if classes == 2 and (true.any() or predicted.any()):
        assert close(figures["f1"], truth.f1_score(true, predicted))
    else:
        assert figures["f1"] is None


@given(seed=Seeds, rows=st.integers(1, 300), classes=st.integers(2, 5), levels=st.sampled_from([3, 10**6]))
def test_probabilities(seed: int, rows: int, classes: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, rows)
    values = random.integers(0, levels, (rows, classes)) + 0.01  # few levels: many rows with equal scores
    values = values / values.sum(axis=1, keepdims=True)
    counted = ProbabilityMetrics(classes)
    for batch in batches(random, rows):
        counted.add(true[batch], values[batch])
    figures = counted.figures()
    labels: Any = np.arange(classes)
    assert close(figures["log_loss"], truth.log_loss(true, values, labels=labels))
    given_scores = values[:, 1] if classes == 2 else values
    assert close(
        figures["brier"],
        truth.brier_score_loss(true, given_scores, labels=labels, pos_label=None if classes > 2 else 1),
    )
    if len(np.unique(true)) == classes:
        assert close(figures["roc_auc"], truth.roc_auc_score(true, given_scores, multi_class="ovr"))
    else:
        assert figures["roc_auc"] is None


@given(seed=Seeds, rows=st.integers(2, 300), far=st.sampled_from([0.0, 1e9]))
def test_numbers(seed: int, rows: int, far: float) -> None:
    random = np.random.default_rng(seed)
    true = random.normal(far, 3, rows)
    predicted = true + random.normal(0, 1, rows)
    counted = NumberMetrics()
    for batch in batches(random, rows):
        counted.add(true[batch], predicted[batch])
    figures = counted.figures()
    # far from zero the last bits of the data themselves are rough
    assert figures["r2"] == pytest.approx(truth.r2_score(true, predicted), rel=1e-6)
    assert close(figures["mae"], truth.mean_absolute_error(true, predicted))
    assert close(figures["rmse"], truth.root_mean_squared_error(true, predicted))


@settings(max_examples=10)
@given(seed=Seeds)
def test_a_ranking_beyond_its_room_is_a_little_less_exact(seed: int) -> None:
    random = np.random.default_rng(seed)
    members = random.random(20_000) < 0.3
    scores = random.normal(members * 1.0, 1.0)  # negative ones too
    exact, small = Ranking(), Ranking(max_scores=4096)
    for part in np.array_split(np.arange(len(scores)), 7):
        exact.add(scores[part], members[part])
        small.add(scores[part], members[part])
    expected = truth.roc_auc_score(members, scores)
    assert close(exact.area(), expected)
    assert small.distinct <= 4096 < exact.distinct
    assert small.area() == pytest.approx(expected, abs=1e-3)


def test_what_has_no_meaning_is_none() -> None:
    assert set(LabelMetrics(3).figures().values()) == {None}
    assert set(ProbabilityMetrics(2).figures().values()) == {None}
    assert set(NumberMetrics().figures().values()) == {None}
    same = NumberMetrics()
    same.add(np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert same.figures()["r2"] is None
    gaps = ProbabilityMetrics(2)
    gaps.add(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, 0.5]]))
    gaps.add(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert set(gaps.figures().values()) == {None}
    lost = NumberMetrics()
    lost.add(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    assert lost.figures() == {"r2": None, "mae": None, "rmse": None}


def test_more_classes_than_can_be_ranked_have_no_area() -> None:
    classes = MAX_RANKED_CLASSES + 1
    counted = ProbabilityMetrics(classes)
    counted.add(np.arange(classes), np.eye(classes))
    assert counted.figures()["roc_auc"] is None
    assert close(counted.figures()["log_loss"], 0.0)


def test_negative_zero_is_zero() -> None:
    ranking = Ranking()
    ranking.add(np.array([0.0, -0.0]), np.array([True, False]))
    assert ranking.area() == 0.5
