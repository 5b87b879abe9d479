"""The verifier accepts what is equal, and finds every way of being unequal that we could think of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from models.manifest import Manifest
from models.outputs import NEAR_TIE
from models.scorers.comparing import Differs
from models.scorers.part import Unsure
from models.scorers.scorer import Scorer
from models.scorers.verifier import compare, near_tie_for, tolerance_for
from tests.unit.models.making import added, saved_csv, table_of
from tests.unit.models.scorers.faulty import FAULTS, Columns, Tree

NAMES = tuple("abcdef")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    values, _ = make_classification(500, len(NAMES), n_informative=4, random_state=3)
    return pd.DataFrame(values.round(2), columns=list(NAMES))


@pytest.fixture(scope="module")
def tree(rows: pd.DataFrame) -> DecisionTreeClassifier:
    wanted = (rows.sum(axis=1) > 0).astype(int) + (rows["a"] > 1)
    # not a number of its own for each row, so that leaves have several classes
    fitted: DecisionTreeClassifier = DecisionTreeClassifier(min_samples_leaf=4, random_state=0)
    return fitted.fit(rows.to_numpy(), wanted)


@pytest.fixture(scope="module")
def manifest(
    tmp_path_factory: pytest.TempPathFactory, tree: DecisionTreeClassifier, rows: pd.DataFrame
) -> Manifest:
    folder = tmp_path_factory.mktemp("tree")
    found = added(folder, tree, sample=saved_csv(folder, rows)).manifest
    # the full width of numbers, so that the estimator itself decides
    return found.model_copy(update={"signature": found.signature.model_copy(update={"dtype": "float64"})})


def test_what_is_equal_is_accepted(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame
) -> None:
    scorer = Scorer(Columns(NAMES), Tree.of(tree))
    found = compare(scorer, tree, tree, manifest, table_of(rows))
    assert found.largest_difference == 0
    assert found.rows > len(rows)
    assert found.splits == found.splits_compared == (tree.tree_.children_left >= 0).sum()


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame, fault: str
) -> None:
    scorer = Scorer(Columns(NAMES), Tree.of(tree, fault))
    with pytest.raises(Differs):
        compare(scorer, tree, tree, manifest, table_of(rows))


def test_a_tolerance_lets_small_differences_pass_and_large_ones_not(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame
) -> None:
    last_bits = Scorer(Columns(NAMES), Tree.of(tree, "answers the last bit otherwise"))
    found = compare(last_bits, tree, tree, manifest, table_of(rows), tolerance=1e-12)
    assert 0 < found.largest_difference < 1e-12
    other = Scorer(Columns(NAMES), Tree.of(tree, "compares in 64 bits"))
    with pytest.raises(Differs):
        compare(other, tree, tree, manifest, table_of(rows), tolerance=1e-12)


def test_being_unsure_of_everything_is_no_fault(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame
) -> None:
    class Doubt(Tree):
        def _check(self, row: np.ndarray) -> None:
            raise Unsure(f"of {row}")

    scorer = Scorer(Columns(NAMES), Doubt.of(tree))
    assert compare(scorer, tree, tree, manifest, table_of(rows)).largest_difference == 0


def test_labels_are_compared_on_every_row(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame
) -> None:
    """An estimator whose labels do not follow from its probabilities, on a single row of twenty."""
    place = 7
    odd_one = rows.to_numpy()[place, 0]

    class Contrary(DecisionTreeClassifier):  # type: ignore[misc]
        def predict(self, X: Any, check_input: bool = True) -> np.ndarray:  # noqa: N803
            labels: np.ndarray = super().predict(X, check_input)
            return np.where(np.asarray(X)[:, 0] == odd_one, 1 - labels, labels)

    contrary = Contrary()
    contrary.__dict__.update(tree.__dict__)
    scorer = Scorer(Columns(NAMES), Tree.of(tree))
    with pytest.raises(Differs, match="label"):
        compare(scorer, tree, contrary, manifest, table_of(rows.head(20)))


def test_a_tolerance_makes_more_near_ties(tree: DecisionTreeClassifier) -> None:
    assert near_tie_for(tree, 0.0) is None  # it takes the first of equal classes by its own code
    assert near_tie_for(tree, 1e-3) == 2e-3
    assert near_tie_for(tree, 1e-12) == NEAR_TIE
    assert near_tie_for(LogisticRegression(), tolerance_for(LogisticRegression(), None)) == NEAR_TIE


def test_images_are_compared_as_the_matrix_that_the_model_takes(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame
) -> None:
    matrix = rows.to_numpy()
    assert compare(Scorer(Columns(NAMES), Tree.of(tree)), tree, tree, manifest, matrix).rows > len(rows)
    other = Scorer(Columns(NAMES), Tree.of(tree, "takes the other branch on a threshold"))
    with pytest.raises(Differs):
        compare(other, tree, tree, manifest, matrix)


def test_a_table_of_rows_of_which_some_are_refused_is_told_apart(
    tree: DecisionTreeClassifier, manifest: Manifest, rows: pd.DataFrame
) -> None:
    broken = rows.head(20).copy()
    broken.loc[7, "b"] = np.inf
    table = pa.table({name: broken[name].to_numpy() for name in NAMES})
    compare(Scorer(Columns(NAMES), Tree.of(tree)), tree, tree, manifest, table)
    with pytest.raises(Differs, match="refuses"):
        compare(Scorer(Columns(NAMES), Tree.of(tree, "answers infinity")), tree, tree, manifest, table)
