"""Accepting a job: input and job become rows in one transaction, before anybody is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from base.database import Database
from base.database.tables import inputs, jobs, owned
from jobs.errors import Problem
from jobs.lifecycle.quotas import NO_QUOTA, Quota, reserve
from jobs.records import Job
from jobs.states import JobStatus
from models.registry import hold


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """All that is fixed about a job when it is accepted; times to live in seconds."""

    owner: str
    idempotency_key: str | None
    request_sha256: str | None
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
    retry_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Submission(NewJob):
    """A job with an input of its own."""

    input_name: str
    input_bytes: int
    input_sha256: str
    input_shape: dict[str, Any]
    input_file: str
    input_stamps: dict[str, list[int]] = field(default_factory=dict)


def find_keyed(database: Database, owner: str, key: str) -> tuple[Job, int, str] | None:
    """The job that a request with this Idempotency-Key made, with bytes and digest of its input."""
    same_key = and_(owned(jobs, owner), jobs.c.idempotency_key == key)
    query = select(jobs, inputs.c.bytes, inputs.c.sha256).join(inputs, inputs.c.id == jobs.c.input_id)
    with database.reading() as connection:
        row = connection.execute(query.where(same_key)).first()
    return None if row is None else (Job.from_row(row), row.bytes, row.sha256)


def find_repeat(database: Database, owner: str, key: str | None, request_sha256: str | None) -> Job | None:
    """The job that the same request made before, if any.

    Raises ``Problem`` (``idempotency_key_reused``) if the key was sent with another request.
    """
    made = find_keyed(database, owner, key) if key else None
    if made and key and made[0].request_sha256 != request_sha256:
        raise key_reused(key, made[0])
    return made[0] if made else None


def key_reused(key: str, job: Job) -> Problem:
    """The refusal of a key that stands for something else."""
    return Problem(
        "idempotency_key_reused",
        f"Idempotency-Key {key!r} belongs to job {job.id}, which has another file or other options. "
        "Send a new key for a new job.",
    )


def accept(database: Database, new: Submission, quota: Quota = NO_QUOTA) -> tuple[Job, bool]:
    """Commit input and job (``queued``); the second value is False if the key's job existed already.

    Raises ``Problem`` (``quota_exceeded``) if the owner has as much as the ``quota`` allows, and
    ``ModelNotFound`` (``version_retired``) if the version was retired meanwhile.
    """
    return _once(database, new, lambda: _insert(database, new, quota))


def accept_child(
    database: Database, new: NewJob, parent_id: str, quota: Quota = NO_QUOTA
) -> tuple[Job, bool]:
    """Commit a job on the input of another; the second value, and the quota, as in :func:`accept`.

    Raises what that raises, and ``Problem`` (``input_expired``) if no job keeps the input any more.
    """
    return _once(database, new, lambda: _insert_child(database, new, parent_id, quota))


def _insert_child(database: Database, new: NewJob, parent_id: str, quota: Quota) -> Job:
    with database.writing() as connection:
        reserve(database, connection, new.owner, quota, 0)
        now = database.now(connection)
        # whoever removes an input takes this lock too, and looks again for jobs that need it
        connection.execute(select(inputs.c.id).where(inputs.c.id == new.input_id).with_for_update())
        kept = select(jobs.c.id).where(jobs.c.input_id == new.input_id, jobs.c.expired_at.is_(None))
        if connection.execute(kept.limit(1)).first() is None:
            raise input_expired(parent_id)
        return _insert_job(connection, new, now)


def input_expired(parent_id: str) -> Problem:
    """The refusal of a job whose input is gone."""
    return Problem(
        "input_expired",
        f"The input of job {parent_id} was removed when its time was over. Submit the file again; "
        "the option ttl keeps it longer.",
    )


def _once(database: Database, new: NewJob, insert_job: Callable[[], Job]) -> tuple[Job, bool]:
    asked = (new.owner, new.idempotency_key, new.request_sha256)
    if repeat := find_repeat(database, *asked):
        return repeat, False
    try:
        return insert_job(), True
    except IntegrityError:
        # Two requests with one key at the same time: the other one was first.
        if repeat := find_repeat(database, *asked):
            return repeat, False
        raise


def is_known_input(database: Database, input_id: str) -> bool:
    """Whether a submission with this input was committed."""
    with database.reading() as connection:
        return connection.execute(select(inputs.c.id).where(inputs.c.id == input_id)).first() is not None


def _insert(database: Database, new: Submission, quota: Quota) -> Job:
    with database.writing() as connection:
        reserve(database, connection, new.owner, quota, new.input_bytes)
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
                stamps=new.input_stamps,
                created_at=now,
            )
        )
        return _insert_job(connection, new, now)


def _insert_job(connection: Connection, new: NewJob, now: float) -> Job:
    hold(connection, new.model_name, new.model_version)
    added = insert(jobs).values(
        id=str(uuid7()),
        owner=new.owner,
        idempotency_key=new.idempotency_key,
        request_sha256=new.request_sha256,
        name=new.name,
        tags=new.tags,
        status=JobStatus.QUEUED,
        model_name=new.model_name,
        model_version=new.model_version,
        model_sha256=new.model_sha256,
        input_id=new.input_id,
        retry_of=new.retry_of,
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
