"""Rows made for the splits of a model: every split is reached, with every value at which it decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import Ridge

from models.scorers.reaching import Values, near, rows_at, turning
from models.scorers.splits import MISSING, Splits, splits_of
from models.scorers.verifier import without_own_encoder
from tests.unit.models.scorers.growing import asked, training

ALL = Values(turning=True, missing=True)
KINDS: list[tuple[Any, bool]] = [
    (RandomForestClassifier(4, random_state=0), True),
    (ExtraTreesClassifier(4, random_state=0), False),
    (GradientBoostingRegressor(n_estimators=12, random_state=0), False),
    (HistGradientBoostingRegressor(max_iter=6, min_samples_leaf=3, random_state=0), True),
]


def walk(splits: Splits, tree: int, row: np.ndarray) -> Iterator[int]:
    """The nodes that a row passes, one after the other, as scikit-learn's code decides."""
    node = int(splits.roots[tree])
    while splits.left[node] >= 0:
        yield node
        value = row[splits.feature[node]]
        if np.isnan(value):
            to_left = bool(splits.missing_left[node])
        elif splits.sets[node] >= 0:
            members, known = splits.left_members[splits.sets[node]], splits.known[splits.feature[node]]
            to_left = bool(members[int(value) if known[int(value)] else MISSING])
        else:
            to_left = bool((np.float32(value) if splits.in_single else value) <= splits.threshold[node])
        node = int(splits.left[node] if to_left else splits.right[node])


def made_for(splits: Splits, bases: np.ndarray, values: Values = ALL) -> dict[int, np.ndarray]:
    """By split: the values in its feature that reach it, of the rows that were made for it."""
    given_bases = bases[np.random.default_rng(0).integers(len(bases), size=len(splits.nodes))]
    rows, nodes = rows_at(splits, splits.nodes, given_bases, values)
    trees = np.searchsorted(splits.roots, nodes, side="right") - 1
    found: dict[int, list[float]] = {int(node): [] for node in splits.nodes}
    for row, node, tree in zip(rows, nodes.tolist(), trees.tolist(), strict=True):
        if node in walk(splits, tree, row):
            found[node].append(row[splits.feature[node]])
    return {node: np.array(reached) for node, reached in found.items()}


@settings(max_examples=15, deadline=None, phases=(Phase.generate,))
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), scale=st.sampled_from([1.0, 1e-8, 1e20]))
def test_every_split_is_reached_with_the_values_beside_its_threshold(
    kind: tuple[Any, bool], seed: int, scale: float
) -> None:
    estimator, missing = kind
    rows, target = training(seed, 3, missing=missing, scale=scale)
    estimator.fit(rows, target)
    splits = Splits.joined(list(splits_of(estimator)))
    assert len(splits.nodes) > 20
    bases = rows if missing else np.nan_to_num(rows)
    number = np.float32 if splits.in_single else np.float64
    for node, reached in made_for(splits, bases).items():
        compared = reached.astype(number).astype(float)
        threshold, there = splits.threshold[node], compared[~np.isnan(compared)]
        left, right = there[there <= threshold], there[there > threshold]
        # one side may be there for what is missing only
        by_missing = [bool(splits.missing_left[node])] if np.isnan(compared).any() else []
        assert {True, False} == {*by_missing, *[True] * len(left), *[False] * len(right)}
        if len(left) and len(right):
            assert threshold in reached
            assert right.min() == np.nextafter(number(left.max()), number(np.inf))


def test_what_is_read_of_the_trees_is_how_they_decide() -> None:
    """By the estimator itself, tree for tree: the rows that were made go where they were said to go."""
    rows, target = training(1, 3, missing=True)
    forest = RandomForestClassifier(4, random_state=0).fit(rows, target)
    splits = next(splits_of(forest))
    given_bases = rows[np.random.default_rng(0).integers(len(rows), size=len(splits.nodes))]
    made, nodes = rows_at(splits, splits.nodes, given_bases, Values(missing=True))
    trees = np.searchsorted(splits.roots, nodes, side="right") - 1
    for tree, member in enumerate(forest.estimators_):
        path = member.decision_path(made[trees == tree].astype(np.float32))
        own = nodes[trees == tree] - splits.roots[tree]
        reaches = np.asarray(path[np.arange(len(own)), own]).ravel() > 0
        # a step of 32 bits may lead out of a narrow interval further up
        assert reaches.mean() > 0.9
        assert set(own[reaches]) == set(np.flatnonzero(member.tree_.children_left >= 0))
        answered = splits.answers[tree](made)
        np.testing.assert_array_equal(answered, member.predict_proba(made))


def categories(classes: int) -> tuple[Any, np.ndarray]:
    """A fitted booster of two features with categories and a number, and rows as its core is given them."""
    generator = np.random.default_rng(4)
    rows = np.column_stack(
        [generator.integers(0, 12, 900), generator.normal(size=900), generator.integers(0, 5, 900)]
    ).astype(float)
    pull = np.sin(rows[:, 0] * 5) + rows[:, 1] / 3 + (rows[:, 2] % 2)
    rows[generator.random(rows.shape) < 0.1] = np.nan
    estimator = HistGradientBoostingClassifier(max_iter=5, categorical_features=[0, 2], random_state=0)
    estimator.fit(rows, np.digitize(pull, np.linspace(0, 1, classes - 1)))
    return without_own_encoder(estimator)[0], estimator._preprocessor.transform(rows)


def test_sets_of_categories_are_reached_with_every_category_that_gets_there() -> None:
    estimator, encoded = categories(3)
    splits = next(splits_of(estimator))
    by_set = [node for node in splits.nodes.tolist() if splits.sets[node] >= 0]
    assert len(by_set) > 10
    found = made_for(splits, encoded)
    roots = splits.roots[:-1]
    for node in by_set:
        left = splits.left_members[splits.sets[node]]
        known = np.flatnonzero(splits.known[splits.feature[node], :MISSING])
        there = found[node]
        codes = there[np.isfinite(there)].astype(int)
        sides = {bool(left[code]) for code in codes if code in known}
        assert sides | {bool(left[MISSING])} == {True, False}
        assert len(codes) == len(set(codes))
        if node in roots:
            assert np.isnan(there).any()
            assert set(known) < set(codes)  # and one that is not known


def test_trees_answer_alone_what_they_add_to_the_whole() -> None:
    estimator, encoded = categories(2)
    splits = next(splits_of(estimator))
    added = sum(answer(encoded) for answer in splits.answers) + estimator._baseline_prediction
    shares = 1 / (1 + np.exp(-added[:, 0]))
    np.testing.assert_allclose(shares, asked(estimator, encoded)[:, 1], rtol=1e-12)


def test_numbers_near_a_threshold_lie_on_both_sides_in_64_and_in_32_bits() -> None:
    thresholds = np.array([0.1, 1.5, -3.25, 1e-40, 3e38])
    values = np.concatenate([near(thresholds), turning(thresholds)])
    for threshold, beside in zip(thresholds, values.T, strict=True):
        assert threshold in beside
        for kind in (np.float64, np.float32):
            sides = {bool(float(kind(value)) <= threshold) for value in beside}
            assert sides == {True, False}


def test_a_model_without_trees_has_no_splits() -> None:
    rows, target = training(1, 0, missing=False)
    assert list(splits_of(Ridge().fit(rows, target))) == []


def test_rows_that_nothing_leads_to_a_split_are_left_out() -> None:
    rows, target = training(1, 0, missing=False)
    forest = RandomForestClassifier(1, random_state=0).fit(rows, target > 1)
    splits = next(splits_of(forest))
    root, below = 0, int(splits.left[0])
    assert splits.left[below] >= 0
    # now whatever goes left at the root cannot be there
    threshold = splits.threshold.copy()
    threshold[root] = -np.inf
    changed = replace(splits, threshold=threshold, missing_left=np.zeros_like(splits.missing_left))
    made, nodes = rows_at(changed, np.array([below]), rows[:1], Values())
    assert (len(made), len(nodes)) == (0, 0)
