"""From the bad rows and masks of bad cells in one block of CSV to problems with row and line numbers.

Runs only for blocks that have problems, so it may spend time per problem; which cells are bad is decided by
the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from base.formats.records import Dialect, Offsets, RecordEnds
from base.formats.types import VALUE_SHOWN, RowProblem, shown

# A block with more bad cells than this names only the first bad cell of each row: with a wrong decimal point,
# say, every cell is bad, and a problem for each would need many times the memory of the block.
CELLS_NAMED = 20_000

MESSAGES = {
    "not_a_number": "{value!r} is not a number",
    "not_a_boolean": "{value!r} is not a boolean; write true or false",
    "invalid_utf8": "{value!r} is not valid UTF-8; if the file has another encoding, name it with charset=",
}


@dataclass(frozen=True, slots=True)
class RaggedRow:
    """A row with the wrong number of fields; ``row`` counts all rows of the block from 0."""

    row: int
    expected: int
    actual: int


@dataclass(frozen=True, slots=True)
class BadCells:
    """The cells of one column for which ``broken`` is true; ``values`` is what stood there."""

    position: int
    column: str
    code: str
    broken: pa.ChunkedArray
    values: pa.ChunkedArray


def row_problems(
    data: bytes, dialect: Dialect, ragged: list[RaggedRow], cells: list[BadCells], *, blank_rows: bool
) -> list[RowProblem]:
    """Problems in the order of rows, then columns. The masks of ``cells`` leave out the ragged rows."""
    found = [np.flatnonzero(cell.broken.to_numpy()) for cell in cells]
    if not ragged and not any(rows.size for rows in found):
        return []
    ends = RecordEnds(data, dialect, final=True)
    starts = ends.starts(blank_rows=blank_rows)
    lines = ends.lines_before(starts)
    numbers = np.delete(np.arange(len(starts)), [row.row for row in ragged])
    problems = [_ragged_problem(row, int(lines[row.row]), data, starts) for row in ragged]
    for cell, rows in zip(cells, _named(found), strict=True):
        values = cell.values.take(pa.array(rows)).to_pylist()
        for row, value in zip(numbers[rows].tolist(), values, strict=True):
            message = MESSAGES[cell.code].format(value=shown(value))
            problems.append(RowProblem(row, int(lines[row]), cell.column, shown(value), cell.code, message))
    order = {cell.column: cell.position for cell in cells}
    problems.sort(key=lambda problem: (problem.row, order.get(problem.column or "", -1)))
    return problems


def _named(found: Sequence[Offsets]) -> list[Offsets]:
    """All bad cells, or only the first of each row if there are too many to name."""
    if sum(rows.size for rows in found) <= CELLS_NAMED:
        return list(found)
    seen = np.empty(0, np.int64)
    named = []
    for rows in found:
        named.append(np.setdiff1d(rows, seen))
        seen = np.union1d(seen, rows)
    return named


def _ragged_problem(row: RaggedRow, line: int, data: bytes, starts: Offsets) -> RowProblem:
    start = int(starts[row.row])
    stop = int(starts[row.row + 1]) if row.row + 1 < len(starts) else len(data)
    value = shown(data[start : min(stop, start + 4 * VALUE_SHOWN)].rstrip(b"\r\n"))
    code = "too_few_fields" if row.actual < row.expected else "too_many_fields"
    hint = "" if row.actual < row.expected else "; quote fields that contain the delimiter"
    message = f"the row has {row.actual} fields, the file has {row.expected} columns{hint}"
    return RowProblem(row.row, line, None, value, code, message)
