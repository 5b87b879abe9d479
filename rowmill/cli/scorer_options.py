"""Options of `models add` about compiled scorers, and what is told about the one that a version has."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.manifest import ScorerRecord


class Choice(StrEnum):
    """What may score a version."""

    AUTO = "auto"
    SKLEARN = "sklearn"


Scorer = Annotated[
    Choice,
    typer.Option(help="auto: a compiled scorer if one is found to be equal; sklearn: none."),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--scorer-tolerance",
        metavar="NUMBER",
        min=0,
        max=1,
        help="By how much, of 1 or more, its numbers may differ (trees 0, others 1e-12).",
    ),
]


def described(record: ScorerRecord | None) -> str:
    """In a line: what scores a version, and why."""
    if record is None:
        return "sklearn (added before there were compiled scorers; add it again)"
    if record.kind is None:
        return f"sklearn ({record.reason})"
    difference = record.largest_difference or 0.0
    equality = f"differs by {difference:.2g} at most" if difference else "bit-equal"
    parts = [f"{record.kind}: {equality} on {record.rows_compared:,} rows{_at_splits(record)}"]
    for ratio, what in ((record.speedup_one_row, "one row"), (record.speedup_batch, "batches")):
        if ratio is not None:
            parts.append(f"{what} {ratio:.3g}x")
    return ", ".join(parts) + (f" ({record.reason})" if record.reason else "")


def _at_splits(record: ScorerRecord) -> str:
    if not record.splits:
        return ""
    if record.splits_compared < record.splits:
        return f" at {record.splits_compared:,} of {record.splits:,} splits"
    return f" at all {record.splits:,} splits"
