"""Compiled trees, forests and boosters: the same bits as scikit-learn, and no answer where it refuses."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
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
from sklearn.linear_model import LinearRegression
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.scorers import boosting, forests, store, trees
from models.scorers.matrix import Matrix
from models.scorers.part import NotCompiled, Unsure
from models.scorers.scorer import Scorer
from models.scorers.trees import Trees
from tests.unit.models.scorers.growing import FEATURES, asked, hard_rows, thresholds, training

TREES = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)
BOOSTERS = (GradientBoostingClassifier, GradientBoostingRegressor)
HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other in turns would take most of the time."""
    with threadpool_limits(1):
        yield


COMPILERS = {**forests.COMPILERS, **boosting.COMPILERS}


def compiled(estimator: Any) -> Trees:
    return COMPILERS[type(estimator)](estimator)


def assert_equal(estimator: Any, rows: np.ndarray) -> None:
    """Bit for bit, in any layout, whole and row by row."""
    core = compiled(estimator)
    wanted = asked(estimator, rows)
    for matrix in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=0)[::2]):
        np.testing.assert_array_equal(core.answer(matrix), wanted)
    with np.errstate(over="ignore"):
        single = rows.astype(np.float32)
    np.testing.assert_array_equal(core.answer(single), asked(estimator, single))
    for row in rows[:20]:
        np.testing.assert_array_equal(core.answer_one(row.copy()), asked(estimator, row[None])[0])


def parameters(kind: type, draw: Any) -> dict[str, Any]:
    """Every parameter that changes how trees look or what follows them."""
    limits: dict[str, Any] = {"max_depth": draw(st.sampled_from([1, 3, None])), "random_state": 0}
    if kind in TREES or kind in FORESTS:
        limits["ccp_alpha"] = draw(st.sampled_from([0.0, 0.01]))
    if kind in FORESTS or kind in BOOSTERS:
        limits["n_estimators"] = draw(st.integers(1, 12))
    if kind in BOOSTERS:
        losses = {
            GradientBoostingClassifier: ["log_loss"],
            GradientBoostingRegressor: ["squared_error", "absolute_error", "huber", "quantile"],
        }
        limits |= {"loss": draw(st.sampled_from(losses[kind])), "init": draw(st.sampled_from([None, "zero"]))}
    if kind in HISTOGRAMS:
        limits |= {"max_iter": draw(st.integers(1, 12)), "min_samples_leaf": 4, "early_stopping": False}
    if kind is HistGradientBoostingRegressor:
        losses_of_histograms = ["squared_error", "absolute_error", "gamma", "poisson", "quantile"]
        limits |= {"loss": draw(st.sampled_from(losses_of_histograms)), "quantile": 0.7}
    return limits


@st.composite
def fitted(draw: Any) -> Any:
    kind = draw(st.sampled_from([*TREES, *FORESTS, *BOOSTERS, *HISTOGRAMS]))
    classes = draw(st.sampled_from([2, 3, 9])) if "Classifier" in kind.__name__ else 0
    missing = kind not in BOOSTERS and draw(st.booleans())
    if kind in (ExtraTreeClassifier, ExtraTreeRegressor) and missing:
        missing = kind().__sklearn_tags__().input_tags.allow_nan
    scale = draw(st.sampled_from([1.0, 1e-8, 1e20]))
    rows, target = training(draw(st.integers(0, 99)), classes, missing=missing, scale=scale)
    return kind(**parameters(kind, draw)).fit(rows, target)


@given(estimator=fitted(), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None, phases=(Phase.generate,))
def test_random_models_agree_bit_for_bit_on_hard_rows(estimator: Any, seed: int) -> None:
    rows = hard_rows(estimator, seed)
    assert_equal(estimator, rows)
    core = compiled(estimator)
    holes = np.random.default_rng(seed).random(rows.shape) < 0.2
    for stranger in (np.nan, np.inf, -np.inf, 3.5e38, -3.5e38):
        assert_same_refusal(estimator, core, np.where(holes, stranger, rows))


def assert_same_refusal(estimator: Any, core: Trees, rows: np.ndarray) -> None:
    """Answers are the estimator's, and Unsure is said exactly where it refuses."""
    with np.errstate(over="ignore"):
        try:
            wanted = asked(estimator, rows)
        except ValueError:
            with pytest.raises(Unsure):
                core.answer(rows)
            refused = next(row for row in rows if not np.isfinite(row.astype(np.float32)).all())
            with pytest.raises(Unsure):
                core.answer_one(refused.copy())
            return
    np.testing.assert_array_equal(core.answer(rows), wanted)
    for row, answer in zip(rows[:10], wanted, strict=False):
        np.testing.assert_array_equal(
            core.answer_one(row.copy())[: len(answer)], asked(estimator, row[None])[0]
        )


@pytest.mark.parametrize("kind", HISTOGRAMS)
@pytest.mark.parametrize("classes", [2, 4])
def test_histograms_with_categories_agree(kind: type, classes: int) -> None:
    generator = np.random.default_rng(5)
    rows = np.column_stack(
        [generator.integers(0, 60, 900), generator.normal(size=900), generator.integers(0, 9, 900)]
    )
    target = np.digitize(
        np.sin(rows[:, 0]) + rows[:, 1] / 3 + (rows[:, 2] % 2), np.linspace(-0.5, 1, classes - 1)
    )
    rows[generator.random(rows.shape) < 0.1] = np.nan
    estimator = kind(max_iter=10, categorical_features=[0, 2], random_state=0).fit(rows, target)
    core = compiled(estimator)
    assert len(core.left_sets) > 5
    strange = np.column_stack(
        [generator.integers(-2, 70, 500), generator.normal(size=500), generator.integers(0, 12, 500)]
    )
    for asked_for in (rows, strange):
        encoded = estimator._preprocessor.transform(asked_for)
        wanted = asked(estimator, asked_for)
        np.testing.assert_array_equal(core.answer(encoded), wanted)
        np.testing.assert_array_equal(
            [core.answer_one(row.copy()) for row in encoded[:50]], asked_one_by_one(estimator, asked_for[:50])
        )


def asked_one_by_one(estimator: Any, rows: np.ndarray) -> np.ndarray:
    """Sums over classes of a single row are added in another order than those of several."""
    return np.array([asked(estimator, row[None])[0] for row in rows])


def test_more_rows_than_a_tile_and_wide_rows_agree() -> None:
    rows, labels = training(1, 3, missing=True)
    many = np.tile(rows, (90, 1))
    forest = RandomForestClassifier(9, random_state=0).fit(rows, labels)
    np.testing.assert_array_equal(compiled(forest).answer(many), forest.predict_proba(many))
    wide = np.random.default_rng(0).normal(size=(70, 9_000))
    forest = RandomForestClassifier(20, max_features=None, random_state=0).fit(wide, np.arange(70) % 5)
    np.testing.assert_array_equal(compiled(forest).answer(wide), forest.predict_proba(wide))


def test_trees_too_large_for_small_words_agree() -> None:
    rows, labels = training(1, 3, missing=True)
    forest = RandomForestClassifier(3, random_state=0).fit(rows, labels)
    core = compiled(forest)
    assert core.nodes.itemsize == 8
    form = np.dtype([("threshold", np.float32), ("word", np.uint64)], align=True)
    large = replace(core, nodes=core.nodes.astype(form))
    np.testing.assert_array_equal(large.answer(rows), forest.predict_proba(rows))
    np.testing.assert_array_equal(large.answer_one(rows[0]), forest.predict_proba(rows[:1])[0])


def test_a_single_row_of_a_model_of_32_bits_is_rounded_first() -> None:
    rows, labels = training(1, 2, missing=False)
    estimator = DecisionTreeClassifier(random_state=0).fit(rows, labels)
    scorer = Scorer(Matrix(tuple("abcde"), "float32"), compiled(estimator))
    # just above a threshold in 64 bits, on it in 32
    above = np.nextafter(np.float64(thresholds(estimator).astype(np.float32)), np.inf)
    asked_for = np.resize(above, (60, FEATURES))
    answered = np.array([scorer.answer_one(row.tolist()) for row in asked_for])
    np.testing.assert_array_equal(answered, asked(estimator, asked_for.astype(np.float32)))


def test_rows_in_any_layout_are_taken() -> None:
    rows, labels = training(1, 2, missing=False)
    forest = RandomForestClassifier(3, random_state=0).fit(rows, labels)
    core = compiled(forest)
    rows.flags.writeable = False
    wanted = forest.predict_proba(rows)
    np.testing.assert_array_equal(core.answer_one(np.asfortranarray(rows)[0]), wanted[0])
    np.testing.assert_array_equal(core.answer_one(rows[0]), wanted[0])
    np.testing.assert_array_equal(core.answer(rows[::2, ::-1][:, ::-1]), wanted[::2])


def test_no_rows_are_no_answers() -> None:
    rows, labels = training(1, 2, missing=False)
    assert compiled(DecisionTreeClassifier().fit(rows, labels)).answer(rows[:0]).shape == (0, 2)


def test_another_number_of_features_is_left_to_the_estimator() -> None:
    rows, labels = training(1, 2, missing=False)
    core = compiled(DecisionTreeClassifier().fit(rows, labels))
    with pytest.raises(Unsure):
        core.answer(rows[:, :3])
    with pytest.raises(Unsure):
        core.answer_one(rows[0, :3])


def test_stored_trees_are_mapped_and_answer_alike(tmp_path: Path) -> None:
    rows, labels = training(1, 3, missing=False)
    forest = RandomForestClassifier(200, random_state=0).fit(rows, labels)
    store.save(compiled(forest), tmp_path)
    core = store.read(tmp_path, {Trees.kind: Trees})
    assert isinstance(core.nodes.base, mmap.mmap)
    np.testing.assert_array_equal(core.answer(rows), forest.predict_proba(rows))
    np.testing.assert_array_equal(core.answer_one(rows[0]), forest.predict_proba(rows[:1])[0])


@pytest.mark.parametrize(
    "field", ["nodes", "leaf_rows", "roots", "known_sets", "left_sets", "leaf_values", "bits"]
)
@pytest.mark.parametrize("seed", range(20))
def test_damaged_trees_never_lead_out_of_their_arrays(field: str, seed: int) -> None:
    """They are refused, or they answer something: never a crash, never without end."""
    rows = np.random.default_rng(0).integers(0, 9, (300, FEATURES)).astype(float)
    estimator = HistGradientBoostingClassifier(max_iter=4, categorical_features=[0]).fit(
        rows, rows.sum(axis=1) > 15
    )
    core = compiled(estimator)
    generator = np.random.default_rng(seed)
    if field == "bits":
        damaged: Any = int(generator.integers(2, 64))
    else:
        damaged = getattr(core, field).copy()
        raw = damaged.view(np.uint8).reshape(-1)
        places = generator.integers(0, len(raw), 1 + seed % 4)
        raw[places] = generator.integers(0, 256, len(places))
    try:
        broken = replace(core, **{field: damaged})
    except NotCompiled:
        return
    encoded = estimator._preprocessor.transform(rows)
    assert broken.answer(encoded).shape == (300, 2)
    assert broken.answer_one(encoded[0].copy()).shape == (2,)


def test_each_way_of_leading_astray_is_damage() -> None:
    rows, labels = training(1, 2, missing=False)
    core = compiled(DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows, labels))
    inner = np.flatnonzero(np.isfinite(core.nodes["threshold"]))[-1]
    leaf = np.flatnonzero(np.isinf(core.nodes["threshold"]))[0]
    child = 1 << core.bits
    for place, word in [
        (inner, len(core.nodes) * child),  # behind the end
        (inner, (len(core.nodes) - 1) * child),  # the right child is
        (inner, 0),  # to the root
        (inner, core.nodes["word"][inner] | (1 << (core.bits - 1))),  # a set that does not exist
        (inner, (int(core.nodes["word"][inner]) & -child) | (2 * FEATURES)),  # a feature that does not exist
        (leaf, core.nodes["word"][leaf]),  # out of a leaf, with the threshold below
    ]:
        nodes = core.nodes.copy()
        nodes["word"][place] = word
        if place == leaf:
            nodes["threshold"][place] = 0
        with pytest.raises(NotCompiled, match="damaged"):
            replace(core, nodes=nodes)
    for rows_of_leaves in (
        np.full_like(core.leaf_rows, -1),
        np.full_like(core.leaf_rows, len(core.leaf_values)),
    ):
        with pytest.raises(NotCompiled, match="damaged"):
            replace(core, leaf_rows=rows_of_leaves)


def test_a_set_that_is_asked_of_a_feature_without_categories_is_damage() -> None:
    rows = np.random.default_rng(0).integers(0, 9, (300, FEATURES)).astype(float)
    estimator = HistGradientBoostingClassifier(max_iter=4, categorical_features=[0])
    core = compiled(estimator.fit(rows, rows[:, 0] % 2 > 0))
    assert len(core.left_sets)
    with pytest.raises(NotCompiled, match="damaged"):
        replace(core, known_sets=np.zeros_like(core.known_sets))


def test_what_is_not_compiled_says_why() -> None:
    rows, labels = training(1, 2, missing=False)
    two = DecisionTreeClassifier().fit(rows, np.column_stack([labels, labels]))
    with pytest.raises(NotCompiled, match="2 outputs"):
        compiled(two)
    started = GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(rows, labels)
    with pytest.raises(NotCompiled, match="LinearRegression"):
        compiled(started)


def test_without_numba_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = training(1, 2, missing=False)
    tree = DecisionTreeClassifier().fit(rows, labels)
    core = compiled(tree)
    monkeypatch.setattr(trees, "walking", None)
    with pytest.raises(NotCompiled, match="numba"):
        compiled(tree)
    with pytest.raises(NotCompiled, match="numba"):
        Trees(**{field.name: getattr(core, field.name) for field in fields(core)})
