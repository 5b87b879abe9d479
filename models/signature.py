"""Does what came in fit a model's signature? Pure checks of column names and of whole columns of values.

Used where a file is submitted, where a chunk is scored and where a single prediction is answered, so that all
three refuse the same things with the same codes.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.manifest import ColumnSpec, Signature

# The smallest number that rounds to infinity in 32 bits: half a step above the largest finite one.
FLOAT32_OVERFLOW = float(np.finfo(np.float32).max) + 2.0**103


@dataclass(frozen=True)
class ColumnProblem:
    """One reason why columns do not fit: ``missing_column``, ``duplicate_column`` or ``column_count``."""

    code: str
    column: str | None
    message: str
    nearest: str | None = None


@dataclass(frozen=True)
class Match:
    """``positions[i]`` is where the signature's column i stands among the names; empty if there are problems.

    ``extra`` are given names that the model does not use.
    """

    positions: tuple[int, ...]
    by: Literal["name", "position"]
    extra: tuple[str, ...]
    problems: tuple[ColumnProblem, ...]


class RowIssue(NamedTuple):
    """One value that the estimator itself refuses; ``row`` counts from 0 in the table checked."""

    row: int
    column: str
    value: str | None
    code: str
    message: str


def match_columns(signature: Signature, names: Sequence[str], *, headerless: bool = False) -> Match:
    """Find the signature's columns among ``names``.

    By name, in any order, extra columns allowed. By position where the file has no header, or where the
    estimator was fitted without names and none of the names given is known; then the count must be the same.
    """
    wanted = signature.names
    # a file with several columns does not say which of them are the texts
    nameless = not signature.named and (signature.kind != "text" or len(names) == 1)
    if headerless or (nameless and not set(wanted) & set(names)):
        return _by_position(wanted, names)
    problems = [_duplicate(name) for name in wanted if Counter(names)[name] > 1]
    problems += [_missing(name, wanted, names) for name in wanted if name not in set(names)]
    if problems:
        return Match((), "name", (), tuple(problems))
    places = {name: position for position, name in enumerate(names)}
    extra = tuple(name for name in names if name not in set(wanted))
    return Match(tuple(places[name] for name in wanted), "name", extra, ())


def _by_position(wanted: Sequence[str], names: Sequence[str]) -> Match:
    if len(names) == len(wanted):
        return Match(tuple(range(len(wanted))), "position", (), ())
    problem = ColumnProblem(
        "column_count",
        None,
        f"The model takes {len(wanted)} columns ({_listed(wanted)}), the input has {len(names)} "
        f"({_listed(names)}), and none has a name that the model knows.",
    )
    return Match((), "position", (), (problem,))


def _missing(name: str, wanted: Sequence[str], names: Sequence[str]) -> ColumnProblem:
    free = [other for other in names if other not in set(wanted)]
    near = difflib.get_close_matches(name, free, 1, 0.75) or [
        other for other in free if other.strip().casefold() == name.strip().casefold()
    ]
    hint = f"; the nearest is {near[0]!r}, rename it" if near else f"; it has {_listed(names)}"
    return ColumnProblem(
        "missing_column", name, f"The input has no column {name!r}{hint}.", near[0] if near else None
    )


def _duplicate(name: str) -> ColumnProblem:
    return ColumnProblem(
        "duplicate_column", name, f"The input has more than one column {name!r}; keep one of them."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def row_problems(signature: Signature, table: pa.Table) -> list[RowIssue]:
    """Values that the estimator would refuse, by row and then column: whole columns are checked at once.

    ``table`` has the signature's columns. Codes ``missing_value``, ``infinite_value``, ``unseen_category``,
    ``empty_text``.
    An empty list is no promise that the estimator takes all rows: it may refuse what no probe tried.
    """
    limit = FLOAT32_OVERFLOW if signature.dtype == "float32" else float("inf")
    found: list[RowIssue] = []
    for spec in signature.columns:
        column = table.column(spec.name)
        if spec.kind == "number":
            found += _bad_numbers(spec, column, limit)
        elif column.null_count and not spec.accepts_null:
            found += _missing_values(spec, column, pc.is_null(column).to_numpy())
        if not spec.accepts_unseen and spec.categories_from == "estimator":
            found += _unseen(spec, column)
        if signature.kind == "text":
            found += _empty_texts(spec, column)
    return sorted(found, key=lambda issue: issue.row) if found else found


def _bad_numbers(spec: ColumnSpec, column: pa.ChunkedArray, limit: float) -> list[RowIssue]:
    if spec.accepts_null and spec.accepts_infinite:
        return []
    values = _values(column)
    # two passes tell that a column is clean; a null is NaN here, and NaN fails both comparisons
    if not len(values) or (values.min() > -limit and values.max() < limit):
        return []
    found = [] if spec.accepts_null else _missing_values(spec, column, np.isnan(values))
    if not spec.accepts_infinite:
        mask = np.abs(values) >= limit
        found += _issues(spec, column, mask, "infinite_value", "a finite number is required")
    return found


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """The numbers without a copy where Arrow has them in one piece."""
    pieces = [chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0), *pieces])


def _missing_values(spec: ColumnSpec, column: pa.ChunkedArray, mask: np.ndarray) -> list[RowIssue]:
    return _issues(spec, column, mask, "missing_value", "a value is required")


def _unseen(spec: ColumnSpec, column: pa.ChunkedArray) -> list[RowIssue]:
    known = pa.array(list(spec.categories or ()), column.type)
    missing = pc.is_null(column, nan_is_null=True)
    mask = ~(pc.or_(pc.is_in(column, value_set=known), missing).to_numpy())
    shown = ", ".join(str(label) for label in (spec.categories or ())[:10])
    return _issues(spec, column, mask, "unseen_category", f"the model knows only {shown}")


def is_empty_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which texts hold nothing, or nothing but white space (Unicode's); null for null."""
    return pc.or_(pc.equal(column, ""), pc.utf8_is_space(column))


def _empty_texts(spec: ColumnSpec, column: pa.ChunkedArray) -> list[RowIssue]:
    """A vectorizer would answer for no words at all; that is no answer about the text."""
    mask = pc.fill_null(is_empty_text(column), False).to_numpy()
    return _issues(spec, column, mask, "empty_text", "a text is required")


def _issues(
    spec: ColumnSpec, column: pa.ChunkedArray, mask: np.ndarray, code: str, reason: str
) -> list[RowIssue]:
    found = []
    for row in np.flatnonzero(mask).tolist():
        value = column[row].as_py()
        text = None if code == "missing_value" else str(value)[:200]
        what = "is empty" if text is None or code == "empty_text" else f"is {text[:80]}"
        found.append(RowIssue(row, spec.name, text, code, f"Column {spec.name!r} {what}: {reason}."))
    return found
