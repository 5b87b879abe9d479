"""A compiled core against its estimator at the splits of its trees, where alone they could decide otherwise.

Every split is tried in its own tree, with what scikit-learn's code answers for that tree alone; that costs
little, however many trees there are. The whole model, which answers with all its trees each time, is asked at
every split too, or at as many, evenly spread, as the time allows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.scorers.comparing import Pair, sure
from models.scorers.part import Core
from models.scorers.reaching import Values, rows_at
from models.scorers.splits import Splits, splits_of
from models.scorers.trees import Trees

# So long the whole model is asked, and so long its trees one by one: of this thread, not of a busy machine.
WHOLE_SECONDS = 10.0
ALONE_SECONDS = 50.0
# So many splits are tried with every value there is, and in every form of a matrix.
FEW_SPLITS = 300
# With values that the estimator refuses: each such row takes it several calls.
REFUSED_SPLITS = 20
# Of the rows for these one in so many is also given in the other layout, and in 32 bits.
OTHER_FORMS = 5
BATCH_ROWS = 20_000
BATCH_NUMBERS = 2_000_000
# At most so many rows are made for a split: for its threshold, or for a set of categories.
THRESHOLD_ROWS, SET_ROWS = 16, 258


def compare_at_splits(pair: Pair, core: Core, last: Any, matrix: np.ndarray) -> None:
    """``pair`` is of the core and ``last``; ``matrix`` has rows as they are given. Raises Differs.

    Of a model without trees nothing is compared.
    """
    total = sum(len(splits.nodes) for splits in splits_of(last))
    if not total:
        return
    trial = _Trial.of(pair, last, matrix, total)
    in_whole = trial.compare_whole()
    alone = trial.compare_alone(core) if isinstance(core, Trees) else 0
    pair.found.splits += total
    pair.found.splits_in_whole += in_whole
    pair.found.splits_compared += max(alone, in_whole)


@dataclass(frozen=True)
class _Trial:
    pair: Pair
    last: Any
    bases: np.ndarray  # rows that the estimator takes
    taken: Values
    total: int
    generator: np.random.Generator

    @classmethod
    def of(cls, pair: Pair, last: Any, matrix: np.ndarray, total: int) -> _Trial:
        first = next(splits_of(last))
        missing, infinite = (_takes(last, np.full((1, matrix.shape[1]), odd)) for odd in (np.nan, np.inf))
        bases = _usable(matrix, missing, np.float32 if first.in_single else np.float64)
        values = Values(missing=missing, infinite=infinite)
        return cls(pair, last, bases, values, total, np.random.default_rng(0))

    def compare_whole(self) -> int:
        """At how many splits the whole model was compared."""
        few = math.ceil(self.total / FEW_SPLITS)
        seconds = self._compare_few(few)
        for values in self._refused():
            for rows in self._batches(math.ceil(self.total / REFUSED_SPLITS), values):
                self.pair.compare(rows)
        stride = math.ceil(seconds * few / WHOLE_SECONDS) or 1
        if stride >= few:
            return math.ceil(self.total / few)
        for rows in self._batches(stride, self.taken):
            self.pair.compare(rows)
        return math.ceil(self.total / stride)

    def _compare_few(self, stride: int) -> float:
        """The seconds that it took in one form."""
        seconds = 0.0
        for rows in self._batches(stride, self.taken._replace(turning=True)):
            began = time.thread_time()
            self.pair.compare(rows)
            seconds += time.thread_time() - began
            some = rows[::OTHER_FORMS]
            with np.errstate(over="ignore"):
                forms = np.asfortranarray(some), some.astype(np.float32)
            for form in forms:
                self.pair.compare(form)
        return seconds

    def _refused(self) -> Iterator[Values]:
        if not self.taken.missing:
            yield Values(near=False, missing=True)
        if not self.taken.infinite:
            yield Values(near=False, infinite=True)

    def _batches(self, stride: int, values: Values) -> Iterator[np.ndarray]:
        """Rows for one in ``stride`` of all splits."""
        waiting: list[np.ndarray] = []
        enough = min(BATCH_ROWS, BATCH_NUMBERS // self.bases.shape[1])
        passed = 0
        for splits in splits_of(self.last):
            chosen = splits.nodes[-passed % stride :: stride]
            passed += len(splits.nodes)
            for nodes in self._pieces(splits, chosen):
                waiting.append(self._rows_at(splits, nodes, values)[0])
                if sum(map(len, waiting)) >= enough:
                    yield np.concatenate(waiting)
                    waiting = []
        if sum(map(len, waiting)):
            yield np.concatenate(waiting)

    def compare_alone(self, core: Trees) -> int:
        """At how many splits a tree was compared alone."""
        deadline = time.thread_time() + ALONE_SECONDS
        compared, first, left = 0, 0, self.total
        for splits in splits_of(self.last):
            now = time.thread_time()
            until = now + (deadline - now) * len(splits.nodes) / max(1, left)
            left -= len(splits.nodes)
            cores = [_alone(core, first + tree) for tree in range(len(splits.answers))]
            first += len(cores)
            # in no order, so that what fits into the time is evenly spread
            for nodes in self._pieces(splits, self.generator.permutation(splits.nodes)):
                self._compare_trees(cores, splits, nodes)
                compared += len(nodes)
                if time.thread_time() > until:
                    break
        return compared

    def _compare_trees(self, cores: Sequence[Trees], splits: Splits, nodes: np.ndarray) -> None:
        """``cores`` are those of the trees of ``splits``, each alone."""
        rows, reached = self._rows_at(splits, nodes, self.taken)
        tree_of = np.searchsorted(splits.roots, reached, side="right") - 1
        order = np.argsort(tree_of, kind="stable")
        ends = np.searchsorted(tree_of[order], np.arange(len(cores) + 1))
        for core, answer, first, end in zip(cores, splits.answers, ends, ends[1:], strict=False):
            own = rows[order[first:end]]
            answered = sure(core.answer, own)
            if answered is not None:
                self.pair.found.check(answered, answer(own), self.pair.tolerance)

    def _rows_at(self, splits: Splits, nodes: np.ndarray, values: Values) -> tuple[np.ndarray, np.ndarray]:
        bases = self.bases[self.generator.integers(len(self.bases), size=len(nodes))]
        return rows_at(splits, nodes, bases, values)

    def _pieces(self, splits: Splits, nodes: np.ndarray) -> Iterator[np.ndarray]:
        """So many nodes at once that their rows are no more than BATCH_NUMBERS."""
        most = SET_ROWS if len(splits.left_members) else THRESHOLD_ROWS
        size = max(1, BATCH_NUMBERS // (most * self.bases.shape[1]))
        return (nodes[start : start + size] for start in range(0, len(nodes), size))


def _takes(last: Any, rows: np.ndarray) -> bool:
    try:
        last.predict(rows)
    except Exception:  # noqa: BLE001  # a refusal is an answer here, whatever its type
        return False
    return True


def _usable(matrix: np.ndarray, takes_missing: bool, number: type[np.floating[Any]]) -> np.ndarray:
    """The rows that the estimator does not refuse, or zeros."""
    with np.errstate(over="ignore"):
        seen = matrix.astype(number)
    rows: np.ndarray = matrix[(np.isfinite(seen) | (takes_missing & np.isnan(seen))).all(axis=1)]
    return rows if len(rows) else np.zeros((1, matrix.shape[1]))


def _alone(core: Trees, tree: int) -> Trees:
    """The core of one of the trees, without what comes before and after."""
    first, end = core.roots[tree : tree + 2]
    return replace(
        core,
        nodes=core.nodes[first:end],
        leaf_rows=core.leaf_rows[first:end],
        roots=np.array([0, end - first]),
        depths=core.depths[tree : tree + 1],
        start=np.zeros(core.leaf_values.shape[1]),
        divisor=1.0,
        link="identity",
    )
