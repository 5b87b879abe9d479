"""The core of every model of trees: arrays of nodes, and what becomes of the sum of the leaves.

A single tree, a forest and a boosted sum differ only in where the sum starts, what it is divided by and which
link follows. How estimators become such arrays stands in ``growing``, ``forests`` and ``boosting``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from models.scorers.loss_links import LINKS
from models.scorers.part import NotCompiled, Unsure

walking: ModuleType | None
try:
    from models.scorers import walking
    from models.scorers.machine_code import bound, fixed
except ImportError:  # there is no numba for this machine
    walking = None

# A tree is fetched once for all rows of a tile, and the tile should stay in the processor's cache.
TILE_BYTES = 512 << 10
MAX_TILE_ROWS = 4096


@dataclass(frozen=True)
class Trees:
    """Rows to sums of leaves, bit for bit as scikit-learn adds them.

    ``nodes`` holds all trees, one after the other, tree ``t`` from ``roots[t]`` to ``roots[t + 1]``, children
    side by side behind their parents. A node's ``word`` is, from the lowest bit: 1 if NaN goes right, the
    feature, 1 if it asks for a set of categories (``bits`` so far), the place of its left child in the tree.
    A leaf is its own child, with a threshold of infinity. A 32-bit threshold is the largest that is not
    above the 64-bit one, so that it parts 32-bit numbers alike.
    """

    kind: ClassVar[str] = "trees"

    nodes: np.ndarray  # threshold (32 or 64 bits, as what is compared with it) and word
    leaf_rows: np.ndarray  # by node: the row in leaf_values; 0 where it is no leaf
    roots: np.ndarray  # of all trees, then the number of nodes
    depths: np.ndarray
    leaf_values: np.ndarray  # (leaves, outputs), or (leaves, 1): then tree t adds to output t % outputs
    start: np.ndarray  # (outputs,): the sum before the first tree
    divisor: float
    link: str
    features: int
    bits: int
    takes_nan: bool
    takes_infinite: bool
    # bits of the categories that go left, the 257th for missing and unknown ones; a threshold is the row
    left_sets: np.ndarray  # (sets, 9)
    known_sets: np.ndarray  # (features, 8) in a model with such sets, else (0, 8)

    def __post_init__(self) -> None:
        """Raises NotCompiled if these trees cannot be walked here."""
        if walking is None:
            raise NotCompiled("numba, which compiles the walk down the trees, is not installed here")
        if not self._is_sound(walking):
            raise NotCompiled("the stored trees are damaged; add the model again")

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """(rows, outputs). Raises Unsure for values that the estimator refuses."""
        if matrix.ndim != 2 or matrix.shape[1] != self.features:
            raise Unsure
        assert walking is not None
        matrix = fixed(matrix)
        sums = np.empty((len(matrix), len(self.start)))
        sums[:] = self.start
        tile_rows = self._tile_rows(len(matrix))
        tile = np.zeros((tile_rows + walking.LANES, 2 * self.features), self.nodes["threshold"].dtype)
        for first in range(0, len(matrix), tile_rows):
            count = min(tile_rows, len(matrix) - first)
            if not walking.fill(matrix, first, count, tile, *self._taken):
                raise Unsure
            walking.add_leaves(tile, count, *self._arrays, sums[first : first + count])
        if self.divisor != 1:
            sums /= self.divisor
        return LINKS[self.link](sums)

    def answer_one(self, row: np.ndarray) -> np.ndarray:
        """(outputs,), the same for one row."""
        if row.shape != (self.features,):
            raise Unsure
        sums = self.start.copy()
        if not self._add_one(np.ascontiguousarray(row, np.float64), sums):
            raise Unsure
        answers: np.ndarray = sums if self.link == "identity" else LINKS[self.link](sums[None])[0]
        return answers

    @cached_property
    def _add_one(self) -> Callable[[np.ndarray, np.ndarray], bool]:
        assert walking is not None
        return bound(walking.add_one, *self._taken, *self._arrays, self.divisor)

    def _tile_rows(self, rows: int) -> int:
        fitting = TILE_BYTES // (2 * self.features * self.nodes["threshold"].itemsize)
        return max(16, min(rows, MAX_TILE_ROWS, fitting))

    @cached_property
    def _arrays(self) -> tuple[Any, ...]:
        arrays = (self.nodes, self.leaf_rows, self.roots, self.depths)
        left_sets = fixed(self.left_sets) if len(self.left_sets) else None
        return (*map(fixed, arrays), np.uint64(self.bits), fixed(self.leaf_values), left_sets)

    @cached_property
    def _taken(self) -> tuple[Any, ...]:
        known_sets = fixed(self.known_sets) if len(self.known_sets) else None
        return self.takes_nan, self.takes_infinite, known_sets

    def _is_sound(self, walking: ModuleType) -> bool:
        """Whether no walk can leave the arrays. A pass over all nodes, but without arithmetic."""
        trees, outputs = len(self.depths), len(self.start)
        shaped = (
            2 <= self.bits < 64
            and self.start.ndim == 1
            and self.start.dtype == np.float64
            and len(self.roots) == trees + 1
            and trees > 0
            and (self.roots[0], self.roots[-1]) == (0, len(self.nodes))
            and bool((np.diff(self.roots) > 0).all())
            and len(self.leaf_rows) == len(self.nodes)
            and self.leaf_values.shape[1:] in {(1,), (outputs,)}
            and (self.left_sets.shape[1:], self.known_sets.shape[1:]) == ((9,), (8,))
            and len(self.known_sets) == (self.features if len(self.left_sets) else 0)
        )
        nodes, leaf_rows, roots = self._arrays[:3]
        sizes = (self.features, len(self.leaf_values), len(self.left_sets))
        known_sets = self._taken[-1]
        return shaped and bool(
            walking.is_sound(nodes, leaf_rows, roots, np.uint64(self.bits), *sizes, known_sets)
        )
