from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.formats import RowProblem
from jobs.errors import LostLease
from jobs.scoring import MAX_BISECT_CALLS, Scorer, call_rows, score_rows

ENDLESS = 1 << 40
SCHEMA = pa.schema([("prediction", pa.float64())])


def never_stops() -> None:
    """No lease to lose."""


def squarer(refuses: set[int]) -> Scorer:
    """Predicts x², and refuses a whole table for one row that it does not like, as estimators do."""

    def predict(rows: pa.Table) -> pa.Table:
        values = rows.column("x").to_numpy()
        if refused := refuses.intersection(values.tolist()):
            raise ValueError(f"cannot take {min(refused)}")
        return pa.table({"prediction": values.astype(float) ** 2})

    return Scorer(SCHEMA, predict, call_rows=ENDLESS)


def problem(row: int) -> RowProblem:
    return RowProblem(
        row=row, line=None, column="x", value="?", code="not_a_number", message="'?' is no number"
    )


@given(
    st.integers(0, 60).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.sets(st.integers(0, max(0, count - 1))),
            st.sets(st.integers(0, max(0, count - 1))),
        )
    )
)
def test_each_row_gets_its_own_answer_or_reason(case: tuple[int, set[int], set[int]]) -> None:
    count, broken, refused = case
    if not count:
        broken = refused = set()
    table = pa.table({"x": pa.array(range(count), pa.int64())})
    scored = score_rows(squarer(refused), table, count, [problem(row) for row in sorted(broken)], never_stops)
    expected = [None if row in broken | refused else float(row**2) for row in range(count)]
    assert scored.table.column("prediction").to_pylist() == expected
    codes = [
        "not_a_number" if r in broken else "model_refused" if r in refused else None for r in range(count)
    ]
    assert scored.table.column("error").to_pylist() == codes
    assert scored.rows_failed == len(broken | refused)
    assert [p.row for p in scored.problems] == sorted(broken | refused)


def test_a_row_with_two_problems_is_one_failed_row() -> None:
    table = pa.table({"x": [1, 2]})
    scored = score_rows(squarer(set()), table, 2, [problem(1), problem(1)], never_stops)
    assert scored.rows_failed == 1
    assert scored.error_counts() == {"not_a_number:x": 2}


def test_searching_for_refused_rows_has_an_end() -> None:
    count = 3 * MAX_BISECT_CALLS
    calls = 0

    def predict(_rows: pa.Table) -> pa.Table:
        nonlocal calls
        calls += 1
        raise ValueError("never")

    table = pa.table({"x": np.arange(count)})
    scored = score_rows(Scorer(SCHEMA, predict, ENDLESS), table, count, [], never_stops)
    assert calls <= MAX_BISECT_CALLS + 64
    assert scored.rows_failed == count
    assert "could not be told apart" in scored.problems[-1].message


def test_the_machines_own_trouble_is_not_a_row_error() -> None:
    def predict(_rows: pa.Table) -> pa.Table:
        raise MemoryError

    with pytest.raises(MemoryError):
        score_rows(Scorer(SCHEMA, predict, ENDLESS), pa.table({"x": [1]}), 1, [], never_stops)


def test_a_lost_lease_stops_the_work() -> None:
    def lost() -> None:
        raise LostLease

    with pytest.raises(LostLease):
        score_rows(squarer(set()), pa.table({"x": [1]}), 1, [], lost)


def counted(calls: list[int]) -> Scorer:
    """Doubles rows, ten a call at most, and notes how many rows each call had."""

    def predict(rows: pa.Table) -> pa.Table:
        calls.append(len(rows))
        return pa.table({"prediction": rows.column("x").to_numpy() * 2.0})

    return Scorer(SCHEMA, predict, call_rows=10)


def test_a_cancelled_chunk_stops_after_the_call_that_runs() -> None:
    calls: list[int] = []

    def stops_after_two() -> None:
        if len(calls) == 2:
            raise LostLease

    with pytest.raises(LostLease):
        score_rows(counted(calls), pa.table({"x": np.arange(1000)}), 1000, [], stops_after_two)
    assert calls == [10, 10]


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (10, [10]), (11, [6, 5]), (25, [9, 8, 8]), (30, [10, 10, 10])]
)
def test_the_calls_follow_from_the_number_of_rows_alone(count: int, sizes: list[int]) -> None:
    calls: list[int] = []
    scored = score_rows(counted(calls), pa.table({"x": np.arange(count)}), count, [], never_stops)
    assert calls == sizes
    assert scored.table.column("prediction").to_pylist() == [2.0 * row for row in range(count)]


def test_a_call_is_meant_to_last_a_second() -> None:
    assert [call_rows(cost) for cost in (1e-6, 0.25, 7.0)] == [1_000_000, 4, 1]
