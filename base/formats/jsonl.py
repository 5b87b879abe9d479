"""JSON Lines: what the head tells of a file, and the rows of one span.

A block is parsed by Arrow when its lines allow it; what that refuses, or would read otherwise than line by
line, is read one line at a time (`jsonl_lines`), which also tells the bad cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from base.formats import text
from base.formats.csv_format import BOM
from base.formats.jsonl_lines import kind_of, parse_line, read_lines
from base.formats.records import JSON_LINES, Offsets, RecordEnds, count_lines
from base.formats.types import (
    ChunkRows,
    ColumnKind,
    CsvOptions,
    InputColumn,
    InputRefused,
    InputShape,
    Span,
    Wanted,
)

MAX_COLUMNS = 20_000
# Lines of the head that are looked at for the columns and their kinds.
_SAMPLE_LINES = 1000
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def sniff(head: bytes, options: CsvOptions, *, final: bool) -> InputShape:
    """The shape of the file that begins with ``head``: its columns are the keys of the first lines."""
    bom = len(BOM) if head.startswith(BOM) else 0
    head = head[bom:]
    lines = list(_lines(head, final))
    if not lines:
        raise InputRefused("unknown_format", f"the first line of JSON is longer than {len(head)} bytes")
    kinds: dict[str, Counter[ColumnKind]] = {}
    lengths: Counter[str] = Counter()
    for line in lines:
        for name, value in _record(line).items():
            if not _HALF_PAIR.search(name):  # such a key is no text, so it can name no column
                kinds.setdefault(name, Counter())[kind_of(value)] += 1
                lengths[name] += len(value.encode("utf-8", "replace")) if isinstance(value, str) else 0
    if not kinds:
        raise InputRefused(
            "unknown_format",
            "the text starts like JSON, but no line is an object; JSON Lines has one object per line",
        )
    if len(kinds) > MAX_COLUMNS:
        message = f"the file has {len(kinds)} keys; at most {MAX_COLUMNS} are read"
        raise InputRefused("too_many_columns", message)
    return InputShape(
        format="jsonl",
        compression=None,
        columns=tuple(
            InputColumn(name, _kind(counts), bytes=lengths[name] / len(lines))
            for name, counts in kinds.items()
        ),
        rows=None,
        bytes_per_row=max(sum(len(line) + 1 for line in lines) / len(lines), 1.0),
        data_start=bom,
        csv=options,
    )


def read(
    path: Path, shape: InputShape, span: Span, wanted: Sequence[Wanted], keep: Sequence[int]
) -> ChunkRows:
    """The rows of ``span``. A missing key is null."""
    reader = JsonReader(shape, wanted, keep)
    if span.rows == 1:
        return text.unreadable_chunk(path, span, JSON_LINES, reader.empty())
    pieces = [reader.read(data) for data in text.blocks(path, span, JSON_LINES)]
    return text.join(pieces, reader.empty())


class JsonReader:
    """Parses blocks of whole lines into the wanted and the kept columns of one file."""

    def __init__(self, shape: InputShape, wanted: Sequence[Wanted], keep: Sequence[int]) -> None:
        self._wanted = [(column, shape.columns[column.position].name) for column in wanted]
        self._kept = [shape.columns[position].name for position in keep]
        kinds = {column.name: column.kind for column in shape.columns}
        types = {name: _KEPT_TYPES.get(kinds[name], pa.string()) for name in self._kept}
        for column, name in self._wanted:
            if not (column.kind == "number" and types.get(name) == pa.int64()):
                types[name] = column.arrow
        self._types = pa.schema(list(types.items()))

    def read(self, data: bytes) -> ChunkRows:
        """The rows of ``data``, which holds whole lines."""
        starts = RecordEnds(data, JSON_LINES, final=True).starts(blank_rows=True)
        table = self._parse(data) if _one_object_a_line(data, starts) else None
        if table is None or table.num_rows != len(starts):
            return read_lines(data, self._wanted, self._kept)
        columns = [table.column(name).cast(column.arrow) for column, name in self._wanted]
        kept = [table.column(name).cast(pa.string()) for name in self._kept]
        empty = self.empty()
        return ChunkRows(
            pa.table(columns, schema=empty.columns.schema),
            pa.table(kept, schema=empty.kept.schema),
            len(starts),
            count_lines(data, JSON_LINES),
            [],
        )

    def empty(self) -> ChunkRows:
        """No rows, but the tables' schemas."""
        columns = pa.schema([(column.name, column.arrow) for column, _ in self._wanted])
        kept = pa.schema([(name, pa.string()) for name in self._kept])
        return ChunkRows(columns.empty_table(), kept.empty_table(), 0, 0, [])

    def _parse(self, data: bytes) -> pa.Table | None:
        """All lines in the expected types; None if some line is not JSON or some cell does not fit."""
        read_options = arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1)
        parse_options = arrow_json.ParseOptions(
            explicit_schema=self._types, unexpected_field_behavior="ignore"
        )
        try:
            table = arrow_json.read_json(pa.py_buffer(data), read_options, parse_options)
            table.validate(full=True)  # the parser takes any bytes for text
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        numbers = [column for column in table.columns if column.type == pa.float64()]
        # the parser takes NaN and Inf, which are not JSON
        finite = all(pc.all(pc.is_finite(column)).as_py() is not False for column in numbers)
        return table if finite else None


_KEPT_TYPES: dict[ColumnKind, pa.DataType] = {"number": pa.int64(), "boolean": pa.bool_()}


def _one_object_a_line(data: bytes, starts: Offsets) -> bool:
    """Whether each line begins with { and ends with }: then as many objects as lines means one on each.

    Also keeps a block that begins with ``null`` from the parser, which it would crash.
    """
    codes = np.frombuffer(data, np.uint8)
    if (codes[starts] != ord("{")).any():
        return False
    ends = np.append(starts[1:], len(data)) - 1
    ends[-1] += 0 if data.endswith(b"\n") else 1
    last = codes[ends - 1]
    last = np.where(last == ord("\r"), codes[ends - 2], last)
    return bool((last == ord("}")).all())


def _lines(head: bytes, final: bool) -> Iterator[bytes]:
    lines = head.split(b"\n", _SAMPLE_LINES)
    whole = lines if final and len(lines) <= _SAMPLE_LINES else lines[:-1]
    return (line for line in whole if line.strip())


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = parse_line(line)
    except (RecursionError, ValueError):
        return {}  # a bad line is a row error, found when its row is read
    return record if isinstance(record, dict) else {}


def _kind(counts: Counter[ColumnKind]) -> ColumnKind:
    """What most of the values are that are not null."""
    del counts["unknown"]
    return counts.most_common(1)[0][0] if counts else "unknown"
