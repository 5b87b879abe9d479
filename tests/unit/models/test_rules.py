"""Values of whole columns: what is refused, what is told, what is clipped."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import ColumnSpec, Policy, Signature
from models.rules import check


def one_column(**options: Any) -> Signature:
    spec = ColumnSpec.model_validate({"name": "a", "kind": "number", "dtype": "float64"} | options)
    return Signature(kind="table", named=True, input="frame", columns=(spec,))


def test_a_null_is_a_problem_only_where_the_estimator_refuses_it() -> None:
    table = pa.table({"a": pa.chunked_array([[1.0, None], [None]], pa.float64())})
    assert check(one_column(), table).refused == []
    issues = check(one_column(accepts_null=False), table).refused
    assert [(issue.row, issue.column, issue.value, issue.code) for issue in issues] == [
        (1, "a", None, "missing_value"),
        (2, "a", None, "missing_value"),
    ]


@given(st.lists(st.one_of(st.none(), st.floats())), st.integers(0, 5), st.booleans(), st.booleans())
def test_exactly_the_refused_numbers_are_found(
    values: list[float | None], cut: int, null: bool, infinite: bool
) -> None:
    column = pa.chunked_array([values[:cut], values[cut:]], pa.float64())
    signature = one_column(accepts_null=null, accepts_infinite=infinite)
    found = [(issue.row, issue.code) for issue in check(signature, pa.table({"a": column})).refused]
    expected = []
    for row, value in enumerate(values):
        if (value is None or math.isnan(value)) and not null:
            expected.append((row, "missing_value"))
        elif value is not None and math.isinf(value) and not infinite:
            expected.append((row, "infinite_value"))
    assert found == expected


def test_a_number_beyond_32_bits_is_infinite_to_a_model_of_32_bit_numbers() -> None:
    narrow = one_column(accepts_infinite=False).model_copy(update={"dtype": "float32"})
    largest = 3.4028234663852886e38
    table = pa.table({"a": [largest, -largest, 3.4028235e38, 3.4028236e38, 1e39, -1e39]})
    assert [issue.row for issue in check(narrow, table).refused] == [3, 4, 5]


def test_an_unseen_category_is_told_with_the_known_ones() -> None:
    words = one_column(
        kind="string",
        dtype="string",
        accepts_unseen=False,
        categories=("red", "blue"),
        categories_from="estimator",
    )
    (issue,) = check(words, pa.table({"a": ["red", "green", None]})).refused
    assert (issue.row, issue.value, issue.code) == (1, "green", "unseen_category")
    assert "red, blue" in issue.message


def test_a_gap_is_not_an_unseen_category() -> None:
    numbers = one_column(accepts_unseen=False, categories=(1, 2), categories_from="estimator")
    table = pa.table({"a": pa.array([1.0, 3.0, float("nan"), None])})
    assert [(issue.row, issue.value) for issue in check(numbers, table).refused] == [(1, "3.0")]


def test_categories_of_a_sample_refuse_nothing() -> None:
    words = one_column(
        kind="string", dtype="string", accepts_unseen=False, categories=("red",), categories_from="sample"
    )
    assert check(words, pa.table({"a": ["green"]})).refused == []


RANGE = {"minimum": -10.0, "maximum": 50.0, "mean": 5.0, "std": 10.0, "max_z": 3.0}
NUMBERS = st.one_of(st.none(), st.floats(), st.sampled_from([-25.0, -10.0, 35.0, 35.1, 50.0, 50.1]))


@given(st.lists(NUMBERS, max_size=8), st.integers(0, 8), st.sampled_from(["warn", "refuse", "clip"]))
def test_each_policy_does_to_unusual_numbers_what_it_says(
    values: list[float | None], cut: int, policy: Policy
) -> None:
    column = pa.chunked_array([values[:cut], values[cut:]], pa.float64())
    checked = check(one_column(on_unusual=policy, **RANGE), pa.table({"a": column}))
    numbers = {row: value for row, value in enumerate(values) if value is not None and not math.isnan(value)}
    expected = {(row, "out_of_range") for row, value in numbers.items() if not -10 <= value <= 50}
    expected |= {(row, "far_from_mean") for row, value in numbers.items() if not -25 <= value <= 35}
    told = [issue for unusual in checked.unusual for issue in unusual.issues()]
    assert {(issue.row, issue.code) for issue in checked.refused} == (
        expected if policy == "refuse" else set()
    )
    assert {(issue.row, issue.code) for issue in told} == (expected if policy != "refuse" else set())
    within = {row: min(max(value, -10.0), 35.0) for row, value in numbers.items()}
    clipped = [within.get(row, value) for row, value in enumerate(values)]
    assert str(checked.table["a"].to_pylist()) == str(clipped if policy == "clip" else values)


def test_what_is_told_of_an_unusual_number() -> None:
    table = pa.table({"a": [40.0, -11.0]})
    (far, out) = check(one_column(on_unusual="refuse", **RANGE), table).refused
    assert far.message == (
        "Column 'a' is 40.0: more than 3 standard deviations (10) from training's mean, 5."
    )
    assert out.message == "Column 'a' is -11.0: training had -10 to 50."
    (unusual, _) = check(one_column(on_unusual="clip", **RANGE), table).unusual
    assert unusual.issues()[0].message.endswith("had -10 to 50; taken as the nearest of -10 to 35.")


def test_whole_numbers_are_clipped_to_whole_numbers() -> None:
    table = pa.table({"a": [-99.0, 0.0, 99.0]})
    clipped = check(one_column(dtype="int64", on_unusual="clip", **RANGE | {"mean": 5.5, "std": 1.1}), table)
    assert clipped.table["a"].to_pylist() == [3.0, 3.0, 8.0]
    narrow = one_column(dtype="int64", on_unusual="clip", **RANGE | {"mean": 5.5, "max_z": 0.01})
    assert set(check(narrow, table).table["a"].to_pylist()) == {5.0}


def test_an_infinite_number_is_told_once() -> None:
    table = pa.table({"a": [float("inf"), 99.0]})
    found = check(
        one_column(accepts_infinite=False, on_unusual="refuse", minimum=0, maximum=1), table
    ).refused
    assert [(issue.row, issue.code) for issue in found] == [(0, "infinite_value"), (1, "out_of_range")]


@pytest.mark.parametrize("categories_from", ["estimator", "sample"])
@pytest.mark.parametrize("policy", ["warn", "refuse"])
def test_an_unseen_category_that_the_estimator_takes_follows_the_policy(
    categories_from: str, policy: str
) -> None:
    words = {"kind": "string", "dtype": "string", "categories": ("red",), "categories_from": categories_from}
    checked = check(one_column(**words, on_unusual=policy), pa.table({"a": ["red", "green", None]}))
    told = checked.refused if policy == "refuse" else [i for u in checked.unusual for i in u.issues()]
    assert [(issue.row, issue.code) for issue in told] == [(1, "unseen_category")]
    assert len(checked.refused) + len(checked.unusual) == 1


def test_coded_numbers_are_categories_and_have_no_range() -> None:
    coded = one_column(categories=(1, 2), categories_from="estimator", **RANGE)
    (unusual,) = check(coded, pa.table({"a": [1.0, 60.0]})).unusual
    assert (unusual.code, unusual.rows.tolist()) == ("unseen_category", [1])


def test_whole_numbers_that_a_float_cannot_tell_apart_are_refused() -> None:
    table = pa.table({"a": [2.0**53 - 1, 2.0**53, -(2.0**60), 1e300, None, float("inf")]})
    found = check(one_column(dtype="int64"), table).refused
    assert [(issue.row, issue.code) for issue in found] == [(row, "integer_too_large") for row in (1, 2, 3)]
    assert check(one_column(), table).refused == []


def test_a_manifest_from_before_there_were_policies_warns() -> None:
    old = {"name": "a", "kind": "number", "dtype": "float64", "minimum": 0.0, "maximum": 1.0}
    assert ColumnSpec.model_validate(old).on_unusual == "warn"
    assert ColumnSpec.model_validate(old).near is None
