"""An independent reading of CSV, one character at a time, and a way to read whole files through the doors.

Slow and obvious on purpose: the tests compare the product with it. It is itself compared with Python's csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base import formats
from base.formats import CsvOptions, InputShape, RowProblem, Span, Wanted

NO_LIMIT = 1 << 40


@dataclass
class Record:
    """One record of the text: where it lies, its fields, whether its last quote was closed."""

    start: int
    stop: int
    fields: list[str]
    open_quote: int | None

    def blank(self, text: str) -> bool:
        return text[self.start] in "\r\n"


def records(text: str, delimiter: str, start: int = 0) -> list[Record]:
    """The records of ``text`` from ``start`` on, blank ones included."""
    found = []
    while start < len(text):
        record = _record(text, delimiter, start)
        found.append(record)
        start = record.stop
    return found


def rows(text: str, delimiter: str) -> list[Record]:
    """As :func:`records`, but a record whose quote never closes ends with the line of that quote."""
    found: list[Record] = []
    start = 0
    while start < len(text):
        record = _record(text, delimiter, start)
        if record.open_quote is not None:
            record.stop = _line_end(text, record.open_quote)
        found.append(record)
        start = record.stop
    return found


@dataclass
class Whole:
    """A file read span by span: columns as lists, problems with absolute rows and lines."""

    columns: dict[str, list[Any]]
    kept: list[list[Any]]
    rows: int
    lines: int
    problems: list[RowProblem]
    spans: list[Span]


def sniff(path: Path, options: CsvOptions | None = None) -> InputShape:
    return formats.sniff(path, options or CsvOptions(), max_decoded_bytes=NO_LIMIT)


def read_whole(
    path: Path,
    shape: InputShape,
    wanted: Sequence[Wanted] = (),
    keep: Sequence[int] | None = None,
    *,
    chunk_rows: int = 3,
    max_chunk_bytes: int = 1 << 20,
) -> Whole:
    """Plan the file and read every span."""
    keep = range(len(shape.columns)) if keep is None else keep
    spans = list(formats.plan(path, shape, chunk_rows=chunk_rows, max_chunk_bytes=max_chunk_bytes))
    columns: dict[str, list[Any]] = {column.name: [] for column in wanted}
    whole = Whole(columns, [[] for _ in keep], 0, shape.header_lines, [], spans)
    for span in spans:
        chunk = formats.read(path, shape, span, wanted, list(keep))
        assert chunk.columns.num_columns == 0 or chunk.columns.num_rows == chunk.rows
        assert chunk.kept.num_columns == 0 or chunk.kept.num_rows == chunk.rows
        for name, values in whole.columns.items():
            values.extend(chunk.columns.column(name).to_pylist())
        for out, column in zip(whole.kept, chunk.kept.columns, strict=True):
            out.extend(column.to_pylist())
        whole.problems += [problem.shifted(whole.rows, whole.lines) for problem in chunk.problems]
        whole.rows += chunk.rows
        whole.lines += chunk.lines or 0
    return whole


def _record(text: str, delimiter: str, start: int) -> Record:
    fields, field = [], ""
    at_start, quoted, opened = True, False, None
    position = start
    while position < len(text):
        char = text[position]
        position += 1
        if quoted:
            if char == '"' and text[position : position + 1] == '"':
                field += char
                position += 1
            elif char == '"':
                quoted, opened = False, None
            else:
                field += char
        elif char == '"' and at_start:
            quoted, opened, at_start = True, position - 1, False
        elif char == delimiter:
            fields.append(field)
            field, at_start = "", True
        elif char in "\r\n":
            if char == "\r" and text[position : position + 1] == "\n":
                position += 1
            return Record(start, position, [*fields, field], None)
        else:
            field += char
            at_start = False
    return Record(start, position, [*fields, field], opened)


def _line_end(text: str, position: int) -> int:
    while position < len(text):
        if text[position : position + 2] == "\r\n":
            return position + 2
        if text[position] in "\r\n":
            return position + 1
        position += 1
    return position
