"""True labels are recognised however a file writes them, and what is no label is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.errors import ModelError
from models.labels import MISSING, Alphabet, true_numbers


@pytest.mark.parametrize(
    ("classes", "labels", "given", "expected"),
    [
        ((0, 1), None, ["0", "1", "1.0", " 1 ", "", "NA", None], [0, 1, 1, 1, -1, -1, -1]),
        ((0, 1), None, [0, 1, None], [0, 1, -1]),
        ((0, 1), None, [0.0, 1.0, float("nan")], [0, 1, -1]),
        ((0, 1), None, [False, True], [0, 1]),
        ((False, True), None, ["true", "False", "1", "0"], [1, 0, 1, 0]),
        ((False, True), None, [0, 1], [0, 1]),
        ((0.5, 1.5), None, ["0.50", "1.5"], [0, 1]),
        (("a", "b", "NA"), None, ["b", "NA", ""], [1, 2, -1]),
        (("no", "yes"), {"0": "no", "1": "yes"}, ["no", "1", "1.0", "yes"], [0, 1, 1, 1]),
        (("no", "yes"), {"0": "no", "1": "yes"}, [1, 0], [1, 0]),
        (("no", "1"), {"0": "no"}, ["0", "1", "no"], [0, 1, 0]),
        ((" <=50K", " >50K"), None, [" <=50K", ">50K", " >50K  ", ""], [0, 1, 1, -1]),
        (("a", " a", "b "), None, ["a", " a", "b", "b  "], [0, 1, 2, 2]),
        ((" a", "a "), None, [" a", "a ", None], [0, 1, -1]),
        (("rich", "poor"), {" >50K": "rich", " <=50K": "poor"}, [" >50K", "<=50K", "rich"], [0, 1, 0]),
    ],
)
def test_one_class_in_all_its_forms(
    classes: tuple[Any, ...], labels: dict[str, str] | None, given: list[Any], expected: list[int]
) -> None:
    column = pa.chunked_array(
        [pa.array(given[:1], pa.array(given).type), pa.array(given[1:], pa.array(given).type)]
    )
    assert Alphabet(classes, labels).positions(column, 0).tolist() == expected


@pytest.mark.parametrize(
    ("rival", "new", "given", "expected"),
    [
        (((0, 1), None), ((0, 1, 2), None), ["0", "1", "2", ""], [0, 1, 2, -1]),
        (((False, True), None), ((0, 1), None), [0, 1], [0, 1]),
        (((0, 1), None), (("no", "yes"), {"0": "no", "1": "yes"}), ["0", "no", "yes"], [0, 0, 1]),
        ((("no", "yes"), {"0": "no", "1": "yes"}), ((0, 1, 2), None), ["0", "1", "2", "yes"], [0, 1, 2, 1]),
        ((("a", "b"), None), (("b", "NA", "c"), None), ["a", "b", "NA", "c"], [0, 1, 2, 3]),
    ],
)
def test_labels_that_only_another_model_knows_come_behind_its_own(
    rival: tuple[Any, Any], new: tuple[Any, Any], given: list[Any], expected: list[int]
) -> None:
    both = Alphabet(*rival).with_those_of(Alphabet(*new))
    assert both.positions(pa.chunked_array([given]), 0).tolist() == expected
    assert len(both.classes) == max(expected) + 1


@pytest.mark.parametrize("classes", [(" a", "a "), ("a ", " a", "b")])
def test_a_label_that_may_be_either_of_two_classes_is_none(classes: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="label 'a', which is none"):
        Alphabet(classes, None).positions(pa.chunked_array([["a"]]), 0)


def test_no_rows_have_no_labels() -> None:
    assert Alphabet((0, 1), None).positions(pa.chunked_array([pa.array([], pa.string())]), 0).tolist() == []


@pytest.mark.parametrize("stranger", ["2", "yes", "nine"])
def test_a_label_that_is_no_class_is_named_with_its_row(stranger: str) -> None:
    column = pa.chunked_array([pa.array(["0", "1", stranger, stranger])])
    with pytest.raises(ModelError, match=rf"Row 103 .*'{stranger}'.*\(0, 1\)") as refused:
        Alphabet((0, 1), None).positions(column, 100)
    assert refused.value.code == "unknown_label"


@pytest.mark.parametrize("values", [["1", " 2.5 ", "", "NA", None], [1.0, 2.5, None, None, None]])
def test_numbers_are_read_and_gaps_stay_gaps(values: list[Any]) -> None:
    found = true_numbers(pa.chunked_array([values]), 0)
    assert np.array_equal(found, [1, 2.5, np.nan, np.nan, np.nan], equal_nan=True)
    assert MISSING not in found


@pytest.mark.parametrize("bad", ["many", "inf", "1,5"])
def test_what_is_no_number_is_named_with_its_row(bad: str) -> None:
    with pytest.raises(ModelError, match=f"Row 12 .*'?{bad}'?"):
        true_numbers(pa.chunked_array([["1", bad]]), 10)
