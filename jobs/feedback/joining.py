"""True labels joined to the rows of a job's result, in bounded memory.

What is known of a job is a file of its own beside the result: one label, or null, for each row. It is written
anew with those that were sent laid over it; so the later label of a row counts, and the same labels twice
change nothing. Which row a label is for stands in ``matching``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.files import Files
from jobs.feedback.buckets import blocks, spread
from jobs.feedback.labels import arrow_type, errors
from jobs.feedback.matching import matched, pairs
from jobs.feedback.measured import Measured
from jobs.feedback.pieces import PIECE_ROWS, Result, count_rows, pieces
from jobs.feedback.sent import Sent, Tally

LABEL = "label"
PREDICTION = "prediction"


@contextmanager
def joined(files: Files, result: Result, known: Path | None, sent: Sent, tally: Tally) -> Iterator[Path]:
    """A file of labels, removed at the end of the block unless it was kept: ``known`` and those sent.

    ``tally`` is told what became of each. Raises ``Problem`` (``result_damaged``).
    """
    found = matched(files, result, sent, tally)
    placed = ((table, table.column("row").to_numpy() // PIECE_ROWS) for table in found)
    count = 1 + count_rows(result) // PIECE_ROWS
    with files.draft(".parquet") as draft, spread(files, count, pairs(result), placed) as fresh:
        schema = pa.schema([(LABEL, arrow_type(result.kind))])
        with pq.ParquetWriter(draft, schema, compression="zstd", write_page_checksum=True) as writer:
            for values in _overlaid(result, known, fresh):
                writer.write_table(pa.table([values], schema=schema))
        yield draft


def _overlaid(result: Result, known: Path | None, fresh: list[Path]) -> Iterator[pa.Array]:
    """What is known, piece by piece, with the labels of each piece laid over it in their order."""
    for number, (labels, path) in enumerate(zip(_labels(result, known), fresh, strict=False)):
        for block in blocks(path, PIECE_ROWS):
            at = np.full(len(labels), -1)
            at[block.column("row").to_numpy() - number * PIECE_ROWS] = np.arange(len(block))
            newer = block.column("label").combine_chunks().take(pa.array(at, mask=at < 0))
            labels = pc.coalesce(newer, labels)  # noqa: PLW2901 - one block over the other
        yield labels


def _labels(result: Result, known: Path | None) -> Iterator[pa.Array]:
    """What is known so far, in pieces like those of the result."""
    if known is not None:
        for piece in pieces(known, [LABEL]):
            yield piece.column(0).combine_chunks()
        return
    left = count_rows(result)
    while left > 0:
        yield pa.nulls(min(left, PIECE_ROWS), arrow_type(result.kind))
        left -= PIECE_ROWS


def measure(result: Result, labels: Path) -> Measured:
    """How right the predictions were, as far as labels tell."""
    whole = Measured()
    for piece, known in zip(pieces(result.path, [PREDICTION]), _labels(result, labels), strict=True):
        predicted = piece.column(0).combine_chunks().cast(arrow_type(result.kind))
        off = errors(known, predicted, result.kind)
        wrong = pc.sum(pc.not_equal(off, 0.0)).as_py() or 0
        absolute, squared = (pc.sum(values).as_py() or 0.0 for values in (pc.abs(off), pc.multiply(off, off)))
        rows, labelled = (len(values) - values.null_count for values in (predicted, off))
        whole.add(Measured(rows, labelled, wrong, absolute, squared))
    return whole
