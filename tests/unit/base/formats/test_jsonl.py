"""JSON Lines through plan and read: the same cells from Arrow and line by line; words for bad lines."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.formats import InputRefused, Wanted, text
from base.formats.jsonl_lines import read_lines
from tests.unit.base.formats import oracle

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.none() | st.floats(allow_infinity=False, allow_nan=False) | st.integers(-9, 9),
            "s": st.none() | st.text(max_size=8),
            "b": st.none() | st.booleans(),
            "any": VALUES,
        },
    ),
    min_size=1,
    max_size=15,
)
WANTED = [Wanted("number", 0, "number"), Wanted("string", 1, "string"), Wanted("boolean", 2, "boolean")]
FIRST = b'{"n":1,"s":"x","b":true,"any":[]}\n'


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jsonl") / "file.jsonl"


def whole_of(
    path: Path, content: bytes, wanted: list[Wanted] = WANTED, keep: list[int] | None = None
) -> oracle.Whole:
    path.write_bytes(FIRST)
    shape = oracle.sniff(path)
    path.write_bytes(FIRST + content)
    return oracle.read_whole(path, shape, wanted, keep or [])


def as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@given(RECORDS, st.sampled_from(["\n", "\r\n", "\n\n", " \n"]), st.booleans(), st.integers(1, 200))
def test_records_come_back_value_by_value(
    scratch: Path, records: list[dict[str, Any]], newline: str, ended: bool, chunk_bytes: int
) -> None:
    lines = newline.join(json.dumps(record, ensure_ascii=len(record) % 2 == 0) for record in records)
    scratch.write_bytes(FIRST + (lines + (newline if ended else "")).encode())
    shape = oracle.sniff(scratch)
    names = ["n", "s", "b", "any"]
    assert [column.name for column in shape.columns] == names
    whole = oracle.read_whole(scratch, shape, WANTED, chunk_rows=1000, max_chunk_bytes=chunk_bytes)
    records = [json.loads(FIRST), *records]
    expected = [[record.get(name) for record in records] for name in names]
    assert whole.columns["number"] == [None if v is None else float(v) for v in expected[0]]
    assert (whole.columns["string"], whole.columns["boolean"]) == (expected[1], expected[2])
    assert whole.kept == [[as_text(value) for value in column] for column in expected]
    assert (whole.rows, whole.problems) == (len(records), [])


@given(RECORDS)
def test_both_ways_of_reading_give_the_same(scratch: Path, records: list[dict[str, Any]]) -> None:
    content = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    scratch.write_bytes(FIRST + content)
    whole = oracle.read_whole(scratch, oracle.sniff(scratch), WANTED, [1], chunk_rows=10**6)
    slow = read_lines(FIRST + content, list(zip(WANTED, ["n", "s", "b"], strict=True)), ["s"])
    assert whole.columns == slow.columns.to_pydict()
    assert whole.kept == [slow.kept.column("s").to_pylist()]
    signs = [
        [math.copysign(1, v) for v in column if v is not None]
        for column in (whole.columns["number"], slow.columns.column("number").to_pylist())
    ]
    assert signs[0] == signs[1]


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        (b'{"n":"1"}', "n", "not_a_number"),
        (b'{"n":true}', "n", "not_a_number"),
        (b'{"n":NaN}', "n", "not_a_number"),
        (b'{"n":-Infinity}', "n", "not_a_number"),
        (b'{"n":1e400}', "n", "not_a_number"),
        (b'{"n":' + b"9" * 400 + b"}", "n", "not_a_number"),
        (b'{"n":[1]}', "n", "nested_value"),
        (b'{"s":1}', "s", "not_a_string"),
        (b'{"s":{"a":1}}', "s", "nested_value"),
        (b'{"s":"\xff"}', "s", "invalid_utf8"),
        (b'{"s":"\\ud800"}', "s", "invalid_utf8"),
        (b'{"b":1}', "b", "not_a_boolean"),
        (b'{"b":"true"}', "b", "not_a_boolean"),
        (b'{"n":1', None, "invalid_json"),
        (b'{"n":1}{"n":2}', None, "invalid_json"),
        (b'{"n":1} null', None, "invalid_json"),
        (b'{"n":1e}', None, "invalid_json"),
        (b'{"s":"a\tb"}', None, "invalid_json"),
        (b'{"any":' + b"[" * 100_000 + b"]" * 100_000 + b',"n":"x"}', None, "invalid_json"),
        (b'{"n":' + b"9" * 5000 + b"}", None, "invalid_json"),
        (b"null", None, "not_an_object"),
        (b"[1]", None, "not_an_object"),
        (b'"x"', None, "not_an_object"),
        (b"oops", None, "invalid_json"),
    ],
)
def test_a_bad_line_is_one_bad_row(scratch: Path, line: bytes, column: str | None, code: str) -> None:
    whole = whole_of(scratch, b'{"n":-0}\n' + line + b'\n{"n":3}\n', keep=[1])
    assert whole.columns["number"] == [1.0, -0.0, None, 3.0]
    assert [(p.row, p.line, p.column, p.code) for p in whole.problems] == [(2, 2, column, code)]
    assert whole.problems[0].message


def test_a_block_that_begins_with_null_does_not_reach_the_parser(scratch: Path) -> None:
    path = scratch
    path.write_bytes(FIRST + b"null\n" * 3)
    whole = oracle.read_whole(path, oracle.sniff(path), WANTED, [], chunk_rows=1)
    assert [p.code for p in whole.problems] == ["not_an_object"] * 3


@pytest.mark.parametrize("tail", [b'{"n":1}{"n":2\n}\n', b'{"n":\n2}\n', b'{"n":1}null{"n":2}\n\n'])
def test_lines_decide_what_a_row_is(scratch: Path, tail: bytes) -> None:
    whole = whole_of(scratch, tail)
    assert whole.rows == 1 + sum(1 for line in tail.split(b"\n") if line)
    assert {p.code for p in whole.problems} <= {"invalid_json", "not_an_object"}
    assert len(whole.problems) == whole.rows - 1


def test_of_equal_keys_the_last_counts(scratch: Path) -> None:
    assert whole_of(scratch, b'{"n":1,"n":2}\n').columns["number"] == [1.0, 2.0]


def test_a_column_wanted_and_kept_is_both(scratch: Path) -> None:
    whole = whole_of(scratch, b'{"n":2,"b":false}\n{"n":2.5}\n', keep=[0, 2, 1])
    assert whole.columns["number"] == [1.0, 2.0, 2.5]
    assert whole.kept == [["1", "2", "2.5"], ["true", "false", None], ["x", None, None]]


def test_a_line_longer_than_a_block_is_one_bad_row(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK", 64)
    whole = whole_of(scratch, b'{"n":2}\n{"s":"' + b"x" * 300 + b'"}\n{"n":4}\n')
    assert whole.columns["number"] == [1.0, 2.0, None, 4.0]
    assert [(p.row, p.line, p.code) for p in whole.problems] == [(2, 2, "record_too_long")]


def test_columns_are_the_keys_in_the_order_first_seen(scratch: Path) -> None:
    scratch.write_bytes(b'{"b":1}\n\n{"a":null,"b":"x","c":{}}\nbroken\n{"c":[1],"b":2}\n')
    shape = oracle.sniff(scratch)
    assert [(column.name, column.kind) for column in shape.columns] == [
        ("b", "number"),
        ("a", "unknown"),
        ("c", "nested"),
    ]


def test_a_first_line_longer_than_the_head_is_refused(scratch: Path) -> None:
    scratch.write_bytes(b'{"a":"' + b"x" * (1 << 20) + b'"}\n{"a":"y"}\n')
    with pytest.raises(InputRefused, match="first line"):
        oracle.sniff(scratch)
