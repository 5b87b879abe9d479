"""How often two models give the same label, and which labels become which."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from rowmill.client.comparison.document import Flips
from rowmill.client.comparison.labels import shown

# A model of a thousand classes could flip between a million pairs; nobody reads more than these.
MAX_FLIPS = 100


class Agreement:
    """Counts pairs of labels; as many as there are pairs of classes, whatever the number of rows."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[Any, Any]] = Counter()

    def add(self, first: pa.Array, second: pa.Array) -> None:
        """Labels of the same rows, without nulls."""
        self._pairs.update(pair_counts(first, second))

    @property
    def rows(self) -> int:
        return sum(self._pairs.values())

    def report(self) -> Flips:
        """Agreement as a share (null without rows), and the flips, most frequent first."""
        agreed = sum(count for (first, second), count in self._pairs.items() if first == second)
        flips = [(pair, count) for pair, count in self._pairs.most_common() if pair[0] != pair[1]]
        return {
            "agreement": agreed / self.rows if self.rows else None,
            "agreed": agreed,
            "flipped": self.rows - agreed,
            "flips": [
                {"first": shown(first), "second": shown(second), "rows": count}
                for (first, second), count in flips[:MAX_FLIPS]
            ],
            "kinds_of_flips": len(flips),
        }


def pair_counts(first: pa.Array, second: pa.Array) -> dict[tuple[Any, Any], int]:
    """How often each pair of values stands in a row."""
    counted = pa.table({"first": first, "second": second}).group_by(["first", "second"])
    found = counted.aggregate([([], "count_all")]).to_pydict()
    pairs = zip(found["first"], found["second"], strict=True)
    return dict(zip(pairs, found["count_all"], strict=True))
