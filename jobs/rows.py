"""From a range of a stored input to scored rows: read what the model needs, check columns, predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from base.formats import (
    ChunkRows,
    InputShape,
    Member,
    RowProblem,
    Span,
    read,
    read_members,
    row_lines,
)
from jobs.columns import match
from jobs.records import Claim
from jobs.scoring import ERROR_FIELD, Scored, Scorer, call_rows, score_rows
from jobs.unusual import count
from jobs.workshop import Workshop
from models.errors import BadImage
from models.images import decode_picture, model_rows
from models.loading import LoadedModel
from models.manifest import ImageSpec, Manifest, output_schema
from models.rules import check

# Decoded images in memory at once, as the estimator is given them.
BATCH_BYTES = 64 << 20


def score_span(workshop: Workshop, held: Claim, alive: Callable[[], None]) -> tuple[Scored, int | None]:
    """Score the rows of a claimed chunk; the second value is its number of text lines."""
    model = workshop.models.get(held.job.model_name, held.job.model_version)
    scorer = scorer_of(model, held.job.options["outputs"])
    if held.input.parsed_shape.is_archive:
        return score_images(scorer, model.manifest, members_of(workshop, held), alive), None
    return score_rows_of(workshop, held, scorer, model.manifest, alive)


def place(workshop: Workshop, held: Claim) -> tuple[InputShape, Path, Span]:
    """What a claimed chunk is cut from, and where."""
    span = Span(held.chunk.start, held.chunk.stop, held.chunk.rows)
    return held.input.parsed_shape, workshop.files.path(held.input.readable_file), span


def members_of(workshop: Workshop, held: Claim) -> Iterator[Member]:
    """The members of an archive that a claimed chunk consists of."""
    _, path, span = place(workshop, held)
    return read_members(path, workshop.files.path(held.input.member_index), span)


def score_rows_of(
    workshop: Workshop, held: Claim, scorer: Scorer, manifest: Manifest, alive: Callable[[], None]
) -> tuple[Scored, int | None]:
    """Read and score the rows of a table."""
    shape, path, span = place(workshop, held)
    columns = match(manifest, shape, held.job.options["keep"], held.job.options["outputs"])
    rows = read(path, shape, span, columns.wanted, columns.keep)
    alive()
    return with_lines(score_table(scorer, manifest, rows, alive), rows, path, shape, span)


def scorer_of(model: LoadedModel, outputs: Sequence[str]) -> Scorer:
    """The model with the outputs that a job asked for."""
    confidence = "confidence" in outputs
    return Scorer(
        output_schema(model.manifest, confidence),
        lambda rows: model.score(rows, confidence=confidence),
        call_rows(model.manifest.row_cost_seconds),
    )


def score_table(scorer: Scorer, manifest: Manifest, rows: ChunkRows, alive: Callable[[], None]) -> Scored:
    """Score rows that were read from a table; kept columns come first in the result."""
    broken = {problem.row for problem in rows.problems}
    checked = check(manifest.signature, rows.columns)
    refused = [
        RowProblem(issue.row, None, issue.column, issue.value, issue.code, issue.message)
        for issue in checked.refused
        if issue.row not in broken  # its cells are null because it is bad, not the other way round
    ]
    if manifest.signature.kind == "text":
        scorer = replace(scorer, call_rows=_texts_of_a_call(manifest, rows.columns))
    scored = score_rows(scorer, checked.table, rows.rows, [*rows.problems, *refused], alive)
    unusual = count(checked.unusual, scored.table)
    return Scored(beside(rows.kept, scored.table), scored.problems, unusual)


def _texts_of_a_call(manifest: Manifest, texts: pa.Table) -> int:
    """Fewer if they are long: their length is most of what they cost."""
    length = pc.mean(pc.binary_length(texts.column(0))).as_py() or 0.0
    return call_rows(manifest.row_cost_seconds + length * manifest.byte_cost_seconds)


def with_lines(
    scored: Scored, rows: ChunkRows, path: Path, shape: InputShape, span: Span
) -> tuple[Scored, int | None]:
    """The same with a line for each problem, where there are lines: reading knew those of its own only."""
    if rows.lines is not None and any(problem.line is None for problem in scored.problems):
        lines = row_lines(path, shape, span)
        numbered = [replace(p, line=int(lines[p.row])) if p.line is None else p for p in scored.problems]
        scored = replace(scored, problems=numbered)
    return scored, rows.lines


def score_images(
    scorer: Scorer, manifest: Manifest, members: Iterable[Member], alive: Callable[[], None]
) -> Scored:
    """Decode and score images, BATCH_BYTES at a time; their names in the archive are the column ``file``."""
    spec = manifest.signature.image
    if spec is None:
        raise TypeError(f"{manifest.reference} does not take images")
    names: list[str] = []
    tables = [scorer.schema.append(ERROR_FIELD).empty_table()]
    problems: list[RowProblem] = []
    for batch in _batches(_while_alive(members, alive), spec):
        rows = model_rows(batch.pictures, spec)
        scored = score_rows(scorer, rows, len(batch.names), batch.problems, alive)
        problems += [problem.shifted(len(names), 0) for problem in scored.problems]
        names += batch.names
        tables.append(scored.table)
    files = pa.table({"file": pa.array(names, pa.string())})
    return Scored(beside(files, pa.concat_tables(tables)), problems)


def _while_alive(members: Iterable[Member], alive: Callable[[], None]) -> Iterator[Member]:
    for member in members:
        alive()
        yield member


@dataclass
class _Batch:
    """Members in a row. One that is no image has a problem in place of its picture."""

    names: list[str] = field(default_factory=list)
    pictures: list[np.ndarray | None] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)


def _batches(members: Iterable[Member], spec: ImageSpec) -> Iterator[_Batch]:
    """All members, decoded, in runs whose rows take BATCH_BYTES and at most one image more."""
    batch, size = _Batch(), 0
    for member in members:
        picture = None
        try:
            if member.data is None:
                raise BadImage(*_reason(member))
            picture = decode_picture(member.data, spec)
        except BadImage as bad:
            problem = RowProblem(len(batch.names), None, "file", member.name[:200], bad.code, bad.message)
            batch.problems.append(problem)
        batch.names.append(member.name)
        batch.pictures.append(picture)
        size += 8 * spec.features if spec.features else getattr(picture, "nbytes", 0)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = _Batch(), 0
    if batch.names:
        yield batch


def _reason(member: Member) -> Sequence[str]:
    if member.problem is None:
        raise ValueError(f"archive member {member.name!r} has neither data nor a problem")
    return member.problem.code, member.problem.message


def beside(kept: pa.Table, scored: pa.Table) -> pa.Table:
    """Kept columns and answers as one table, in this order."""
    for position, column in enumerate(kept.columns):
        scored = scored.add_column(position, kept.schema.field(position), column)
    return scored
