"""Whether all contestants gave the same answers; a fast wrong one would not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TOLERANCE = 1e-12
NUMBERS = ("probability_0", "probability_1")


def compare(reference: Path, other: Path, rows: int) -> float:
    """Raise AssertionError unless two folders hold the same answers; returns the largest difference.

    Ids must be 0, 1, 2, … in both, labels identical, numbers within ``TOLERANCE``.
    """
    one, two = _read(reference), _read(other)
    for folder, table in ((reference, one), (other, two)):
        ids = table.column("id").cast(pa.int64()).to_numpy()
        if not np.array_equal(ids, np.arange(rows)):
            raise AssertionError(f"{folder}: not the {rows} rows of the input in their order")
    differing = int((_column(one, "prediction") != _column(two, "prediction")).sum())
    if differing:
        raise AssertionError(f"{other}: {differing} labels are not those of {reference}")
    largest = max(float(np.abs(_column(one, name) - _column(two, name)).max()) for name in NUMBERS)
    if not largest <= TOLERANCE:
        raise AssertionError(f"{other}: numbers are up to {largest} away from those of {reference}")
    return largest


def _read(folder: Path) -> pa.Table:
    return pa.concat_tables(
        pq.read_table(path, columns=["id", "prediction", *NUMBERS])
        for path in sorted(folder.glob("*.parquet"))
    )


def _column(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = table.column(name).to_numpy()
    return values
