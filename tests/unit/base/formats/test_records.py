"""Where records end: the vectorised rule against a character machine, on any text at all."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from base.formats import records
from base.formats.records import JSON_LINES, Dialect, RecordEnds, count_lines
from tests.unit.base.formats import oracle

TEXTS = st.text(alphabet='ab",\r\n', max_size=60)


def ends(data: bytes, *, final: bool = True) -> RecordEnds:
    return RecordEnds(data, Dialect(b","), final=final)


@given(TEXTS, st.integers(1, 20))
def test_every_end_is_where_the_machine_finds_it(text: str, window: int) -> None:
    found = oracle.records(text, ",")
    whole = [record.stop for record in found if record.open_quote is None and text[record.stop - 1] in "\r\n"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "WINDOW", window)
        scan = ends(text.encode())
        assert scan.all.tolist() == whole
        assert scan.last() == (whole[-1] if whole else None)
        for at in range(1, len(text) + 1):
            expected = next((stop for stop in whole if stop >= at), None)
            assert scan.first(at) == expected
            assert ends(text.encode()).first(at) == expected


@given(TEXTS)
def test_the_open_quote_is_the_one_the_machine_is_in(text: str) -> None:
    found = oracle.records(text, ",")
    assert ends(text.encode()).open_quote == (found[-1].open_quote if found else None)


@given(TEXTS)
def test_the_machine_agrees_with_the_csv_module(text: str) -> None:
    found = oracle.records(text, ",")
    assume(not found or found[-1].open_quote is None)
    # the csv module gives a blank line as a row without fields
    expected = [row or [""] for row in csv.reader(io.StringIO(text, newline=""))]
    assert [record.fields for record in found] == expected


def test_a_return_at_the_end_of_a_block_is_undecided_until_the_file_ends() -> None:
    assert ends(b"1,2\n3,4\r", final=False).last() == 4
    assert ends(b"1,2\n3,4\r", final=True).last() == 8
    assert ends(b"1,2\n3,4\r\n", final=False).last() == 9


def test_ends_far_apart_are_found_across_windows() -> None:
    data = b'1,"' + b"x\n" * 200_000 + b'"\n' + b"2" * 300_000 + b"\n" + b"3" * 300_000
    scan = ends(data)
    first = 3 + 400_000 + 2
    assert scan.first(1) == first
    assert scan.first(first + 1) == first + 300_001
    assert scan.last() == first + 300_001


def test_json_lines_end_with_a_line_feed_only() -> None:
    scan = RecordEnds(b'{"a":"\r"}\r\n{"b":\n', JSON_LINES, final=True)
    assert scan.all.tolist() == [11, 17]


def test_lines_are_counted_by_every_convention() -> None:
    assert [
        count_lines(data, Dialect(b",")) for data in (b"", b"a", b"a\n", b"a\r\nb\r\n", b"a\rb", b"\n\r\n\r")
    ] == [
        0,
        1,
        1,
        2,
        2,
        3,
    ]


def test_json_lines_count_line_feeds_only() -> None:
    assert count_lines(b'{"a":\r1}\r\n{}\r', JSON_LINES) == 2
