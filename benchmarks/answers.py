"""Whether all contestants gave the same answers; a fast wrong one would not count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TOLERANCE = 1e-12


def compare(reference: Path, other: Path, key: str, keys: Sequence[str]) -> float:
    """Raise AssertionError unless two folders hold the same answers; returns the largest difference.

    The column ``key`` must be ``keys`` in both, labels identical, probabilities within ``TOLERANCE``.
    """
    one, two = _read(reference), _read(other)
    for folder, table in ((reference, one), (other, two)):
        if table.column(key).cast(pa.string()).to_pylist() != list(keys):
            raise AssertionError(f"{folder}: not the {len(keys)} rows of the input in their order")
    differing = int((_column(one, "prediction") != _column(two, "prediction")).sum())
    if differing:
        raise AssertionError(f"{other}: {differing} labels are not those of {reference}")
    numbers = [name for name in one.column_names if name.startswith("probability_")]
    largest = max(float(np.abs(_column(one, name) - _column(two, name)).max()) for name in numbers)
    if not largest <= TOLERANCE:
        raise AssertionError(f"{other}: numbers are up to {largest} away from those of {reference}")
    return largest


def _read(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*.parquet")))


def _column(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = table.column(name).to_numpy()
    return values
