"""Machine code for walking down trees: tiles of rows, or one row, over arrays of nodes.

numba compiles it for the processor that runs it. Without numba this file is an ImportError; who imports it
says so. What the arrays mean, and why no index can leave them, stands in ``trees``.

Why it is fast: a node has 8 bytes (16 where thresholds have 64 bits), its children lie side by side, so that
a step is one comparison and one addition, and several walks take turns, which hides the memory's latency.
A tile holds every feature twice, first with -infinity for NaN, then as it is: a node where NaN goes left
reads the first, one where it goes right the second (``not NaN <= threshold``), and NaN costs nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.scorers.machine_code import compiled

LANES = 8  # walks that take turns
NO_CATEGORY = 256  # instead of one of 0 to 255


@compiled
def _category(value: Any, known: Any) -> Any:
    if not 0 <= value < NO_CATEGORY:
        return np.uint32(NO_CATEGORY)
    category = np.uint32(value)
    return category if known[category >> 5] >> (category & 31) & 1 else np.uint32(NO_CATEGORY)


@compiled
def fill(
    matrix: Any, first: int, count: int, tile: Any, takes_nan: bool, takes_infinite: bool, known_sets: Any
) -> bool:
    """Copy ``count`` rows in the tile's type; False if there is a value that the estimator refuses.

    Features with known categories become their numbers, NO_CATEGORY where there is none or an unknown one.
    """
    for feature in range(matrix.shape[1]):
        unusual = False
        for row in range(count):
            tile[row, 2 * feature + 1] = matrix[first + row, feature]
            value = tile[row, 2 * feature + 1]
            tile[row, 2 * feature] = value
            unusual |= not abs(value) < np.inf
        if unusual:
            for row in range(count):
                value = tile[row, 2 * feature]
                if np.isnan(value):
                    tile[row, 2 * feature] = -np.inf
                if not (abs(value) < np.inf or (takes_nan if np.isnan(value) else takes_infinite)):
                    return False
        if known_sets is not None and known_sets[feature].any():
            for row in range(count):
                category = _category(tile[row, 2 * feature + 1], known_sets[feature])
                tile[row, 2 * feature] = tile[row, 2 * feature + 1] = category
    return True


@compiled
def step(tree: Any, tile: Any, row: int, at: Any, bits: Any, left_sets: Any) -> Any:
    """From one node to its child; a leaf leads to itself.

    In a node that asks for a set of categories the threshold is the set's number. Without such nodes the sets
    are None, and what asks for them is not even compiled. No branch depends on the data: it would be guessed
    wrongly half of the time.
    """
    node = tree[at]
    word = np.uint64(node.word)
    set_bit = np.uint64(1) << (bits - np.uint64(1))
    value = tile[row, word & (set_bit - np.uint64(1))]
    goes_left = value <= node.threshold
    if left_sets is not None:
        asks_set = (word & set_bit) != 0
        category = np.uint32(value) if asks_set else np.uint32(0)
        members = left_sets[np.uint32(node.threshold) if asks_set else np.uint32(0), category >> np.uint32(5)]
        is_member = ((members >> (category & np.uint32(31))) & np.uint32(1)) != 0
        goes_left = is_member if asks_set else goes_left
    return (word >> bits) + np.uint64(not goes_left)


@compiled
def add_leaves(
    tile: Any,
    count: int,
    nodes: Any,
    leaf_rows: Any,
    roots: Any,
    depths: Any,
    bits: Any,
    values: Any,
    left_sets: Any,
    out: Any,
) -> None:
    """Add to each row of ``out`` what the trees answer, in their order.

    ``values`` has a column for each output, or one; then tree ``t`` adds to output ``t % outputs``.
    """
    at = np.empty(LANES, np.uint64)
    width = values.shape[1]
    for tree in range(len(depths)):
        first, end = roots[tree], roots[tree + 1]
        inside, rows_of_leaves = nodes[first:end], leaf_rows[first:end]
        column = tree % out.shape[1] if width == 1 else 0
        for row in range(0, count, LANES):
            at[:] = 0
            for _ in range(depths[tree]):
                moved = np.uint64(0)
                for lane in range(LANES):
                    child = step(inside, tile, row + lane, at[lane], bits, left_sets)
                    moved |= child ^ at[lane]
                    at[lane] = child
                if not moved:  # most leaves of a lopsided tree lie far above its depth
                    break
            for lane in range(min(LANES, count - row)):
                leaf = rows_of_leaves[at[lane]]
                for output in range(width):
                    out[row + lane, column + output] += values[leaf, output]


@compiled
def add_one(
    takes_nan: bool,
    takes_infinite: bool,
    known_sets: Any,
    nodes: Any,
    leaf_rows: Any,
    roots: Any,
    depths: Any,
    bits: Any,
    values: Any,
    left_sets: Any,
    divisor: float,
    row: Any,
    out: Any,
) -> bool:
    """``fill``, ``add_leaves`` and the division for one row: here trees take turns, not rows."""
    tile = np.empty((1, 2 * len(row)), nodes["threshold"].dtype)
    if not fill(row.reshape((1, len(row))), 0, 1, tile, takes_nan, takes_infinite, known_sets):
        return False
    at = np.empty(LANES, np.uint64)
    width, trees = values.shape[1], len(depths)
    for start in range(0, trees, LANES):
        lanes = min(LANES, trees - start)
        at[:] = 0
        for _ in range(depths[start : start + lanes].max()):
            for lane in range(lanes):
                first, end = roots[start + lane], roots[start + lane + 1]
                at[lane] = step(nodes[first:end], tile, 0, at[lane], bits, left_sets)
        for lane in range(lanes):
            tree = start + lane
            leaf = leaf_rows[roots[tree] + at[lane]]
            column = tree % len(out) if width == 1 else 0
            for output in range(width):
                out[column + output] += values[leaf, output]
    for output in range(len(out)):
        out[output] /= divisor
    return True


@compiled
def lay_out(left: Any, right: Any) -> tuple[Any, Any]:
    """The order in which a tree's nodes are stored, children side by side below their parent; and its depth.

    ``left`` and ``right`` are the children's numbers, negative in leaves; node 0 is the root.
    """
    order = np.zeros(len(left), np.int64)
    level = np.zeros(len(left), np.int64)
    end = 1
    for place in range(len(left)):
        node = order[place]
        if left[node] >= 0:
            order[end], order[end + 1] = left[node], right[node]
            level[end] = level[end + 1] = level[place] + 1
            end += 2
    return order, level[-1]


@compiled
def is_sound(
    nodes: Any, leaf_rows: Any, roots: Any, bits: Any, features: int, values: int, sets: int, known_sets: Any
) -> bool:
    """Whether every walk stays inside the arrays, whatever the rows hold."""
    set_bit = np.uint64(1) << (bits - np.uint64(1))
    for tree in range(len(roots) - 1):
        size = roots[tree + 1] - roots[tree]
        for place in range(size):
            node = nodes[roots[tree] + place]
            word = np.uint64(node.word)
            child, column = np.int64(word >> bits), np.int64(word & (set_bit - np.uint64(1)))
            if column >= 2 * features or not 0 <= leaf_rows[roots[tree] + place] < values:
                return False
            is_leaf = child == place
            if not (is_leaf or place < child < size - 1):
                return False
            if word & set_bit:
                # only features with known categories hold numbers of categories
                if known_sets is None or not known_sets[column // 2].any():
                    return False
                if is_leaf or not 0 <= node.threshold < sets:
                    return False
            elif is_leaf and (node.threshold != np.inf or column & 1):
                return False  # it would be left
    return True
