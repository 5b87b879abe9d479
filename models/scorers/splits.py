"""The splits of a model's trees as arrays, as scikit-learn fitted them, and what each tree answers alone.

Rows that reach the splits are made in ``reaching``. Nothing here is used by compiled scorers: the verifier
must not share their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

# A set of categories is 257 truth values: of each category, and of a missing or unknown one.
MISSING = 256
# Small trees are taken together as far as this: most of the time would go into beginning with each.
GROUP_NODES = 200_000

Answer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Splits:
    """Some trees, one after the other; arrays by node. ``left`` and ``right`` are negative in leaves.

    ``answers`` are what the estimator's own code answers for each tree alone: (rows, outputs).
    """

    roots: np.ndarray  # of each tree, then the number of nodes
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    in_single: bool  # features are rounded to 32 bits first
    sets: np.ndarray  # the row in left_members, -1 where the split has a threshold
    left_members: np.ndarray  # (sets, 257): what goes left
    known: np.ndarray  # (features, 257): what each feature with categories may be; nothing for the others
    answers: tuple[Answer, ...]

    @cached_property
    def nodes(self) -> np.ndarray:
        """Those that split."""
        return np.flatnonzero(self.left >= 0)

    @cached_property
    def parent(self) -> np.ndarray:
        """By node; of a root -1."""
        parent, inner = np.full(len(self.left), -1), self.nodes
        parent[self.left[inner]], parent[self.right[inner]] = inner, inner
        return parent

    @classmethod
    def joined(cls, parts: Sequence[Splits]) -> Splits:
        """All trees of ``parts``, which are of one model."""
        nodes = np.cumsum([0, *(len(part.left) for part in parts)])
        sets = np.cumsum([0, *(len(part.left_members) for part in parts)])

        def moved(name: str, offsets: np.ndarray) -> np.ndarray:
            values = [getattr(part, name) for part in parts]
            return np.concatenate([np.where(v < 0, -1, v + o) for v, o in zip(values, offsets, strict=False)])

        def together(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(
            roots=np.concatenate(
                [*(p.roots[:-1] + o for p, o in zip(parts, nodes, strict=False)), nodes[-1:]]
            ),
            left=moved("left", nodes),
            right=moved("right", nodes),
            feature=together("feature"),
            threshold=together("threshold"),
            missing_left=together("missing_left"),
            in_single=parts[0].in_single,
            sets=moved("sets", sets),
            left_members=together("left_members"),
            known=parts[0].known,
            answers=tuple(answer for part in parts for answer in part.answers),
        )


def splits_of(last: Any) -> Iterator[Splits]:
    """The trees of a last step in their order, read anew each time; none of a model without trees."""
    waiting: list[Splits] = []
    nodes = 0
    for tree in _trees(last):
        waiting.append(tree)
        nodes += len(tree.left)
        if nodes >= GROUP_NODES:
            yield Splits.joined(waiting)
            waiting, nodes = [], 0
    if waiting:
        yield Splits.joined(waiting)


def _trees(last: Any) -> Iterator[Splits]:
    if hasattr(last, "_predictors"):
        yield from _histogram_trees(last)
        return
    scale = getattr(last, "learning_rate", 1.0)
    for member in np.ravel(last.estimators_) if hasattr(last, "estimators_") else [last]:
        if hasattr(member, "tree_"):
            yield _tree(member.tree_, scale, int(last.n_features_in_))


def _tree(inner: Any, scale: float, features: int) -> Splits:
    def answer(rows: np.ndarray) -> np.ndarray:
        answered: np.ndarray = scale * inner.predict(rows.astype(np.float32))
        return answered

    return Splits(
        roots=np.array([0, inner.node_count]),
        left=inner.children_left,
        right=inner.children_right,
        feature=inner.feature,
        threshold=inner.threshold,
        missing_left=inner.missing_go_to_left.astype(bool),
        in_single=True,
        sets=np.full(inner.node_count, -1),
        left_members=np.zeros((0, MISSING + 1), bool),
        known=np.zeros((features, MISSING + 1), bool),
        answers=(answer,),
    )


def _histogram_trees(last: Any) -> Iterator[Splits]:
    mapper = last._bin_mapper
    bits, places = mapper.make_known_categories_bitsets()
    known = np.zeros((len(places), MISSING + 1), bool)
    by_category = np.flatnonzero(mapper.is_categorical_)
    known[by_category, :MISSING] = _unpacked(bits)[places[by_category]]
    known[by_category, MISSING] = True
    for predictor in (each for stage in last._predictors for each in stage):

        def answer(rows: np.ndarray, predictor: Any = predictor) -> np.ndarray:
            answered: np.ndarray = predictor.predict(rows, bits, places, 1)
            return answered[:, None]

        yield _histogram_tree(predictor, known, answer)


def _histogram_tree(predictor: Any, known: np.ndarray, answer: Answer) -> Splits:
    nodes = predictor.nodes
    is_leaf, has_set = nodes["is_leaf"].astype(bool), nodes["is_categorical"].astype(bool)
    missing_left = nodes["missing_go_to_left"].astype(bool)
    sets = np.where(has_set & ~is_leaf, nodes["bitset_idx"].astype(np.int64), -1)
    members = np.zeros((len(predictor.raw_left_cat_bitsets), MISSING + 1), bool)
    members[:, :MISSING] = _unpacked(predictor.raw_left_cat_bitsets)
    members[sets[sets >= 0], MISSING] = missing_left[sets >= 0]
    return Splits(
        roots=np.array([0, len(nodes)]),
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"],
        missing_left=missing_left,
        in_single=False,
        sets=sets,
        left_members=members,
        known=known,
        answers=(answer,),
    )


def _unpacked(words: np.ndarray) -> np.ndarray:
    """(sets, 8) words of 32 bits to (sets, 256) truth values, the lowest bit first."""
    bits = (words[:, :, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    return bits.reshape(len(words), MISSING).astype(bool)
