"""From a range of a stored input to scored rows: read what the model needs, check columns, predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from base.formats import ChunkRows, Member, RowProblem, Span, read, read_members, row_lines
from jobs.columns import match
from jobs.records import Claim
from jobs.scoring import Scored, Scorer, score_rows
from jobs.workshop import Workshop
from models.errors import BadImage
from models.images import decode_image
from models.loading import LoadedModel
from models.manifest import ImageSpec, Manifest, output_schema
from models.signature import row_problems


def score_span(workshop: Workshop, held: Claim, alive: Callable[[], None]) -> tuple[Scored, int | None]:
    """Score the rows of a claimed chunk; the second value is its number of text lines."""
    options = held.job.options
    model = workshop.models.get(held.job.model_name, held.job.model_version)
    shape = held.input.parsed_shape
    path = workshop.files.path(held.input.readable_file)
    span = Span(held.chunk.start, held.chunk.stop, held.chunk.rows)
    scorer = scorer_of(model, options["outputs"])
    if shape.is_archive:
        members = read_members(path, workshop.files.path(held.input.member_index), span)
        return score_images(scorer, model.manifest, members, alive), None
    columns = match(model.manifest, shape, options["keep"], options["outputs"])
    rows = read(path, shape, span, columns.wanted, columns.keep)
    alive()
    scored = score_table(scorer, model.manifest, rows, alive)
    if rows.lines is not None and any(problem.line is None for problem in scored.problems):
        scored = _with_lines(scored, row_lines(path, shape, span))
    return scored, rows.lines


def scorer_of(model: LoadedModel, outputs: Sequence[str]) -> Scorer:
    """The model with the outputs that a job asked for."""
    confidence = "confidence" in outputs
    return Scorer(
        output_schema(model.manifest, confidence), lambda rows: model.score(rows, confidence=confidence)
    )


def score_table(scorer: Scorer, manifest: Manifest, rows: ChunkRows, alive: Callable[[], None]) -> Scored:
    """Score rows that were read from a table; kept columns come first in the result."""
    broken = {problem.row for problem in rows.problems}
    refused = [
        RowProblem(issue.row, None, issue.column, issue.value, issue.code, issue.message)
        for issue in row_problems(manifest.signature, rows.columns)
        if issue.row not in broken  # its cells are null because it is bad, not the other way round
    ]
    scored = score_rows(scorer, rows.columns, rows.rows, [*rows.problems, *refused], alive)
    return Scored(_beside(rows.kept, scored.table), scored.problems)


def _with_lines(scored: Scored, lines: np.ndarray) -> Scored:
    """The same with a line for each problem: reading knew the lines of its own only."""
    numbered = [replace(p, line=int(lines[p.row])) if p.line is None else p for p in scored.problems]
    return Scored(scored.table, numbered)


def score_images(
    scorer: Scorer, manifest: Manifest, members: Iterable[Member], alive: Callable[[], None]
) -> Scored:
    """Decode and score images; their names in the archive are the column ``file``."""
    spec = manifest.signature.image
    if spec is None:
        raise TypeError(f"{manifest.reference} does not take images")
    names, pixels, problems = _decode(members, spec)
    scored = score_rows(scorer, pixels, len(names), problems, alive)
    return Scored(_beside(pa.table({"file": pa.array(names, pa.string())}), scored.table), scored.problems)


def _decode(members: Iterable[Member], spec: ImageSpec) -> tuple[list[str], np.ndarray, list[RowProblem]]:
    names: list[str] = []
    images: list[np.ndarray] = []
    problems: list[RowProblem] = []
    blank = np.zeros(spec.features)
    for row, member in enumerate(members):
        names.append(member.name)
        try:
            if member.data is None:
                raise BadImage(*_reason(member))
            images.append(decode_image(member.data, spec))
        except BadImage as bad:
            images.append(blank)
            problems.append(RowProblem(row, None, "file", member.name[:200], bad.code, bad.message))
    return names, np.stack(images) if images else np.empty((0, spec.features)), problems


def _reason(member: Member) -> Sequence[str]:
    if member.problem is None:
        raise ValueError(f"archive member {member.name!r} has neither data nor a problem")
    return member.problem.code, member.problem.message


def _beside(kept: pa.Table, scored: pa.Table) -> pa.Table:
    for position, field in enumerate(kept.schema):
        scored = scored.add_column(position, field, kept.column(position))
    return scored
