"""Matching the names of columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.manifest import ColumnSpec, Signature
from models.signature import match_columns


def signature_of(*columns: str, named: bool = True) -> Signature:
    specs = tuple(ColumnSpec(name=name, kind="number", dtype="float64") for name in columns)
    return Signature(kind="table", named=named, input="matrix", columns=specs)


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
