"""Cells diagnosed one column at a time must get the values that the CSV parser's own conversion gives."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv

from base.formats import cells

NULLS = ("NA", "NaN")
NUMBER_TEXTS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.from_regex(r"[ \t]?[+-]?[0-9]{0,3}[.,]?[0-9]{0,3}([eE][+-]?[0-9]{0,3})?[ \t]?", fullmatch=True),
    st.text(alphabet="0123456789+-.,eE infatyINF()_x\t\x0b\x00\u00a0\u0661", max_size=9),
    st.sampled_from(["", "NA", "NaN", " NA", "nan", "-inf", "Infinity", "nan(1)", "0x1F", "1_0", "1e400"]),
)


def parsed(text: str, type_: pa.DataType, decimal: str) -> Any:
    """What the CSV parser makes of one cell, or ``bad``."""
    quoted = '"' + text.replace('"', '""') + '"'
    options = csv.ConvertOptions(
        column_types={"cell": type_}, null_values=["", *NULLS], decimal_point=decimal
    )
    try:
        table = csv.read_csv(
            pa.py_buffer(f"1;{quoted}\n".encode()),
            csv.ReadOptions(use_threads=False, column_names=["one", "cell"]),
            csv.ParseOptions(delimiter=";"),
            options,
        )
    except pa.ArrowInvalid:
        return "bad"
    return table.column("cell").to_pylist()[0]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        equal = one == other and math.copysign(1, one) == math.copysign(1, other)
        return equal or (math.isnan(one) and math.isnan(other))
    return one is other or one == other


@given(st.lists(NUMBER_TEXTS, min_size=1, max_size=20), st.sampled_from([".", ","]))
def test_numbers_are_what_the_parser_makes_of_them(texts: list[str], decimal: str) -> None:
    values, bad = cells.to_numbers(pa.array(texts), NULLS, decimal)
    for text, value, broken in zip(texts, values.to_pylist(), bad.to_pylist(), strict=True):
        assert same("bad" if broken else value, parsed(text, pa.float64(), decimal)), text


@given(st.text(alphabet="01trueTRUEfalsFALS NA", max_size=5) | st.sampled_from(["true", "False", "NA"]))
def test_booleans_are_what_the_parser_makes_of_them(text: str) -> None:
    values, bad = cells.to_booleans(pa.array([text]), NULLS)
    assert ("bad" if bad[0].as_py() else values[0].as_py()) == parsed(text, pa.bool_(), ".")


@given(st.binary(max_size=20))
def test_marked_bytes_are_utf8_with_a_mark_for_each_bad_byte(data: bytes) -> None:
    text, mark = cells.marked(data)
    assert cells.is_utf8(text)
    assert cells.is_utf8(data) == (mark not in text.decode())
    assert text.decode().replace(mark, "") == data.decode("utf-8", "ignore")


def test_a_mark_that_the_text_contains_is_not_used() -> None:
    text, mark = cells.marked(b"\xef\xbf\xbf\xff")
    assert text.decode() == "\uffff" + mark
    assert mark != "\uffff"


@pytest.mark.parametrize("kind", ["to_numbers", "to_booleans"])
def test_null_cells_are_null_and_not_bad(kind: str) -> None:
    text = pa.array([None, "1"], pa.string())
    values, bad = cells.to_numbers(text, (), ".") if kind == "to_numbers" else cells.to_booleans(text, ())
    assert values.to_pylist() == [None, 1 if kind == "to_numbers" else True]
    assert bad.to_pylist() == [False, False]
