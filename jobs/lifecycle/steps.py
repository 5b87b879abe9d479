"""The two steps of a job outside its chunks, planning and finishing, each under a lease of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from base.database import Database
from base.database.tables import chunks, inputs, jobs
from base.formats import Span
from jobs.errors import LostLease
from jobs.lifecycle.guards import (
    fail_job,
    holder_is_dead,
    lease_is_over,
    move_job,
    opened,
    pause_is_over,
)
from jobs.records import Input, Job, StepClaim
from jobs.states import ChunkStatus, JobStatus

INSERT_BATCH = 1000


def claim_planning(
    database: Database, job_id: str, lease_seconds: float, max_attempts: int, worker: str | None = None
) -> StepClaim | None:
    """Take the right to plan a job that waits for it, or whose planner fell silent or is dead."""
    wanted = (JobStatus.QUEUED, JobStatus.PLANNING)
    return _claim(database, job_id, wanted, lease_seconds, max_attempts, worker=worker)


def claim_finishing(
    database: Database, job_id: str, lease_seconds: float, max_attempts: int, worker: str | None = None
) -> StepClaim | None:
    """Take the right to join a job's parts."""
    return _claim(database, job_id, (JobStatus.FINISHING,), lease_seconds, max_attempts, worker=worker)


def _claim(
    database: Database,
    job_id: str,
    wanted: tuple[JobStatus, ...],
    lease_seconds: float,
    max_attempts: int,
    *,
    worker: str | None,
) -> StepClaim | None:
    with database.writing() as connection:
        now = database.now(connection)
        this = and_(jobs.c.id == job_id, jobs.c.status.in_(wanted))
        may = and_(
            this,
            jobs.c.step_attempt - jobs.c.step_excused < max_attempts,
            pause_is_over(jobs.c.step_not_before, now),
        )
        status = JobStatus.PLANNING if JobStatus.QUEUED in wanted else wanted[0]
        values: dict[str, Any] = {
            "status": status,
            "step_attempt": jobs.c.step_attempt + 1,
            "step_lease_until": now + lease_seconds,
            "step_worker": worker,
            "revision": jobs.c.revision + 1,
        }
        take = update(jobs).values(values).returning(*jobs.c)
        over = lease_is_over(jobs.c.step_lease_until, now, lease_seconds)
        row = connection.execute(take.where(may, over)).first()
        if row is None:
            orphaned = holder_is_dead(connection, jobs.c.step_worker, this)
            row = connection.execute(take.where(may, orphaned)).first()
        if row is None:
            return None
        job = Job.from_row(row)
        input_row = connection.execute(select(inputs).where(inputs.c.id == job.input_id)).one()
        return StepClaim(job=job, input=Input.from_row(input_row))


def renew(database: Database, claim: StepClaim, lease_seconds: float) -> bool:
    """Extend the lease of a step; False if it was lost."""
    with database.writing() as connection:
        now = database.now(connection)
        renewed = update(jobs).where(_held(claim)).values(step_lease_until=now + lease_seconds)
        return connection.execute(renewed).rowcount == 1


def release(
    database: Database,
    claim: StepClaim,
    reason: dict[str, Any],
    retry_at: float | None,
    *,
    excused: bool = False,
) -> None:
    """Give a failed step back for another try at ``retry_at``, or fail the job if there is none.

    An attempt that is ``excused`` does not count towards the most allowed.
    """
    with database.writing() as connection:
        now = database.now(connection)
        if retry_at is None:
            fail_job(connection, claim.job.id, now, reason, _held(claim))
            return
        values = {
            "step_lease_until": None,
            "step_not_before": retry_at,
            "sent_at": None,
            "step_excused": claim.excused + excused,
        }
        connection.execute(update(jobs).where(_held(claim)).values(values))


@dataclass(frozen=True)
class Prepared:
    """What planning made of an input: stored files, the rows if counted, and what its user should know."""

    decoded_file: str | None = None
    index_file: str | None = None
    rows: int | None = None
    notes: Sequence[str] = ()
    stamps: Mapping[str, list[int]] = field(default_factory=dict)


def planned(database: Database, claim: StepClaim, spans: Iterable[Span], prepared: Prepared) -> JobStatus:
    """Store the chunks and open them for scoring, all in one transaction.

    Returns the state that the job is in now: ``finishing`` at once if there is nothing to score.
    Raises ``LostLease`` if another planner took over.
    """
    with database.writing() as connection:
        now = database.now(connection)
        connection.execute(delete(chunks).where(chunks.c.job_id == claim.job.id))
        total = _insert_chunks(connection, claim.job.id, spans)
        target = JobStatus.SCORING if total else JobStatus.FINISHING
        values: dict[str, Any] = {"chunks_total": total, "started_at": now, **opened(target, now)}
        if not total or prepared.rows is not None:
            values["rows_total"] = prepared.rows or 0
        if prepared.notes:
            values["warnings"] = [*claim.job.warnings, *prepared.notes]
        if not move_job(connection, claim.job.id, target, values, jobs.c.step_attempt == claim.attempt):
            raise LostLease
        _add_files(connection, claim.input.id, prepared)
        return target


def _add_files(connection: Connection, input_id: str, prepared: Prepared) -> None:
    """An input that several jobs share keeps the first files made of it: all of them say the same."""
    this = inputs.c.id == input_id
    known = connection.execute(select(inputs.c.stamps).where(this).with_for_update()).scalar()
    files = {
        "decoded_file": func.coalesce(inputs.c.decoded_file, prepared.decoded_file),
        "index_file": func.coalesce(inputs.c.index_file, prepared.index_file),
        "stamps": {**prepared.stamps, **(known or {})},
    }
    connection.execute(update(inputs).where(this).values(files))


def _insert_chunks(connection: Connection, job_id: str, spans: Iterable[Span]) -> int:
    total = 0
    remaining = iter(spans)
    while batch := list(itertools.islice(remaining, INSERT_BATCH)):
        rows = [
            {
                "job_id": job_id,
                "index": total + offset,
                "start": span.start,
                "stop": span.stop,
                "rows": span.rows,
                "status": ChunkStatus.PENDING,
            }
            for offset, span in enumerate(batch)
        ]
        connection.execute(insert(chunks), rows)
        total += len(rows)
    return total


def finished(
    database: Database,
    claim: StepClaim,
    result: dict[str, Any],
    ttl_seconds: float,
    notes: Sequence[str] = (),
) -> None:
    """Publish the joined file, and what its user should know of it: the job has succeeded.

    Raises ``LostLease`` if another was first.
    """
    with database.writing() as connection:
        now = database.now(connection)
        values = {
            "result": result,
            "warnings": [*claim.job.warnings, *notes],
            "finished_at": now,
            "expires_at": now + ttl_seconds,
            "step_lease_until": None,
        }
        if not move_job(
            connection, claim.job.id, JobStatus.SUCCEEDED, values, jobs.c.step_attempt == claim.attempt
        ):
            raise LostLease


def _held(claim: StepClaim) -> ColumnElement[bool]:
    return and_(
        jobs.c.id == claim.job.id, jobs.c.status == claim.job.status, jobs.c.step_attempt == claim.attempt
    )
