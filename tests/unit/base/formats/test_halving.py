"""Cutting spans in two and counting their rows agrees with reading them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from base.formats import (
    ChunkRows,
    CsvOptions,
    InputShape,
    Span,
    Wanted,
    count_rows,
    halves,
    read,
    sniff,
    unread,
)

WANTED = [Wanted("a", 0, "string")]
CELLS = st.sampled_from(["", "x", '"q"', '"a,b"', '"two\nlines"', '"with ""quotes"""', "é"])


def rows_of(path: Path, shape: InputShape, span: Span) -> ChunkRows:
    return read(path, shape, span, WANTED, [1])


def check(data: bytes) -> None:
    """Every span, down to single rows, reads as the two halves that it is cut into."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(data)
        shape = sniff(path, CsvOptions(), max_decoded_bytes=1 << 30)
        if shape.format == "parquet":
            todo = [Span(0, shape.rows or 0, shape.rows)]
        else:
            todo = [Span(shape.data_start, len(data), None)]
        while todo:
            span = todo.pop()
            whole = rows_of(path, shape, span)
            assert count_rows(path, shape, span) == whole.rows
            blank = unread(path, shape, span, WANTED, [1])
            assert (blank.rows, blank.lines) == (whole.rows, whole.lines)
            assert blank.columns.schema == whole.columns.schema
            assert blank.kept.schema == whole.kept.schema
            assert blank.kept.column(0).null_count == whole.rows
            parts = halves(path, shape, span)
            assert (parts is None) == (whole.rows < 2)
            if parts:
                read_parts = [rows_of(path, shape, part) for part in parts]
                assert abs(read_parts[0].rows - read_parts[1].rows) <= 1
                kept = pa.concat_tables([part.kept for part in read_parts])
                assert kept.equals(whole.kept)
                assert sum(part.lines or 0 for part in read_parts) == (whole.lines or 0)
                todo += parts


@settings(max_examples=40)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans()
)
def test_csv(rows: list[tuple[str, str]], newline: str, ended: bool) -> None:
    text = newline.join(["a,b", *(f"{a},{b}" for a, b in rows)])
    blank = newline if len(rows) % 2 else ""  # blank lines are no rows
    check((text + blank + (newline if ended else "")).encode())


@settings(max_examples=20)
@given(st.lists(st.text(max_size=4), min_size=1, max_size=9), st.booleans())
def test_json_lines(values: list[str], ended: bool) -> None:
    lines = [json.dumps({"a": value, "b": "k"}) for value in values]
    lines.insert(len(lines) // 2, "  ")
    check(("\n".join(lines) + ("\n" if ended else "")).encode())


def test_parquet() -> None:
    table = pa.table({"a": ["x"] * 23, "b": pa.array(["k", "l"] * 11 + ["m"]).dictionary_encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=5)
    check(sink.getvalue().to_pybytes())
