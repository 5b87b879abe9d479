"""The reader of a pipeline: columns of numbers, booleans and texts into a matrix, then the pipeline's steps.

A text becomes the number that its column's vocabulary gives it, and ``UNKNOWN`` if it has none: encoders and
imputers know a few texts only, and all others are the same to them. So everything behind works on numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.linalg.blas import dnrm2

from models.scorers.part import Cell, Unsure
from models.scorers.steps import Step, apply_many, apply_one

UNKNOWN = -1.0
# Numbers that are infinite or become so are looked for, and NaN is a missing value: nothing to warn of.
_quiet = np.errstate(all="ignore")
# No scaler makes smaller numbers infinite.
LARGE = 1e100


@dataclass(frozen=True, eq=False)
class Columns:
    """``vocabularies`` has the texts of each column, None for numbers and booleans.

    Where ``refuses_missing`` says so, it is left to the estimator what a missing value means.
    """

    kind: ClassVar[str] = "columns"
    names: tuple[str, ...]
    vocabularies: tuple[tuple[str, ...] | None, ...]
    refuses_missing: tuple[bool, ...]
    steps: tuple[Step, ...]
    width: int

    @_quiet
    def matrix(self, rows: pa.Table) -> np.ndarray:
        """What the core is given. Raises Unsure."""
        made = np.empty((rows.num_rows, len(self.names)), order="F")
        for position, name in enumerate(self.names):
            column = rows.column(name)
            if self.refuses_missing[position] and column.null_count:
                raise Unsure(f"a value of {name!r} is missing")
            _fill(made[:, position], column, self._texts[position])
        return apply_many(self.steps, made)

    def row(self, values: Sequence[Cell]) -> np.ndarray:
        """The same of one row; None is a missing value. Raises Unsure."""
        row = np.array(values if self._has_plain_columns else self._cells(values), dtype=np.float64)
        if dnrm2(row) < LARGE:
            return apply_one(self.steps, row)
        with np.errstate(all="ignore"):
            return apply_one(self.steps, row)

    def _cells(self, values: Sequence[Cell]) -> list[Cell]:
        for value, is_refused in zip(values, self.refuses_missing, strict=True):
            if is_refused and value is None:
                raise Unsure("a value is missing")
        return [
            value if table is None else np.nan if value is None else table.get(value, UNKNOWN)
            for value, table in zip(values, self._tables, strict=True)
        ]

    @cached_property
    def _has_plain_columns(self) -> bool:
        return not any(self.refuses_missing) and all(texts is None for texts in self.vocabularies)

    @cached_property
    def _texts(self) -> list[pa.Array | None]:
        return [None if texts is None else pa.array(texts, pa.string()) for texts in self.vocabularies]

    @cached_property
    def _tables(self) -> list[dict[Cell, float] | None]:
        return [
            None if texts is None else {text: float(code) for code, text in enumerate(texts)}
            for texts in self.vocabularies
        ]


def _fill(target: np.ndarray, column: pa.ChunkedArray, texts: pa.Array | None) -> None:
    start = 0
    for chunk in column.chunks:
        target[start : start + len(chunk)] = _numbers(chunk) if texts is None else _codes(chunk, texts)
        start += len(chunk)


def _numbers(chunk: pa.Array) -> np.ndarray:
    """Missing values are NaN."""
    if pa.types.is_boolean(chunk.type):
        chunk = chunk.cast(pa.float64())
    values: np.ndarray = chunk.to_numpy(zero_copy_only=False)
    return values


def _codes(chunk: pa.Array, texts: pa.Array) -> np.ndarray:
    found = pc.index_in(chunk.cast(pa.string()), value_set=texts)
    codes: np.ndarray = pc.fill_null(found, int(UNKNOWN)).to_numpy(zero_copy_only=False).astype(np.float64)
    if chunk.null_count:
        codes[pc.is_null(chunk).to_numpy(zero_copy_only=False)] = np.nan
    return codes
