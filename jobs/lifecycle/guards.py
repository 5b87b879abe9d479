"""Conditions and small writes that the other files of this room share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, update

from base.database.tables import attempts, jobs
from jobs.states import JobStatus, before

REASON_LENGTH = 1000
LEASE_OVER = "the lease ran out"


def lease_is_over(column: Any, now: float, lease_seconds: float) -> ColumnElement[bool]:
    """Whether a lease ran out; one that ends later than a fresh one could came from a clock that jumped."""
    return or_(column.is_(None), column < now, column > now + lease_seconds)


def move_job(
    connection: Connection,
    job_id: str,
    target: JobStatus,
    values: Mapping[str, Any],
    *conditions: ColumnElement[bool],
) -> bool:
    """Move a job to ``target`` if it stands in a state from which that is allowed; False if it does not."""
    allowed = and_(jobs.c.id == job_id, jobs.c.status.in_(before(target)), *conditions)
    changed = update(jobs).where(allowed).values(status=target, revision=jobs.c.revision + 1, **values)
    return connection.execute(changed).rowcount == 1


def fail_job(
    connection: Connection, job_id: str, now: float, error: dict[str, Any], *conditions: ColumnElement[bool]
) -> bool:
    """Move a job to ``failed`` with the error that its reader will see."""
    return move_job(connection, job_id, JobStatus.FAILED, {"error": error, "finished_at": now}, *conditions)


def close_attempt(
    connection: Connection,
    job_id: str,
    index: int,
    attempt: int,
    *,
    now: float,
    outcome: str,
    reason: str | None = None,
) -> None:
    """Write into the history how an attempt ended; one that is closed already stays as it is."""
    open_attempt = and_(
        attempts.c.job_id == job_id,
        attempts.c.index == index,
        attempts.c.attempt == attempt,
        attempts.c.ended_at.is_(None),
    )
    reason = reason[:REASON_LENGTH] if reason else None
    connection.execute(
        update(attempts).where(open_attempt).values(ended_at=now, outcome=outcome, reason=reason)
    )
