"""One thing wrong in one place of a compiled model: the verifier finds it, however deep it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.manifest import ColumnSpec, Manifest, Signature, StoredFile, Target
from models.scorers import at_splits, boosting, forests
from models.scorers.comparing import Differs, Found
from models.scorers.matrix import Matrix
from models.scorers.scorer import Scorer
from models.scorers.trees import Trees
from models.scorers.verifier import compare
from tests.unit.models.scorers.growing import training

COMPILERS = {**forests.COMPILERS, **boosting.COMPILERS}
Mutation = Callable[[Trees, int], Trees]


@cache
def model(name: str) -> tuple[Any, np.ndarray]:
    """Fitted, and rows as its core is given them."""
    rows, classes = training(1, 2, missing=name in ("forest with gaps", "histogram boosting"))
    numbers = training(1, 0, missing=False)[1]
    if name == "categories":
        return _with_categories()
    fitted: Any = {
        "forest": lambda: RandomForestClassifier(100, random_state=0).fit(rows, classes),
        "forest with gaps": lambda: RandomForestClassifier(30, random_state=0).fit(rows, classes),
        "extra trees": lambda: ExtraTreesRegressor(10, random_state=0).fit(rows, numbers),
        "tree": lambda: DecisionTreeRegressor(random_state=0).fit(rows, numbers),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=20, random_state=0).fit(rows, classes),
        "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=3).fit(
            rows, classes
        ),
    }[name]()
    return fitted, rows


def _with_categories() -> tuple[Any, np.ndarray]:
    generator = np.random.default_rng(4)
    rows = np.column_stack([generator.integers(0, 12, 900), generator.integers(0, 5, 900)]).astype(float)
    pull = np.sin(rows[:, 0] * 5) + rows[:, 1] % 2 + generator.normal(size=900) / 3
    rows[generator.random(rows.shape) < 0.1] = np.nan
    estimator = HistGradientBoostingClassifier(max_iter=20, categorical_features=[0, 1], random_state=0)
    estimator.fit(rows, pull > 0.5)
    return estimator, estimator._preprocessor.transform(rows)


def manifest_of(last: Any, features: int) -> Manifest:
    """As far as the verifier reads it."""
    classes = tuple(last.classes_.tolist()) if hasattr(last, "classes_") else None
    columns = tuple(ColumnSpec(name=f"x{at}", kind="number", dtype="float64") for at in range(features))
    return Manifest(
        name="m",
        version=1,
        sha256="0" * 64,
        created_at="",
        task="regression" if classes is None else "classification",
        estimator=type(last).__name__,
        artefact=StoredFile(file="m", sha256="0" * 64, bytes=1, source="m"),
        signature=Signature(kind="table", named=False, input="matrix", columns=columns),
        targets=(Target(name=None, classes=classes, label_type="number" if classes is None else "integer"),),
        has_probabilities=classes is not None,
        labels_from_probabilities=classes is not None,
        row_cost_seconds=1e-6,
    )


def compared(name: str, changed: Callable[[Trees], Trees] = lambda core: core) -> Found:
    """What the verifier finds of a core that is changed."""
    last, rows = model(name)
    core = changed(COMPILERS[type(last)](last))
    manifest = manifest_of(last, rows.shape[1])
    with threadpool_limits(1):
        return compare(Scorer(Matrix(manifest.signature.names, "float64"), core), last, last, manifest, rows)


def last_splits(core: Trees) -> np.ndarray:
    """The nodes above two leaves that answer differently: what is wrong there has no other effect."""
    child = (core.nodes["word"] >> core.nodes["word"].dtype.type(core.bits)).astype(np.int64)
    tree = np.searchsorted(core.roots, np.arange(len(child)), side="right") - 1
    child += core.roots[tree]
    place = np.arange(len(child))
    inner = np.flatnonzero(child != place)
    left, right = child[inner], child[inner] + 1
    ends = (child[left] == left) & (child[right] == right)
    values = core.leaf_values[core.leaf_rows]
    found: np.ndarray = inner[ends & (values[left] != values[right]).any(axis=1)]
    return found


def at_one_split(change: Callable[[np.ndarray, int, int], None]) -> Mutation:
    """``change`` is given the nodes, the place of one, and how many bits are below a child's place."""

    def mutated(core: Trees, seed: int) -> Trees:
        places = last_splits(core)
        places = places[~np.isin(places, _by_category(core))]
        nodes = core.nodes.copy()
        change(nodes, int(np.random.default_rng(seed).choice(places)), core.bits)
        return replace(core, nodes=nodes)

    return mutated


def _by_category(core: Trees) -> np.ndarray:
    return np.flatnonzero(core.nodes["word"].astype(np.uint64) >> np.uint64(core.bits - 1) & np.uint64(1))


def _moved(nodes: np.ndarray, place: int, to: float) -> None:
    threshold = nodes["threshold"]
    threshold[place] = np.nextafter(threshold[place], threshold.dtype.type(to))


def _missing_goes_elsewhere(nodes: np.ndarray, place: int, _bits: int) -> None:
    nodes["word"][place] ^= 1


def _children_change_places(core: Trees, seed: int) -> Trees:
    place = int(np.random.default_rng(seed).choice(last_splits(core)))
    tree = int(np.searchsorted(core.roots, place, side="right")) - 1
    left = int(core.roots[tree]) + (int(core.nodes["word"][place]) >> core.bits)
    leaf_rows = core.leaf_rows.copy()
    leaf_rows[[left, left + 1]] = leaf_rows[[left + 1, left]]
    return replace(core, leaf_rows=leaf_rows)


def _one_leaf_differs_in_its_last_bit(core: Trees, seed: int) -> Trees:
    values = core.leaf_values.copy()
    at = int(np.random.default_rng(seed).integers(len(values)))
    values[at] = np.nextafter(values[at], np.inf)
    return replace(core, leaf_values=values)


def _compares_strictly(core: Trees, _seed: int) -> Trees:
    """`<` for `<=`, everywhere."""
    nodes = core.nodes.copy()
    nodes["threshold"] = np.nextafter(nodes["threshold"], nodes["threshold"].dtype.type(-np.inf))
    nodes["threshold"][np.isinf(core.nodes["threshold"])] = np.inf
    return replace(core, nodes=nodes)


MUTATIONS: dict[str, Mutation] = {
    "a threshold one step up": at_one_split(lambda nodes, place, _: _moved(nodes, place, np.inf)),
    "a threshold one step down": at_one_split(lambda nodes, place, _: _moved(nodes, place, -np.inf)),
    "two leaves exchanged": _children_change_places,
    "the last bit of a leaf": _one_leaf_differs_in_its_last_bit,
    "less than": _compares_strictly,
}
NAMES = ["forest", "forest with gaps", "extra trees", "tree", "boosting", "histogram boosting"]


@pytest.mark.parametrize("name", [*NAMES, "categories"])
def test_what_is_right_is_accepted_after_every_split(name: str) -> None:
    found = compared(name)
    assert found.largest_difference == 0
    assert found.splits == found.splits_compared == found.splits_in_whole > 10
    assert found.rows > 6 * found.splits


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_one_thing_wrong_is_found(name: str, mutation: str) -> None:
    for seed in range(3 if name != "forest" else 1):
        with pytest.raises(Differs):
            compared(name, lambda core, seed=seed: MUTATIONS[mutation](core, seed))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["forest with gaps", "histogram boosting"])
def test_a_missing_value_that_goes_elsewhere_is_found(name: str) -> None:
    """Wherever it gets to at all."""
    last, rows = model(name)
    right = COMPILERS[type(last)](last)
    generator = np.random.default_rng(0)
    many = rows[generator.integers(len(rows), size=20_000)] + generator.normal(size=(20_000, rows.shape[1]))
    many[generator.random(many.shape) < 0.3] = np.nan
    differing = 0
    for seed in range(12):
        wrong = at_one_split(_missing_goes_elsewhere)(right, seed)
        if not np.array_equal(wrong.answer(many), right.answer(many)):
            differing += 1
            with pytest.raises(Differs):
                compared(name, lambda _, wrong=wrong: wrong)  # type: ignore[misc]
    assert differing > 3


def test_one_wrong_category_is_found() -> None:
    """In any set, in any place of it: if any rows at all are answered otherwise."""
    codes = [*range(14), np.nan]
    every = np.array([(one, other) for one in codes for other in codes])
    last, _ = model("categories")
    right = COMPILERS[type(last)](last)
    differing = 0
    for seed in range(16):
        generator = np.random.default_rng(seed)
        sets = right.left_sets.copy()
        # of 12 categories; the ninth word is for what is missing or unknown
        word, bit = (8, 0) if seed % 4 == 0 else (0, int(generator.integers(12)))
        sets[generator.integers(len(sets)), word] ^= np.uint32(1 << bit)
        wrong = replace(right, left_sets=sets)
        if not np.array_equal(wrong.answer(every), right.answer(every)):
            differing += 1
            with pytest.raises(Differs):
                compared("categories", lambda _, wrong=wrong: wrong)  # type: ignore[misc]
    assert differing > 5


def test_every_tree_is_tried_alone_where_the_whole_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in one of 100 trees is found although the whole forest is asked at a tenth of the splits."""
    monkeypatch.setattr(at_splits, "FEW_SPLITS", 100)
    monkeypatch.setattr(at_splits, "WHOLE_SECONDS", 1e-9)
    found = compared("forest")
    assert found.splits_compared == found.splits
    assert 50 < found.splits_in_whole <= 100 < found.splits
    mutation = MUTATIONS["a threshold one step up"]
    for seed in range(3):
        with pytest.raises(Differs):
            compared("forest", lambda core, seed=seed: mutation(core, seed))  # type: ignore[misc]


def test_without_time_some_splits_of_every_tree_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_splits, "FEW_SPLITS", 100)
    monkeypatch.setattr(at_splits, "WHOLE_SECONDS", 1e-9)
    monkeypatch.setattr(at_splits, "ALONE_SECONDS", 0.0)
    monkeypatch.setattr(at_splits, "BATCH_NUMBERS", 20_000)
    found = compared("forest")
    assert 100 < found.splits_compared < found.splits
