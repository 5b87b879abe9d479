"""Rows for timing are as hard to foresee as those of a job."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.probing import repeated


def test_repeated_rows_come_in_their_order_first_then_in_no_order() -> None:
    table = pa.table({"number": range(100)})
    assert repeated(table, 40)["number"].to_pylist() == list(range(40))
    numbers = repeated(table, 1000)["number"].to_numpy()
    np.testing.assert_array_equal(numbers[:100], np.arange(100))
    assert len(np.unique(np.diff(numbers[100:]))) > 50
    assert repeated(table, 1000).equals(repeated(table, 1000))
