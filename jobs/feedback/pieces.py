"""Parquet files with the same rows, read side by side in pieces of the same size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.results import opened

# Looking up a block of labels in a piece costs as much as the longer of both, so they are of one size.
PIECE_ROWS = 1 << 20
_BATCH_ROWS = 1 << 16


def pieces(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The columns in tables of ``PIECE_ROWS`` rows, the last one shorter.

    Raises ``Problem`` (``result_damaged``).
    """
    with opened(path) as parquet:
        yield from _cut(parquet, columns)


def _cut(parquet: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.Table]:
    waiting = parquet.schema_arrow.empty_table().select(columns)
    for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch]).select(columns)])
        while len(waiting) >= PIECE_ROWS:
            yield waiting.slice(0, PIECE_ROWS)
            waiting = waiting.slice(PIECE_ROWS)
    if len(waiting):
        yield waiting
