"""What the head of a CSV file tells: delimiter, column names and kinds, where the data start.

Only the head (up to 1 MiB of decoded text) is looked at; whole files are read in `csv_format`.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from base.formats import cells
from base.formats.csv_format import BOM, CsvReader
from base.formats.csv_header import check_delimiter, duplicates, first_records, sniff_delimiter, split
from base.formats.records import Dialect, RecordEnds, count_lines
from base.formats.types import ColumnKind, CsvOptions, InputColumn, InputRefused, InputShape, Wanted

MAX_COLUMNS = 20_000
# Rows of the head that are looked at for the kinds of the columns.
_SAMPLE_ROWS = 1000


def sniff(head: bytes, options: CsvOptions, *, final: bool) -> InputShape:
    """The shape of the file that begins with ``head`` (``final``: that is all of it)."""
    bom = len(BOM) if head.startswith(BOM) else 0
    head = head[bom:]
    delimiter = _delimiter(head, options, final)
    options = replace(options, delimiter=delimiter.decode())
    first = _first_record(head, delimiter, final)
    names = [field.decode() for field in split(first, delimiter)]
    if len(names) > MAX_COLUMNS:
        raise InputRefused(
            "too_many_columns", f"the file has {len(names)} columns; at most {MAX_COLUMNS} are read"
        )
    names = names if options.header else [f"x{i}" for i in range(len(names))]
    _refuse_duplicates(names)
    ends = RecordEnds(head, Dialect(delimiter), final=final)
    starts = ends.starts(blank_rows=False)
    data_start = int(starts[0]) if not options.header else ends.first(int(starts[0]) + 1) or len(head)
    shape = InputShape(
        format="csv",
        compression=None,
        columns=tuple(InputColumn(name, "unknown") for name in names),
        rows=None,
        bytes_per_row=1.0,
        data_start=bom + data_start,
        header_lines=count_lines(head[:data_start], Dialect(delimiter)),
        csv=options,
    )
    return _with_sample(shape, head[data_start:], final)


def _delimiter(head: bytes, options: CsvOptions, final: bool) -> bytes:
    if options.decimal not in {".", ","}:
        raise InputRefused(
            "unsupported_decimal", f"decimal {options.decimal!r} is not usable: it is '.' or ','"
        )
    if options.delimiter is None:
        delimiter = sniff_delimiter(head, final=final)
    else:
        delimiter = check_delimiter(options.delimiter)
    if delimiter == options.decimal.encode() and options.delimiter is not None:
        raise InputRefused("unsupported_decimal", f"decimal and delimiter are both {options.decimal!r}")
    return delimiter


def _first_record(head: bytes, delimiter: bytes, final: bool) -> bytes:
    records = first_records(head, delimiter, final, 1)
    if records:
        return records[0]
    if not head.strip(b"\r\n"):
        raise InputRefused("empty_input", "the file holds nothing but blank lines")
    quote = RecordEnds(head, Dialect(delimiter), final=True).open_quote
    reason = "it has no newline there" if quote is None else f"the quote at byte {quote} never closes"
    raise InputRefused(
        "unknown_format",
        f"no record ends within the first {len(head)} bytes: {reason}; this is not a CSV file",
    )


def _refuse_duplicates(names: list[str]) -> None:
    repeated = duplicates(names)
    if repeated:
        listed = ", ".join(repr(name) for name in repeated[:5])
        raise InputRefused(
            "duplicate_column",
            f"the header names {listed} more than once; give each column a name of its own",
            [{"code": "duplicate_column", "column": name} for name in repeated[:20]],
        )


def _with_sample(shape: InputShape, data: bytes, final: bool) -> InputShape:
    """``shape`` with what the head's data rows tell: the kinds of the columns and the length of a row."""
    ends = RecordEnds(data, Dialect((shape.csv.delimiter or ",").encode()), final=final)
    length = len(data) if final else ends.last() or 0
    starts = ends.starts(blank_rows=len(shape.columns) == 1)
    starts = starts[starts < length]
    if not starts.size and final:
        raise InputRefused("header_only", "the file has a header and no data rows")
    if not starts.size:  # a first row longer than the head: legal, and its kinds are anyone's guess
        return replace(shape, bytes_per_row=float(max(len(data), 1)))
    bytes_per_row = max(length / starts.size, 1.0)
    sample = data[:length] if starts.size <= _SAMPLE_ROWS else data[: int(starts[_SAMPLE_ROWS])]
    columns = _with_kinds(shape, sample)
    return replace(shape, columns=columns, bytes_per_row=bytes_per_row)


def _with_kinds(shape: InputShape, sample: bytes) -> tuple[InputColumn, ...]:
    wanted = [Wanted(str(i), i, "string") for i in range(len(shape.columns))]
    table = CsvReader(shape, wanted, []).read(sample).columns
    cells_by_column = [column.combine_chunks() for column in table.columns]
    return tuple(
        replace(column, kind=_kind(found, shape.csv), bytes=cells.mean_length(found))
        for column, found in zip(shape.columns, cells_by_column, strict=True)
    )


def _kind(column: pa.Array, options: CsvOptions) -> ColumnKind:
    """What at least half of the non-empty cells are: one bad cell does not change a column's kind."""
    present = column.filter(pc.invert(pc.is_in(column, value_set=pa.array([None, "", *options.null_values]))))
    if not len(present):
        return "unknown"
    numbers = len(present) - pc.sum(cells.to_numbers(present, (), options.decimal)[1]).as_py()
    if 2 * numbers >= len(present):
        return "number"
    booleans = len(present) - pc.sum(cells.to_booleans(present, ())[1]).as_py()
    return "boolean" if 2 * booleans >= len(present) else "string"
