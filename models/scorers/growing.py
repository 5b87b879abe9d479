"""From the trees of estimators to the arrays of ``Trees``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.scorers import trees
from models.scorers.part import NotCompiled
from models.scorers.trees import Trees

NO_LEFT_SETS = np.zeros((0, 9), np.uint32)
NO_KNOWN_SETS = np.zeros((0, 8), np.uint32)
_WORD_BITS = {4: 32, 8: 63}


class Tree(NamedTuple):
    """One tree as it was fitted; arrays by node, the root first. ``values`` is (nodes, outputs)."""

    left: np.ndarray  # negative in leaves
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray  # for a set of categories its row in left_sets
    nan_left: np.ndarray
    by_category: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class _Grown:
    """One tree in the form of ``Trees``; ``leaf_rows`` count from its own first leaf."""

    nodes: np.ndarray
    leaf_rows: np.ndarray
    values: np.ndarray
    depth: int


def grow(grown: Sequence[Tree], *, number: type[np.floating[Any]], features: int, **rest: Any) -> Trees:
    """All trees as one core; ``number`` is the type in which features are compared. Raises NotCompiled."""
    if trees.walking is None:
        raise NotCompiled("numba, which compiles the walk down the trees, is not installed here")
    bits = 2 + max(1, (features - 1).bit_length())
    word = _word(max(len(tree.left) for tree in grown), bits, number)
    parts = [
        _grown(tree, np.dtype([("threshold", number), ("word", word)], align=True), bits) for tree in grown
    ]
    leaves = np.cumsum([0, *(len(part.values) for part in parts)])
    is_leaf = [part.leaf_rows >= 0 for part in parts]
    leaf_rows = [
        np.where(leaf, part.leaf_rows + first, 0)
        for part, leaf, first in zip(parts, is_leaf, leaves, strict=False)
    ]
    if leaves[-1] >= 2**31:
        raise NotCompiled(f"{leaves[-1]} leaves are more than a stored forest can count")
    return Trees(
        nodes=np.concatenate([part.nodes for part in parts]),
        leaf_rows=np.concatenate(leaf_rows).astype(np.int32),
        roots=np.cumsum([0, *(len(part.nodes) for part in parts)]),
        depths=np.array([part.depth for part in parts]),
        leaf_values=np.concatenate([part.values for part in parts]),
        features=features,
        bits=bits,
        **rest,
    )


def _word(nodes: int, bits: int, number: type[np.floating[Any]]) -> type[np.unsignedinteger[Any]]:
    """32 bits where they are enough and save memory: beside a 64-bit threshold they would be padded."""
    small = number is np.float32 and nodes.bit_length() + bits <= 32
    return np.uint32 if small else np.uint64


def _grown(tree: Tree, form: np.dtype[Any], bits: int) -> _Grown:
    assert trees.walking is not None
    order, depth = trees.walking.lay_out(tree.left.astype(np.int64), tree.right.astype(np.int64))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    leaf = tree.left[order] < 0
    child = np.where(leaf, place[order], place[np.where(leaf, 0, tree.left[order])])
    feature = np.where(leaf, 0, tree.feature[order]).astype(np.int64)
    nan_right = ~leaf & ~tree.nan_left[order].astype(bool)
    by_category = ~leaf & tree.by_category[order].astype(bool)
    nodes = np.zeros(len(order), form)
    nodes["word"] = (
        (child << bits) | (by_category.astype(np.int64) << (bits - 1)) | (feature << 1) | nan_right
    )
    nodes["threshold"] = np.where(leaf, np.inf, _rounded_down(tree.threshold[order], form["threshold"]))
    leaf_rows = np.where(leaf, np.cumsum(leaf) - 1, -1)
    return _Grown(nodes, leaf_rows, tree.values[order[leaf]].astype(np.float64), int(depth))


def _rounded_down(thresholds: np.ndarray, number: np.dtype[Any]) -> np.ndarray:
    """The largest numbers of the type that are not above: ``x <= threshold`` says the same of them."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(number)
    above = rounded.astype(np.float64) > thresholds
    rounded[above] = np.nextafter(rounded[above], number.type(-np.inf))
    return rounded
