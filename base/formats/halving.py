"""Cutting a span in two, counting its rows, and standing in for rows that must not be read.

For spans whose reading or scoring takes the process with it: where the rows are is found here without
parsing a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from base.formats import csv_format, parquet, text
from base.formats.records import JSON_LINES, Dialect, Offsets, RecordEnds, count_newlines
from base.formats.types import ChunkRows, InputShape, Span, Wanted


def count_rows(path: Path, shape: InputShape, span: Span) -> int:
    """How many rows of the input ``span`` holds."""
    if _is_text(shape) and span.rows is None:
        return len(_row_starts(path, shape, span))
    return span.rows if span.rows is not None else span.stop - span.start


def halves(path: Path, shape: InputShape, span: Span) -> tuple[Span, Span] | None:
    """Two spans that make up ``span``, with half of its rows each; None if it has no two rows."""
    if not _is_text(shape):
        middle = (span.start + span.stop) // 2
        if middle == span.start:
            return None
        return (
            Span(span.start, middle, middle - span.start),
            Span(middle, span.stop, span.stop - middle),
        )
    starts = _row_starts(path, shape, span) if span.rows is None else ()
    if len(starts) < 2:
        return None
    middle = int(starts[len(starts) // 2])
    return Span(span.start, middle, None), Span(middle, span.stop, None)


def unread(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """As many rows as the span of a table has, all null, with its lines counted; nothing is parsed."""
    count = count_rows(path, shape, span)
    if not _is_text(shape):
        schema = parquet.plain_schema(path)
        kept = [schema.field(shape.columns[position].name) for position in keep]
        return ChunkRows(
            _nulls([pa.field(column.name, column.arrow) for column in wanted], count),
            _nulls(kept, count),
            count,
            None,
            [],
        )
    kept = [pa.field(shape.columns[position].name, pa.string()) for position in keep]
    columns = [pa.field(column.name, column.arrow) for column in wanted]
    return ChunkRows(_nulls(columns, count), _nulls(kept, count), count, _lines(path, shape, span), [])


def _nulls(fields: Sequence[pa.Field], count: int) -> pa.Table:
    return pa.table([pa.nulls(count, field.type) for field in fields], schema=pa.schema(fields))


def _is_text(shape: InputShape) -> bool:
    return shape.format in ("csv", "jsonl")


def _dialect(shape: InputShape) -> Dialect:
    return JSON_LINES if shape.format == "jsonl" else csv_format.dialect(shape)


def _row_starts(path: Path, shape: InputShape, span: Span) -> Offsets:
    """Where each row of a span of text starts in the file."""
    found = [np.empty(0, np.int64)]
    cursor = span.start
    for data in text.blocks(path, span, _dialect(shape)):
        found.append(cursor + (_csv_starts(data, shape) if shape.format == "csv" else _json_starts(data)))
        cursor += len(data)
    return np.concatenate(found)


def _csv_starts(data: bytes, shape: InputShape) -> Offsets:
    ends = RecordEnds(data, csv_format.dialect(shape), final=True)
    return ends.starts(blank_rows=len(shape.columns) == 1)


def _json_starts(data: bytes) -> Offsets:
    lines = data.split(b"\n")
    starts = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])], dtype=np.int64)
    rows: Offsets = starts[[bool(line.strip()) for line in lines]]
    return rows


def _lines(path: Path, shape: InputShape, span: Span) -> int:
    dialect = _dialect(shape)
    count, last = 0, b""
    for data in text.blocks(path, span, dialect):
        count += count_newlines(data, dialect)
        last = data[-1:]
    ended = last in ((b"", b"\n") if dialect.delimiter is None else (b"", b"\n", b"\r"))
    return count if ended else count + 1
