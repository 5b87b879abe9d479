"""Conditions and small writes that the other files of this room share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select, update

from base.database.tables import attempts, jobs
from base.processes import has_ended
from jobs.states import FINAL, JobStatus, before

REASON_LENGTH = 1000
# Nothing waits longer than this before it is tried again.
LONGEST_PAUSE_SECONDS = 60.0


def lease_is_over(column: Any, now: float, lease_seconds: float) -> ColumnElement[bool]:
    """Whether a lease ran out; one that ends later than a fresh one could came from a clock that jumped."""
    return or_(column.is_(None), column < now, column > now + lease_seconds)


def pause_is_over(column: Any, now: float) -> ColumnElement[bool]:
    """Whether work that failed may be tried again; a pause longer than any came from a clock that jumped."""
    return or_(column.is_(None), column <= now, column > now + LONGEST_PAUSE_SECONDS)


def sent_before(column: Any, moment: float, now: float) -> ColumnElement[bool]:
    """Whether a message went out before a moment; one that is yet to go out was marked by a wrong clock."""
    return or_(column < moment, column > now)


def holder_is_dead(connection: Connection, worker: Any, held: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the process that holds a lease has ended, as far as this machine can know.

    ``worker`` is the column that names holders, ``held`` chooses the leases that are asked about.
    """
    names = connection.execute(select(worker).where(held, worker.is_not(None)).distinct()).scalars()
    dead = [name for name in names if has_ended(name)]
    return worker.in_(dead) if dead else false()


def why_lost(worker: str | None) -> str:
    """The reason that the history gives for an attempt that never said how it ended."""
    ended = worker is not None and has_ended(worker)
    return f"its process {worker} ended" if ended else "the lease ran out"


def move_job(
    connection: Connection,
    job_id: str,
    target: JobStatus,
    values: Mapping[str, Any],
    *conditions: ColumnElement[bool],
) -> bool:
    """Move a job to ``target`` if it stands in a state from which that is allowed; False if it does not.

    A job that ends (``finished_at``) is kept for its time to live from then on.
    """
    if target in FINAL:
        ttl_seconds = jobs.c.expires_at - jobs.c.created_at
        values = {"expires_at": values["finished_at"] + ttl_seconds, **values}
    allowed = and_(jobs.c.id == job_id, jobs.c.status.in_(before(target)), *conditions)
    changed = update(jobs).where(allowed).values(status=target, revision=jobs.c.revision + 1, **values)
    return connection.execute(changed).rowcount == 1


def opened(target: JobStatus, now: float) -> dict[str, Any]:
    """Values that open what comes next of a job to everybody.

    The message of a step is about to go out. Of a job to be scored no chunk was sent yet: it comes first.
    """
    return {
        "step_attempt": 0,
        "step_excused": 0,
        "step_lease_until": None,
        "step_not_before": None,
        "sent_at": None if target == JobStatus.SCORING else now,
    }


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
