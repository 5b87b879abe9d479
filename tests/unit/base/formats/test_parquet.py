"""Parquet: spans that follow the row groups, exact rows of any span, and footers that lie."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import formats
from base.formats import InputRefused, Span, Wanted, parquet
from tests.unit.base.formats import oracle

WANTED = [
    Wanted("f", 0, "number"),
    Wanted("i", 1, "number"),
    Wanted("s", 2, "string"),
    Wanted("b", 3, "boolean"),
]
ROWS = st.lists(
    st.tuples(
        st.none() | st.floats(allow_nan=False),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.text(max_size=5),
        st.none() | st.booleans(),
    ),
    min_size=1,
    max_size=40,
)
TEXT_TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parquet") / "file.parquet"


def small(path: Path, rows: int = 10, **options: object) -> Path:
    pq.write_table(pa.table({"a": pa.array(range(rows), pa.int64())}), path, **options)
    return path


@given(ROWS, st.sampled_from(TEXT_TYPES), st.integers(1, 45), st.integers(1, 45))
def test_every_row_once_and_in_order(
    scratch: Path, rows: list[tuple[object, ...]], text: pa.DataType, group: int, chunk: int
) -> None:
    f, i, s, b = (list(column) for column in zip(*rows, strict=True))
    table = pa.table(
        {
            "f": pa.array(f, pa.float64()),
            "i": pa.array(i, pa.int64()),
            "s": pa.array(s, pa.string()).cast(text),
            "b": pa.array(b, pa.bool_()),
        }
    )
    pq.write_table(table, scratch, row_group_size=group)
    shape = oracle.sniff(scratch)
    whole = oracle.read_whole(scratch, shape, WANTED, [2, 1], chunk_rows=chunk)
    assert shape.rows == whole.rows == len(rows)
    assert whole.columns == {"f": f, "i": [None if v is None else float(v) for v in i], "s": s, "b": b}
    assert whole.kept == [s, i]
    assert all(0 < span.stop - span.start <= chunk for span in whole.spans)


def test_small_row_groups_join_and_large_ones_split_evenly(scratch: Path) -> None:
    shape = oracle.sniff(small(scratch, 20, row_group_size=3))
    spans = list(formats.plan(scratch, shape, chunk_rows=7, max_chunk_bytes=1 << 20))
    assert [span.stop for span in spans] == [6, 12, 18, 20]
    shape = oracle.sniff(small(scratch, 20))
    spans = list(formats.plan(scratch, shape, chunk_rows=7, max_chunk_bytes=1 << 20))
    assert [span.stop for span in spans] == [6, 13, 20]


def test_bytes_bound_the_rows_of_a_span(scratch: Path) -> None:
    table = pa.table({"a": ["x" * 1000 + str(i) for i in range(100)]})
    pq.write_table(table, scratch, use_dictionary=False)
    spans = list(formats.plan(scratch, oracle.sniff(scratch), chunk_rows=100, max_chunk_bytes=10_000))
    assert max(span.stop - span.start for span in spans) < 10


def test_kinds_and_types(scratch: Path) -> None:
    types = {
        "i": (pa.uint64(), "number"),
        "d": (pa.decimal128(9, 2), "number"),
        "h": (pa.float16(), "number"),
        "b": (pa.bool_(), "boolean"),
        "v": (pa.string_view(), "string"),
        "c": (pa.dictionary(pa.int8(), pa.string()), "string"),
        "l": (pa.list_(pa.int64()), "nested"),
        "st": (pa.struct([("x", pa.int64())]), "nested"),
        "t": (pa.timestamp("us"), "other"),
        "n": (pa.null(), "unknown"),
        "dot.ted": (pa.int64(), "number"),
        "dot": (pa.struct([("ted", pa.int64())]), "nested"),
    }
    columns = {
        name: pa.array([None], pa.string() if pa.types.is_dictionary(t) else t).cast(t)
        for name, (t, _) in types.items()
    }
    pq.write_table(pa.table(columns), scratch)
    shape = oracle.sniff(scratch)
    assert {column.name: column.kind for column in shape.columns} == {
        name: kind for name, (_, kind) in types.items()
    }
    assert shape.columns[5].arrow == "string"
    keep = list(range(len(types)))
    chunk = formats.read(
        scratch, shape, Span(0, 1, 1), [Wanted("n", 9, "string"), Wanted("dec", 1, "number")], keep
    )
    assert [str(field.type) for field in chunk.kept.schema] == [column.arrow for column in shape.columns]
    assert chunk.kept.column_names == list(types)
    assert chunk.columns.to_pydict() == {"n": [None], "dec": [None]}


def test_a_column_of_another_type_is_refused_by_name(scratch: Path) -> None:
    shape = oracle.sniff(small(scratch))
    with pytest.raises(InputRefused, match="'a' holds int64") as refused:
        formats.read(scratch, shape, Span(0, 1, 1), [Wanted("a", 0, "string")], [])
    assert refused.value.code == "mistyped_column"


def test_text_that_is_not_utf8_is_a_problem_of_its_cell(scratch: Path) -> None:
    binary = pa.array([b"ok", b"\xff", None], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, binary.buffers())
    pq.write_table(pa.table({"s": text}), scratch)
    whole = oracle.read_whole(scratch, oracle.sniff(scratch), [Wanted("s", 0, "string")])
    assert whole.columns["s"] == whole.kept[0] == ["ok", None, None]
    assert [(p.row, p.column, p.code) for p in whole.problems] == [(1, "s", "invalid_utf8")]


def refusal(path: Path) -> InputRefused:
    with pytest.raises(InputRefused) as refused:
        oracle.sniff(path)
    return refused.value


def test_damage_is_said_before_anything_is_planned(scratch: Path) -> None:
    good = small(scratch).read_bytes()
    cases = {
        "cut off": good[:-4],
        "claims": good[:-8] + (10**6).to_bytes(4, "little") + b"PAR1",
        "footer": good[:-300] + bytes(292) + good[-8:],
    }
    for says, content in cases.items():
        scratch.write_bytes(content)
        refused = refusal(scratch)
        assert (refused.code, says in refused.message) == ("unreadable_bytes", True)
    scratch.write_bytes(good[:-8] + (17 << 20).to_bytes(4, "little") + b"PAR1")
    assert refusal(scratch).code == "too_large"


def test_a_footer_may_not_claim_any_number_of_rows(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(scratch, 10, row_group_size=2)
    for limit, words in (
        ("MAX_ROWS", "10 rows"),
        ("MAX_ROW_GROUPS", "5 row groups"),
        ("MAX_COLUMNS", "1 columns"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(parquet, limit, 0)
            assert words in refusal(scratch).message


def test_empty_and_duplicate_columns_are_refused(scratch: Path) -> None:
    assert refusal(small(scratch, 0)).code == "header_only"
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), scratch)
    assert refusal(scratch).errors == [{"code": "duplicate_column", "column": "a"}]


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_damaged_pages_are_refused_plainly_or_read(scratch: Path, at: int, flip: int) -> None:
    buffer = io.BytesIO()
    table = pa.table({"s": [f"text {i}" for i in range(50)], "f": [float(i) for i in range(50)]})
    pq.write_table(table, buffer, row_group_size=20, compression="snappy")
    content = bytearray(buffer.getvalue())
    content[4 + at % (len(content) - 4)] ^= flip
    scratch.write_bytes(content)
    try:
        shape = oracle.sniff(scratch)
        whole = oracle.read_whole(scratch, shape, keep=range(len(shape.columns)), chunk_rows=7)
    except InputRefused as refused:
        assert refused.code in {"unreadable_bytes", "too_large", "header_only", "duplicate_column"}  # noqa: PT017
    else:
        assert {len(column) for column in whole.kept} <= {whole.rows}
