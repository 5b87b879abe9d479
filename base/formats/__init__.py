"""The input formats, each with the same doors: sniff the head, plan the spans, read one span as Arrow tables.

Archives have doors of their own for the last two, because their rows are members: an index of them is
written, then spans of the index are planned and read. A new format is a new file here and a line in each
door. Nothing here knows of models, jobs or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from base.formats import charset, compression, csv_format, jsonl, parquet, text
from base.formats.archive import Indexed, read_members, write_index
from base.formats.archive.index import spans as plan_members
from base.formats.halving import count_rows, halves, unread
from base.formats.lines import row_lines
from base.formats.records import JSON_LINES, Dialect
from base.formats.sniffing import looks_newline_stripped, newlines_stripped, sniff
from base.formats.types import (
    ChunkRows,
    CsvOptions,
    InputColumn,
    InputRefused,
    InputShape,
    Member,
    RowProblem,
    Span,
    Wanted,
)

__all__ = [
    "ChunkRows",
    "CsvOptions",
    "Indexed",
    "InputColumn",
    "InputRefused",
    "InputShape",
    "Member",
    "RowProblem",
    "Span",
    "Wanted",
    "count_rows",
    "decode",
    "halves",
    "head",
    "looks_newline_stripped",
    "newlines_stripped",
    "plan",
    "plan_members",
    "read",
    "read_head",
    "read_members",
    "row_lines",
    "sniff",
    "unread",
    "with_length",
    "write_index",
]

_DECODE_BLOCK = 1 << 20


def decode(path: Path, out: BinaryIO, shape: InputShape, *, max_decoded_bytes: int) -> None:
    """Write the file as the other doors read it: uncompressed, text as UTF-8. Streams; refuses bombs."""
    codec = charset.other_than_utf8(shape.csv.charset) if shape.format in {"csv", "jsonl"} else None
    transcoder = charset.Transcoder(codec) if codec else None
    with compression.open_decoded(path, shape.compression, max_decoded_bytes=max_decoded_bytes) as stream:
        while block := stream.read(_DECODE_BLOCK):
            out.write(transcoder.feed(block, final=False) if transcoder else block)
    if transcoder:
        out.write(transcoder.feed(b"", final=True))


def plan(path: Path, shape: InputShape, *, chunk_rows: int, max_chunk_bytes: int) -> Iterator[Span]:
    """The spans of a decoded table, in order, every row in exactly one; a function of the arguments only.

    A span of text has about ``chunk_rows`` rows and passes ``max_chunk_bytes`` by less than one record.
    It may hold no row at all (blank lines).
    """
    if shape.format == "parquet":
        return parquet.plan(path, max(min(chunk_rows, int(max_chunk_bytes / shape.bytes_per_row)), 1))
    target = max(min(int(chunk_rows * shape.bytes_per_row), max_chunk_bytes), 1)
    return text.plan(path, shape.data_start, _dialect(shape), target)


def with_length(path: Path, shape: InputShape, position: int) -> InputShape:
    """``shape`` with the mean length of a text column's cells, where only the decoded file's rows tell it."""
    column = shape.columns[position]
    if shape.format != "parquet" or column.kind != "string":
        return shape
    measured = replace(column, bytes=parquet.cell_bytes(path, column.name))
    columns = (*shape.columns[:position], measured, *shape.columns[position + 1 :])
    return replace(shape, columns=columns)


def head(path: Path, shape: InputShape, rows: int) -> Span:
    """A span that covers about the first ``rows`` rows, for previews."""
    if shape.rows is not None:
        return Span(0, min(rows, shape.rows), min(rows, shape.rows))
    return next(plan(path, shape, chunk_rows=rows, max_chunk_bytes=text.BLOCK))


def read(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """The rows of one span of a decoded table. One row per row of the input."""
    return _READERS[shape.format](path, shape, span, wanted, keep)


def read_head(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """As ``read``, for a process that serves others meanwhile: what might take much memory is read apart.

    Fewer rows come of a Parquet file whose rows are very large.
    """
    reader = parquet.read_head if shape.format == "parquet" else _READERS[shape.format]
    return reader(path, shape, span, wanted, keep)


Reader = Callable[[Path, InputShape, Span, Sequence[Wanted], Sequence[int]], ChunkRows]
_READERS: dict[str, Reader] = {"csv": csv_format.read, "jsonl": jsonl.read, "parquet": parquet.read}


def _dialect(shape: InputShape) -> Dialect:
    return JSON_LINES if shape.format == "jsonl" else csv_format.dialect(shape)
