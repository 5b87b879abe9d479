"""Opening a retry for scoring: committed chunks of its parent count as its own from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from base.database import Database
from base.database.tables import chunks, jobs
from jobs.errors import LostLease
from jobs.lifecycle.chunks import too_many_errors
from jobs.lifecycle.guards import fail_job, move_job, opened
from jobs.lifecycle.steps import INSERT_BATCH
from jobs.records import Chunk, StepClaim
from jobs.states import ChunkStatus, JobStatus


@dataclass(frozen=True)
class Reused:
    """The chunks of a retry, done or pending, and the row errors of those that are done."""

    chunks: list[Chunk]
    error_counts: dict[str, int]
    errors_preview: list[dict[str, Any]]


def planned_again(database: Database, claim: StepClaim, reused: Reused) -> JobStatus:
    """Store the chunks with all counters in one transaction; returns the state that the job is in now.

    Raises ``LostLease`` if another planner took over.
    """
    done = [chunk for chunk in reused.chunks if chunk.status == ChunkStatus.DONE]
    last = len(done) == len(reused.chunks)
    rows_done = sum(chunk.rows or 0 for chunk in done)
    target = JobStatus.FINISHING if last else JobStatus.SCORING
    with database.writing() as connection:
        now = database.now(connection)
        connection.execute(delete(chunks).where(chunks.c.job_id == claim.job.id))
        for start in range(0, len(reused.chunks), INSERT_BATCH):
            connection.execute(insert(chunks), [_row(c) for c in reused.chunks[start : start + INSERT_BATCH]])
        values: dict[str, Any] = {
            "chunks_total": len(reused.chunks),
            "chunks_done": len(done),
            "rows_done": rows_done,
            "rows_failed": sum(chunk.rows_failed or 0 for chunk in done),
            "error_counts": reused.error_counts,
            "errors_preview": reused.errors_preview,
            "started_at": now,
            **opened(target, now),
        }
        if last:
            values["rows_total"] = rows_done
        if not move_job(connection, claim.job.id, target, values, jobs.c.step_attempt == claim.attempt):
            raise LostLease
        job = connection.execute(select(jobs).where(jobs.c.id == claim.job.id)).one()
        if job.rows_failed and (error := too_many_errors(job, reused.errors_preview, last)):
            fail_job(connection, job.id, now, error)
            return JobStatus.FAILED
        return target


def _row(chunk: Chunk) -> dict[str, Any]:
    """A chunk of which no attempt was made in this job."""
    names = ("job_id", "index", "start", "stop", "status", "rows", "lines", "rows_failed", "part")
    return {name: getattr(chunk, name) for name in names}
