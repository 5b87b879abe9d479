"""Matching column names, and finding the rows that an estimator would refuse."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import ColumnSpec, Signature
from models.signature import match_columns, row_problems


def signature_of(*columns: str, named: bool = True) -> Signature:
    specs = tuple(ColumnSpec(name=name, kind="number", dtype="float64") for name in columns)
    return Signature(kind="table", named=named, input="matrix", columns=specs)


def one_column(**options: Any) -> Signature:
    spec = ColumnSpec.model_validate({"name": "a", "kind": "number", "dtype": "float64"} | options)
    return Signature(kind="table", named=True, input="frame", columns=(spec,))


def test_columns_match_by_name_in_any_order_and_extra_ones_are_told() -> None:
    match = match_columns(signature_of("a", "b"), ["id", "b", "a"])
    assert (match.positions, match.by, match.extra, match.problems) == ((2, 1), "name", ("id",), ())


def test_every_missing_column_is_named_with_its_nearest_neighbour() -> None:
    match = match_columns(signature_of("alcohol", "proline"), ["alchohol", "Proline", "ash"])
    assert match.positions == ()
    assert [(problem.code, problem.column, problem.nearest) for problem in match.problems] == [
        ("missing_column", "alcohol", "alchohol"),
        ("missing_column", "proline", "Proline"),
    ]


def test_a_column_that_is_there_is_not_offered_for_another_that_is_not() -> None:
    (problem,) = match_columns(signature_of("size_1", "size_2"), ["size_1", "other"]).problems
    assert problem.nearest is None
    assert "size_1, other" in problem.message


def test_a_column_that_comes_twice_is_refused_only_if_it_is_wanted() -> None:
    assert match_columns(signature_of("a"), ["a", "b", "b"]).positions == (0,)
    (problem,) = match_columns(signature_of("a"), ["a", "a"]).problems
    assert problem.code == "duplicate_column"


def test_unnamed_features_match_by_name_else_by_position_if_the_count_fits() -> None:
    signature = signature_of("x0", "x1", named=False)
    assert match_columns(signature, ["x1", "x0"]).positions == (1, 0)
    match = match_columns(signature, ["height", "weight"])
    assert (match.positions, match.by) == ((0, 1), "position")
    (problem,) = match_columns(signature, ["height", "weight", "age"]).problems
    assert problem.code == "column_count"
    assert "takes 2" in problem.message


def test_a_file_that_knows_some_names_is_never_matched_by_position() -> None:
    (problem,) = match_columns(signature_of("height", "weight", named=False), ["weight", "heigth"]).problems
    assert (problem.code, problem.nearest) == ("missing_column", "heigth")


def test_a_file_without_header_matches_by_position_even_if_the_model_has_names() -> None:
    match = match_columns(signature_of("a", "b"), ["b", "a"], headerless=True)
    assert (match.positions, match.by) == ((0, 1), "position")


@given(st.permutations(["a", "b", "c", "d", "e"]), st.lists(st.sampled_from("vwxyz"), unique=True))
def test_positions_point_at_the_wanted_names(order: list[str], extra: list[str]) -> None:
    names = order + extra
    match = match_columns(signature_of("b", "d", "e"), names)
    assert [names[position] for position in match.positions] == ["b", "d", "e"]


def test_a_null_is_a_problem_only_where_the_estimator_refuses_it() -> None:
    table = pa.table({"a": pa.chunked_array([[1.0, None], [None]], pa.float64())})
    assert row_problems(one_column(), table) == []
    issues = row_problems(one_column(accepts_null=False), table)
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
    found = [(issue.row, issue.code) for issue in row_problems(signature, pa.table({"a": column}))]
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
    assert [issue.row for issue in row_problems(narrow, table)] == [3, 4, 5]


def test_an_unseen_category_is_told_with_the_known_ones() -> None:
    words = one_column(
        kind="string",
        dtype="string",
        accepts_unseen=False,
        categories=("red", "blue"),
        categories_from="estimator",
    )
    (issue,) = row_problems(words, pa.table({"a": ["red", "green", None]}))
    assert (issue.row, issue.value, issue.code) == (1, "green", "unseen_category")
    assert "red, blue" in issue.message


def test_a_gap_is_not_an_unseen_category() -> None:
    numbers = one_column(accepts_unseen=False, categories=(1, 2), categories_from="estimator")
    table = pa.table({"a": pa.array([1.0, 3.0, float("nan"), None])})
    assert [(issue.row, issue.value) for issue in row_problems(numbers, table)] == [(1, "3.0")]


def test_categories_of_a_sample_refuse_nothing() -> None:
    words = one_column(
        kind="string", dtype="string", accepts_unseen=False, categories=("red",), categories_from="sample"
    )
    assert row_problems(words, pa.table({"a": ["green"]})) == []
