"""Rows with odd values, made to tell a compiled scorer from its estimator.

A row is refused by one only if a value is missing, infinite, too large for 32 bits or in no list of
categories. Random rows meet none of these. Rows on the thresholds of trees are made in ``reaching``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from models.manifest import ColumnSpec, Signature
from models.probing import altered
from models.rules import FLOAT32_OVERFLOW

# Columns in which odd values are tried, evenly spread.
MAX_COLUMNS = 24
_BELOW_OVERFLOW = float(np.nextafter(FLOAT32_OVERFLOW, 0))

ODD_NUMBERS: dict[str, float] = {
    "missing": np.nan,
    "infinite": np.inf,
    "minus infinite": -np.inf,
    "too large for 32 bits": FLOAT32_OVERFLOW,
    "too small for 32 bits": -FLOAT32_OVERFLOW,
    "largest of 32 bits": _BELOW_OVERFLOW,
    "largest": float(np.finfo(np.float64).max),
    "smallest": 5e-324,
    "zero": 0.0,
    "minus zero": -0.0,
    "negative": -1.0,
    "large": 1e9,
    "no whole number": 0.1,
    "no whole number of 32 bits": float(np.float32(0.1)),
}
_ODD_TEXTS: dict[str, str] = {
    "unseen": "rowmill-unseen",
    "empty": "",
    "blank": " ",
    "unicode": "\u1e9e\U0001f377",
}


def odd_tables(signature: Signature, rows: pa.Table) -> Iterator[pa.Table]:
    """One table for each odd value: a row for each column that can have it, and one with it in all."""
    kinds: dict[str, Callable[[ColumnSpec], Any]] = {"null": lambda _: None}
    kinds |= {name: _number(value) for name, value in ODD_NUMBERS.items() if not np.isnan(value)}
    kinds |= {name: _text(value) for name, value in _ODD_TEXTS.items()}
    kinds["upper case"] = _upper_case
    for number, value in enumerate(kinds.values()):
        specs = [spec for spec in signature.columns if value(spec) is not _NOT]
        if specs:
            start = number % rows.num_rows
            chosen = [specs[at] for at in spread(len(specs), MAX_COLUMNS)]
            one = rows.slice(start, 1)
            single = [altered(one, {spec.name: value(spec)}) for spec in chosen]
            yield pa.concat_tables([*single, altered(one, {spec.name: value(spec) for spec in specs})])


_NOT: Any = object()


def _number(value: float) -> Callable[[ColumnSpec], Any]:
    return lambda spec: value if spec.kind == "number" else _NOT


def _text(value: str) -> Callable[[ColumnSpec], Any]:
    return lambda spec: value if spec.kind == "string" else _NOT


def _upper_case(spec: ColumnSpec) -> Any:
    return str(spec.categories[0]).upper() if spec.kind == "string" and spec.categories else _NOT


def odd_matrices(matrix: np.ndarray, first: int) -> Iterator[np.ndarray]:
    """The same for what the last step of a model is given, from the column ``first`` on."""
    if first == matrix.shape[1]:
        return
    chosen = first + np.array(spread(matrix.shape[1] - first, MAX_COLUMNS))
    for number, value in enumerate(ODD_NUMBERS.values()):
        odd = np.repeat(matrix[number % len(matrix)][None].astype(np.float64), len(chosen) + 1, axis=0)
        odd[np.arange(len(chosen)), chosen] = value
        odd[-1, first:] = value
        yield odd


def spread(count: int, most: int) -> Sequence[int]:
    """Up to ``most`` numbers below ``count``, evenly spread, always the same."""
    return range(count) if count <= most else np.linspace(0, count - 1, most).astype(int).tolist()
