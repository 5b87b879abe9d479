"""Parquet: the footer, spans of rows that follow its row groups, and the rows of one span.

The footer is checked against limits before anything is planned on it, because a small file can claim any
number of rows. Reading streams batches of only the row groups and columns needed, so a row group of any size
costs the memory of the rows wanted; a span inside a large group decodes and drops the rows in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from base.formats.compression import open_decoded
from base.formats.csv_header import duplicates
from base.formats.parquet_footer import refuse_heavy
from base.formats.parquet_head import read_apart, stays_small
from base.formats.types import (
    ChunkRows,
    ColumnKind,
    Compression,
    InputColumn,
    InputRefused,
    InputShape,
    RowProblem,
    Span,
    Wanted,
    shown,
)

MAGIC = b"PAR1"
MAX_FOOTER = 16 << 20
MAX_ROWS = 10**10
MAX_ROW_GROUPS = 100_000
MAX_COLUMNS = 20_000
# pyarrow writes a constant column at some 5,000 rows a byte; bombs are a thousand times denser.
FREE_ROWS, MAX_ROWS_PER_BYTE = 100_000_000, 50_000

_BATCH_ROWS = 1 << 18
_FEW_ROWS = 1 << 13
_ROWS_MEASURED = 1000
_READ_BUFFER = 1 << 18  # without it, whole column chunks are held in memory
_BLOCK = 1 << 20


def sniff(path: Path, compression: Compression | None, *, max_decoded_bytes: int) -> InputShape:
    """The shape that the footer tells; of a compressed file the end of the decoded stream is looked at."""
    tail, size = _tail(path, compression, max_decoded_bytes)
    footer = _footer(tail, size)
    refuse_heavy(footer, MAGIC)
    try:
        metadata = pq.read_metadata(pa.BufferReader(MAGIC + footer))
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(f"its footer cannot be read ({error})") from error
    _check_limits(metadata, schema)
    _refuse_bomb(metadata.num_rows, size)
    bytes_per_row = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return InputShape(
        format="parquet",
        compression=compression,
        columns=tuple(_column(field) for field in schema),
        rows=metadata.num_rows,
        bytes_per_row=max(bytes_per_row / metadata.num_rows, 1.0),
        needs_decoding=compression is not None,
    )


def plan(path: Path, target_rows: int) -> Iterator[Span]:
    """Spans of at most ``target_rows`` rows: several small row groups, or an even part of a large one."""
    with _open(path) as file:
        counts = _group_rows(file.metadata)
    start = stop = 0
    for rows in counts:
        if stop > start and stop - start + rows > target_rows:
            yield Span(start, stop, stop - start)
            start = stop
        stop += rows
        if stop - start > target_rows:
            parts = -(-(stop - start) // target_rows)
            cuts = [start + (stop - start) * part // parts for part in range(parts + 1)]
            yield from (Span(low, high, high - low) for low, high in pairwise(cuts))
            start = stop
    if stop > start:
        yield Span(start, stop, stop - start)


def read(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """The rows of ``span``. Damaged pages raise InputRefused."""
    return _checked(read_table(path, span, _names(shape, wanted, keep)), shape, wanted, keep)


def read_head(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """The rows of ``span``, or as many of the first as fit, for a process that serves others meanwhile."""
    names = _names(shape, wanted, keep)
    with _open(path) as file:
        small = stays_small(file.metadata, span, names)
    table = read_table(path, span, names) if small else read_apart(path, span, names)
    return _checked(table, shape, wanted, keep)


def read_table(path: Path, span: Span, names: Sequence[str]) -> pa.Table:
    """The columns called ``names`` as they are in the file, but dictionaries decoded."""
    with _open(path) as file:
        batches = _batches(file, span, list(names))
        table = pa.Table.from_batches(batches, pa.schema([file.schema_arrow.field(name) for name in names]))
    return pa.table([_decoded(column) for column in table.columns], names=list(names))


def _names(shape: InputShape, wanted: Sequence[Wanted], keep: Sequence[int]) -> list[str]:
    positions = sorted({column.position for column in wanted} | set(keep))
    return [shape.columns[position].name for position in positions]


def _checked(table: pa.Table, shape: InputShape, wanted: Sequence[Wanted], keep: Sequence[int]) -> ChunkRows:
    """Values as they are wanted, and as they are kept."""
    names = table.column_names
    problems: list[RowProblem] = []
    texts = {name: _valid_text(table.column(name), name, problems) for name in names}
    columns = [_cast(texts[shape.columns[column.position].name], column) for column in wanted]
    kept = [texts[shape.columns[position].name] for position in keep]
    problems.sort(key=lambda problem: problem.row)
    return ChunkRows(
        pa.table(columns, schema=pa.schema([(column.name, column.arrow) for column in wanted])),
        pa.table(kept, names=[shape.columns[position].name for position in keep]),
        table.num_rows,
        None,
        problems,
    )


def cell_bytes(path: Path, name: str) -> float:
    """Mean length of a text column's cells in the first rows.

    The footer does not tell: a dictionary of a few long texts makes any number of rows.
    """
    with _open(path, read_dictionary=[name]) as file:
        try:
            batch = next(file.iter_batches(_ROWS_MEASURED, columns=[name], use_threads=False))
        except (pa.ArrowException, OSError) as error:
            raise _damaged(f"its first rows cannot be read ({error})") from error
    column = batch.column(0)
    lengths = pc.binary_length(column.dictionary).take(column.indices)
    return float((pc.sum(lengths).as_py() or 0) / len(column))


def plain_schema(path: Path) -> pa.Schema:
    """The columns as :func:`read` keeps them: dictionaries decoded."""
    with _open(path) as file:
        return pa.schema([field.with_type(_plain(field.type)) for field in file.schema_arrow])


def _tail(path: Path, compression: Compression | None, max_decoded_bytes: int) -> tuple[bytes, int]:
    """The last bytes of the decoded file, enough for the largest footer, and the decoded file's size."""
    if compression is None:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - MAX_FOOTER - 8, 0))
            return file.read(), size
    tail, size = b"", 0
    with open_decoded(path, compression, max_decoded_bytes=max_decoded_bytes) as stream:
        kept = bytearray()
        while block := stream.read(_BLOCK):
            size += len(block)
            kept += block
            if len(kept) > 2 * MAX_FOOTER:
                del kept[: len(kept) - MAX_FOOTER - 8]
        tail = bytes(kept[-MAX_FOOTER - 8 :])
    return tail, size


def _footer(tail: bytes, size: int) -> bytes:
    """Footer, length and magic, checked for sizes that lie."""
    if tail[-4:] == b"PARE":
        raise InputRefused("unreadable_bytes", "the Parquet file is encrypted; write it without encryption")
    if size < 12 or tail[-4:] != MAGIC:
        raise _damaged("it does not end with a footer, so it was cut off")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > MAX_FOOTER:
        raise InputRefused(
            "too_large",
            f"the Parquet footer has {length} bytes; at most {MAX_FOOTER} are read: use fewer columns",
        )
    if length + 12 > size:
        raise _damaged(f"its footer claims {length} of the file's {size} bytes")
    return tail[-length - 8 :]


def _check_limits(metadata: Any, schema: pa.Schema) -> None:
    limits = (
        ("rows", metadata.num_rows, MAX_ROWS),
        ("row groups", metadata.num_row_groups, MAX_ROW_GROUPS),
        ("columns", metadata.num_columns, MAX_COLUMNS),
    )
    for what, count, limit in limits:
        if count > limit:
            raise InputRefused("too_large", f"the file claims {count} {what}; at most {limit} are read")
    groups = _group_rows(metadata)
    if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
        raise _damaged(f"its row groups hold {sum(groups)} rows, its footer claims {metadata.num_rows}")
    if metadata.num_rows == 0:
        raise InputRefused("header_only", "the Parquet file has columns and no rows")
    repeated = duplicates(schema.names)
    if repeated:
        raise InputRefused(
            "duplicate_column",
            f"the file has {', '.join(map(repr, repeated[:5]))} twice; give each column its own name",
            [{"code": "duplicate_column", "column": name} for name in repeated[:20]],
        )


def _refuse_bomb(rows: int, size: int) -> None:
    """The same value any number of times takes no room; what no table of that size can hold is refused."""
    if rows > FREE_ROWS and rows > size * MAX_ROWS_PER_BYTE:
        raise InputRefused(
            "decoded_too_large",
            f"the file claims {rows} rows in {size} bytes, so it is taken for a decompression bomb; "
            "send it with plain encoding",
        )


def _column(field: pa.Field) -> InputColumn:
    plain = _plain(field.type)
    return InputColumn(field.name, _kind(plain), str(plain))


def _plain(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _kind(type_: pa.DataType) -> ColumnKind:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if _is_text(type_):
        return "string"
    if pa.types.is_null(type_):
        return "unknown"
    return "nested" if pa.types.is_nested(type_) else "other"


def _is_text(type_: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(check(type_) for check in checks)


def _open(path: Path, read_dictionary: Sequence[str] = ()) -> Any:
    try:
        return pq.ParquetFile(
            path, buffer_size=_READ_BUFFER, pre_buffer=False, read_dictionary=list(read_dictionary)
        )
    except (pa.ArrowException, OSError) as error:
        raise _damaged(f"it cannot be opened ({error})") from error


def _group_rows(metadata: Any) -> list[int]:
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def _batches(file: Any, span: Span, names: list[str]) -> list[pa.RecordBatch]:
    """The batches that make up ``span``: from the row groups that it touches, cut to it."""
    ends = np.cumsum(_group_rows(file.metadata))
    first, last = np.searchsorted(ends, [span.start, span.stop - 1], side="right").tolist()
    skip = span.start - (int(ends[first - 1]) if first else 0)
    left = span.stop - span.start
    batches = []
    # a span of few rows has few because they are long: then no batch may have many more of them
    most = _BATCH_ROWS if left >= _FEW_ROWS else max(left, 64)
    groups = file.iter_batches(most, list(range(first, last + 1)), names, use_threads=False)
    try:
        for batch in groups:
            part = batch.slice(skip, left)
            skip = max(skip - batch.num_rows, 0)
            left -= part.num_rows
            if part.num_rows:  # an empty slice would keep its batch in memory
                batches.append(part.select(names))
            if left == 0:
                return batches
    except MemoryError:
        raise  # also of Arrow's kind: whether the file lies or the process is too small, nobody knows here
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(f"the data of rows {span.start} to {span.stop} cannot be read ({error})") from error
    raise _damaged(f"{left} of the rows {span.start} to {span.stop} are missing")


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(_plain(column.type)) if pa.types.is_dictionary(column.type) else column
    except pa.ArrowInvalid as error:
        message = f"a column holds too much text to be read at once ({error}); send smaller cells"
        raise InputRefused("too_large", message) from error


def _valid_text(column: pa.ChunkedArray, name: str, problems: list[RowProblem]) -> pa.ChunkedArray:
    """``column`` with null for each text that is not UTF-8, which Parquet does not promise."""
    if not _is_text(column.type):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = [_text(value) for value in column.cast(pa.binary()).to_pylist()]
    else:
        return column
    for row, value in enumerate(values):
        if isinstance(value, bytes):
            message = f"{shown(value)!r} is not valid UTF-8"
            problems.append(RowProblem(row, None, name, shown(value), "invalid_utf8", message))
    return pa.chunked_array([pa.array([v if isinstance(v, str) else None for v in values], column.type)])


def _text(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _cast(column: pa.ChunkedArray, wanted: Wanted) -> pa.ChunkedArray:
    kind = _kind(column.type)
    if kind not in {wanted.kind, "unknown"}:
        raise InputRefused(
            "mistyped_column",
            f"column {wanted.name!r} holds {column.type}, but a {wanted.kind} is needed; convert the column",
        )
    return column.cast(wanted.arrow, safe=False)


def _damaged(why: str) -> InputRefused:
    return InputRefused("unreadable_bytes", f"the Parquet file is damaged: {why}; write and send it again")
