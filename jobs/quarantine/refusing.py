"""Row errors for a span that must not be scored, or not even be read; the shape is that of scored rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from base.formats import RowProblem, count_rows, unread
from jobs.columns import match
from jobs.records import Claim
from jobs.rows import beside, members_of, place, score_rows_of, score_table, with_lines
from jobs.scoring import RowsRefused, Scored, Scorer, score_rows
from jobs.workshop import Workshop
from models.manifest import Manifest, output_schema


def refuse_span(
    workshop: Workshop, held: Claim, manifest: Manifest, reason: RowsRefused
) -> tuple[Scored, int | None]:
    """Read the rows, and give ``reason`` to those that have no error of their own. No image is decoded."""
    scorer = _refusing(manifest, held.job.options["outputs"], reason)
    if held.input.parsed_shape.is_archive:
        return _members(scorer, [member.name for member in members_of(workshop, held)], reason), None
    return score_rows_of(workshop, held, scorer, manifest, _go_on)


def blank_span(
    workshop: Workshop, held: Claim, manifest: Manifest, reason: RowsRefused
) -> tuple[Scored, int | None]:
    """Give ``reason`` to all rows without reading them; kept columns are null."""
    options = held.job.options
    scorer = _refusing(manifest, options["outputs"], reason)
    shape, path, span = place(workshop, held)
    if shape.is_archive:
        return _members(scorer, [None] * count_rows(path, shape, span), reason), None
    columns = match(manifest, shape, options["keep"], options["outputs"])
    rows = unread(path, shape, span, columns.wanted, columns.keep)
    rows = replace(rows, problems=[_whole_row(row, reason) for row in range(rows.rows)])
    return with_lines(score_table(scorer, manifest, rows, _go_on), rows, path, shape, span)


def _refusing(manifest: Manifest, outputs: Sequence[str], reason: RowsRefused) -> Scorer:
    """In place of a model that the rows would not let live."""

    def refuse(_rows: Any) -> pa.Table:
        raise reason

    return Scorer(output_schema(manifest, "confidence" in outputs), refuse, call_rows=sys.maxsize)


def _members(scorer: Scorer, names: Sequence[str | None], reason: RowsRefused) -> Scored:
    problems = [
        replace(_whole_row(row, reason), column="file", value=name and name[:200])
        for row, name in enumerate(names)
    ]
    scored = score_rows(scorer, np.empty((len(names), 0)), len(names), problems, _go_on)
    return Scored(beside(pa.table({"file": pa.array(names, pa.string())}), scored.table), scored.problems)


def _whole_row(row: int, reason: RowsRefused) -> RowProblem:
    return RowProblem(row, None, None, None, reason.code, str(reason))


def _go_on() -> None:
    """No lease is asked about here: the worker that waits for this does that."""
