"""Cutting a text file (CSV, JSON Lines) into spans of whole records, and reading a span block by block.

A record must fit in one block. One that does not, or whose quote is still open at the end of the file, gets a
span of its own, up to the first newline behind the quote, and planning goes on behind it: a stray quote costs
its own line, never the rest of the file. That stays linear: between the quote and the end of its block stand
only even runs of quotes (an odd one would have closed it), which open nothing when they are scanned again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from base.formats.records import Dialect, RecordEnds, count_lines, count_newlines
from base.formats.types import ChunkRows, RowProblem, Span, shown

# How much is read at once, and the length that a record must not exceed. The parser is at its best with
# blocks of 1 to 4 MiB (a whole chunk at once costs 1.7 times as much).
BLOCK = 4 << 20


def plan(path: Path, start: int, dialect: Dialect, target: int) -> Iterator[Span]:
    """Spans of about ``target`` bytes: each ends with the first record that reaches it."""
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        cursor = start  # start: of the span under way; cursor: of the first record not scanned yet
        while cursor < size:
            data = os.pread(file.fileno(), BLOCK, cursor)
            final = cursor + len(data) >= size
            ends = RecordEnds(data, dialect, final=final)
            while (stop := _reaches(ends, start + target - cursor)) is not None:
                yield Span(start, cursor + stop, None)
                start = cursor + stop
            whole = ends.last() or 0
            if final and ends.open_quote is None:
                whole = len(data)
            cursor += whole
            if whole and not final:
                continue
            if start < cursor:
                yield Span(start, cursor, None)
                start = cursor
            if cursor < size:
                quote = ends.open_quote
                # without a quote: the last byte, which may be the first half of the terminator
                behind = cursor - whole + (len(data) - 1 if quote is None else quote)
                start = _next_line(file.fileno(), behind, size, dialect)
                yield Span(cursor, start, 1)
                cursor = start


def blocks(path: Path, span: Span, dialect: Dialect) -> Iterator[bytes]:
    """The bytes of ``span`` in blocks of whole records."""
    cursor = span.start
    with path.open("rb", buffering=0) as file:
        while cursor < span.stop:
            data = os.pread(file.fileno(), min(BLOCK, span.stop - cursor), cursor)
            final = cursor + len(data) >= span.stop
            whole = len(data) if final else RecordEnds(data, dialect, final=False).last() or len(data)
            yield data if whole == len(data) else data[:whole]
            cursor += whole


def unreadable_chunk(path: Path, span: Span, dialect: Dialect, empty: ChunkRows) -> ChunkRows:
    """The one bad row of a record that has a span of its own; ``empty`` gives the schemas."""
    with path.open("rb", buffering=0) as file:
        start = os.pread(file.fileno(), min(BLOCK, span.stop - span.start), span.start)
        lines, cursor = count_lines(start, dialect), span.start + len(start)
        while cursor < span.stop:
            data = os.pread(file.fileno(), min(BLOCK, span.stop - cursor), cursor)
            lines += count_newlines(data, dialect)
            cursor += len(data)
    quote = RecordEnds(start, dialect, final=True).open_quote
    if quote is None:
        code, value = "record_too_long", start
        message = (
            f"the record is longer than {BLOCK // 2**20} MiB, the longest that is read; shorten it, or close "
            "the quote that joins its lines"
        )
    else:
        code, value = "unclosed_quote", start[quote:]
        message = 'a quote opens this field and never closes; close it, or write a literal quote as ""'
    problem = RowProblem(0, 0, None, shown(value), code, message)
    return ChunkRows(with_gaps(empty.columns, [0]), with_gaps(empty.kept, [0]), 1, lines, [problem])


def join(chunks: Sequence[ChunkRows], empty: ChunkRows) -> ChunkRows:
    """Consecutive pieces as one chunk; ``empty`` gives the schemas when there is no piece."""
    rows = lines = 0
    problems: list[RowProblem] = []
    for chunk in chunks:
        problems += [problem.shifted(rows, lines) for problem in chunk.problems]
        rows += chunk.rows
        lines += chunk.lines or 0
    columns = pa.concat_tables([empty.columns, *(chunk.columns for chunk in chunks)])
    kept = pa.concat_tables([empty.kept, *(chunk.kept for chunk in chunks)])
    return ChunkRows(columns, kept, rows, lines, problems)


def with_gaps(table: pa.Table, gaps: Sequence[int]) -> pa.Table:
    """``table`` with a row of nulls inserted at each row number of ``gaps`` (numbers of the result)."""
    if not gaps or not table.num_columns:
        return table
    total = table.num_rows + len(gaps)
    present = np.ones(total, np.bool_)
    present[list(gaps)] = False
    source = np.cumsum(present) - 1
    return table.take(pa.array(source, mask=~present))


def _reaches(ends: RecordEnds, goal: int) -> int | None:
    return ends.first(max(goal, 1)) if goal <= len(ends.data) else None


def _next_line(descriptor: int, offset: int, size: int, dialect: Dialect) -> int:
    """The offset behind the first line terminator at or behind ``offset``, or the file's size."""
    plain = replace(dialect, quotes=False)
    while True:
        data = os.pread(descriptor, BLOCK, offset)
        final = offset + len(data) >= size
        stop = RecordEnds(data, plain, final=final).first(1)
        if stop is not None:
            return offset + stop
        if final:
            return size
        offset += len(data) - 1  # the last byte may be the first half of the terminator
