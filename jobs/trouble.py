"""What becomes of an attempt that failed: another try later, or the end of its job.

An error that the same bytes will bring again ends the job at once; anything else (a full disk, a bug, memory)
is tried again with a growing pause, as often as the settings allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from base.formats import InputRefused
from jobs.errors import LostLease, Problem
from jobs.lifecycle import chunks, steps
from jobs.records import Claim, StepClaim
from jobs.workshop import Workshop
from models.errors import ModelError

log = structlog.get_logger()

CERTAIN = (Problem, InputRefused, ModelError)


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
        reason = explain(error)
        retry_at = _retry_at(workshop, claim.attempt, error)
        if retry_at is None and not isinstance(error, CERTAIN):
            reason["message"] = f"Failed {claim.attempt} times, the last time with: {reason['message']}"
        if isinstance(claim, Claim):
            chunks.release(workshop.database, claim, reason, retry_at)
        else:
            steps.release(workshop.database, claim, reason, retry_at)
        raise


def explain(error: Exception) -> dict[str, Any]:
    """An exception as the ``error`` of a job."""
    if isinstance(error, CERTAIN):
        return {"code": error.code, "message": error.message}
    return {"code": "attempt_failed", "message": f"{type(error).__name__}: {error}"[:1000]}


def _retry_at(workshop: Workshop, attempt: int, error: Exception) -> float | None:
    if isinstance(error, CERTAIN) or attempt >= workshop.settings.max_attempts:
        return None
    with workshop.database.reading() as connection:
        now = workshop.database.now(connection)
    return now + float(workshop.settings.retry_seconds * 2 ** (attempt - 1))
