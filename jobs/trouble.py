"""What becomes of an attempt that failed: another try later, or the end of its job.

An error that the same bytes will bring again ends the job at once; anything else (a bug, memory, a database
that is away) is tried again with a growing pause, as often as the settings allow. A full disk is nobody's
attempt: it is tried again until there is room.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from base.formats import InputRefused
from jobs.errors import LostLease, Problem
from jobs.lifecycle import chunks, steps
from jobs.lifecycle.chunks import FAILED, NO_ROOM, OUT_OF_MEMORY
from jobs.lifecycle.guards import LONGEST_PAUSE_SECONDS
from jobs.records import Claim, StepClaim
from jobs.workshop import Workshop
from models.errors import ModelError

log = structlog.get_logger()

CERTAIN = (Problem, InputRefused, ModelError)
POSTGRES_DISK_FULL = "53100"


class OutOfMemory(Exception):
    """A ``MemoryError`` as Celery may see it: one of that very type stops the whole worker."""


@contextmanager
def handed_back(workshop: Workshop, claim: Claim | StepClaim) -> Iterator[None]:
    """Give the claim back if the block fails; the error goes on, so that Flower shows why.

    A lost lease is no failure: somebody else does the work, or nobody needs it any more.
    """
    try:
        yield
    except LostLease:
        log.info("lease lost", job_id=claim.job.id, attempt=claim.attempt)
    except Exception as error:
        _give_back(workshop, claim, error)
        if isinstance(error, MemoryError):
            raise OutOfMemory(str(error) or "out of memory") from error
        raise


def explain(error: Exception) -> dict[str, Any]:
    """An exception as the ``error`` of a job."""
    if isinstance(error, CERTAIN):
        return {"code": error.code, "message": error.message}
    return {"code": "attempt_failed", "message": f"{type(error).__name__}: {error}"[:1000]}


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk or a quota is full: ours, or the one under the database."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    below = getattr(error, "orig", None)  # SQLAlchemy wraps what the driver raised
    if isinstance(below, sqlite3.Error):
        return getattr(below, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(below, "sqlstate", None) == POSTGRES_DISK_FULL


def _give_back(workshop: Workshop, claim: Claim | StepClaim, error: Exception) -> None:
    reason = explain(error)
    full = is_disk_full(error)
    retry_at = _retry_at(workshop, claim, error, full)
    if retry_at is None and not isinstance(error, CERTAIN):
        tries = claim.attempt - claim.excused
        reason["message"] = f"Failed {tries} times, the last time with: {reason['message']}"
    if full:
        log.warning("disk full, work waits for room", job_id=claim.job.id, reason=str(error))
    if isinstance(claim, Claim):
        outcome = NO_ROOM if full else OUT_OF_MEMORY if isinstance(error, MemoryError) else FAILED
        chunks.release(workshop.database, claim, reason, retry_at, outcome)
    else:
        steps.release(workshop.database, claim, reason, retry_at, excused=full)


def _retry_at(workshop: Workshop, claim: Claim | StepClaim, error: Exception, full: bool) -> float | None:
    tries = claim.attempt - claim.excused
    if isinstance(error, CERTAIN) or (tries >= workshop.settings.max_attempts and not full):
        return None
    doublings = claim.excused if full else tries - 1
    pause = workshop.settings.retry_seconds * 2 ** min(doublings, 30)
    with workshop.database.reading() as connection:
        now = workshop.database.now(connection)
    return now + float(min(pause, LONGEST_PAUSE_SECONDS))
