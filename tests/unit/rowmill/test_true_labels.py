"""The column of true labels of a comparison: what counts as a label, and when it is the wrong column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from rowmill.client import NotComparable
from rowmill.client.comparison import metrics as counted
from rowmill.client.comparison.answers import targets
from rowmill.client.comparison.labels import Writing
from rowmill.client.comparison.metrics import ProbabilityMetrics
from rowmill.client.comparison.report import compare_files
from rowmill.client.comparison.sketch import Sketch
from tests.unit.rowmill.test_comparison import described, write


def metrics_of(
    folder: Path, predicted: list[Any], labels: list[Any], classes: list[Any] | None, **more: Any
) -> dict[str, Any]:
    """How right a model is that predicted this."""
    nothing = pa.nulls(len(labels), pa.string())
    columns = {"prediction": predicted, "label": labels, "error": nothing}
    file = write(folder / "result.parquet", columns, len(labels))
    writing = more.pop("writing", Writing())
    plain = described(1, classes, has_probabilities=False, labels=more.pop("shown", None))
    [target] = compare_files(file, file, targets(plain, plain), ["label"], writing)["targets"]
    assert target["metrics"] is not None
    return {"rows": target["metrics"]["rows"], **target["metrics"]["first"]}


@pytest.mark.parametrize("word", ["NaN", "nan", "NA", "null", "", "  ", None, "none"])
@pytest.mark.parametrize("classes", [[0, 1], ["a", "b"], [False, True]])
def test_words_for_no_label_are_none(tmp_path: Path, word: str | None, classes: list[Any]) -> None:
    labels = [str(classes[0]), word, str(classes[1])]
    predicted = [classes[0], classes[1], classes[1]]
    found = metrics_of(tmp_path, predicted, labels, classes, writing=Writing(null_words=frozenset({"none"})))
    assert (found["rows"], found["accuracy"]) == (2, 1.0)


def test_a_class_may_be_called_as_nothing_is(tmp_path: Path) -> None:
    found = metrics_of(tmp_path, ["NA", "b"], ["NA", "NA"], ["NA", "b"])
    assert (found["rows"], found["accuracy"]) == (2, 0.5)


@pytest.mark.parametrize("label", [" <=50K", "<=50K", " <=50K "])
def test_blanks_at_the_edges_of_classes_do_not_matter(tmp_path: Path, label: str) -> None:
    classes = [" <=50K", " >50K"]
    assert metrics_of(tmp_path, [classes[0]], [label], classes)["accuracy"] == 1.0
    shown = {" <=50K": "poor", " >50K": "rich"}
    assert metrics_of(tmp_path, ["poor"], [label], ["poor", "rich"], shown=shown)["accuracy"] == 1.0


def test_classes_that_differ_in_blanks_stay_different(tmp_path: Path) -> None:
    found = metrics_of(tmp_path, ["a", " a", "a"], ["a", " a", " a"], ["a", " a"])
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_numbers_have_the_decimal_mark_of_the_file(tmp_path: Path) -> None:
    labels = ["12,5", " 1e1 ", "1.5", "", "-"]
    found = metrics_of(tmp_path, [12.0, 10.0, 3.0, 4.0, 5.0], labels, None, writing=Writing(decimal=","))
    assert (found["rows"], found["mae"]) == (2, 0.25)
    with pytest.raises(NotComparable, match="'label' holds '12,5' and no number that can be read"):
        metrics_of(tmp_path, [12.0, 10.0], ["12,5", "7,5"], None)
    found = metrics_of(tmp_path, [0.5, 1.5], ["0,5", "0,50"], [0.5, 1.5], writing=Writing(decimal=","))
    assert found["accuracy"] == 0.5


@pytest.mark.parametrize("classes", [["a", "b"], [0, 1]])
def test_a_column_of_other_things_is_refused(tmp_path: Path, classes: list[Any]) -> None:
    known = [str(classes[0])] * 2
    ids = [f"{number}" for number in range(5000, 6001)]
    with pytest.raises(NotComparable, match=r"more than 1,000 labels that neither .* it has '5000'"):
        metrics_of(tmp_path, [classes[0]] * 1003, [*known, *ids], classes)
    with pytest.raises(
        NotComparable, match="no label that either version knows: it has '7', and they answer"
    ):
        metrics_of(tmp_path, [classes[0]] * 2, ["7", "8"], classes)
    found = metrics_of(tmp_path, [classes[0]] * 3, [*known, "7"], classes)
    assert (found["rows"], found["accuracy"]) == (3, pytest.approx(2 / 3))  # a class that both lack is wrong


def test_areas_of_many_classes_share_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "MAX_BUCKETS", 1 << 13)
    numbers, classes = np.random.default_rng(6), pa.array(["a", "b", "c"])
    found = ProbabilityMetrics(classes)
    true, scores = [], []
    for rows in (20_000, 1, 20_000):
        places = numbers.integers(0, 3, rows)
        matrix = numbers.dirichlet(np.full(3, 0.3), rows) * 0.5 + 0.5 * np.eye(3)[places] * numbers.random(
            (rows, 1)
        )
        true.append(places)
        scores.append(matrix / matrix.sum(axis=1, keepdims=True))
        found.add(classes.take(pa.array(places)), scores[-1])
    sketches = [sketch for pair in found._sketches for sketch in pair]
    assert all(sketch.dropped_bits for sketch in sketches)
    area = metrics.roc_auc_score(np.concatenate(true), np.concatenate(scores), multi_class="ovr")
    assert found.report()["roc_auc"] == pytest.approx(area, abs=1e-4)
    assert sum(len(sketch.buckets(sketch.dropped_bits)[0]) for sketch in sketches) <= 1 << 13


def test_few_buckets_keep_all_numbers() -> None:
    sketch = Sketch(max_buckets=64)
    numbers = np.random.default_rng(7).normal(size=5000)
    for part in np.split(numbers, 50):
        sketch.add(part)
    sketch.settle()
    keys, counts = sketch.buckets(sketch.dropped_bits)
    assert len(keys) <= 64
    assert counts.sum() == len(numbers)
    assert sketch.quantile(0.5) == pytest.approx(np.median(numbers), abs=0.2)
