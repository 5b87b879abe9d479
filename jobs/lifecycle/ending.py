"""Ends that users and time bring: cancelled, deleted, expired."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from base.database import Database
from base.database.tables import attempts, chunks, inputs, jobs, owned
from base.files import Files
from jobs.lifecycle.guards import move_job
from jobs.records import Job
from jobs.states import JobStatus


def cancel(database: Database, owner: str, job_id: str) -> None:
    """Move a job to ``cancelled`` unless it has ended; attempts that run learn it at their next write."""
    with database.writing() as connection:
        now = database.now(connection)
        move_job(connection, job_id, JobStatus.CANCELLED, {"finished_at": now}, owned(jobs, owner))


def delete_job(database: Database, files: Files, owner: str, job: Job) -> None:
    """Forget a job: its rows first, its files second, so that no row ever names a missing file."""
    cancel(database, owner, job.id)
    with database.writing() as connection:
        for table in (attempts, chunks):
            connection.execute(delete(table).where(table.c.job_id == job.id))
        connection.execute(delete(jobs).where(and_(jobs.c.id == job.id, owned(jobs, owner))))
        others = _others(connection, job)
        if not others:
            connection.execute(delete(inputs).where(inputs.c.id == job.input_id))
    files.remove_folder(job_folder(job.id))
    if not others:
        files.remove_folder(input_folder(job.input_id))


def expire(database: Database, files: Files, job: Job) -> None:
    """Remove the files of a job whose time is over; its row stays and says so."""
    with database.writing() as connection:
        now = database.now(connection)
        due = and_(jobs.c.id == job.id, jobs.c.expired_at.is_(None))
        connection.execute(update(jobs).where(due).values(expired_at=now, revision=jobs.c.revision + 1))
        others = _others(connection, job, jobs.c.expired_at.is_(None))
    files.remove_folder(job_folder(job.id))
    if not others:
        files.remove_folder(input_folder(job.input_id))


def _others(connection: Connection, job: Job, *conditions: ColumnElement[bool]) -> int:
    """Jobs that still need the input. Whoever adds one, or counts at the same time, waits for our commit."""
    connection.execute(select(inputs.c.id).where(inputs.c.id == job.input_id).with_for_update())
    same = and_(jobs.c.input_id == job.input_id, *conditions)
    return int(connection.execute(select(func.count()).where(same)).scalar_one())


def job_folder(job_id: str) -> str:
    """Stored folder of a job's parts and result."""
    return f"jobs/{job_id}"


def input_folder(input_id: str) -> str:
    """Stored folder of an input: as received, and decoded where that was needed."""
    return f"inputs/{input_id}"
