"""A job's result, and the file of its labels, as they are read: a few rows at a time, or side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from jobs.feedback.labels import Kind
from jobs.results import opened

# What is read side by side is cut alike.
PIECE_ROWS = 1 << 20
_BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class Result:
    """A job's result as labels see it. ``classes`` are empty where the model has none."""

    path: Path
    kind: Kind
    classes: tuple[object, ...]
    key_column: str | None  # that labels are joined by; None: by the row's number


def count_rows(result: Result) -> int:
    """Raises ``Problem`` (``result_damaged``), as do those below."""
    with opened(result.path) as parquet:
        rows: int = parquet.metadata.num_rows
        return rows


def batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The columns, a few rows at a time."""
    with opened(path) as parquet:
        yield from parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns))


def pieces(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The columns in tables of ``PIECE_ROWS`` rows, the last one shorter."""
    waiting: pa.Table | None = None
    for batch in batches(path, columns):
        fresh = pa.Table.from_batches([batch]).select(list(columns))
        waiting = fresh if waiting is None else pa.concat_tables([waiting, fresh])
        while len(waiting) >= PIECE_ROWS:
            yield waiting.slice(0, PIECE_ROWS)
            waiting = waiting.slice(PIECE_ROWS)
    if waiting is not None and len(waiting):
        yield waiting
