"""What a comparison counts is what scikit-learn, NumPy and pandas say of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from rowmill.client import NotComparable
from rowmill.client.comparison import report
from rowmill.client.comparison.answers import Target, targets
from rowmill.client.comparison.report import compare_files
from rowmill.client.comparison.scores import QUANTILES
from rowmill.client.comparison.sketch import FRACTION_BITS, Sketch, area_under_roc

ROWS = 5000
NUMBERS = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=200)


def described(version: int, classes: list[Any] | None, **more: Any) -> dict[str, Any]:
    """A model as `GET /models/<reference>` describes it."""
    target = {"name": None, "classes": classes}
    return {
        "name": "churn",
        "version": version,
        "targets": [target],
        "has_probabilities": classes is not None,
        "labels": None,
        **more,
    }


def both(first: list[Any] | None, second: list[Any] | None) -> list[Target]:
    return targets(described(3, first), described(4, second))


def write(path: Path, columns: dict[str, Any], rows_a_group: int) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows_a_group)
    return path


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few thousand rows are many batches."""
    monkeypatch.setattr(report, "BATCH_ROWS", 700)


def scored(seed: int, classes: list[Any], bad: list[int]) -> pd.DataFrame:
    """A result with probabilities; `bad` rows have an error and nothing else."""
    numbers = np.random.default_rng(seed)
    matrix = numbers.dirichlet(np.full(len(classes), 0.5), ROWS)
    frame = pd.DataFrame({"prediction": np.array(classes, object)[matrix.argmax(axis=1)]})
    for index, label in enumerate(classes):
        frame[f"probability_{label}"] = matrix[:, index]
    frame["error"] = pd.Series([None] * ROWS, dtype=object)
    frame.loc[bad, :] = None
    frame.loc[bad, "error"] = "not_a_number"
    return frame


@pytest.mark.parametrize("classes", [["no", "yes"], ["high", "low", "middle"]])
@pytest.mark.usefixtures("small_batches")
def test_classes_compare_as_scikit_learn_says(tmp_path: Path, classes: list[str]) -> None:
    first, second = scored(1, classes, [0, 7]), scored(2, classes, [7, ROWS - 1])
    true = np.random.default_rng(3).choice(classes, ROWS)
    files = [
        write(tmp_path / "first.parquet", {**first, "label": np.where(true == "no", " no ", true)}, 1100),
        write(tmp_path / "second.parquet", {**second}, 900),
    ]
    found = compare_files(files[0], files[1], both(classes, classes), ["label"])
    [target] = found["targets"]

    good = np.setdiff1d(np.arange(ROWS), [0, 7, ROWS - 1])
    ours, theirs, true = first.loc[good], second.loc[good], true[good]
    assert (found["rows"], found["compared"]) == (ROWS, ROWS - 3)
    assert found["failed"] == {"first_only": 1, "second_only": 1, "both": 1}
    same = (ours["prediction"] == theirs["prediction"]).sum()
    assert (target["agreed"], target["flipped"]) == (same, len(good) - same)
    expected = pd.crosstab(ours["prediction"], theirs["prediction"])
    assert target["flips"] is not None
    flips = {(flip["first"], flip["second"]): flip["rows"] for flip in target["flips"]}
    assert flips == {(a, b): expected.loc[a, b] for a in classes for b in classes if a != b}

    assert target["metrics"] is not None
    for side, frame in (("first", ours), ("second", theirs)):
        assert target["metrics"][side] == pytest.approx(as_scikit_learn(true, frame, classes), abs=1e-5)

    assert target["scores"] is not None
    columns = [f"probability_{label}" for label in classes]
    two = len(classes) == 2
    scores = [frame[columns[1]] if two else frame[columns].max(axis=1) for frame in (ours, theirs)]
    assert target["scores"]["of"] == ("probability_yes" if two else "confidence")
    told = [[each["first"], each["second"]] for each in target["scores"]["quantiles"]]
    assert pytest.approx(np.array([np.quantile(s, QUANTILES) for s in scores]), rel=1e-4) == np.array(told).T
    change = scores[1].astype(float) - scores[0].astype(float)
    assert target["scores"]["change"]["mean"] == pytest.approx(change.mean())
    assert target["scores"]["change"]["mean_absolute"] == pytest.approx(change.abs().mean())


def as_scikit_learn(true: np.ndarray, frame: pd.DataFrame, classes: list[str]) -> dict[str, float]:
    matrix = frame[[f"probability_{label}" for label in classes]].to_numpy(float)
    two = len(classes) == 2
    area = (true == "yes", matrix[:, 1]) if two else (true, matrix)
    return {
        "accuracy": metrics.accuracy_score(true, frame["prediction"].astype(str)),
        "f1_macro": metrics.f1_score(true, frame["prediction"].astype(str), average="macro"),
        "roc_auc": metrics.roc_auc_score(*area, multi_class="ovr"),
        "log_loss": metrics.log_loss(true, matrix, labels=classes),
        "brier": metrics.brier_score_loss(true, matrix, labels=classes),
    }


@pytest.mark.usefixtures("small_batches")
def test_numbers_compare_as_scikit_learn_says(tmp_path: Path) -> None:
    numbers = np.random.default_rng(4)
    true = numbers.normal(1e6, 3, ROWS)
    first, second = true + numbers.normal(0, 1, ROWS), true + numbers.normal(0, 2, ROWS)
    label = [None, "unknown", *map(repr, true[2:].tolist())]
    nothing = pa.nulls(ROWS, pa.string())
    files = [
        write(tmp_path / "first.parquet", {"prediction": first, "label": label, "error": nothing}, 800),
        write(tmp_path / "second.parquet", {"prediction": second, "error": nothing}, ROWS),
    ]
    [target] = compare_files(files[0], files[1], both(None, None), ["label"])["targets"]
    assert (target["agreement"], target["flips"]) == (None, None)
    assert target["metrics"] is not None
    assert target["metrics"]["rows"] == ROWS - 2
    for side, predicted in (("first", first), ("second", second)):
        assert target["metrics"][side] == pytest.approx(
            {
                "r2": metrics.r2_score(true[2:], predicted[2:]),
                "mae": metrics.mean_absolute_error(true[2:], predicted[2:]),
                "rmse": metrics.root_mean_squared_error(true[2:], predicted[2:]),
            }
        )


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        (pa.array([1, 0, 1]), pa.array([1.0, 0.0, 0.0]), ["1", "0.0", " 1 "]),
        (pa.array([True, False, True]), pa.array(["true", "false", "false"]), ["True", "0", "TRUE"]),
        (pa.array([1, 0, 1]), pa.array(["1", "0", "0"]), [1, 0, 1]),
        (pa.array([True, False, True]), pa.array([1, 0, 0]), ["True", "0", "1"]),
        (pa.array([1.0, 0.0, 1.0]), pa.array([True, False, False]), [True, False, True]),
    ],
)
def test_labels_of_other_types_are_the_same_labels(
    tmp_path: Path, first: pa.Array, second: pa.Array, label: list[Any]
) -> None:
    nothing = pa.nulls(3, pa.string())
    files = [
        write(tmp_path / "first.parquet", {"prediction": first, "label": label, "error": nothing}, 3),
        write(tmp_path / "second.parquet", {"prediction": second, "error": nothing}, 3),
    ]
    classes = [sorted(set(column.to_pylist())) for column in (first, second)]
    plain = [described(version, labels, has_probabilities=False) for version, labels in enumerate(classes)]
    [target] = compare_files(files[0], files[1], targets(*plain), ["label"])["targets"]
    assert (target["agreed"], target["flipped"], target["scores"]) == (2, 1, None)
    assert target["metrics"] is not None
    accuracies = [target["metrics"][side]["accuracy"] for side in ("first", "second")]
    assert accuracies == [1.0, pytest.approx(2 / 3)]


def test_labels_of_the_training_data_are_those_that_results_show(tmp_path: Path) -> None:
    nothing = pa.nulls(2, pa.string())
    shown = ["malignant", "benign"]
    columns = {"prediction": shown, "error": nothing}
    first = write(tmp_path / "first.parquet", {**columns, "label": ["0", "1"]}, 2)
    second = write(tmp_path / "second.parquet", columns, 2)
    plain = described(1, shown, has_probabilities=False, labels={"0": "malignant", "1": "benign"})
    [target] = compare_files(first, second, targets(plain, plain), ["label"])["targets"]
    assert target["metrics"] is not None
    assert target["metrics"]["first"]["accuracy"] == 1.0


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotComparable, match="churn@3 answers classes, churn@4 numbers"):
        both(["no", "yes"], None)
    several = described(4, None) | {"targets": [{"name": name, "classes": None} for name in ("a", "b")]}
    with pytest.raises(NotComparable, match="churn@3 answers one value, churn@4 the targets a, b"):
        targets(described(3, None), several)
    nothing = {"prediction": [1.0], "error": pa.nulls(1, pa.string())}
    first = write(tmp_path / "first.parquet", nothing, 1)
    second = write(tmp_path / "second.parquet", {name: [] for name in nothing}, 1)
    with pytest.raises(NotComparable, match="one result has 1 rows, the other 0"):
        compare_files(first, second, both(None, None))


def test_results_without_rows_compare(tmp_path: Path) -> None:
    empty = {"prediction": pa.array([], pa.string()), "error": pa.array([], pa.string())}
    file = write(tmp_path / "empty.parquet", empty | {"probability_a": [], "probability_b": []}, 1)
    [target] = compare_files(file, file, both(["a", "b"], ["a", "b"]))["targets"]
    assert (target["agreement"], target["flipped"], target["metrics"]) == (None, 0, None)


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.floats(0, 1))
def test_a_sketch_tells_every_quantile_within_its_promise(parts: list[list[float]], share: float) -> None:
    sketch = Sketch()
    for part in parts:
        sketch.add(np.array([*part, np.nan]))
    numbers = np.sort(np.concatenate([np.array(part) for part in parts]))
    below = numbers[int(np.floor(share * (len(numbers) - 1)))]
    above = numbers[int(np.ceil(share * (len(numbers) - 1)))]
    told = sketch.quantile(share)
    assert told is not None
    slack = 2.0**-FRACTION_BITS
    assert below - abs(below) * slack - 1e-300 <= told <= above + abs(above) * slack + 1e-300


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), min_size=1, max_size=200))
def test_the_area_is_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    true, scores = np.array([row[0] for row in rows]), np.array([row[1] / 50 for row in rows])
    positive, negative = Sketch(), Sketch()
    positive.add(scores[true])
    negative.add(scores[~true])
    area = area_under_roc(positive, negative)
    if true.all() or not true.any():
        assert area is None
    else:
        assert area == pytest.approx(metrics.roc_auc_score(true, scores))


def test_what_was_read_is_let_go_of(tmp_path: Path) -> None:
    path, groups = tmp_path / "long.parquet", 40
    table = pa.table({"prediction": np.random.default_rng(5).random(50_000)})
    with pq.ParquetWriter(path, table.schema, compression="none") as writer:
        for _ in range(groups):
            writer.write_table(table)
    before = pa.total_allocated_bytes()
    held = max(pa.total_allocated_bytes() - before for _ in report.in_step(path, path))
    assert held < path.stat().st_size / 4
