"""What `rowmill models show` tells about a version's scorer."""

from __future__ import annotations

import pytest

from models.manifest import ScorerRecord
from rowmill.cli.scorer_options import described

TREES = ScorerRecord(kind="trees", largest_difference=0.0, rows_compared=22_147)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (TREES, "trees: bit-equal on 22,147 rows"),
        (
            TREES.model_copy(update={"splits": 1047, "splits_compared": 1047, "speedup_one_row": 900.4}),
            "trees: bit-equal on 22,147 rows at all 1,047 splits, one row 900x",
        ),
        (
            TREES.model_copy(update={"splits": 5_000_000, "splits_compared": 900_000}),
            "trees: bit-equal on 22,147 rows at 900,000 of 5,000,000 splits",
        ),
        (
            ScorerRecord(kind="linear", largest_difference=2e-16, rows_compared=3_260, reason="slow"),
            "linear: differs by 2e-16 at most on 3,260 rows (slow)",
        ),
        (ScorerRecord(reason="asked for"), "sklearn (asked for)"),
    ],
)
def test_a_scorer_is_told_in_a_line(record: ScorerRecord, told: str) -> None:
    assert described(record) == told
