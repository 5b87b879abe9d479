"""Cutting a job's input into chunks, without parsing a value.

Where the cuts lie depends on the file, the version and the options only, never on the workers: linear algebra
changes its last bits with the shape of its input, so a job must always be cut the same way.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from base.formats import (
    InputRefused,
    InputShape,
    Span,
    decode,
    plan,
    plan_members,
    with_length,
    write_index,
)
from jobs.errors import LostLease
from jobs.heartbeat import Heartbeat
from jobs.lifecycle import steps
from jobs.lifecycle.ending import input_folder
from jobs.lifecycle.window import FINISH, open_window, send_step, window_size
from jobs.reading import count_live_workers
from jobs.records import Job, StepClaim
from jobs.reusing import plan_retry
from jobs.states import JobStatus
from jobs.trouble import handed_back
from jobs.unchanged import stamps_of, unchanged
from jobs.workshop import Workshop
from models.manifest import Manifest
from models.signature import match_columns

DECODED, MEMBERS = "decoded", "members"
MAX_DECODED_CHUNK_BYTES = 64 << 20
# More chunks than this cost more in bookkeeping than small chunks can win.
MAX_CHUNKS = 20_000
# What reading adds to the cost of a row: CSV as one thread parses it (docs/performance.md).
READ_SECONDS_PER_BYTE = 1 / 250e6


def plan_job(workshop: Workshop, job_id: str) -> None:
    """Plan one job, if it waits for it, and send what comes next."""
    settings = workshop.settings
    claim = steps.claim_planning(
        workshop.database, job_id, settings.lease_seconds, settings.max_attempts, workshop.worker
    )
    if claim is None:
        return
    status = None

    def renew() -> bool:
        return steps.renew(workshop.database, claim, settings.lease_seconds)

    with handed_back(workshop, claim), Heartbeat(renew, settings.heartbeat_seconds) as heartbeat:
        try:
            status = _plan(workshop, claim, heartbeat)
        except LostLease:
            for kind in (DECODED, MEMBERS):  # nobody will name them
                workshop.files.remove(_own_name(claim, kind, claim.attempt))
            raise
    if status == JobStatus.FINISHING:
        send_step(workshop.database, workshop.broker, FINISH, job_id)
    elif status == JobStatus.SCORING:
        live = count_live_workers(workshop.database, 3 * settings.heartbeat_seconds)
        open_window(workshop.database, workshop.broker, window_size(live))


def _plan(workshop: Workshop, claim: StepClaim, heartbeat: Heartbeat) -> JobStatus:
    """Decode the input where that is needed, find the cuts, and store them; a retry takes its parent's."""
    if (status := plan_retry(workshop, claim, heartbeat)) is not None:
        return status
    with unchanged(workshop.files, claim.input):
        spans, prepared = _prepare(workshop, claim, heartbeat)
    return steps.planned(workshop.database, claim, spans, prepared)


def _prepare(workshop: Workshop, claim: StepClaim, heartbeat: Heartbeat) -> tuple[list[Span], steps.Prepared]:
    shape = claim.input.parsed_shape
    decoded = claim.input.decoded_file  # there already if another job shares the input
    if shape.needs_decoding and decoded is None:
        decoded = _decode(workshop, claim, shape, heartbeat)
    path = workshop.files.path(decoded or claim.input.file)
    # the cuts first, the transaction second: a database must never wait for a file
    if shape.is_archive:
        spans, prepared = _cut_archive(workshop, claim, path, heartbeat)
    else:
        rows = _rows_per_chunk(workshop, claim.job, shape, path)
        limit = _byte_limit(shape, workshop.settings.max_chunk_bytes)
        spans = list(plan(path, shape, chunk_rows=rows, max_chunk_bytes=limit))
        prepared = steps.Prepared()
    stamps = stamps_of(workshop.files, claim.input.file, decoded, prepared.index_file)
    return spans, replace(prepared, decoded_file=decoded, stamps=stamps)


def _cut_archive(
    workshop: Workshop, claim: StepClaim, path: Path, heartbeat: Heartbeat
) -> tuple[list[Span], steps.Prepared]:
    """Write the index of the members, which says at last how many there are and how large, and cut it."""
    files, shape = workshop.files, claim.input.parsed_shape
    with files.draft() as draft:
        try:
            found = write_index(path, shape, draft, heartbeat.check)
        except InputRefused:
            if shape.needs_decoding:  # the job fails now; nobody will read the decoded copy
                path.unlink()
            raise
        index = files.keep(draft, _new_name(workshop, claim, MEMBERS))
    counted = replace(shape, rows=found.rows, bytes_per_row=max(found.bytes / found.rows, 1.0))
    rows = _rows_per_chunk(workshop, claim.job, counted, path)
    spans = list(plan_members(files.path(index), rows, workshop.settings.max_chunk_bytes))
    return spans, steps.Prepared(index_file=index, rows=found.rows, notes=found.notes)


def _rows_per_chunk(workshop: Workshop, job: Job, shape: InputShape, path: Path) -> int:
    manifest = workshop.registry.get(job.model_name, job.model_version)
    position = _texts_at(manifest, shape)
    if position is not None:
        shape = with_length(path, shape, position)
    rows = job.options["chunk_rows"] or rows_for(manifest, shape, workshop.settings.chunk_seconds)
    total = shape.rows or path.stat().st_size / max(shape.bytes_per_row, 1.0)
    return max(rows, int(total / MAX_CHUNKS) + 1)


def _byte_limit(shape: InputShape, max_chunk_bytes: int) -> int:
    """What a chunk may cover, as the format counts bytes: Parquet's are those of the unpacked data.

    It is read several times faster than text, so its chunks are larger, or the queue would be a third of all.
    """
    return max_chunk_bytes * 3 // 2 if shape.format == "parquet" else max_chunk_bytes


class _Checked:
    """A sink that stops its writer once the lease is lost: decoding a large file takes minutes."""

    def __init__(self, stream: BinaryIO, heartbeat: Heartbeat) -> None:
        self._stream = stream
        self._heartbeat = heartbeat

    def write(self, data: Any) -> int:
        self._heartbeat.check()
        return self._stream.write(data)


def _decode(workshop: Workshop, claim: StepClaim, shape: InputShape, heartbeat: Heartbeat) -> str:
    files = workshop.files
    with files.draft() as draft:
        with draft.open("wb") as out:
            sink: Any = _Checked(out, heartbeat)
            limit = workshop.settings.max_decoded_bytes
            decode(files.path(claim.input.file), sink, shape, max_decoded_bytes=limit)
        return files.keep(draft, _new_name(workshop, claim, DECODED))


def _new_name(workshop: Workshop, claim: StepClaim, kind: str) -> str:
    """A name for a file of this attempt; those of earlier ones go: whoever made them cannot plan any more."""
    for earlier in range(1, claim.attempt):
        workshop.files.remove(_own_name(claim, kind, earlier))
    return _own_name(claim, kind, claim.attempt)


def _own_name(claim: StepClaim, kind: str, attempt: int) -> str:
    return f"{input_folder(claim.input.id)}/{kind}-{claim.job.id}-{attempt}"


def _texts_at(manifest: Manifest, shape: InputShape) -> int | None:
    """Where the file has the texts, for a model of texts."""
    if manifest.signature.kind != "text":
        return None
    names = [column.name for column in shape.columns]
    found = match_columns(manifest.signature, names, headerless=not shape.csv.header).positions
    return found[0] if found else None


def _scored_bytes(manifest: Manifest, shape: InputShape) -> float:
    """Bytes of a row that the model sees: those of the text among the columns, or all."""
    position = _texts_at(manifest, shape)
    length = None if position is None else shape.columns[position].bytes
    return shape.bytes_per_row if length is None else length


def rows_for(manifest: Manifest, shape: InputShape, seconds: float) -> int:
    """Rows that take about ``seconds`` to read and score, and fit into memory once they are decoded."""
    cost = manifest.row_cost_seconds + shape.bytes_per_row * READ_SECONDS_PER_BYTE
    rows = int(seconds / (cost + _scored_bytes(manifest, shape) * manifest.byte_cost_seconds))
    if manifest.signature.image is None:  # images are decoded and scored in batches within a chunk
        rows = min(rows, MAX_DECODED_CHUNK_BYTES // (8 * max(1, len(manifest.signature.columns))))
    return max(1, rows)
