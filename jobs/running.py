"""One attempt at one chunk: claim, read, score, write, commit; the outcome is stored once, at the end."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from uuid6 import uuid7

from base.files import sha256_of
from jobs import parts
from jobs.errors import LostLease
from jobs.finishing import finish_job
from jobs.heartbeat import Heartbeat
from jobs.lifecycle import chunks
from jobs.lifecycle.chunks import PREVIEW_ERRORS, Committed, ScoredChunk
from jobs.lifecycle.ending import job_folder
from jobs.lifecycle.window import FINISH, open_window, send_chunks, send_step, window_size
from jobs.quarantine import CRASHES_BEFORE, score_in_quarantine
from jobs.reading import count_live_workers
from jobs.records import Claim, Job
from jobs.rows import score_span
from jobs.scoring import Scored
from jobs.trouble import handed_back
from jobs.unchanged import unchanged
from jobs.workshop import Workshop


def run_chunk(workshop: Workshop, job_id: str, index: int) -> None:
    """Score one chunk, if it is to be had, and send what comes next."""
    settings = workshop.settings
    held = chunks.claim(
        workshop.database,
        job_id,
        index,
        worker=workshop.worker,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )
    committed = False
    try:
        committed = held is not None and _attempt(workshop, held)
    finally:
        if not committed:  # its place in the window is free, and no commit filled it
            open_window(workshop.database, workshop.broker, _window(workshop))


def _attempt(workshop: Workshop, held: Claim) -> bool:
    settings = workshop.settings
    done: Committed | None = None  # stays so if the lease is lost
    with (
        handed_back(workshop, held),
        Heartbeat(
            lambda: chunks.renew(workshop.database, held, settings.lease_seconds), settings.heartbeat_seconds
        ) as heartbeat,
    ):
        score = score_in_quarantine if held.crashes >= CRASHES_BEFORE else score_span
        with unchanged(workshop.files, held.input):
            scored, lines = score(workshop, held, heartbeat.check)
        done = _commit(workshop, held, scored, lines)
    if done is not None:
        _go_on(workshop, held.job, done)
    return done is not None


def _go_on(workshop: Workshop, job: Job, done: Committed) -> None:
    """Send what comes next. A job of one chunk is finished at once, sooner than a message would be read."""
    send_chunks(workshop.database, workshop.broker, done.send_next)
    if done.finishing and job.chunks_total == 1:
        finish_job(workshop, job.id)
    elif done.finishing:
        send_step(workshop.database, workshop.broker, FINISH, job.id)


def _window(workshop: Workshop) -> int:
    return window_size(count_live_workers(workshop.database, 3 * workshop.settings.heartbeat_seconds))


def _commit(workshop: Workshop, held: Claim, scored: Scored, lines: int | None) -> Committed:
    part = _write(workshop, held, scored)
    outcome = ScoredChunk(
        rows=len(scored.table),
        lines=lines,
        rows_failed=scored.rows_failed,
        part=part,
        error_counts=scored.error_counts(),
        preview=[asdict(problem) for problem in scored.problems[:PREVIEW_ERRORS]],
    )
    try:
        return chunks.commit(workshop.database, held, outcome, _window(workshop))
    except LostLease:
        for name in (part["file"], part["errors_file"]):
            if name:
                workshop.files.remove(name)
        raise


def _write(workshop: Workshop, held: Claim, scored: Scored) -> dict[str, Any]:
    """Part and sidecar under names that no other attempt can have."""
    name = f"{job_folder(held.job.id)}/parts/{held.chunk.index:06d}-{held.attempt}-{uuid7().hex[-8:]}"
    with workshop.files.draft(".parquet") as draft:
        parts.write_table(draft, scored.table)
        size, digest = draft.stat().st_size, sha256_of(draft)
        file = workshop.files.keep(draft, f"{name}.parquet")
    about = {"bytes": size, "sha256": digest, "unusual": scored.unusual}
    part: dict[str, Any] = {"file": file, "errors_file": None, **about}
    if scored.problems:
        with workshop.files.draft(".jsonl") as draft:
            parts.write_problems(draft, scored.problems)
            part["errors_sha256"] = sha256_of(draft)
            part["errors_file"] = workshop.files.keep(draft, f"{name}.errors.jsonl")
    return part
