"""True labels joined to the rows of a job's result, by key, row number or order, in bounded memory.

What is known of a job is a file of its own beside the result: one label, or null, for each row. A block of
new labels is looked up in the result piece by piece, and the file written anew; so the later label of a row
counts, and the same labels twice change nothing. Each million labels costs a pass over the result's keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.files import Files
from jobs.feedback.labels import Kind, arrow_type, errors, typed
from jobs.feedback.measured import Measured
from jobs.feedback.pieces import PIECE_ROWS, pieces
from jobs.feedback.sent import Sent, Tally

LABEL = "label"
PREDICTION = "prediction"
BLOCK_ROWS = 1 << 20


@dataclass(frozen=True)
class Result:
    """A job's result as labels see it. ``classes`` are empty where the model has none."""

    path: Path
    kind: Kind
    classes: tuple[object, ...]
    key_column: str | None  # that labels are joined by; None: by the row's number


@contextmanager
def joined(files: Files, result: Result, known: Path | None, sent: Sent, tally: Tally) -> Iterator[Path]:
    """A file of labels, removed at the end of the block unless it was kept: ``known`` and those sent.

    ``tally`` is told what became of each. Raises ``Problem`` (``result_damaged``).
    """
    with ExitStack() as drafts:
        newest = known
        for block in _blocks(sent, result.kind, tally):
            draft = drafts.enter_context(files.draft(".parquet"))
            _write(draft, arrow_type(result.kind), _overlaid(result, newest, block))
            block.settle(tally, result)
            newest = draft
        if newest is None or newest == known:
            newest = drafts.enter_context(files.draft(".parquet"))
            _write(newest, arrow_type(result.kind), _labels(result, known))
        yield newest


class _Block:
    """Labels with their keys, none of them null, the last one of a key first."""

    def __init__(self, keys: pa.Array, labels: pa.Array) -> None:
        backwards = pa.array(np.arange(len(keys) - 1, -1, -1))
        self._keys, self._labels = keys.take(backwards), labels.take(backwards)
        self._met = np.zeros(len(keys), dtype=bool)
        is_number = pa.types.is_integer(keys.type)
        self._bounds = pc.min_max(keys).as_py() if is_number and len(keys) else None

    def laid_over(self, keys: pa.Array, labels: pa.Array) -> pa.Array:
        """``labels`` of rows with these keys, with those of the block in place of what was there."""
        if not len(self._keys) or self._is_elsewhere(keys):
            return labels
        at = pc.index_in(keys, value_set=self._keys, skip_nulls=True)
        self._met[pc.drop_null(at).to_numpy(zero_copy_only=False)] = True
        return pc.coalesce(self._labels.take(at), labels)

    def _is_elsewhere(self, rows: pa.Array) -> bool:
        """Row numbers come in order, so most blocks are far from most pieces."""
        if self._bounds is None:
            return False
        return bool(self._bounds["max"] < rows[0].as_py() or self._bounds["min"] > rows[-1].as_py())

    def settle(self, tally: Tally, result: Result) -> None:
        """Count what met a row and what did not; a key that stands twice did what its last one did."""
        first = pc.index_in(self._keys, value_set=self._keys).to_numpy(zero_copy_only=False)
        met = pa.array(self._met[first])
        tally.joined += pc.sum(met).as_py() or 0
        tally.add_unknown(self._keys.filter(pc.invert(met)))
        if result.classes:
            classes = pa.array(list(result.classes)).cast(self._labels.type)
            strange = pc.and_(met, pc.invert(pc.is_in(self._labels, value_set=classes)))
            tally.add_unseen(self._labels.filter(strange))


def _blocks(sent: Sent, kind: Kind, tally: Tally) -> Iterator[_Block]:
    start = 0
    for table in sent.blocks(BLOCK_ROWS):
        texts = table.column(LABEL).combine_chunks()
        labels = typed(texts, kind)
        if sent.by == "order":
            keys = pa.array(np.arange(start, start + len(table)))
        else:
            keys = table.column("key").combine_chunks()
            keys = typed(keys, "integer") if sent.by == "row" else keys
        start += len(table)
        tally.sent += len(table)
        usable = pc.and_(pc.is_valid(keys), pc.is_valid(labels))
        tally.add_unusable(texts.filter(pc.invert(usable)))
        yield _Block(keys.filter(usable), labels.filter(usable))


def _overlaid(result: Result, known: Path | None, block: _Block) -> Iterator[pa.Array]:
    start = 0
    column = result.key_column or PREDICTION
    for piece, labels in zip(pieces(result.path, [column]), _labels(result, known), strict=True):
        keys: pa.Array = pa.array(np.arange(start, start + len(piece)))
        if result.key_column is not None:
            keys = piece.column(0).combine_chunks().cast(pa.string())
        yield block.laid_over(keys, labels)
        start += len(piece)


def _labels(result: Result, known: Path | None) -> Iterator[pa.Array]:
    """What is known so far, in pieces like those of the result."""
    if known is not None:
        for piece in pieces(known, [LABEL]):
            yield piece.column(0).combine_chunks()
        return
    left = pq.read_metadata(result.path).num_rows
    while left > 0:
        yield pa.nulls(min(left, PIECE_ROWS), arrow_type(result.kind))
        left -= PIECE_ROWS


def _write(path: Path, kind: pa.DataType, labels: Iterator[pa.Array]) -> None:
    schema = pa.schema([(LABEL, kind)])
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for values in labels:
            writer.write_table(pa.table([values], schema=schema))


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
