"""The whole comparison: both files in step, one tally a target, one document at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rowmill.client.comparison.answers import Target
from rowmill.client.comparison.document import ComparedRows
from rowmill.client.comparison.labels import Writing
from rowmill.client.comparison.tallies import tally
from rowmill.client.errors import NotComparable

BATCH_ROWS = 65_536


def compare_files(
    first: Path,
    second: Path,
    targets: Sequence[Target],
    labels: Sequence[str] = (),
    writing: Writing = Writing(),  # noqa: B008 - frozen
) -> ComparedRows:
    """Compare two results of one input; `labels` are columns of the first, one a target.

    Raises NotComparable if they are not results of the same rows, or for columns that hold no labels.
    """
    of_targets: Sequence[str | None] = labels or [None] * len(targets)
    tallies = [tally(target, label, writing) for target, label in zip(targets, of_targets, strict=True)]
    rows = compared = 0
    failed = {"first_only": 0, "second_only": 0, "both": 0}
    for one, other in in_step(first, second):
        ours, theirs = (pc.is_valid(batch.column("error")) for batch in (one, other))
        both = pc.and_(ours, theirs)
        for name, which in zip(failed, (pc.and_not(ours, both), pc.and_not(theirs, both), both), strict=True):
            failed[name] += which.true_count
        good = pc.invert(pc.or_(ours, theirs))
        rows, compared = rows + len(one), compared + good.true_count
        for each in tallies:
            each.add(one.filter(good), other.filter(good))
    return {
        "rows": rows,
        "compared": compared,
        "failed": failed,
        "targets": [each.report() for each in tallies],
    }


def in_step(first: Path, second: Path) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The same rows of both files, some at a time."""
    # buffering ahead would hold on to all that was read until the file is closed
    with pq.ParquetFile(first, pre_buffer=False) as one, pq.ParquetFile(second, pre_buffer=False) as other:
        counts = one.metadata.num_rows, other.metadata.num_rows
        if counts[0] != counts[1]:
            raise NotComparable(
                f"one result has {counts[0]:,} rows, the other {counts[1]:,}: not the same input"
            )
        # both in batches of the same rows: only the last batch of a file is a smaller one
        batches = (file.iter_batches(batch_size=BATCH_ROWS) for file in (one, other))
        yield from zip(*batches, strict=True)
