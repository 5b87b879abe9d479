"""Rows made to tell a compiled scorer from its estimator: from the thresholds in a model, from odd values.

A split is decided otherwise only by a value that lies on its threshold, or a step beside it; a row is refused
by one only if a value is missing, infinite, too large for 32 bits or in no list of categories. Random rows
meet none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from models.estimators import parts
from models.manifest import ColumnSpec, Signature
from models.probing import altered
from models.rules import FLOAT32_OVERFLOW

# Splits that are looked at, of all splits of a model; every one of a small model.
MAX_SPLITS = 300
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


@dataclass(frozen=True)
class _Splits:
    """The nodes of one tree, by number; ``inner`` are those that split. ``parent`` of the root is -1."""

    inner: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    parent: np.ndarray

    @classmethod
    def of(cls, feature: Any, threshold: Any, left: Any, right: Any, inner: np.ndarray) -> _Splits:
        parent = np.full(len(feature), -1)
        parent[left[inner]], parent[right[inner]] = inner, inner
        return cls(inner, feature, threshold, left, right, parent)


def split_rows(
    last: Any, matrix: np.ndarray, values: Callable[[float], Sequence[float]], generator: np.random.Generator
) -> np.ndarray | None:
    """Rows that reach splits of the trees in ``last``, with each of ``values(threshold)`` at the split.

    ``matrix`` has rows as ``last`` is given them. None for a model without trees.
    """
    trees = list(_trees(last))
    places = [(tree, int(node)) for tree in trees for node in tree.inner]
    found = []
    for at in spread(len(places), MAX_SPLITS):
        tree, node = places[at]
        base = matrix[generator.integers(len(matrix))].astype(np.float64)
        _lead(base, tree, node)
        for value in values(float(tree.threshold[node])):
            row = base.copy()
            row[tree.feature[node]] = value
            found.append(row)
    return np.array(found) if found else None


def missing(_threshold: float) -> list[float]:
    """A missing value: which way it goes is learned for each split."""
    return [np.nan]


def infinite(_threshold: float) -> list[float]:
    """Both infinities."""
    return [np.inf, -np.inf]


def near(threshold: float) -> list[float]:
    """A threshold, the numbers next to it in 64 and in 32 bits, and where rounding to 32 bits turns."""
    with np.errstate(over="ignore"):
        single = np.float32(threshold)
        neighbours = [float(np.nextafter(single, np.float32(end))) for end in (-np.inf, np.inf)]
    values = [threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf), float(single)]
    for neighbour in neighbours:
        middle = (float(single) + neighbour) / 2
        values += [neighbour, middle, np.nextafter(middle, float(single)), np.nextafter(middle, neighbour)]
    return [float(value) for value in values if np.isfinite(value)]


def _lead(row: np.ndarray, tree: _Splits, node: int) -> None:
    """Change ``row`` until it reaches the node; splits that it would not pass are passed at their edge."""
    below: dict[int, float] = {}
    above: dict[int, float] = {}
    while (parent := int(tree.parent[node])) >= 0:
        feature, threshold = int(tree.feature[parent]), float(tree.threshold[parent])
        if tree.left[parent] == node:
            below[feature] = min(below.get(feature, np.inf), threshold)
        else:
            above[feature] = max(above.get(feature, -np.inf), threshold)
        node = parent
    with np.errstate(over="ignore"):
        for feature, threshold in below.items():
            if not row[feature] <= threshold:
                row[feature] = _single_at_most(threshold)
        for feature, threshold in above.items():
            if not row[feature] > threshold:
                row[feature] = np.nextafter(np.float32(_single_at_most(threshold)), np.float32(np.inf))


def _single_at_most(threshold: float) -> float:
    """The largest 32-bit number that is no larger."""
    single = np.float32(threshold)
    return float(single if float(single) <= threshold else np.nextafter(single, np.float32(-np.inf)))


def _trees(last: Any) -> Iterator[_Splits]:
    for part in parts(last):
        if hasattr(part, "tree_"):
            tree = part.tree_
            left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
            yield _Splits.of(tree.feature, tree.threshold, left, right, np.flatnonzero(left >= 0))
    for predictor in (each for stage in getattr(last, "_predictors", ()) for each in stage):
        nodes = predictor.nodes
        inner = np.flatnonzero((nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0))
        left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
        # a split by categories has no threshold: its children are reached only by chance
        yield _Splits.of(nodes["feature_idx"], nodes["num_threshold"], left, right, inner)


def spread(count: int, most: int) -> Sequence[int]:
    """Up to ``most`` numbers below ``count``, evenly spread, always the same."""
    return range(count) if count <= most else np.linspace(0, count - 1, most).astype(int).tolist()
