"""CSV through plan and read: each row exactly once, in order, with the parser's values, whatever the cuts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from base.formats import CsvOptions, InputRefused, Wanted, text
from tests.unit.base.formats import oracle

CELLS = st.text(alphabet='a1é" ,;\t|\n\r.-', max_size=8)
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
DELIMITERS = st.sampled_from([",", ";", "\t", "|"])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "file.csv"


def written(cell: str, delimiter: str, style: int) -> str:
    """``cell`` as CSV: quoted when it must be or when ``style`` says so, else as it is."""
    must = any(char in cell for char in (delimiter, "\n", "\r")) or cell.startswith('"')
    return '"' + cell.replace('"', '""') + '"' if must or style == 0 else cell


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str, list[list[str]]]:
    """The text of a well-formed file, its delimiter, and its rows."""
    width = draw(st.integers(1, 4))
    delimiter, newline = draw(DELIMITERS), draw(NEWLINES)
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12))
    style = st.integers(0, 2)
    lines = [delimiter.join(written(cell, delimiter, draw(style)) for cell in row) for row in rows]
    header = delimiter.join(f"c{i}" for i in range(width))
    tail = newline if lines[-1] == "" or draw(st.booleans()) else ""
    return newline.join([header, *lines]) + tail, delimiter, rows


@given(tables(), st.booleans(), st.integers(1, 30), st.integers(48, 200))
def test_well_formed_files_come_back_cell_by_cell(
    scratch: Path, table: tuple[str, str, list[list[str]]], bom: bool, chunk_bytes: int, block: int
) -> None:
    content, delimiter, rows = table
    width = len(rows[0])
    ends = [len(content[: record.stop].encode()) for record in oracle.records(content, delimiter)]
    assume(max(stop - start for start, stop in zip([0, *ends], ends, strict=False)) < block)
    scratch.write_bytes((b"\xef\xbb\xbf" if bom else b"") + content.encode())
    shape = oracle.sniff(scratch, CsvOptions(delimiter=delimiter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK", block)
        whole = oracle.read_whole(scratch, shape, chunk_rows=1000, max_chunk_bytes=chunk_bytes)
    assert [list(row) for row in zip(*whole.kept, strict=True)] == rows
    assert (whole.rows, whole.problems, len(whole.kept)) == (len(rows), [], width)


@given(st.text(alphabet='a1",\r\n', max_size=80), st.integers(1, 3), st.integers(1, 20))
@example('1,"\n2,3\n4,5', 2, 3)
@example('1,2\r\n"a\r\n', 2, 4)
@example('\n\n1,""",\n"', 2, 1)
def test_any_text_at_all_gives_the_rows_the_rule_gives(
    scratch: Path, body: str, width: int, chunk_bytes: int
) -> None:
    header = ",".join(f"c{i}" for i in range(width)) + "\n"
    expected = [r for r in oracle.rows(body, ",") if width == 1 or not r.blank(body)]
    assume(expected)
    scratch.write_bytes((header + body).encode())
    shape = oracle.sniff(scratch, CsvOptions(delimiter=","))
    whole = oracle.read_whole(scratch, shape, chunk_rows=1000, max_chunk_bytes=chunk_bytes)
    bad = {problem.row: problem for problem in whole.problems}
    assert whole.rows == len(expected)
    for number, (record, row) in enumerate(zip(expected, zip(*whole.kept, strict=True), strict=True)):
        if record.open_quote is not None:
            assert (bad[number].code, set(row)) == ("unclosed_quote", {None})
        elif len(record.fields) != width:
            assert bad[number].code in {"too_few_fields", "too_many_fields"}
        else:
            assert number not in bad
            assert list(row) == record.fields
        if number in bad:
            start = (header + body).encode()[: len(header) + record.start]
            assert bad[number].line == len(start.splitlines())


def shape_and_whole(path: Path, content: bytes, wanted: list[Wanted], **options: object) -> oracle.Whole:
    path.write_bytes(content)
    shape = oracle.sniff(path, CsvOptions(**options))  # type: ignore[arg-type]
    return oracle.read_whole(path, shape, wanted)


def test_bad_cells_are_null_and_named_and_their_neighbours_are_kept(scratch: Path) -> None:
    content = b'id,x,ok\n1, 1.5,true\n2,abc,0\n\n3,NA,maybe\n4,"2\n",\n'
    wanted = [Wanted("x", 1, "number"), Wanted("ok", 2, "boolean"), Wanted("id", 0, "string")]
    whole = shape_and_whole(scratch, content, wanted)
    assert whole.columns == {
        "x": [1.5, None, None, None],
        "ok": [True, False, None, None],
        "id": ["1", "2", "3", "4"],
    }
    assert whole.kept[1] == [" 1.5", "abc", "NA", "2\n"]
    assert [(p.row, p.line, p.column, p.value, p.code) for p in whole.problems] == [
        (1, 2, "x", "abc", "not_a_number"),
        (2, 4, "ok", "maybe", "not_a_boolean"),
        (3, 5, "x", "2\n", "not_a_number"),
    ]


def test_missing_is_the_empty_cell_and_null_values_only_in_numbers(scratch: Path) -> None:
    wanted = [Wanted("n", 0, "number"), Wanted("s", 1, "string")]
    whole = shape_and_whole(scratch, b'n,s\n,""\nNA,NA\n-,x\n', wanted, null_values=("NA", "-"))
    assert whole.columns == {"n": [None, None, None], "s": [None, "NA", "x"]}
    assert whole.kept == [["", "NA", "-"], ["", "NA", "x"]]
    assert not whole.problems


def test_decimal_comma(scratch: Path) -> None:
    wanted = [Wanted("n", 0, "number")]
    for keep in ([], [0]):
        scratch.write_bytes(b"n;m\n1,5;x\n2;y\n3.5;z\n")
        shape = oracle.sniff(scratch, CsvOptions(decimal=","))
        whole = oracle.read_whole(scratch, shape, wanted, keep)
        assert whole.columns["n"] == [1.5, 2.0, None]
        assert [p.value for p in whole.problems] == ["3.5"]


def test_ragged_rows_keep_their_place(scratch: Path) -> None:
    content = b'a,b\n1,2\n3\n"x\n",4,5\n\n6,7\n'
    whole = shape_and_whole(scratch, content, [Wanted("a", 0, "number")])
    assert whole.columns["a"] == [1.0, None, None, 6.0]
    assert [(p.row, p.line, p.code, p.value) for p in whole.problems] == [
        (1, 2, "too_few_fields", "3"),
        (2, 3, "too_many_fields", '"x\n",4,5'),
    ]
    assert "3 fields" in whole.problems[1].message
    assert "2 columns" in whole.problems[1].message


def test_bytes_that_are_not_utf8_are_problems_of_their_cells(scratch: Path) -> None:
    scratch.write_bytes(b"a,b,c\n1,x,y\n")
    shape = oracle.sniff(scratch)
    scratch.write_bytes(b"a,b,c\n1,x,y\n2,\xff,\xfe\n\xe9,z\n3,\xc3\xa9,w\n")
    whole = oracle.read_whole(scratch, shape, [Wanted("a", 0, "number")], [1], chunk_rows=100)
    assert whole.columns["a"] == [1.0, 2.0, None, 3.0]
    assert whole.kept == [["x", None, None, "é"]]
    assert [(p.row, p.column, p.code) for p in whole.problems] == [
        (1, "b", "invalid_utf8"),
        (2, None, "too_few_fields"),
    ]


def test_a_byte_order_mark_inside_the_data_is_text(scratch: Path) -> None:
    whole = shape_and_whole(scratch, "a,b\n\ufeffx,1\n\ufeffy,2\n".encode(), [])
    assert whole.kept[0] == ["\ufeffx", "\ufeffy"]


def test_a_stray_quote_costs_its_own_line_only(scratch: Path) -> None:
    lines = [f"{i},v{i}" for i in range(5000)]
    lines[100] = '100,"v100'
    whole = shape_and_whole(scratch, ("a,b\n" + "\n".join(lines)).encode(), [Wanted("a", 0, "number")])
    assert whole.rows == 5000
    assert [(p.row, p.line, p.code, p.value) for p in whole.problems] == [
        (100, 101, "unclosed_quote", '"v100\n')
    ]
    assert whole.columns["a"][99:102] == [99.0, None, 101.0]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("long", ['"' + "x" * 300, "y" * 300, '"' + "z\n" * 150 + '"'])
def test_a_record_longer_than_a_block_is_one_bad_row(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, long: str, newline: str
) -> None:
    monkeypatch.setattr(text, "BLOCK", 64)
    rows = [f"{i},v" for i in range(40)]
    content = newline.join(["a,b", *rows, f"9,{long}", *rows, ""])
    whole = shape_and_whole(scratch, content.encode(), [Wanted("a", 0, "number")])
    assert whole.columns["a"][:41] == [*map(float, range(40)), None]
    assert whole.columns["a"][-40:] == list(map(float, range(40)))
    assert {p.code for p in whole.problems} <= {"record_too_long", "unclosed_quote", "too_few_fields"}
    assert whole.problems[0].row == 40


def test_too_many_bad_cells_are_named_once_a_row(scratch: Path) -> None:
    content = b"a,b\n" + b"x,y\n" * 15_000
    scratch.write_bytes(content)
    wanted = [Wanted("a", 0, "number"), Wanted("b", 1, "number")]
    whole = oracle.read_whole(scratch, oracle.sniff(scratch), wanted, [], chunk_rows=1_000_000)
    assert [(p.row, p.column) for p in whole.problems] == [(i, "a") for i in range(15_000)]


def test_no_column_wanted_still_counts_rows(scratch: Path) -> None:
    scratch.write_bytes(b"a,b\n1,2\n3\n")
    whole = oracle.read_whole(scratch, oracle.sniff(scratch), [], [])
    assert (whole.rows, whole.lines, len(whole.problems)) == (2, 3, 1)


def test_the_plan_is_a_function_of_its_arguments(scratch: Path) -> None:
    scratch.write_bytes(b"a,b\n" + b"1,2\n" * 10_000)
    shape = oracle.sniff(scratch)
    plans = [oracle.read_whole(scratch, shape, [], [0], chunk_rows=999).spans for _ in range(2)]
    assert plans[0] == plans[1]
    assert [plans[0][0].start, plans[0][-1].stop] == [4, 40_004]
    assert all(before.stop == after.start for before, after in zip(plans[0], plans[0][1:], strict=False))


def test_header_only_is_refused(scratch: Path) -> None:
    for content in (b"a,b", b"a,b\n", b"\n\na,b\n\n\r\n"):
        scratch.write_bytes(content)
        with pytest.raises(InputRefused) as refused:
            oracle.sniff(scratch)
        assert refused.value.code == "header_only"
