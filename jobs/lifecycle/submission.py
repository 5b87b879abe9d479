"""Accepting a job: input and job become rows in one transaction, before anybody is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, insert, select
from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from base.database import Database
from base.database.tables import inputs, jobs, owned
from jobs.errors import Problem
from jobs.records import Job
from jobs.states import JobStatus


@dataclass(frozen=True)
class Submission:
    """All that is fixed about a job when it is accepted; times to live in seconds."""

    owner: str
    idempotency_key: str | None
    name: str | None
    tags: list[str]
    model_name: str
    model_version: int
    model_sha256: str
    options: dict[str, Any]
    warnings: list[str]
    rows_total: int | None
    ttl_seconds: float
    deadline_seconds: float | None
    input_id: str
    input_name: str
    input_bytes: int
    input_sha256: str
    input_shape: dict[str, Any]
    input_file: str


def find_repeat(database: Database, submission: Submission) -> Job | None:
    """The job that an earlier request with the same Idempotency-Key made, if any.

    Raises ``Problem`` (``idempotency_key_reused``) if that request sent something else.
    """
    if submission.idempotency_key is None:
        return None
    same_key = and_(owned(jobs, submission.owner), jobs.c.idempotency_key == submission.idempotency_key)
    with database.reading() as connection:
        query = select(jobs, inputs.c.sha256).join(inputs, inputs.c.id == jobs.c.input_id).where(same_key)
        row = connection.execute(query).first()
    if row is None:
        return None
    job = Job.from_row(row)
    asked = (submission.input_sha256, submission.model_name, submission.options)
    if (row.sha256, job.model_name, job.options) != asked:
        raise Problem(
            "idempotency_key_reused",
            f"Idempotency-Key {submission.idempotency_key!r} belongs to job {job.id}, which has another file "
            "or other options. Send a new key for a new job.",
        )
    return job


def accept(database: Database, submission: Submission) -> tuple[Job, bool]:
    """Commit input and job (``queued``); the second value is False if the key's job existed already."""
    if repeat := find_repeat(database, submission):
        return repeat, False
    try:
        return _insert(database, submission), True
    except IntegrityError:
        # Two requests with one key at the same time: the other one was first.
        if repeat := find_repeat(database, submission):
            return repeat, False
        raise


def _insert(database: Database, new: Submission) -> Job:
    job_id = str(uuid7())
    with database.writing() as connection:
        now = database.now(connection)
        connection.execute(
            insert(inputs).values(
                id=new.input_id,
                owner=new.owner,
                name=new.input_name,
                bytes=new.input_bytes,
                sha256=new.input_sha256,
                shape=new.input_shape,
                file=new.input_file,
                created_at=now,
            )
        )
        added = insert(jobs).values(
            id=job_id,
            owner=new.owner,
            idempotency_key=new.idempotency_key,
            name=new.name,
            tags=new.tags,
            status=JobStatus.QUEUED,
            model_name=new.model_name,
            model_version=new.model_version,
            model_sha256=new.model_sha256,
            input_id=new.input_id,
            options=new.options,
            warnings=new.warnings,
            rows_total=new.rows_total,
            error_counts={},
            errors_preview=[],
            created_at=now,
            sent_at=now,  # the caller sends the plan message right after this commit
            expires_at=now + new.ttl_seconds,
            deadline_at=None if new.deadline_seconds is None else now + new.deadline_seconds,
        )
        return Job.from_row(connection.execute(added.returning(*jobs.c)).one())
