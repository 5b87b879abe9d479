"""The head of a file: format, delimiter, columns and kinds, and a clear refusal of what cannot be used."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.formats import CsvOptions, InputRefused, InputShape, looks_newline_stripped
from tests.unit.base.formats import oracle


def sniffed(path: Path, content: bytes | str, **options: object) -> InputShape:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return oracle.sniff(path, CsvOptions(**options))  # type: ignore[arg-type]


def refusal(path: Path, content: bytes | str, **options: object) -> InputRefused:
    with pytest.raises(InputRefused) as refused:
        sniffed(path, content, **options)
    return refused.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "input"


def kinds(shape: InputShape) -> list[tuple[str, str]]:
    return [(column.name, column.kind) for column in shape.columns]


def test_a_text_may_begin_with_a_heart(file: Path) -> None:
    shape = sniffed(file, "<3 this place\ngood\n", header=False)
    assert (shape.format, len(shape.columns)) == ("csv", 1)


def test_kinds_are_what_most_cells_are(file: Path) -> None:
    content = "n,s,b,u,mixed\n1,x,true,,1\n,y,false,NA,2\n3e5,1,,,oops\n"
    assert kinds(sniffed(file, content)) == [
        ("n", "number"),
        ("s", "string"),
        ("b", "boolean"),
        ("u", "unknown"),
        ("mixed", "number"),
    ]


def test_headers_with_quotes_newlines_blanks_and_a_mark(file: Path) -> None:
    shape = sniffed(file, '\ufeff\n"a\r\nb", petal length (cm),"say ""hi""",\r\n1,2,3,4\r\n')
    assert [column.name for column in shape.columns] == ["a\r\nb", " petal length (cm)", 'say "hi"', ""]
    assert (shape.header_lines, file.read_bytes()[shape.data_start :]) == (3, b"1,2,3,4\r\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_though_others_stand_in_the_text(file: Path, delimiter: str) -> None:
    rows = [["id", "text"], ["1", '"a,b;c\td|e"'], ["2", '"x\ny, z"'], ["3", "plain"]]
    shape = sniffed(file, "\n".join(delimiter.join(row) for row in rows))
    assert shape.csv.delimiter == delimiter
    assert [column.name for column in shape.columns] == ["id", "text"]


def test_decimal_commas_do_not_make_the_delimiter(file: Path) -> None:
    shape = sniffed(file, "a;b\n1,5;2,5\n2,5;3,5\n", decimal=",")
    assert (shape.csv.delimiter, kinds(shape)) == (";", [("a", "number"), ("b", "number")])


def test_a_file_of_one_column_and_one_without_a_header(file: Path) -> None:
    assert kinds(sniffed(file, "value\n1\n2\n")) == [("value", "number")]
    assert kinds(sniffed(file, "1,x\n2,y\n", header=False)) == [("x0", "number"), ("x1", "string")]


@given(st.builds(CsvOptions, null_values=st.lists(st.text(), max_size=2).map(tuple)))
def test_a_shape_survives_json(options: CsvOptions) -> None:
    shape = InputShape("csv", "gzip", (), None, 1.5, csv=options)
    assert InputShape.from_json(shape.to_json()) == shape


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "empty_input", "empty"),
        (b" \n\n", "empty_input", "empty"),
        (b"\xef\xbb\xbf\n", "empty_input", "blanks"),
        (b"a,b\n", "header_only", "no data rows"),
        (b"a,b,a\n1,2,3\n", "duplicate_column", "'a'"),
        (bytes(range(32)) * 40, "unknown_format", "neither text"),
        ("a,b\n1,é\n".encode("utf-16"), "unreadable_bytes", "charset=utf-16"),
        ("a,b\n1,é\n".encode("utf-32"), "unreadable_bytes", "charset=utf-32"),
        ("a,b\n1,e\n".encode("utf-16-be"), "unreadable_bytes", "charset=utf-16-be"),
        ("a,b\n1,é\n".encode("latin-1"), "unreadable_bytes", "0xe9 at offset 6"),
        (b'[{"a": 1}]', "unknown_format", "one object per line"),
        (b'[\n  {"a": 1}\n]', "unknown_format", "one object per line"),
        (b'{\n  "a": 1\n}\n', "unknown_format", "one object per line"),
        (b"<html>", "unknown_format", "HTML"),
        (b"\x89PNG\r\n\x1a\n", "unknown_format", "curl -F image=@a.png"),
        (b"\xd0\xcf\x11\xe0" + bytes(60), "unknown_format", "Excel"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "unknown_format", "twice"),
        (b"a,b,c1,2,34,5,6", "newlines_stripped", "--data-binary"),
        (b"a,b%0A1,2", "newlines_stripped", "--data-binary"),
        (b'{"a":1}{"a":2}', "newlines_stripped", "-T file"),
        (b"a,b " * 20_000, "newlines_stripped", "--data-binary"),
        (b'"' + b"a,b\n" * 400_000, "unknown_format", "never closes"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_way_out(
    file: Path, content: bytes, code: str, says: str
) -> None:
    refused = refusal(file, content)
    assert refused.code == code
    assert says in refused.message


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"delimiter": "ab"}, "unsupported_delimiter"),
        ({"delimiter": '"'}, "unsupported_delimiter"),
        ({"delimiter": "é"}, "unsupported_delimiter"),
        ({"decimal": "x"}, "unsupported_decimal"),
        ({"decimal": ",", "delimiter": ","}, "unsupported_decimal"),
        ({"charset": "klingon"}, "unsupported_encoding"),
        ({"charset": "zlib"}, "unsupported_encoding"),
        ({"charset": "idna"}, "unsupported_encoding"),
    ],
)
def test_options_that_cannot_be_used_are_refused(file: Path, options: dict[str, str], code: str) -> None:
    assert refusal(file, "a,b\n1,2\n", **options).code == code


def test_a_character_cut_by_the_end_of_the_head_is_no_error(file: Path) -> None:
    for shift in range(5):
        header = b"a," + b"b" * shift + b"\n"
        assert len(sniffed(file, header + b"1,\xc3\xa9\n" * 300_000).columns) == 2


def test_only_text_that_lost_its_newlines_looks_so() -> None:
    assert looks_newline_stripped(b"id,name1,2,x")
    assert not any(map(looks_newline_stripped, [b"a,b,c", b"a,b\n1,2", b'{"a":"}{"}', b"1,2,3", b"a,b\r1,2"]))


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\n\ra1 ', max_size=100).map(str.encode))
def test_any_head_is_a_shape_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with suppress(InputRefused):
        assert oracle.sniff(path).columns
