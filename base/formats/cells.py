"""Text cells to numbers, booleans and UTF-8, column by column, telling which cells are bad.

The same answers as the CSV parser's own conversion (a property test compares them): this is what runs when
that conversion refused a block, and when a column is wanted as number and as text at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

TRUE_WORDS = ("1", "true", "True", "TRUE")
FALSE_WORDS = ("0", "false", "False", "FALSE")

# What Arrow takes for a number, blanks around it aside. {0} is the decimal point.
_DIGITS = r"(?:[0-9]+{0}?[0-9]*|{0}[0-9]+)(?:[eE][+-]?[0-9]+)?"
_WORDS = r"(?i:inf|infinity|nan(?:\([0-9a-z_]*\))?)"
_BLANKS = " \t"

# A byte sequence that is not UTF-8 becomes one of these (the first that the text itself does not contain):
# both are noncharacters, which no text is meant to hold.
_MARKS = ("\uffff", "\ufffe", "\U0010ffff", "\U0010fffe")


def is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    offsets = pa.array([0, len(data)], pa.int32()).buffers()[1]
    text = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(data))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def marked(data: bytes) -> tuple[bytes, str]:
    """``data`` as UTF-8, with a mark for each byte that is not, and the mark."""
    text = data.decode("utf-8", "surrogateescape")
    mark = next(mark for mark in _MARKS if mark not in text)
    escaped = dict.fromkeys(range(0xDC80, 0xDD00), mark)
    return text.translate(escaped).encode(), mark


def to_numbers(text: pa.Array, null_values: Sequence[str], decimal: str) -> tuple[pa.Array, pa.Array]:
    """float64 values and a mask of bad cells; the empty cell and ``null_values`` are null and not bad."""
    missing = _missing(text, null_values)
    plain = pc.utf8_trim(text, characters=_BLANKS)
    digits = _DIGITS.format(re.escape(decimal))
    good = pc.match_substring_regex(plain, rf"^[+-]?(?:{digits}|{_WORDS})$")
    plain = pc.if_else(pc.and_(good, pc.invert(missing)), plain, pa.scalar(None, pa.string()))
    if decimal != ".":
        plain = pc.replace_substring(plain, decimal, ".")
    return plain.cast(pa.float64()), pc.invert(pc.or_kleene(good, missing))


def to_booleans(text: pa.Array, null_values: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """Booleans and a mask of bad cells; the empty cell and ``null_values`` are null and not bad."""
    true = pc.is_in(text, value_set=pa.array(TRUE_WORDS))
    good = pc.or_(true, pc.is_in(text, value_set=pa.array(FALSE_WORDS)))
    missing = _missing(text, null_values)
    values = pc.if_else(pc.and_(good, pc.invert(missing)), true, pa.scalar(None, pa.bool_()))
    return values, pc.invert(pc.or_(good, missing))


def empty_to_null(text: Any) -> Any:
    """The empty cell is the missing value of a text column."""
    empty = pc.equal(text, "")
    if not pc.any(empty).as_py():
        return text
    return pc.if_else(empty, pa.scalar(None, pa.string()), text)


def mean_length(text: Any) -> float:
    """Bytes of a cell on average; a missing one has none."""
    total = pc.sum(pc.binary_length(text)).as_py() or 0
    return float(total / max(len(text), 1))


def _missing(text: pa.Array, null_values: Sequence[str]) -> pa.Array:
    return pc.is_in(text, value_set=pa.array([None, "", *null_values], pa.string()))
