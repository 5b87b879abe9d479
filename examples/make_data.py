"""A file as large as you like: rows of a sample, drawn again and again, the measurements changed a little.

python examples/make_data.py OUT_DIR/wine.sample.csv wine.csv --rows 1000000 --drop cultivar

Writes CSV or Parquet by the ending of the output's name, in blocks, so that no size needs much memory. The
same sample, rows and seed give the same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

BLOCK_ROWS = 100_000
NOISE = 0.01


def blocks(sample: pd.DataFrame, rows: int, seed: int) -> Iterator[pa.Table]:
    """Tables of at most BLOCK_ROWS rows, ``rows`` in all, with a running number as first column ``id``."""
    generator = np.random.default_rng(seed)
    for start in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - start)
        drawn = sample.iloc[generator.integers(0, len(sample), count)].reset_index(drop=True)
        measured = [name for name in drawn.columns if drawn[name].dtype.kind == "f"]
        for name in measured:
            changed = np.round(drawn[name] * generator.normal(1, NOISE, count), 6)
            drawn[name] = changed.clip(sample[name].min(), sample[name].max())  # as in training
        drawn.insert(0, "id", np.arange(start, start + count))
        yield pa.Table.from_pandas(drawn, preserve_index=False)


def write(path: Path, tables: Iterator[pa.Table]) -> None:
    """Write the tables one after the other, as CSV or Parquet."""
    first = next(tables)
    writer = (
        pq.ParquetWriter(path, first.schema, compression="zstd")
        if path.suffix == ".parquet"
        else pyarrow.csv.CSVWriter(
            path, first.schema, write_options=pyarrow.csv.WriteOptions(quoting_style="needed")
        )
    )
    with writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sample", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--drop", default="", help="columns to leave out, such as the target: a,b")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.rows < 1:
        parser.error("--rows must be at least 1")
    sample = pd.read_csv(options.sample).drop(columns=[name for name in options.drop.split(",") if name])
    write(options.output, blocks(sample, options.rows, options.seed))
    print(f"{options.output}: {options.rows:,} rows, {options.output.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
