"""On which physical line each row of a span starts: asked only for rows that turned out bad once read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from base.formats import csv_format, text
from base.formats.records import JSON_LINES, Dialect, RecordEnds, count_newlines
from base.formats.types import InputShape, Span


def row_lines(path: Path, shape: InputShape, span: Span) -> npt.NDArray[np.int64]:
    """Line numbers by row, both counted from 0 within the span of a text file."""
    is_csv = shape.format == "csv"
    dialect = csv_format.dialect(shape) if is_csv else JSON_LINES
    found = [np.empty(0, np.int64)]
    before = 0
    for data in text.blocks(path, span, dialect):
        lines = _csv_lines(data, dialect, len(shape.columns) == 1) if is_csv else _json_lines(data)
        found.append(lines + before)
        before += count_newlines(data, dialect)
    return np.concatenate(found)


def _csv_lines(data: bytes, dialect: Dialect, blank_rows: bool) -> npt.NDArray[np.int64]:
    ends = RecordEnds(data, dialect, final=True)
    return ends.lines_before(ends.starts(blank_rows=blank_rows))


def _json_lines(data: bytes) -> npt.NDArray[np.int64]:
    return np.array([line for line, text_ in enumerate(data.split(b"\n")) if text_.strip()], np.int64)
