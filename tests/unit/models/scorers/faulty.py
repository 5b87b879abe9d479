"""A scorer of one decision tree, right or wrong in one way: what the verifier has to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from models.rules import FLOAT32_OVERFLOW
from models.scorers.part import Cell, Unsure

# Each way of being wrong, and what kind of rows it shows on.
FAULTS = (
    "takes the other branch on a threshold",
    "compares in 64 bits",
    "answers a missing value",
    "answers infinity",
    "answers beyond 32 bits",
    "answers the last bit otherwise",
    "answers 32-bit numbers",
    "answers one row otherwise",
    "answers many rows otherwise",
    "answers minus zero otherwise",
    "turns the classes around",
    "forgets a row",
)


@dataclass(frozen=True)
class Columns:
    """Numbers as they are."""

    kind: ClassVar[str] = "test-columns"
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """Of the matrix."""
        return len(self.names)

    def matrix(self, rows: pa.Table) -> np.ndarray:
        """All of them."""
        return np.column_stack([rows.column(name).to_numpy() for name in self.names])

    def row(self, values: Sequence[Cell]) -> np.ndarray:
        """One of them."""
        return np.array(values, dtype=np.float64)


@dataclass(frozen=True)
class Tree:
    """``fault`` is one of FAULTS, or empty."""

    kind: ClassVar[str] = "test-tree"
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    fault: str = ""

    @classmethod
    def of(cls, estimator: Any, fault: str = "") -> Tree:
        """From a fitted tree of one output."""
        tree = estimator.tree_
        children = tree.children_left.copy(), tree.children_right.copy()
        return cls(tree.feature.copy(), tree.threshold.copy(), *children, tree.value[:, 0, :].copy(), fault)

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """All rows."""
        found = np.array([self._walk(np.asarray(row, np.float64)) for row in matrix])
        match self.fault:
            case "answers the last bit otherwise":
                return np.asarray(np.nextafter(found, 2))
            case "answers 32-bit numbers":
                return np.asarray(found, np.float32)
            case "answers many rows otherwise" if len(found) > 1:
                return np.asarray(np.roll(found, 1, axis=0))
            case "turns the classes around":
                return np.ascontiguousarray(found[:, ::-1])
            case "forgets a row":
                return np.asarray(found[1:])
        return found

    def answer_one(self, row: np.ndarray) -> np.ndarray:
        """One row."""
        found = self._walk(row)
        return 1 - found if self.fault == "answers one row otherwise" else found

    def _walk(self, row: np.ndarray) -> np.ndarray:
        self._check(row)
        if self.fault == "answers minus zero otherwise" and (np.signbit(row) & (row == 0)).any():
            return np.zeros(self.value.shape[1])
        with np.errstate(over="ignore"):
            features = row if self.fault == "compares in 64 bits" else row.astype(np.float32).astype(float)
        node = 0
        while self.left[node] >= 0:
            value, threshold = features[self.feature[node]], self.threshold[node]
            strictly = self.fault == "takes the other branch on a threshold"
            goes_left = value < threshold if strictly else value <= threshold
            node = self.left[node] if goes_left else self.right[node]
        return np.asarray(self.value[node])

    def _check(self, row: np.ndarray) -> None:
        if np.isnan(row).any() and self.fault != "answers a missing value":
            raise Unsure
        if np.isinf(row).any() and self.fault != "answers infinity":
            raise Unsure
        finite = np.abs(row[np.isfinite(row)])
        if (finite >= FLOAT32_OVERFLOW).any() and self.fault != "answers beyond 32 bits":
            raise Unsure
