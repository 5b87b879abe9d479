"""The files that are scored: the same bytes on every machine, made once and kept.

A row is an id, 20 floats with 6 decimals and a string column that no model reads. Rows come in blocks, each
from its own seed, so that a longer file starts with the rows of a shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

SEED = 20261120
BLOCK_ROWS = 100_000  # also the row groups of the Parquet file
TRAINING_ROWS = 60_000
FEATURES = [f"f{number:02d}" for number in range(20)]
REGIONS = ("north", "south", "east", "west", "overseas")


def training_rows() -> tuple[np.ndarray, np.ndarray]:
    """Features and binary labels to fit the models on; none of the rows is in a scored file."""
    generator = np.random.default_rng([SEED, 1])
    values = _values(generator, TRAINING_ROWS)
    pull = values[:, :4] @ np.array([1.0, 0.8, -0.6, 0.4])
    noise = generator.logistic(scale=0.2, size=TRAINING_ROWS)
    return values, (pull + noise > 0).astype(np.int64)


def input_file(folder: Path, kind: str, rows: int) -> Path:
    """The file of ``rows`` rows as ``csv`` or ``parquet``, made if it is not there yet."""
    path = folder / f"rows-{rows}.{kind}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        (_write_csv if kind == "csv" else _write_parquet)(draft, rows)
        draft.rename(path)
    return path


def _write_csv(path: Path, rows: int) -> None:
    options = csv.WriteOptions(quoting_style="none", include_header=False)
    with path.open("wb") as file:
        file.write((",".join(["id", *FEATURES, "region"]) + "\n").encode())
        for table in _blocks(rows):
            csv.write_csv(table, file, options)


def _write_parquet(path: Path, rows: int) -> None:
    writer: pq.ParquetWriter | None = None
    for table in _blocks(rows):
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=BLOCK_ROWS)
    if writer:
        writer.close()


def _blocks(rows: int) -> Iterator[pa.Table]:
    for start in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - start)
        generator = np.random.default_rng([SEED, 2, start])
        values = _values(generator, BLOCK_ROWS)[:count]
        regions = pa.array(REGIONS).take(pa.array(generator.integers(0, len(REGIONS), count)))
        columns = [pa.array(np.arange(start, start + count)), *(pa.array(column) for column in values.T)]
        yield pa.table([*columns, regions], names=["id", *FEATURES, "region"])


def _values(generator: np.random.Generator, rows: int) -> np.ndarray:
    return np.round(generator.normal(scale=3.0, size=(rows, len(FEATURES))), 6)
