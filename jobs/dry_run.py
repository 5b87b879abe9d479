"""Scoring the first rows of a file on the spot: the answer shows what a job would do, and nothing is kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs.head import HEAD_ROWS, head_members, read_head
from jobs.intake import Examined
from jobs.options import Options
from jobs.results import plain_rows, shift
from jobs.rows import score_images, score_table, scorer_of
from jobs.unusual import sentences
from jobs.workshop import Workshop


def dry_run(workshop: Workshop, path: Path, examined: Examined, options: Options) -> dict[str, Any]:
    """Score the first hundred rows, or ten images; ``rows`` are result rows, ``errors`` their row errors."""
    manifest, shape = examined.manifest, examined.shape
    scorer = scorer_of(workshop.models.get(manifest.name, manifest.version), options.outputs)
    settings = workshop.settings
    if shape.is_archive:
        most = settings.max_predict_bytes
        with head_members(workshop.files, path, shape, most, settings.max_decoded_bytes) as members:
            scored = score_images(scorer, manifest, members, _never_stops)
    else:
        rows = read_head(workshop.files, path, shape, examined.columns, settings.max_decoded_bytes)
        scored = score_table(scorer, manifest, rows, _never_stops)
    shown = [problem for problem in scored.problems if problem.row < HEAD_ROWS]
    table = scored.table.slice(0, HEAD_ROWS)
    return {
        "dry_run": True,
        "model": {"name": manifest.name, "version": manifest.version, "sha256": manifest.sha256},
        "format": shape.format,
        "columns": scored.table.schema.names,
        "rows": plain_rows(table),
        "errors": [shift(asdict(problem), 0, shape.header_lines + 1) for problem in shown],
        "warnings": [*examined.columns.notes, *sentences(manifest, scored.unusual)],
    }


def _never_stops() -> None:
    """A dry run holds no lease that it could lose."""
