"""CSV: what the head tells of a file, and the rows of one span.

A block is parsed once, at the CSV parser's own speed, and only the columns needed are converted. What that
conversion refuses is parsed again as text and diagnosed by column masks (`csv_problems`). Where records end
is not decided here (`records`), nor how spans are cut (`text`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from base.formats import cells, text
from base.formats.csv_problems import BadCells, RaggedRow, row_problems
from base.formats.records import Dialect, count_lines
from base.formats.types import ChunkRows, InputRefused, InputShape, Span, Wanted

BOM = b"\xef\xbb\xbf"


def dialect(shape: InputShape) -> Dialect:
    return Dialect((shape.csv.delimiter or ",").encode())


def read(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """The rows of ``span``."""
    reader = CsvReader(shape, wanted, keep)
    if span.rows == 1:
        return text.unreadable_chunk(path, span, reader.dialect, reader.empty())
    pieces = [reader.read(data) for data in text.blocks(path, span, reader.dialect)]
    return text.join(pieces, reader.empty())


class CsvReader:
    """Parses blocks of whole records into the wanted and the kept columns of one file."""

    def __init__(self, shape: InputShape, wanted: Sequence[Wanted], keep: Sequence[int]) -> None:
        self.dialect = dialect(shape)
        self._options = shape.csv
        self._columns = [column.name for column in shape.columns]
        self._names = [str(position) for position in range(len(self._columns))]  # odd headers do not matter
        self._wanted, self._keep = wanted, keep
        # a column that is kept, or wanted in two ways, is parsed once, as text
        positions = sorted({column.position for column in wanted} | set(keep)) or [0]
        self._types = {position: self._type(position) for position in positions}
        self._parse_options = {
            "delimiter": self.dialect.delimiter,
            "newlines_in_values": True,
            "ignore_empty_lines": not self._one_column,
        }

    def read(self, data: bytes) -> ChunkRows:
        """The rows of ``data``, which holds whole records."""
        mark = None
        if not cells.is_utf8(data):
            data, mark = cells.marked(data)
        parsed = self._parse(data, self._types) if mark is None else None
        if parsed is None:
            parsed = self._parse(data, dict.fromkeys(self._types, pa.string()))
        if parsed is None:
            raise InputRefused(
                "unreadable_bytes", "the CSV parser cannot read a part of this file; is it CSV?"
            )
        return self._chunk(data, *parsed, mark)

    def empty(self) -> ChunkRows:
        """No rows, but the tables' schemas."""
        columns = pa.schema([(column.name, column.arrow) for column in self._wanted])
        kept = pa.schema([(self._columns[position], pa.string()) for position in self._keep])
        return ChunkRows(columns.empty_table(), kept.empty_table(), 0, 0, [])

    @property
    def _one_column(self) -> bool:
        return len(self._columns) == 1

    def _type(self, position: int) -> pa.DataType:
        types = {column.arrow for column in self._wanted if column.position == position}
        return types.pop() if len(types) == 1 and position not in self._keep else pa.string()

    def _parse(self, data: bytes, types: dict[int, pa.DataType]) -> tuple[pa.Table, list[RaggedRow]] | None:
        """The rows with the right number of fields, and the others; None if a cell does not fit its type."""
        ragged: list[RaggedRow] = []

        def skip(row: csv.InvalidRow) -> str:
            ragged.append(RaggedRow(row.number - 1, row.expected_columns, row.actual_columns))
            return "skip"

        # the parser drops one byte order mark; a mark here is text that it must not drop
        block = BOM + data if data.startswith(BOM) else data
        read_options = csv.ReadOptions(
            use_threads=False,
            block_size=len(block) + 1,
            column_names=self._names,
        )
        convert_options = csv.ConvertOptions(
            include_columns=[str(position) for position in types],
            column_types={str(position): type_ for position, type_ in types.items()},
            null_values=["", *self._options.null_values],
            strings_can_be_null=False,
            decimal_point=self._options.decimal,
        )
        parse_options = csv.ParseOptions(**self._parse_options, invalid_row_handler=skip)
        try:
            table = csv.read_csv(pa.py_buffer(block), read_options, parse_options, convert_options)
        except pa.ArrowInvalid:
            return None
        return table, ragged

    def _chunk(self, data: bytes, table: pa.Table, ragged: list[RaggedRow], mark: str | None) -> ChunkRows:
        bad: list[BadCells] = []
        read = {position: table.column(str(position)) for position in self._types}
        if mark is not None:
            read = {position: self._utf8(position, column, mark, bad) for position, column in read.items()}
        columns = [self._convert(column, read[column.position], bad) for column in self._wanted]
        gaps = [row.row for row in ragged]
        empty = self.empty()
        problems = row_problems(data, self.dialect, ragged, bad, blank_rows=self._one_column)
        return ChunkRows(
            text.with_gaps(pa.table(columns, schema=empty.columns.schema), gaps),
            text.with_gaps(pa.table([read[i] for i in self._keep], schema=empty.kept.schema), gaps),
            table.num_rows + len(ragged),
            count_lines(data, self.dialect),
            problems,
        )

    def _utf8(
        self, position: int, column: pa.ChunkedArray, mark: str, bad: list[BadCells]
    ) -> pa.ChunkedArray:
        """``column`` with null in place of the cells that held bytes that are not UTF-8."""
        broken = pc.match_substring(column, mark)
        values = pc.replace_substring(column, mark, "\ufffd")
        bad.append(BadCells(position, self._columns[position], "invalid_utf8", broken, values))
        return pc.if_else(broken, pa.scalar(None, pa.string()), column)

    def _convert(self, wanted: Wanted, column: Any, bad: list[BadCells]) -> Any:
        """``column`` in the wanted type: as parsed, or made from text, remembering the cells that are bad."""
        if wanted.kind == "string":
            return cells.empty_to_null(column)
        if column.type == wanted.arrow:
            return column
        if wanted.kind == "number":
            values, broken = cells.to_numbers(column, self._options.null_values, self._options.decimal)
        else:
            values, broken = cells.to_booleans(column, self._options.null_values)
        code = "not_a_number" if wanted.kind == "number" else "not_a_boolean"
        bad.append(BadCells(wanted.position, self._columns[wanted.position], code, broken, column))
        return values
