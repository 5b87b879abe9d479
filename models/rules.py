"""What becomes of values, whole columns at once: taken, refused, told or clipped, by a manifest's rules.

Used where a chunk is scored and where a single prediction is answered, so that both treat a value alike. What
the estimator itself would refuse is always refused. What training had nothing like (outside of the range of
the sample, far from its mean, an unseen category) follows the policy of its column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.manifest import ColumnSpec, Signature

# The smallest number that rounds to infinity in 32 bits: half a step above the largest finite one.
FLOAT32_OVERFLOW = float(np.finfo(np.float32).max) + 2.0**103
# From here on a 64-bit float may stand for several whole numbers: 2**53 + 1 is read as 2**53.
INEXACT_INTEGER = 2**53

TOO_LARGE = (
    "too large to be exact: a 64-bit float tells whole numbers apart below 2^53 (9007199254740992) only; "
    "train and send such a column as text"
)

Values = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]


class RowIssue(NamedTuple):
    """What there is to say of one value; ``row`` counts from 0 in the table checked."""

    row: int
    column: str
    value: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Unusual:
    """Values of one column that training had nothing like, and that are scored all the same."""

    spec: ColumnSpec
    code: str
    rows: Rows
    column: pa.ChunkedArray  # as it came, before clipping

    def issues(self) -> list[RowIssue]:
        """One for each value: for small tables only."""
        why = reason(self.spec, self.code)
        if self.spec.on_unusual == "clip" and self.code != "unseen_category":
            why += f"; taken as the nearest of {self.spec.clip_to[0]:g} to {self.spec.clip_to[1]:g}"
        return _issues(self.spec, self.column, self.rows, self.code, why)


@dataclass(frozen=True)
class Checked:
    """``table`` is what to score, clipped where that is the policy; ``refused`` is by row, then column."""

    table: pa.Table
    refused: list[RowIssue]
    unusual: list[Unusual]


def check(signature: Signature, table: pa.Table) -> Checked:
    """Apply all rules to a table that has the signature's columns (float64, string or boolean).

    Codes ``missing_value``, ``infinite_value``, ``integer_too_large``, ``unseen_category``, ``empty_text``,
    ``out_of_range``, ``far_from_mean``.
    If nothing is refused, that is no promise that the estimator takes all rows: it may refuse what no probe
    tried.
    """
    refused: list[RowIssue] = []
    unusual: list[Unusual] = []
    for spec in signature.columns:
        column = table.column(spec.name)
        values = _numbers(column) if spec.kind == "number" else None
        never = _never_taken(signature, spec, column, values)
        for code, why, rows in never:
            refused += _issues(spec, column, rows, code, why)
        seldom = [Unusual(spec, code, rows, column) for code, rows in _unusual(spec, column, values)]
        seldom = [each for each in (_without(each, never) for each in seldom) if len(each.rows)]
        if spec.on_unusual == "refuse":
            refused += [issue for each in seldom for issue in each.issues()]
            continue
        unusual += seldom
        if spec.on_unusual == "clip" and seldom and values is not None:
            position = table.schema.get_field_index(spec.name)
            table = table.set_column(position, table.schema.field(position), _clipped(spec, column, values))
    return Checked(table, sorted(refused, key=lambda issue: issue.row), unusual)


def is_empty_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which texts hold nothing, or nothing but white space (Unicode's); null for null."""
    return pc.or_(pc.equal(column, ""), pc.utf8_is_space(column))


def reason(spec: ColumnSpec, code: str) -> str:
    """What is unusual about the values of a column, for a sentence."""
    if code == "out_of_range":
        return f"training had {spec.minimum:g} to {spec.maximum:g}"
    if code == "far_from_mean":
        far = f"more than {spec.max_z:g} standard deviations ({spec.std:.4g})"
        return f"{far} from training's mean, {spec.mean:.6g}"
    shown = ", ".join(str(label) for label in (spec.categories or ())[:10])
    return f"training had only {shown}{', …' if len(spec.categories or ()) > 10 else ''}"


_Found = tuple[str, str, Rows]


def _never_taken(
    signature: Signature, spec: ColumnSpec, column: pa.ChunkedArray, values: Values | None
) -> list[_Found]:
    """Code, reason and rows of the values that no policy lets through; an entry has one row at least."""
    found: list[_Found] = []
    if values is not None:
        found += _bad_numbers(signature, spec, values)
    elif column.null_count and not spec.accepts_null:
        found.append(("missing_value", "a value is required", _rows(pc.is_null(column))))
    if not spec.accepts_unseen and spec.categories_from == "estimator":
        shown = ", ".join(str(label) for label in (spec.categories or ())[:10])
        found.append(("unseen_category", f"the model knows only {shown}", _unseen(spec, column)))
    if signature.kind == "text":
        # a vectorizer would answer for no words at all; that is no answer about the text
        empty = pc.fill_null(is_empty_text(column), False)
        found.append(("empty_text", "a text is required", _rows(empty)))
    return [each for each in found if len(each[2])]


def _bad_numbers(signature: Signature, spec: ColumnSpec, values: Values) -> list[_Found]:
    infinite = FLOAT32_OVERFLOW if signature.dtype == "float32" else np.inf
    whole = spec.dtype == "int64"
    # two fast passes tell that a column is clean; a null is NaN here, and NaN fails both comparisons
    limit = INEXACT_INTEGER if whole else infinite
    strict = whole or not (spec.accepts_null and spec.accepts_infinite)
    if not strict or not len(values) or (values.min() > -limit and values.max() < limit):
        return []
    found: list[_Found] = []
    size = np.abs(values)
    if not spec.accepts_null:
        found.append(("missing_value", "a value is required", np.flatnonzero(np.isnan(values))))
    if not spec.accepts_infinite:
        found.append(("infinite_value", "a finite number is required", np.flatnonzero(size >= infinite)))
    if whole:
        inexact = (size >= INEXACT_INTEGER) & (size < infinite)
        found.append(("integer_too_large", TOO_LARGE, np.flatnonzero(inexact)))
    return found


def _unusual(spec: ColumnSpec, column: pa.ChunkedArray, values: Values | None) -> Iterator[tuple[str, Rows]]:
    """Code and rows of the values that training had nothing like."""
    if spec.categories:
        yield "unseen_category", _unseen(spec, column)
    elif values is not None:
        low, high = spec.usual
        if not _outside(values, low, high).any():  # one fast pass tells that a column is clean
            return
        if spec.minimum is not None and spec.maximum is not None:
            yield "out_of_range", np.flatnonzero(_outside(values, spec.minimum, spec.maximum))
        if spec.near is not None:
            yield "far_from_mean", np.flatnonzero(_outside(values, *spec.near))


def _outside(values: Values, low: float, high: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """NaN, which is a missing value, is never outside."""
    return (values < low) | (values > high)


def _without(unusual: Unusual, never: Sequence[_Found]) -> Unusual:
    """Less the values that are refused already: each is told once."""
    for _, _, rows in never:
        unusual = replace(unusual, rows=np.setdiff1d(unusual.rows, rows))
    return unusual


def _clipped(spec: ColumnSpec, column: pa.ChunkedArray, values: Values) -> pa.ChunkedArray:
    missing = pc.is_null(column).to_numpy()
    return pa.chunked_array([pa.array(np.clip(values, *spec.clip_to), mask=missing)])


def _numbers(column: pa.ChunkedArray) -> Values:
    """The numbers without a copy where Arrow has them in one piece; a null is NaN."""
    pieces = [chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0), *pieces])


def _unseen(spec: ColumnSpec, column: pa.ChunkedArray) -> Rows:
    known = pc.is_in(column, value_set=pa.array(list(spec.categories or ()), column.type))
    if column.null_count == 0 and pc.all(known).as_py():
        return np.empty(0, np.int64)
    return _rows(pc.invert(pc.or_(known, pc.is_null(column, nan_is_null=True))))


def _rows(mask: pa.ChunkedArray) -> Rows:
    rows: Rows = np.flatnonzero(mask.to_numpy())
    return rows


def _issues(spec: ColumnSpec, column: pa.ChunkedArray, rows: Rows, code: str, why: str) -> list[RowIssue]:
    found = []
    for row in rows.tolist():
        value = column[row].as_py()
        text = None if code == "missing_value" else str(value)[:200]
        what = "is empty" if text is None or code == "empty_text" else f"is {text[:80]}"
        found.append(RowIssue(row, spec.name, text, code, f"Column {spec.name!r} {what}: {why}."))
    return found
