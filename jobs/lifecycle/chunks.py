"""A chunk's life: claimed under a lease, renewed, then committed or given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, insert, or_, select, update

from base.database import Database
from base.database.tables import attempts, chunks, inputs, jobs
from jobs.errors import LostLease
from jobs.lifecycle.guards import (
    close_attempt,
    fail_job,
    holder_is_dead,
    lease_is_over,
    move_job,
    opened,
    pause_is_over,
    why_lost,
)
from jobs.lifecycle.window import Turn, take_window
from jobs.options import allowed_failures
from jobs.records import Chunk, Claim, Input, Job
from jobs.states import ChunkStatus, JobStatus

PREVIEW_ERRORS = 20
# How an attempt ends that takes its process with it, or the memory; and one that found no room on the disk.
LOST, OUT_OF_MEMORY, NO_ROOM, FAILED = "lost", "out_of_memory", "no_room", "failed"


@dataclass(frozen=True)
class ScoredChunk:
    """What one attempt made. Rows and lines in ``preview`` count from the start of the chunk."""

    rows: int
    lines: int | None
    rows_failed: int
    part: dict[str, Any]
    error_counts: dict[str, int]
    preview: list[dict[str, Any]]


@dataclass(frozen=True)
class Committed:
    """What follows from a commit: chunks of any job to send, and whether this job is to be finished."""

    send_next: list[Turn]
    finishing: bool


def claim(
    database: Database, job_id: str, index: int, *, worker: str, lease_seconds: float, max_attempts: int
) -> Claim | None:
    """Take the right to one attempt; None if the chunk is done, held by another, not due, or its job over.

    A lease holds no longer than its holder lives, where that can be known.
    """
    with database.writing() as connection:
        now = database.now(connection)
        this = and_(chunks.c.job_id == job_id, chunks.c.index == index)
        running = and_(this, chunks.c.status == ChunkStatus.RUNNING)
        due = and_(
            chunks.c.status == ChunkStatus.PENDING,
            pause_is_over(chunks.c.not_before, now),
        )
        abandoned = and_(running, lease_is_over(chunks.c.lease_until, now, lease_seconds))
        scoring = exists().where(jobs.c.id == job_id, jobs.c.status == JobStatus.SCORING)
        may = and_(this, chunks.c.attempt - chunks.c.excused < max_attempts, scoring)
        values = {
            "status": ChunkStatus.RUNNING,
            "attempt": chunks.c.attempt + 1,
            "claimed_at": now,
            "lease_until": now + lease_seconds,
            "worker": worker,
        }
        take = update(chunks).values(values).returning(*chunks.c)
        row = connection.execute(take.where(may, or_(due, abandoned))).first()
        if row is None:  # seldom: a message that came again, most likely because its reader was killed
            orphaned = and_(running, holder_is_dead(connection, chunks.c.worker, running))
            row = connection.execute(take.where(may, orphaned)).first()
        return None if row is None else _open_attempt(connection, Chunk.from_row(row), worker, now)


def _open_attempt(connection: Connection, chunk: Chunk, worker: str, now: float) -> Claim:
    if chunk.attempt > 1:
        close_lost(connection, chunk.job_id, chunk.index, chunk.attempt - 1, now)
    connection.execute(
        insert(attempts).values(
            job_id=chunk.job_id, index=chunk.index, attempt=chunk.attempt, worker=worker, started_at=now
        )
    )
    job = Job.from_row(connection.execute(select(jobs).where(jobs.c.id == chunk.job_id)).one())
    input_row = connection.execute(select(inputs).where(inputs.c.id == job.input_id)).one()
    return Claim(job, Input.from_row(input_row), chunk, crashes=_crashes(connection, chunk))


def close_lost(connection: Connection, job_id: str, index: int, attempt: int, now: float) -> None:
    """Write into the history that an attempt lost its process, unless it said itself how it ended."""
    this = and_(attempts.c.job_id == job_id, attempts.c.index == index, attempts.c.attempt == attempt)
    worker = connection.execute(select(attempts.c.worker).where(this, attempts.c.ended_at.is_(None))).scalar()
    if worker is not None:
        reason = why_lost(worker)
        close_attempt(connection, job_id, index, attempt, now=now, outcome=LOST, reason=reason)


def _crashes(connection: Connection, chunk: Chunk) -> int:
    if chunk.attempt == 1:
        return 0
    of_chunk = and_(attempts.c.job_id == chunk.job_id, attempts.c.index == chunk.index)
    crashed = and_(of_chunk, attempts.c.outcome.in_((LOST, OUT_OF_MEMORY)))
    return int(connection.execute(select(func.count()).where(crashed)).scalar_one())


def renew(database: Database, held: Claim, lease_seconds: float) -> bool:
    """Extend a lease; False if it was lost, or the job is over."""
    with database.writing() as connection:
        now = database.now(connection)
        scoring = exists().where(jobs.c.id == held.job.id, jobs.c.status == JobStatus.SCORING)
        renewed = update(chunks).where(_held(held), scoring).values(lease_until=now + lease_seconds)
        return connection.execute(renewed).rowcount == 1


def commit(database: Database, held: Claim, scored: ScoredChunk, window: int) -> Committed:
    """Make an attempt's part the chunk's part, and raise the job's counters in the same transaction.

    Raises ``LostLease`` if the attempt was overtaken or the job is over; nothing is written then.
    """
    with database.writing() as connection:
        now = database.now(connection)
        job = _raise_counters(connection, held, scored)
        done = (
            update(chunks)
            .where(_held(held))
            .values(
                status=ChunkStatus.DONE,
                rows=scored.rows,
                lines=scored.lines,
                rows_failed=scored.rows_failed,
                part=scored.part,
                lease_until=None,
            )
        )
        if connection.execute(done).rowcount != 1:
            raise LostLease
        close_attempt(connection, job.id, held.chunk.index, held.attempt, now=now, outcome="done")
        last = job.chunks_done == job.chunks_total
        preview = job.errors_preview
        if scored.rows_failed:
            preview = _merge_errors(connection, job, held.chunk.index, scored)
        # also after a chunk without errors: a share can be judged only when the last one gives the total
        if job.rows_failed and (error := too_many_errors(job, preview, last)):
            fail_job(connection, job.id, now, error)
            last = False
        if last:
            _open_finishing(connection, job, now)
        return Committed(take_window(connection, window, now), finishing=last)


def _raise_counters(connection: Connection, held: Claim, scored: ScoredChunk) -> Row[Any]:
    raised = (
        update(jobs)
        .where(jobs.c.id == held.job.id, jobs.c.status == JobStatus.SCORING)
        .values(
            rows_done=jobs.c.rows_done + scored.rows,
            rows_failed=jobs.c.rows_failed + scored.rows_failed,
            chunks_done=jobs.c.chunks_done + 1,
            revision=jobs.c.revision + 1,
        )
    )
    row = connection.execute(raised.returning(*jobs.c)).first()
    if row is None:
        raise LostLease
    return row


def _merge_errors(
    connection: Connection, job: Row[Any], index: int, scored: ScoredChunk
) -> list[dict[str, Any]]:
    counts = dict(job.error_counts)
    for key, count in scored.error_counts.items():
        counts[key] = counts.get(key, 0) + count
    added = [{"chunk": index, **error} for error in scored.preview]
    preview = sorted([*job.errors_preview, *added], key=lambda error: (error["chunk"], error["row"]))[
        :PREVIEW_ERRORS
    ]
    connection.execute(
        update(jobs).where(jobs.c.id == job.id).values(error_counts=counts, errors_preview=preview)
    )
    return preview


def too_many_errors(job: Row[Any], preview: list[dict[str, Any]], last: bool) -> dict[str, Any] | None:
    """The error of a job whose bad rows exceed what its options allow."""
    if job.options["on_error"] == "fail":
        first = preview[0]
        return {
            "code": "row_error",
            "message": f"A row could not be scored, and on_error=fail was asked for: "
            f"{first['message'].rstrip('.')}. See errors_preview for its place. "
            "Correct the row, or send on_error=null to get it as a row error.",
        }
    total = job.rows_total if job.rows_total is not None else job.rows_done if last else None
    allowed = allowed_failures(job.options["max_row_errors"], total)
    if allowed is None or job.rows_failed <= allowed:
        return None
    return {
        "code": "too_many_row_errors",
        "message": f"{job.rows_failed} of the {job.rows_done} rows scored so far have errors; max_row_errors="
        f"{job.options['max_row_errors']} allows {allowed}. See errors.jsonl for each of them.",
    }


def _open_finishing(connection: Connection, job: Row[Any], now: float) -> None:
    values = {"rows_total": job.rows_done, **opened(JobStatus.FINISHING, now)}
    move_job(connection, job.id, JobStatus.FINISHING, values)


def release(
    database: Database, held: Claim, error: dict[str, Any], retry_at: float | None, outcome: str = FAILED
) -> None:
    """Give a failed attempt back for another try at ``retry_at``, or fail the job if there is none.

    An attempt that found no room on the disk does not count towards the most allowed. One that was overtaken
    decides nothing: whoever took over may succeed.
    """
    with database.writing() as connection:
        now = database.now(connection)
        if retry_at is None:
            mine = exists().where(_held(held))
            if fail_job(connection, held.job.id, now, error, mine):
                connection.execute(update(chunks).where(_held(held)).values(status=ChunkStatus.FAILED))
        else:
            values = {
                "status": ChunkStatus.PENDING,
                "lease_until": None,
                "not_before": retry_at,
                "sent_at": None,
                "excused": held.excused + (outcome == NO_ROOM),
            }
            connection.execute(update(chunks).where(_held(held)).values(values))
        close_attempt(
            connection,
            held.job.id,
            held.chunk.index,
            held.attempt,
            now=now,
            outcome=outcome,
            reason=error["message"],
        )


def _held(held: Claim) -> ColumnElement[bool]:
    return and_(
        chunks.c.job_id == held.job.id,
        chunks.c.index == held.chunk.index,
        chunks.c.attempt == held.attempt,
        chunks.c.status == ChunkStatus.RUNNING,
    )
