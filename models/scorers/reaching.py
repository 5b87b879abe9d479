"""Rows that reach the splits of a tree, with the values at which each split decides.

A path from the root leaves each feature an interval, or a set of categories, and may take a missing value or
not. A row takes what it can from a row of the sample; where that would lead it astray, it gets the value
at the interval's edge. So it lies on other thresholds too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.rules import FLOAT32_OVERFLOW
from models.scorers.splits import MISSING, Splits


class Values(NamedTuple):
    """Which values are tried at a threshold; what the estimator refuses must not be among them."""

    near: bool = True  # the threshold and its neighbours in 64 and in 32 bits
    turning: bool = False  # where rounding to 32 bits turns, and the neighbours of that
    missing: bool = False
    infinite: bool = False


def rows_at(
    splits: Splits, nodes: np.ndarray, bases: np.ndarray, values: Values
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that reach the nodes, each as the row of ``bases`` as far as it goes: (rows, features).

    At a threshold they have ``values``; at a set every category that gets there, a missing one and an
    unknown one. With them the nodes they were made for.
    """
    allowed = _Allowed.on_the_way(splits, nodes, bases.shape[1])
    led, reached = allowed.filled(splits, bases)
    has_set = splits.sets[nodes] >= 0
    chosen = np.flatnonzero(reached & ~has_set)
    at = chosen, splits.feature[nodes[chosen]]
    there = _Thresholds(splits.threshold[nodes[chosen]], allowed.edge(splits)[at], allowed.missing[at])
    which, tried = there.tried(splits.in_single, values)
    which = chosen[which]
    if values.near and has_set.any():
        chosen = np.flatnonzero(reached & has_set)
        feature = splits.feature[nodes[chosen]]
        sets, categories = _categories(splits.known[feature], allowed.members[chosen, feature])
        which, tried = np.concatenate([which, chosen[sets]]), np.concatenate([tried, categories])
    rows = led[which]
    rows[np.arange(len(which)), splits.feature[nodes[which]]] = tried
    return rows, nodes[which]


class _Thresholds(NamedTuple):
    """``inside`` is a number that gets to each of them; ``takes_missing``: so does a missing value."""

    thresholds: np.ndarray
    inside: np.ndarray
    takes_missing: np.ndarray

    def tried(self, in_single: bool, values: Values) -> tuple[np.ndarray, np.ndarray]:
        """Which threshold, and a value for it."""
        count, limit = len(self.thresholds), FLOAT32_OVERFLOW if in_single else np.inf
        tried = np.empty((0, count))
        if values.near:
            # an infinite threshold parts what is missing from all numbers, which nothing near it stands for
            tried = np.concatenate([near(self.thresholds), self.inside[None]])
        if values.turning:
            tried = np.concatenate([tried, turning(self.thresholds)])
        wanted = (np.abs(tried) < limit) & ~_repeated(tried)
        if values.missing:
            tried = np.concatenate([tried, np.full((1, count), np.nan)])
            wanted = np.concatenate([wanted, self.takes_missing[None]])
        if values.infinite:
            tried = np.concatenate([tried, np.full((1, count), np.inf), np.full((1, count), -np.inf)])
            wanted = np.concatenate([wanted, np.ones((2, count), bool)])
        kind, which = np.nonzero(wanted)
        return which, tried[kind, which]


def _categories(known: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which set, and a category for it: all that get there, NaN, and one that nobody knows."""
    which, category = np.nonzero(members)
    unknown = ~known[:, :MISSING]
    strange = np.flatnonzero(members[:, MISSING] & unknown.any(axis=1))
    values = np.where(category == MISSING, np.nan, category)
    return np.concatenate([which, strange]), np.concatenate([values, unknown[strange].argmax(axis=1)])


def near(thresholds: np.ndarray) -> np.ndarray:
    """(6, thresholds): each one, the numbers next to it in 64 bits, and the same of its 32-bit number."""
    with np.errstate(over="ignore"):
        single = thresholds.astype(np.float32)
        neighbours = [np.nextafter(single, np.float32(end)) for end in (-np.inf, np.inf)]
    beside = [np.nextafter(thresholds, end) for end in (-np.inf, np.inf)]
    return np.stack([thresholds, *beside, single, *neighbours], dtype=np.float64)


def turning(thresholds: np.ndarray) -> np.ndarray:
    """(6, thresholds): the middles between 32-bit numbers there, where rounding turns, and beside them."""
    single, below, above = near(thresholds)[3:]
    found = []
    with np.errstate(invalid="ignore"):
        for neighbour in (below, above):
            middle = (single + neighbour) / 2
            found += [middle, np.nextafter(middle, single), np.nextafter(middle, neighbour)]
    return np.stack(found)


def _repeated(values: np.ndarray) -> np.ndarray:
    """Where a column's value has been in a row above."""
    found = np.zeros(values.shape, bool)
    for row in range(1, len(values)):
        found[row] = (values[:row] == values[row]).any(axis=0)
    return found


@dataclass(frozen=True, eq=False)
class _Allowed:
    """What a row's features may be so that it reaches its node: above ``low``, not above ``high``."""

    low: np.ndarray  # (rows, features)
    high: np.ndarray
    missing: np.ndarray
    members: np.ndarray  # (rows, features, 257) in a tree with sets of categories, else empty

    @classmethod
    def on_the_way(cls, splits: Splits, nodes: np.ndarray, features: int) -> _Allowed:
        shape = len(nodes), features
        has_sets = len(splits.left_members) > 0
        members = np.repeat(splits.known[None], len(nodes) if has_sets else 0, axis=0)
        found = cls(np.full(shape, -np.inf), np.full(shape, np.inf), np.ones(shape, bool), members)
        parent, rows, at = splits.parent, np.arange(len(nodes)), nodes
        while len(rows):
            below = parent[at] >= 0
            rows, at = rows[below], at[below]
            above = parent[at]
            found._pass(splits, rows, above, splits.left[above] == at)
            at = above
        return found

    def _pass(self, splits: Splits, rows: np.ndarray, nodes: np.ndarray, to_left: np.ndarray) -> None:
        """Keep what goes from these nodes to that side."""
        own = rows, splits.feature[nodes]
        self.missing[own] &= splits.missing_left[nodes] == to_left
        has_set = splits.sets[nodes] >= 0
        for limits, keep, side in (
            (self.high, np.minimum, ~has_set & to_left),
            (self.low, np.maximum, ~has_set & ~to_left),
        ):
            at = own[0][side], own[1][side]
            limits[at] = keep(limits[at], splits.threshold[nodes[side]])
        if has_set.any():
            left_members = splits.left_members[splits.sets[nodes[has_set]]]
            self.members[own[0][has_set], own[1][has_set]] &= left_members == to_left[has_set][:, None]

    def filled(self, splits: Splits, bases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``bases`` with other values where theirs are not allowed, and which of them reach their nodes."""
        bases = bases.astype(np.float64)
        edge = self.edge(splits)
        with np.errstate(over="ignore"):
            seen = bases.astype(np.float32 if splits.in_single else np.float64).astype(np.float64)
        kept = np.where(np.isnan(bases), self.missing, (seen > self.low) & (seen <= self.high))
        has_edge = (edge > self.low) & (edge <= self.high)
        rows = np.where(kept, bases, np.where(has_edge, edge, np.nan))
        found = kept | has_edge | self.missing
        for feature in np.flatnonzero(splits.known.any(axis=1)) if len(self.members) else ():
            rows[:, feature], found[:, feature] = self._category(splits, bases, feature)
        return rows, found.all(axis=1)

    def edge(self, splits: Splits) -> np.ndarray:
        """The largest number of each interval, or the smallest where it has no end, or 0."""
        if not splits.in_single:
            upper, lower = self.high, np.nextafter(self.low, np.inf)
        else:
            upper = _single_at_most(self.high).astype(np.float64)
            lower = np.nextafter(_single_at_most(self.low), np.float32(np.inf)).astype(np.float64)
        return np.where(self.high < np.inf, upper, np.where(self.low > -np.inf, lower, 0.0))

    def _category(self, splits: Splits, bases: np.ndarray, feature: np.intp) -> tuple[np.ndarray, np.ndarray]:
        values, allowed = bases[:, feature], self.members[:, feature]
        code = np.where((values >= 0) & (values < MISSING), values, MISSING).astype(np.int64)
        code = np.where(splits.known[feature][code], code, MISSING)
        first = allowed.argmax(axis=1)
        other = np.where(first == MISSING, np.nan, first)
        has_any = np.asarray(allowed.any(axis=1))
        return np.where(allowed[np.arange(len(code)), code], values, other), has_any


def _single_at_most(limits: np.ndarray) -> np.ndarray:
    """The largest 32-bit numbers that are no larger."""
    with np.errstate(over="ignore"):
        single = limits.astype(np.float32)
        return np.where(single > limits, np.nextafter(single, np.float32(-np.inf)), single)
